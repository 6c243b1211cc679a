#pragma once

namespace postrider::admin {

/// sysexits.h, and what check and mx-check say of dangers.
inline constexpr int kExitDangers = 1;
inline constexpr int kExitUsage = 64;
inline constexpr int kExitUnavailable = 69;
inline constexpr int kExitTemporary = 75;
inline constexpr int kExitConfig = 78;

}  // namespace postrider::admin
