#include "remote-delivery/content.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>

#include "libcommon/mail/ascii.h"

namespace postrider::remote_delivery {

Result<std::string_view> Content::piece(std::uint64_t position) const {
    // One block for the whole process: the loop has one thread, and nobody awaits while the view is in use.
    thread_local std::array<char, kPiece> block;
    std::size_t wanted = static_cast<std::size_t>(std::min<std::uint64_t>(kPiece, length_ - position));
    std::size_t filled = 0;
    while (filled < wanted) {
        ssize_t got = ::pread(file_.get(), block.data() + filled, wanted - filled,
                              static_cast<off_t>(offset_ + position + filled));
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return system_failure("queue file", errno);
        if (got == 0) return temporary("the queue file is shorter than its header says");
        filled += static_cast<std::size_t>(got);
    }
    return std::string_view(block.data(), filled);
}

Result<bool> Content::has_eight_bit(bool header_only) const {
    bool line_is_empty = true;
    for (std::uint64_t position = 0; position < length_; position += kPiece) {
        auto text = piece(position);
        if (!text) return failure(text.error());
        for (char c : *text) {
            if (mail::is_non_ascii(c)) return true;
            if (c == '\n') {
                if (header_only && line_is_empty) return false;
                line_is_empty = true;
            } else if (c != '\r') {
                line_is_empty = false;
            }
        }
    }
    return false;
}

}  // namespace postrider::remote_delivery
