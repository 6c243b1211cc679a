#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <utility>

#include "libcommon/base/fd.h"
#include "libcommon/base/result.h"

namespace postrider::remote_delivery {

/// The content of a message inside its queue file. Read with pread() in pieces, so that a message of any size
/// takes the same memory and several readers of one file do not disturb each other.
class Content {
  public:
    /// Owns `file`; `length` octets from `offset` on are the content.
    Content(Fd file, std::uint64_t offset, std::uint64_t length)
        : file_(std::move(file)), offset_(offset), length_(length) {}

    [[nodiscard]] std::uint64_t length() const { return length_; }

    /// The piece at `position` (counted from the beginning of the content): kPiece octets, fewer only at the
    /// end. The view lives until the next call in this process. Error: Temporary; the file cannot be read or
    /// is shorter than it should be.
    [[nodiscard]] Result<std::string_view> piece(std::uint64_t position) const;
    static constexpr std::size_t kPiece = std::size_t{64} * 1024;

    /// Whether any octet of the content is beyond US-ASCII; of its header only, up to the empty line, if
    /// `header_only`. Reads until it finds one. Error: as piece().
    [[nodiscard]] Result<bool> has_eight_bit(bool header_only) const;

  private:
    Fd file_;
    std::uint64_t offset_;
    std::uint64_t length_;
};

}  // namespace postrider::remote_delivery
