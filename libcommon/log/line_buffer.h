#pragma once

#include <array>
#include <cstddef>
#include <string_view>

#include "libcommon/log/log.h"

namespace postrider::log {

/// The bytes of one line, with a fixed limit: what does not fit is left out and `overflow` is set. Lines keep
/// it on the heap, because a coroutine that logs would otherwise carry it in its frame.
struct Line::Buffer {
    /// Kept free for the end of the line, so that a full buffer can still be closed properly.
    static constexpr std::size_t kReserve = 32;

    std::array<char, kMaximumLine> bytes;
    std::size_t size = 0;
    bool overflow = false;

    // The array is not cleared, which would cost more than the rest of the line.
    Buffer() noexcept {}  // NOLINT(modernize-use-equals-default)

    void append(std::string_view text) noexcept { append_within(text, kMaximumLine - kReserve); }

    /// For the end of the line: may use the reserve.
    void append_end(std::string_view text) noexcept { append_within(text, kMaximumLine); }

    [[nodiscard]] std::string_view text() const { return {bytes.data(), size}; }

  private:
    void append_within(std::string_view text, std::size_t limit) noexcept {
        if (overflow || text.size() > limit - size) {
            overflow = true;
            return;
        }
        text.copy(bytes.data() + size, text.size());
        size += text.size();
    }
};

}  // namespace postrider::log
