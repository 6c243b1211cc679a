// A queue file of any bytes: reading it never crashes, never reads without end, and believes no header,
// envelope or record that does not check out. The checksums are made right first, or the fuzzer would never
// get past them.

#include <sys/mman.h>
#include <unistd.h>

#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "libcommon/base/file.h"
#include "libcommon/queue_file/little_endian.h"
#include "libcommon/queue_file/queue_file.h"

using namespace postrider;
using namespace postrider::queue_file;

namespace {

constexpr std::size_t kEnvelopeLengthAt = 40;
constexpr std::size_t kEnvelopeHashAt = 72;
constexpr std::size_t kChecksumAt = 120;

void put(std::string& bytes, std::size_t offset, std::uint64_t value) {
    std::string encoded;
    put_little_endian(encoded, value);
    bytes.replace(offset, encoded.size(), encoded);
}

/// Makes the checksums of header and envelope right.
void seal(std::string& bytes) {
    if (bytes.size() < Header::kSize) return;
    auto length = get_little_endian<std::uint64_t>(bytes, kEnvelopeLengthAt);
    if (length <= bytes.size() - Header::kSize) {
        put(bytes, kEnvelopeHashAt, content_hash(std::string_view(bytes).substr(Header::kSize, length)));
    }
    put(bytes, kChecksumAt, content_hash(std::string_view(bytes).substr(0, kChecksumAt)));
}

void read(const std::string& bytes) {
    static const Fd file(::memfd_create("fuzz", MFD_CLOEXEC));
    if (::ftruncate(file.get(), 0) != 0 || !write_all_at(file, bytes, 0)) std::abort();
    auto contents = read_queue_file(file, std::nullopt);
    if (!contents) return;
    if (contents->journal_end > bytes.size() || contents->journal_end < contents->header.journal_offset()) {
        std::abort();
    }
    static_cast<void>(verify_content(file, contents->header));
    if (contents->header != *decode_header(encode_header(contents->header))) std::abort();
    // With a key that nobody has used no record is valid.
    static const JournalKey key = JournalKey::make();
    auto keyed = read_queue_file(file, key);
    if (!keyed || keyed->journal_end != keyed->header.journal_offset()) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    std::string bytes(reinterpret_cast<const char*>(data), size);
    static_cast<void>(QueueId::parse(bytes));
    static_cast<void>(decode_header(bytes));
    read(bytes);
    seal(bytes);
    read(bytes);
    return 0;
}
