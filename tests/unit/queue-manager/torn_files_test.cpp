// Files as a power cut leaves them, made by hand, and what a start makes of them.

#include <catch2/catch.hpp>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "libcommon/base/file.h"
#include "queue-manager/message.h"
#include "queue-manager/spool.h"
#include "tests/unit/queue-manager/daemon_fixture.h"

using namespace postrider;
using namespace postrider::queue_manager;
using namespace postrider::queue_manager::test;

namespace fs = std::filesystem;

namespace {

constexpr UnixMillis kThen = 1'700'000'000'123;
const std::string kText = "Subject: hello\r\n\r\nbody\r\n";

wire::Envelope two_recipients() {
    wire::Envelope envelope;
    envelope.set_sender("s@example.org");
    envelope.add_recipients()->set_address("a@one.smtp.test");
    envelope.add_recipients()->set_address("b@two.smtp.test");
    return envelope;
}

wire::JournalRecord resolved(std::uint32_t recipient, std::uint32_t number, const std::string& next_hop) {
    wire::JournalRecord record;
    record.mutable_resolved()->set_recipient(recipient);
    wire::Delivery& delivery = *record.mutable_resolved()->add_deliveries();
    delivery.set_number(number);
    delivery.set_recipient("x@" + next_hop);
    delivery.set_transport(wire::TRANSPORT_SMTP);
    delivery.set_next_hop(next_hop);
    return record;
}

wire::JournalRecord relayed(std::uint32_t number) {
    wire::JournalRecord record;
    record.mutable_attempt()->set_time_ms(kThen);
    wire::DeliveryResult& result = *record.mutable_attempt()->add_results();
    result.set_number(number);
    result.set_outcome(wire::DeliveryResult::RELAYED);
    return record;
}

/// A message of two recipients in new/, and its records; `ends` gets the file offset behind each.
std::string commit_with(Spool& spool, QueueId id, const std::vector<wire::JournalRecord>& records,
                        std::vector<std::uint64_t>& ends) {
    auto committed = spool.commit_message(id, two_recipients(), kText);
    REQUIRE(committed);
    std::uint64_t end = committed->header.journal_offset();
    for (const auto& record : records) {
        REQUIRE(spool.append_journal(id, committed->file, end, {record}));
        ends.push_back(end);
    }
    return id.text();
}

}  // namespace

TEST_CASE("a journal cut at any byte is read up to its last whole record, and shortened to it") {
    Scratch scratch;
    Spool spool(scratch.path(), false);
    const std::vector<wire::JournalRecord> records = {resolved(0, 1, "one.smtp.test"),
                                                      resolved(1, 2, "two.smtp.test"), relayed(1)};
    std::vector<std::uint64_t> ends;
    const std::string path = scratch.path() + "/new/" + commit_with(spool, QueueId(kThen, 1), records, ends);
    const std::uint64_t begin =
        spool.load(QueueId(kThen, 1), Folder::New, true)->contents.header.journal_offset();
    for (std::uint64_t size = ends.back(); size >= begin; --size) {
        fs::resize_file(path, size);
        std::uint64_t whole = begin;
        for (std::uint64_t end : ends)
            if (end <= size) whole = end;
        auto taken = spool.take_up(QueueId(kThen, 1), Folder::New, false);
        REQUIRE(taken);
        CHECK(taken->contents.journal_end == whole);
        CHECK(fs::file_size(path) == whole);
        CHECK(taken->contents.journal.resolved(0) == (size >= ends[0]));
        CHECK(taken->contents.journal.resolved(1) == (size >= ends[1]));
        // Put back what is cut next.
        std::uint64_t end = begin;
        for (const auto& record : records) {
            REQUIRE(spool.append_journal(QueueId(kThen, 1), taken->file, end, {record}));
        }
    }
}

TEST_CASE("what stands behind a torn record never counts again") {
    Scratch scratch;
    Spool spool(scratch.path(), false);
    const QueueId id(kThen, 1);
    std::vector<std::uint64_t> ends;
    // The second recipient was relayed over a route; the page with that route was not written, the next one
    // was.
    const std::string path =
        scratch.path() + "/new/" +
        commit_with(spool, id, {resolved(0, 1, "one.smtp.test"), resolved(1, 2, "two.smtp.test"), relayed(2)},
                    ends);
    {
        std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
        file.seekp(static_cast<std::streamoff>(ends[0]));
        file << std::string(ends[1] - ends[0], '\0');
    }
    auto taken = spool.take_up(id, Folder::New, true);
    REQUIRE(taken);
    CHECK(taken->contents.journal_end == ends[0]);
    CHECK(fs::file_size(path) == ends[0]);
    // It is resolved again, to something else of the same length, so that the old record would fit behind it.
    std::uint64_t end = taken->contents.journal_end;
    REQUIRE(spool.append_journal(id, taken->file, end, {resolved(1, 2, "new.smtp.test")}));
    CHECK(end == ends[1]);
    auto again = spool.load(id, Folder::New, true);
    REQUIRE(again);
    CHECK(again->contents.journal.deliveries().at(2).phase == queue_file::DeliveryPhase::Waiting);
}

