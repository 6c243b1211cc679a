// A segment of the intake journal with any octets, and with any entries that bear valid tags: reading it
// never fails, gives no message twice and none that has ended, and all that it gives was written.
//
// The first octet is the number of segments; the rest are frames (frame_list.h), each an entry: the segment,
// the kind, the id and the payload. The same octets are read as a segment, too.

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdlib>
#include <map>
#include <set>
#include <string>

#include "libcommon/base/file.h"
#include "queue-manager/journal_segment.h"
#include "tests/fuzz/frame_list.h"

using namespace postrider;
using namespace postrider::queue_manager;

namespace {

constexpr std::size_t kSegments = 3;

void require(bool condition) {
    if (!condition) std::abort();
}

void fill(const Fd& file, std::string_view bytes) {
    require(::ftruncate(file.get(), 0) == 0);
    require(write_all_at(file, bytes, 0).has_value());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    static const queue_file::JournalKey key = queue_file::JournalKey::make();
    static const std::vector<Fd> files = [] {
        std::vector<Fd> made;
        for (std::size_t i = 0; i < kSegments; ++i)
            made.emplace_back(::memfd_create("segment", MFD_CLOEXEC));
        return made;
    }();
    const std::string_view input(reinterpret_cast<const char*>(data), size);
    const auto ignore = [](QueueId, const std::string&) { return Result<void>(); };

    fill(files[0], input);
    fill(files[1], encode_segment_header(key, 1) + std::string(input));
    fill(files[2], "");
    require(recover_messages(files, key, ignore).has_value());

    std::array<std::string, kSegments> segments;
    for (std::size_t i = 0; i < kSegments; ++i)
        segments.at(i) = encode_segment_header(key, i + 1);
    std::map<QueueId, std::string> written;
    for (const std::string_view frame : fuzz::frames_of(input)) {
        constexpr std::size_t kPrefix = 3;
        if (frame.size() < kPrefix) continue;
        const std::size_t number = static_cast<std::uint8_t>(frame[0]) % kSegments;
        const auto kind = static_cast<EntryKind>(1 + static_cast<std::uint8_t>(frame[1]) % 3);
        const QueueId id(1, static_cast<std::uint8_t>(frame[2]));
        const std::string_view payload = frame.substr(kPrefix);
        std::string& segment = segments.at(number);
        segment += encode_entry(key, number + 1, segment.size(), kind, id, payload);
        if (kind == EntryKind::Message) written.emplace(id, "");
    }
    for (std::size_t i = 0; i < kSegments; ++i)
        fill(files[i], segments.at(i));
    std::set<QueueId> given;
    require(recover_messages(files, key, [&](QueueId id, const std::string& bytes) {
                require(given.insert(id).second);
                require(written.count(id) == 1);
                require(bytes.size() <= size * 4 + kSegments * kSegmentHeaderSize);
                return Result<void>();
            }).has_value());
    return 0;
}
