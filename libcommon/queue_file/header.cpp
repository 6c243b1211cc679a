#include "libcommon/queue_file/header.h"

#include <fmt/format.h>
#include <xxhash.h>

#include "libcommon/queue_file/little_endian.h"

namespace postrider::queue_file {

namespace {

constexpr std::string_view kMagic = "PRQUEUE\n";

// Offsets of the fields; the table in postrider-queue-file(5) has the same rows.
constexpr std::size_t kVersionAt = 8;
constexpr std::size_t kStateAt = 12;
constexpr std::size_t kIdAt = 16;
constexpr std::size_t kEnvelopeOffsetAt = 32;
constexpr std::size_t kEnvelopeLengthAt = 40;
constexpr std::size_t kContentOffsetAt = 48;
constexpr std::size_t kContentLengthAt = 56;
constexpr std::size_t kJournalOffsetAt = 64;
constexpr std::size_t kEnvelopeHashAt = 72;
constexpr std::size_t kContentHashAt = 80;
constexpr std::size_t kChecksumAt = 120;

bool parts_follow_one_another(const Header& header, std::string_view bytes) {
    return header.envelope_length <= Header::kMaxEnvelopeLength &&
           header.content_length <= Header::kMaxContentLength &&
           get_little_endian<std::uint64_t>(bytes, kEnvelopeOffsetAt) == header.envelope_offset() &&
           get_little_endian<std::uint64_t>(bytes, kContentOffsetAt) == header.content_offset() &&
           get_little_endian<std::uint64_t>(bytes, kJournalOffsetAt) == header.journal_offset();
}

}  // namespace

std::uint64_t content_hash(std::string_view bytes) {
    return XXH3_64bits(bytes.data(), bytes.size());
}

std::string encode_header(const Header& header) {
    std::string bytes(kMagic);
    put_little_endian(bytes, Header::kVersion);
    put_little_endian(bytes, static_cast<std::uint32_t>(header.state));
    bytes += header.id.text();
    put_little_endian(bytes, header.envelope_offset());
    put_little_endian(bytes, header.envelope_length);
    put_little_endian(bytes, header.content_offset());
    put_little_endian(bytes, header.content_length);
    put_little_endian(bytes, header.journal_offset());
    put_little_endian(bytes, header.envelope_xxh3);
    put_little_endian(bytes, header.content_xxh3);
    bytes.resize(kChecksumAt, '\0');
    put_little_endian(bytes, content_hash(bytes));
    return bytes;
}

Result<Header> decode_header(std::string_view bytes) {
    if (bytes.size() < Header::kSize) return permanent("shorter than a queue file's header");
    if (bytes.substr(0, kMagic.size()) != kMagic) return permanent("not a queue file");
    auto version = get_little_endian<std::uint32_t>(bytes, kVersionAt);
    if (version != Header::kVersion)
        return permanent(fmt::format("queue file of unknown version {}", version));
    if (get_little_endian<std::uint64_t>(bytes, kChecksumAt) != content_hash(bytes.substr(0, kChecksumAt))) {
        return permanent("the header's checksum is wrong");
    }

    Header header;
    auto state = get_little_endian<std::uint32_t>(bytes, kStateAt);
    if (state != static_cast<std::uint32_t>(FileState::Receiving) &&
        state != static_cast<std::uint32_t>(FileState::Complete)) {
        return permanent(fmt::format("unknown state {} in the header", state));
    }
    header.state = static_cast<FileState>(state);
    auto id = QueueId::parse(bytes.substr(kIdAt, QueueId::kTextLength));
    if (!id) return failure(std::move(id.error()));
    header.id = *id;
    header.envelope_length = get_little_endian<std::uint64_t>(bytes, kEnvelopeLengthAt);
    header.content_length = get_little_endian<std::uint64_t>(bytes, kContentLengthAt);
    header.envelope_xxh3 = get_little_endian<std::uint64_t>(bytes, kEnvelopeHashAt);
    header.content_xxh3 = get_little_endian<std::uint64_t>(bytes, kContentHashAt);
    if (!parts_follow_one_another(header, bytes))
        return permanent("the header's offsets contradict one another");
    return header;
}

}  // namespace postrider::queue_file