TEST_CASE("a file in new/ that is cut or zeroed anywhere is no message, and never half of one") {
    Scratch scratch;
    Spool spool(scratch.path(), false);
    const QueueId id(kThen, 1);
    std::vector<std::uint64_t> ends;
    const std::string path = scratch.path() + "/new/" + commit_with(spool, id, {}, ends);
    const std::string whole = *read_file(path, 10'000);
    auto put = [&](const std::string& bytes) {
        std::ofstream(path, std::ios::binary | std::ios::trunc) << bytes;
        auto taken = spool.take_up(id, Folder::New, true);
        REQUIRE_FALSE(taken);
        CHECK_FALSE(taken.error().temporary());
    };
    for (std::size_t size = 0; size < whole.size(); ++size) {
        put(whole.substr(0, size));
        // The size is there, and the bytes are not yet.
        put(whole.substr(0, size) + std::string(whole.size() - size, '\0'));
    }
}

TEST_CASE("a start tidies up after a power cut: tmp/, torn journals, what was never complete", "[daemon]") {
    TestDaemon daemon;
    TestRouter router(daemon.run_dir());
    std::string incomplete;
    std::string torn;
    {
        AsSpoolOwner owner;
        Spool spool(daemon.spool_dir(), false);
        REQUIRE(spool.create(QueueId(kThen, 1), two_recipients()));
        std::ofstream(daemon.spool_dir() + "/tmp/no-queue-file") << "x";
        std::vector<std::uint64_t> ends;
        incomplete = commit_with(spool, QueueId(kThen, 2), {}, ends);
        fs::resize_file(daemon.spool_dir() + "/new/" + incomplete, 140);
        // Its first recipient is done; that the second is, too, was not written any more.
        ends.clear();
        torn = commit_with(
            spool, QueueId(kThen, 3),
            {resolved(0, 1, "one.smtp.test"), resolved(1, 2, "two.smtp.test"), relayed(1), relayed(2)}, ends);
        fs::resize_file(daemon.spool_dir() + "/new/" + torn, ends.back() - 1);
    }
    daemon.start();
    TestPeer agent = daemon.connect(wire::ROLE_REMOTE_DELIVERY);
    agent.ready({wire::TRANSPORT_SMTP}, 10);
    auto job = agent.job();
    REQUIRE(job);
    CHECK(job->frame.queue_id() == torn);
    REQUIRE(job->frame.deliveries_size() == 1);
    CHECK(job->frame.deliveries(0).number() == 2);
    agent.report(job->frame, wire::DeliveryResult::RELAYED, "2.0.0", "ok");
    CHECK(eventually([&] { return daemon.files("new").empty(); }));
    CHECK(daemon.files("tmp").empty());
    CHECK(daemon.files("corrupt") == std::vector<std::string>{incomplete});
    CHECK_THAT(daemon.log(), Catch::Contains("journal_cut"));
    CHECK(daemon.stop() == 0);
}

TEST_CASE("every commit is one sync, and counted") {
    Scratch scratch;
    for (bool folders : {false, true}) {
        const std::string path = scratch.path() + (folders ? "/with" : "/without");
        fs::create_directory(path);
        Spool spool(path, folders);
        const auto before = spool.syncs();
        constexpr std::uint32_t kMessages = 10;
        for (std::uint32_t i = 0; i < kMessages; ++i)
            REQUIRE(spool.commit_message(QueueId(kThen, i), two_recipients(), kText));
        const auto after = spool.syncs();
        CHECK(after.total - before.total == (folders ? 2 : 1) * kMessages);
        CHECK(after.errors == 0);
        CHECK(after.microseconds > before.microseconds);
        CHECK(after.within.back() <= after.total);
        CHECK(std::is_sorted(after.within.begin(), after.within.end()));
    }
}

TEST_CASE("a sync that fails is counted as one, with its errno") {
    SyncMeter meter;
    int ends[2];
    REQUIRE(::pipe(ends) == 0);
    const Fd reader(ends[0]);
    const Fd writer(ends[1]);
    CHECK(meter.sync(writer.get()) != 0);
    CHECK(errno == EINVAL);
    CHECK(meter.counts().total == 1);
    CHECK(meter.counts().errors == 1);
}

TEST_CASE("a last failure that nobody could be told of is kept, whenever the process ended") {
    struct Case {
        const char* sender;
        bool report;
        std::uint32_t notify;
        bool told;
        bool kept;
    };
    // A message of ours asks other hosts for no report, and its own failure is kept all the same.
    const std::vector<Case> cases = {
        {"", true, kNotifyNever, false, true},
        {"", true, kNotifyNever, true, false},
        {"", false, 0, false, true},
        {"", false, kNotifyFailure, false, true},
        {"", false, kNotifyNever, false, false},
        {"", false, 0, true, false},
        {"s@example.org", false, 0, false, false},
    };
    for (const auto& row : cases) {
        queue_file::QueueFile read;
        read.envelope = two_recipients();
        read.envelope.set_sender(row.sender);
        read.envelope.set_report(row.report);
        read.envelope.mutable_recipients()->RemoveLast();
        read.journal = queue_file::JournalState(1);
        wire::JournalRecord route = resolved(0, 1, "one.smtp.test");
        route.mutable_resolved()->mutable_deliveries(0)->set_notify(row.notify);
        read.journal.apply(route);
        wire::JournalRecord failed = relayed(1);
        failed.mutable_attempt()->mutable_results(0)->set_outcome(wire::DeliveryResult::FAILED);
        read.journal.apply(failed);
        if (row.told) {
            wire::JournalRecord report;
            report.mutable_report()->add_deliveries(1);
            read.journal.apply(report);
        }
        const Message message(std::move(read), Folder::New, Fd());
        CHECK(message.finished());
        CHECK(message.keep_as_failed == row.kept);
    }
}
