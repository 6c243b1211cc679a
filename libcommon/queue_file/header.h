#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "libcommon/base/result.h"
#include "libcommon/queue_file/queue_id.h"

namespace postrider::queue_file {

/// Whether the file is still being received or was committed.
enum class FileState : std::uint32_t { Receiving = 1, Complete = 2 };

/// The first 128 bytes of a queue file (postrider-queue-file(5)). It says where the other parts are and lets
/// the file prove itself complete: a file whose name survived a power cut but whose content did not fails the
/// check.
struct Header {
    static constexpr std::size_t kSize = 128;
    static constexpr std::uint32_t kVersion = 1;
    /// A larger envelope is not written and not believed.
    static constexpr std::uint64_t kMaxEnvelopeLength = std::uint64_t{32} << 20;
    static constexpr std::uint64_t kMaxContentLength = std::uint64_t{1} << 40;

    FileState state = FileState::Receiving;
    QueueId id;
    std::uint64_t envelope_length = 0;
    std::uint64_t content_length = 0;  ///< 0 while receiving
    std::uint64_t envelope_xxh3 = 0;   ///< XXH3-64 of the envelope
    std::uint64_t content_xxh3 = 0;    ///< XXH3-64 of the content; 0 while receiving

    [[nodiscard]] std::uint64_t envelope_offset() const { return kSize; }
    [[nodiscard]] std::uint64_t content_offset() const { return kSize + envelope_length; }
    [[nodiscard]] std::uint64_t journal_offset() const { return content_offset() + content_length; }

    friend bool operator==(const Header&, const Header&) = default;
};

/// The 128 bytes.
[[nodiscard]] std::string encode_header(const Header& header);

/// Reads what encode_header wrote. `bytes` may be anything; fewer than 128, another magic, an unknown
/// version, a wrong checksum or parts that do not follow one another are Permanent errors.
[[nodiscard]] Result<Header> decode_header(std::string_view bytes);

/// XXH3-64, the hash of the format.
[[nodiscard]] std::uint64_t content_hash(std::string_view bytes);

}  // namespace postrider::queue_file
