#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

#include "libcommon/base/result.h"
#include "libcommon/queue_file/queue_id.h"

namespace postrider::queue_file {

/// The secret of a spool that authenticates journal records.
///
/// smtpd writes the content through a descriptor that it may keep after the commit. A journal record decides
/// under which user a program runs, so a checksum that anyone can compute would let a subverted smtpd append
/// a record and become that user. With a key that never leaves the spool it can only damage its own message.
class JournalKey {
  public:
    static constexpr std::size_t kSize = 16;

    explicit JournalKey(const std::array<std::uint8_t, kSize>& bytes);

    /// A key from the kernel's random bits. Throws std::system_error if there are none.
    [[nodiscard]] static JournalKey make();
    /// From the 16 bytes of the spool's key file; anything else is a Permanent error.
    [[nodiscard]] static Result<JournalKey> from_bytes(std::string_view bytes);
    [[nodiscard]] std::string bytes() const;

    /// SipHash-2-4 of the record's place and payload. The id and the offset take part so that a record of
    /// another file, or of another place in this one, is not valid here.
    [[nodiscard]] std::uint64_t tag(QueueId id, std::uint64_t offset, std::string_view payload) const;

    /// SipHash-2-4 of `bytes`, for the test against the published vectors.
    [[nodiscard]] std::uint64_t hash(std::string_view bytes) const;

  private:
    std::uint64_t low_;
    std::uint64_t high_;
};

}  // namespace postrider::queue_file
