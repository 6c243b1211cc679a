#include "libcommon/queue_file/queue_file.h"

#include <fmt/format.h>
#include <sys/stat.h>
#include <xxhash.h>

#include <algorithm>
#include <cerrno>
#include <memory>

#include "libcommon/base/file.h"

namespace postrider::queue_file {

namespace {

constexpr std::size_t kReadSize = std::size_t{64} << 10;

Result<std::uint64_t> file_size(const Fd& file) {
    struct stat status {};
    if (::fstat(file.get(), &status) != 0) return system_failure("fstat", errno);
    return static_cast<std::uint64_t>(status.st_size);
}

Result<wire::Envelope> read_envelope(const Fd& file, const Header& header) {
    auto bytes = read_at(file, header.envelope_length, header.envelope_offset());
    if (!bytes) return failure(std::move(bytes.error()));
    if (bytes->size() != header.envelope_length) return permanent("the file ends within the envelope");
    if (content_hash(*bytes) != header.envelope_xxh3) return permanent("the envelope's checksum is wrong");
    wire::Envelope envelope;
    if (!envelope.ParseFromString(*bytes)) return permanent("the envelope cannot be parsed");
    return envelope;
}

}  // namespace

Result<Beginning> encode_beginning(QueueId id, const wire::Envelope& envelope) {
    std::string bytes = envelope.SerializeAsString();
    if (bytes.size() > Header::kMaxEnvelopeLength) return permanent("the envelope is too long");
    Beginning beginning;
    beginning.header.id = id;
    beginning.header.envelope_length = bytes.size();
    beginning.header.envelope_xxh3 = content_hash(bytes);
    beginning.bytes = encode_header(beginning.header) + bytes;
    return beginning;
}

Result<Beginning> encode_complete(QueueId id, const wire::Envelope& envelope, std::string_view content) {
    auto encoded = encode_beginning(id, envelope);
    if (!encoded) return encoded;
    Header& header = encoded->header;
    header.state = FileState::Complete;
    header.content_length = content.size();
    header.content_xxh3 = content_hash(content);
    encoded->bytes.replace(0, Header::kSize, encode_header(header));
    encoded->bytes += content;
    return encoded;
}

std::string complete_header(const Header& receiving, std::uint64_t content_length,
                            std::uint64_t content_xxh3) {
    Header header = receiving;
    header.state = FileState::Complete;
    header.content_length = content_length;
    header.content_xxh3 = content_xxh3;
    return encode_header(header);
}

Result<QueueFile> read_queue_file(const Fd& file, const std::optional<JournalKey>& key) {
    auto size = file_size(file);
    if (!size) return failure(std::move(size.error()));
    auto bytes = read_at(file, Header::kSize, 0);
    if (!bytes) return failure(std::move(bytes.error()));
    auto header = decode_header(*bytes);
    if (!header) return failure(std::move(header.error()));
    if (header->state != FileState::Complete) return permanent("the message was not completely received");
    if (*size < header->journal_offset()) {
        return permanent(
            fmt::format("the file ends within the content: {} bytes of {}", *size, header->journal_offset()));
    }
    auto envelope = read_envelope(file, *header);
    if (!envelope) return failure(std::move(envelope.error()));

    QueueFile result;
    result.header = *header;
    result.envelope = std::move(*envelope);
    result.journal = JournalState(static_cast<std::size_t>(result.envelope.recipients_size()));
    JournalReader reader(file, header->journal_offset(), header->id, key);
    while (true) {
        auto record = reader.next();
        if (!record) return failure(std::move(record.error()));
        if (!*record) break;
        result.journal.apply(**record);
    }
    result.journal_end = reader.end();
    return result;
}

Result<void> verify_content(const Fd& file, const Header& header) {
    struct FreeState {
        void operator()(XXH3_state_t* state) const { XXH3_freeState(state); }
    };
    std::unique_ptr<XXH3_state_t, FreeState> hash(XXH3_createState());
    XXH3_64bits_reset(hash.get());
    std::uint64_t offset = header.content_offset();
    while (offset < header.journal_offset()) {
        std::size_t wanted = std::min<std::uint64_t>(kReadSize, header.journal_offset() - offset);
        auto bytes = read_at(file, wanted, offset);
        if (!bytes) return failure(std::move(bytes.error()));
        if (bytes->empty()) return permanent("the file ends within the content");
        XXH3_64bits_update(hash.get(), bytes->data(), bytes->size());
        offset += bytes->size();
    }
    if (XXH3_64bits_digest(hash.get()) != header.content_xxh3) {
        return permanent("the content's checksum is wrong");
    }
    return {};
}

}  // namespace postrider::queue_file
