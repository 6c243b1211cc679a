#pragma once

#include "libcommon/forward/address.h"

namespace postrider::router {

using forward::Address;
using forward::folded;
using forward::parse_address;

}  // namespace postrider::router
