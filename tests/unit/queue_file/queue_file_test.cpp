#include "libcommon/queue_file/queue_file.h"

#include <catch2/catch.hpp>
#include <sys/mman.h>

#include <string>

#include "libcommon/base/file.h"

using namespace postrider;
using namespace postrider::queue_file;

namespace {

const QueueId kId(1'700'000'000'000, 7);
const std::string kContent = "Received: test\r\nSubject: hello\r\n\r\nbody\r\n";
const JournalKey kKey(std::array<std::uint8_t, JournalKey::kSize>{1, 2, 3});

wire::Envelope example_envelope() {
    wire::Envelope envelope;
    envelope.set_sender("sender@example.org");
    envelope.add_recipients()->set_address("one@example.net");
    envelope.add_recipients()->set_address(std::string("\xff\x00odd", 5));
    return envelope;
}

/// A complete file with one journal record.
std::string example_file() {
    auto beginning = encode_beginning(kId, example_envelope());
    REQUIRE(beginning);
    std::string bytes = beginning->bytes + kContent;
    bytes.replace(0, Header::kSize,
                  complete_header(beginning->header, kContent.size(), content_hash(kContent)));
    wire::JournalRecord record;
    record.mutable_resolved()->set_recipient(1);
    record.mutable_resolved()->add_deliveries()->set_number(1);
    REQUIRE(append_record(record, kKey, kId, bytes.size(), bytes));
    return bytes;
}

Fd file_with(const std::string& bytes) {
    Fd file(::memfd_create("queue-file", MFD_CLOEXEC));
    REQUIRE(write_all(file, bytes));
    return file;
}

std::size_t journal_begins() {
    auto beginning = encode_beginning(kId, example_envelope());
    return beginning->bytes.size() + kContent.size();
}

}  // namespace

TEST_CASE("a complete file is read back") {
    Fd file = file_with(example_file());
    auto read = read_queue_file(file, kKey);
    REQUIRE(read);
    CHECK(read->header.id == kId);
    CHECK(read->envelope.recipients(1).address() == std::string("\xff\x00odd", 5));
    CHECK_FALSE(read->journal.resolved(0));
    CHECK(read->journal.resolved(1));
    CHECK(read->journal_end == example_file().size());
    CHECK(verify_content(file, read->header));
}

TEST_CASE("a file cut at any byte is complete with its content, not before") {
    std::string whole = example_file();
    for (std::size_t length = 0; length < whole.size(); ++length) {
        Fd file = file_with(whole.substr(0, length));
        auto read = read_queue_file(file, kKey);
        if (length < journal_begins()) {
            REQUIRE_FALSE(read);
            CHECK_FALSE(read.error().temporary());
        } else {
            REQUIRE(read);
            CHECK_FALSE(read->journal.resolved(1));
            CHECK(read->journal_end == journal_begins());
        }
    }
}

TEST_CASE("a file with any byte of envelope or content changed is found out") {
    std::string whole = example_file();
    for (std::size_t i = 0; i < journal_begins(); ++i) {
        std::string damaged = whole;
        damaged[i] = static_cast<char>(damaged[i] ^ 0x20);
        Fd file = file_with(damaged);
        auto read = read_queue_file(file, kKey);
        CHECK_FALSE((read && verify_content(file, read->header)));
    }
}

TEST_CASE("a file still being received is not complete") {
    auto beginning = encode_beginning(kId, example_envelope());
    Fd file = file_with(beginning->bytes + kContent);
    CHECK_FALSE(read_queue_file(file, kKey));
}

TEST_CASE("what a writer appends after the commit changes nothing") {
    std::string whole = example_file();
    Fd file = file_with(whole + "junk that smtpd wrote through a descriptor it kept\r\n");
    auto read = read_queue_file(file, kKey);
    REQUIRE(read);
    CHECK(read->journal_end == whole.size());
    CHECK(verify_content(file, read->header));
}

TEST_CASE("an envelope beyond the limit is not written") {
    wire::Envelope envelope;
    envelope.set_helo(std::string(Header::kMaxEnvelopeLength + 1, 'x'));
    CHECK_FALSE(encode_beginning(kId, envelope));
}
