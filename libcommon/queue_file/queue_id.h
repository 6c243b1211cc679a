#pragma once

#include <array>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "libcommon/base/clock.h"
#include "libcommon/base/result.h"

namespace postrider::queue_file {

/// The name of a message in the queue: 48 bits of milliseconds since 1970 and 32 random bits. Ids compare in
/// the order of their time, are never used twice and say nothing about the host. As text: 16 characters of
/// Crockford's base32, so that the names of queue files sort by time too.
class QueueId {
  public:
    static constexpr std::size_t kTextLength = 16;
    static constexpr std::uint64_t kMaxMilliseconds = (std::uint64_t{1} << 48) - 1;

    /// The zero id, which no message has.
    QueueId() = default;
    /// `milliseconds` above 48 bits (the year 10889) are cut off.
    QueueId(UnixMillis milliseconds, std::uint32_t random)
        : milliseconds_(milliseconds & kMaxMilliseconds), random_(random) {}

    /// Reads the 16 characters that text() writes; nothing else is an id. Error: Permanent.
    [[nodiscard]] static Result<QueueId> parse(std::string_view text);

    [[nodiscard]] std::string text() const;
    [[nodiscard]] UnixMillis milliseconds() const { return milliseconds_; }
    [[nodiscard]] std::uint32_t random() const { return random_; }

    friend auto operator<=>(const QueueId&, const QueueId&) = default;

  private:
    std::uint64_t milliseconds_ = 0;
    std::uint32_t random_ = 0;
};

/// Makes ids. Random bits come from the kernel, many at a time, so that an id does not cost a system call.
class QueueIdSource {
  public:
    /// A new id for a message that arrives at `now`. Throws std::system_error if the kernel gives no random
    /// bits.
    [[nodiscard]] QueueId next(UnixMillis now);

  private:
    std::array<std::uint32_t, 64> random_{};
    std::size_t used_ = 64;
};

}  // namespace postrider::queue_file

template <>
struct std::hash<postrider::queue_file::QueueId> {
    std::size_t operator()(const postrider::queue_file::QueueId& id) const noexcept {
        // The random half is already spread; the multiplication spreads the time.
        return static_cast<std::size_t>((id.milliseconds() * 0x9E3779B97F4A7C15U) ^ id.random());
    }
};
