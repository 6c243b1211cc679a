#include "libcommon/queue_file/journal.h"

#include <catch2/catch.hpp>
#include <sys/mman.h>

#include <string>
#include <vector>

#include "libcommon/base/file.h"

using namespace postrider;
using namespace postrider::queue_file;

namespace {

constexpr std::uint64_t kOffset = 1000;
const QueueId kId(1'700'000'000'000, 7);

JournalKey key_of(std::uint8_t first) {
    std::array<std::uint8_t, JournalKey::kSize> bytes{};
    for (std::size_t i = 0; i < bytes.size(); ++i)
        bytes[i] = static_cast<std::uint8_t>(first + i);
    return JournalKey(bytes);
}

Fd file_with(const std::string& journal) {
    Fd file(::memfd_create("journal", MFD_CLOEXEC));
    REQUIRE(write_all_at(file, journal, kOffset));
    return file;
}

wire::JournalRecord resolved_record(std::uint32_t recipient, const std::string& next_hop) {
    wire::JournalRecord record;
    record.mutable_resolved()->set_recipient(recipient);
    auto* delivery = record.mutable_resolved()->add_deliveries();
    delivery->set_number(recipient + 1);
    delivery->set_next_hop(next_hop);
    return record;
}

struct Journal {
    std::string bytes;
    std::vector<std::size_t> ends;  // length of the journal after each record
};

Journal three_records() {
    Journal journal;
    for (std::uint32_t i = 0; i < 3; ++i) {
        auto appended = append_record(resolved_record(i, "host" + std::to_string(i)), key_of(0), kId,
                                      kOffset + journal.bytes.size(), journal.bytes);
        REQUIRE(appended);
        journal.ends.push_back(journal.bytes.size());
    }
    return journal;
}

/// How many records are read, and where the reader stands then.
std::pair<std::size_t, std::uint64_t> read(const std::string& bytes, QueueId id = kId,
                                           std::optional<JournalKey> key = key_of(0)) {
    Fd file = file_with(bytes);
    JournalReader reader(file, kOffset, id, key);
    std::size_t records = 0;
    while (true) {
        auto record = reader.next();
        REQUIRE(record);
        if (!*record) return {records, reader.end() - kOffset};
        CHECK((*record)->resolved().recipient() == records);
        ++records;
    }
}

}  // namespace

TEST_CASE("SipHash-2-4 gives the values its authors published") {
    // The first rows of vectors_sip64 of the reference implementation: key 00 01 .. 0f, input 00 01 ..
    struct Case {
        std::string input;
        std::uint64_t hash;
    };
    const std::string input = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14};
    for (const auto& test : {Case{"", 0x726FDB47DD0E0E31}, Case{input.substr(0, 1), 0x74F839C593DC67FD},
                             Case{input.substr(0, 8), 0x93F5F5799A932462}, Case{input, 0xA129CA6149BE45E5}}) {
        CHECK(key_of(0).hash(test.input) == test.hash);
    }
}

TEST_CASE("a journal is read to its end") {
    auto journal = three_records();
    CHECK(read(journal.bytes) == std::pair<std::size_t, std::uint64_t>(3, journal.bytes.size()));
    CHECK(read("") == std::pair<std::size_t, std::uint64_t>(0, 0));
}

TEST_CASE("a journal torn at any byte keeps the records before") {
    auto journal = three_records();
    for (std::size_t length = 0; length < journal.bytes.size(); ++length) {
        std::size_t complete = 0;
        while (complete < 3 && journal.ends[complete] <= length)
            ++complete;
        std::size_t end = complete == 0 ? 0 : journal.ends[complete - 1];
        CHECK(read(journal.bytes.substr(0, length)) == std::pair<std::size_t, std::uint64_t>(complete, end));
        // What a file system may leave of blocks that were never written.
        std::string zeroed =
            journal.bytes.substr(0, length) + std::string(journal.bytes.size() - length, '\0');
        CHECK(read(zeroed).first <= 3);
        if (length < journal.ends[0] - 1) CHECK(read(zeroed).first == 0);
    }
}

TEST_CASE("a journal with any byte changed keeps the records before") {
    auto journal = three_records();
    for (std::size_t i = 0; i < journal.bytes.size(); ++i) {
        std::string damaged = journal.bytes;
        damaged[i] = static_cast<char>(damaged[i] ^ 1);
        std::size_t before = 0;
        while (journal.ends[before] <= i)
            ++before;
        CHECK(read(damaged).first == before);
    }
}

TEST_CASE("junk behind the last record is not read") {
    auto journal = three_records();
    for (const std::string& junk : {std::string("\0\0\0\0\0\0\0\0\0\0\0\0", 12), std::string(100, '\xff'),
                                    std::string("\1\0\0\0hello, world", 16), journal.bytes}) {
        CHECK(read(journal.bytes + junk) == std::pair<std::size_t, std::uint64_t>(3, journal.bytes.size()));
    }
}

TEST_CASE("a record is valid with its key, in its file and at its place only") {
    auto journal = three_records();
    CHECK(read(journal.bytes, kId, key_of(1)).first == 0);
    CHECK(read(journal.bytes, QueueId(1'700'000'000'000, 8)).first == 0);
    CHECK(read(journal.bytes.substr(journal.ends[0])).first == 0);
    CHECK(read(journal.bytes, kId, std::nullopt).first == 3);
}

TEST_CASE("a record that is too long is not written") {
    std::string out;
    CHECK_FALSE(
        append_record(resolved_record(0, std::string(kMaxRecordPayload, 'x')), key_of(0), kId, 0, out));
    CHECK(out.empty());
}

TEST_CASE("a journal key has sixteen bytes") {
    CHECK_FALSE(JournalKey::from_bytes("short"));
    auto key = JournalKey::from_bytes(key_of(5).bytes());
    REQUIRE(key);
    CHECK(key->bytes() == key_of(5).bytes());
    CHECK(JournalKey::make().bytes() != JournalKey::make().bytes());
}
