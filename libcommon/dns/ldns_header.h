#pragma once

// ldns/common.h makes macros of bool, true and false unless it believes that stdbool.h was there before it,
// and the macros break every C++ header that follows. So this order matters.
// clang-format off
#include <stdbool.h>  // NOLINT: the C header, for its macro

#include <ldns/ldns.h>
// clang-format on
