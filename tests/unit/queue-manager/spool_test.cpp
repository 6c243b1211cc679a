#include "queue-manager/spool.h"

#include <catch2/catch.hpp>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <fstream>
#include <map>
#include <set>
#include <string>
#include <thread>

#include "libcommon/base/file.h"
#include "tests/unit/queue-manager/daemon_fixture.h"

using namespace postrider;
using namespace postrider::queue_manager;

namespace fs = std::filesystem;

namespace {

constexpr UnixMillis kNow = 1'700'000'000'123;
const std::string kContent = "Subject: hello\r\n\r\nbody\r\n";

QueueId message(std::uint32_t number) {
    return {kNow, number};
}

wire::Envelope envelope_to(const std::string& recipient) {
    wire::Envelope envelope;
    envelope.set_sender("s@example.org");
    envelope.add_recipients()->set_address(recipient);
    return envelope;
}

wire::JournalRecord resolved_record() {
    wire::JournalRecord record;
    record.mutable_resolved()->add_deliveries()->set_number(1);
    return record;
}

std::string path_of(const test::Scratch& scratch, const std::string& folder, QueueId id) {
    return scratch.path() + "/" + folder + "/" + id.text();
}

/// What a scan finds, by id.
std::map<QueueId, Spool::Found> scan(Spool& spool) {
    std::map<QueueId, Spool::Found> found;
    REQUIRE(spool.scan([&](const Spool::Found& message) { found.emplace(message.id, message); }));
    return found;
}

}  // namespace

TEST_CASE("a message goes through its folders") {
    test::Scratch scratch;
    Spool spool(scratch.path(), true);
    QueueId id = message(0x1F);
    auto incoming = spool.create(id, envelope_to("a@b.test"));
    REQUIRE(incoming);
    CHECK(fs::exists(path_of(scratch, "tmp", id)));
    CHECK((::fcntl(incoming->writer.get(), F_GETFL) & (O_ACCMODE | O_APPEND)) == (O_WRONLY | O_APPEND));
    REQUIRE(write_all(incoming->writer, kContent));
    auto header = spool.commit(incoming->header, incoming->file.get(), kContent.size(),
                               queue_file::content_hash(kContent));
    REQUIRE(header);
    CHECK(fs::exists(path_of(scratch, "new", id)));
    CHECK_FALSE(fs::exists(path_of(scratch, "tmp", id)));

    std::uint64_t end = header->journal_offset();
    REQUIRE(spool.append_journal(id, incoming->file, end, {resolved_record()}));
    REQUIRE(spool.wait_until(id, Folder::New, incoming->file, kNow + 300'000));
    CHECK(fs::exists(path_of(scratch, "cur/f", id)));
    auto found = scan(spool);
    REQUIRE(found.size() == 1);
    CHECK(found.at(id).folder == Folder::Cur);
    CHECK(found.at(id).due == kNow + 300'000);

    auto loaded = spool.load(id, Folder::Cur, true);
    REQUIRE(loaded);
    CHECK(loaded->contents.envelope.recipients(0).address() == "a@b.test");
    CHECK(loaded->contents.journal.resolved(0));
    CHECK(loaded->contents.journal_end == end);
    CHECK(spool.open_readable(id, Folder::Cur));
    REQUIRE(spool.remove(id, Folder::Cur));
    CHECK(scan(spool).empty());
    CHECK(spool.remove(id, Folder::Cur));  // gone already is gone
}

TEST_CASE("the time of a file has a hint, until it is written to") {
    test::Scratch scratch;
    Spool spool(scratch.path(), false);
    const QueueId id = message(0x1F);
    auto made = spool.commit_message(id, envelope_to("a@b.test"), kContent);
    REQUIRE(made);
    REQUIRE(spool.wait_until(id, Folder::New, made->file, kNow, 123'456));
    auto found = scan(spool);
    CHECK(found.at(id).due == kNow);
    CHECK(found.at(id).hint == 123'456);
    std::uint64_t end = made->header.journal_offset();
    REQUIRE(spool.append_journal(id, made->file, end, {resolved_record()}));
    CHECK(scan(spool).at(id).hint == 0);
}

TEST_CASE("a commit believes the file, not the writer") {
    test::Scratch scratch;
    Spool spool(scratch.path(), false);
    for (std::uint64_t claimed : {std::uint64_t{0}, std::uint64_t{kContent.size() - 1}, ~std::uint64_t{0}}) {
        auto incoming = spool.create(message(1), envelope_to("a@b.test"));
        REQUIRE(incoming);
        REQUIRE(write_all(incoming->writer, kContent));
        auto header = spool.commit(incoming->header, incoming->file.get(), claimed, 0);
        REQUIRE_FALSE(header);
        CHECK_FALSE(header.error().temporary());
        CHECK(fs::is_empty(scratch.path() + "/tmp"));
        CHECK(fs::is_empty(scratch.path() + "/new"));
    }
}

TEST_CASE("a message never replaces another of the same name") {
    test::Scratch scratch;
    Spool spool(scratch.path(), false);
    REQUIRE(spool.commit_message(message(1), envelope_to("first@b.test"), kContent));
    CHECK_FALSE(spool.commit_message(message(1), envelope_to("second@b.test"), kContent));
    auto loaded = spool.load(message(1), Folder::New, true);
    REQUIRE(loaded);
    CHECK(loaded->contents.envelope.recipients(0).address() == "first@b.test");
    CHECK(fs::is_empty(scratch.path() + "/tmp"));
}

TEST_CASE("an error while syncing leaves no file and is not repeated") {
    test::Scratch scratch;
    Spool spool(scratch.path(), false);
    auto incoming = spool.create(message(1), envelope_to("a@b.test"));
    REQUIRE(incoming);
    // A descriptor that cannot be written: the header cannot be completed.
    Fd read_only(::open(path_of(scratch, "tmp", message(1)).c_str(), O_RDONLY | O_CLOEXEC));
    CHECK_FALSE(spool.commit(incoming->header, read_only.get(), 0, queue_file::content_hash("")));
    CHECK(fs::is_empty(scratch.path() + "/tmp"));
    CHECK(fs::is_empty(scratch.path() + "/new"));
}

TEST_CASE("what a crash leaves at each step is recovered as the manual says") {
    test::Scratch scratch;
    auto commit = [](Spool& spool, QueueId id) {
        auto committed = spool.commit_message(id, envelope_to("a@b.test"), kContent);
        REQUIRE(committed);
        return std::move(*committed);
    };
    {
        Spool spool(scratch.path(), false);
        REQUIRE(spool.create(message(1), envelope_to("a@b.test")));  // crash while receiving
        commit(spool, message(2));                                   // after the commit
        // Power cut after the rename and before the sync: name and size are there, the data is not.
        commit(spool, message(3));
        std::ofstream(path_of(scratch, "new", message(3)), std::ios::in).seekp(0) << std::string(128, '\0');
        commit(spool, message(4));  // or the header is there and the content is not
        std::ofstream(path_of(scratch, "new", message(4)), std::ios::in).seekp(-3, std::ios::end).put(0);
        commit(spool, message(5));  // or the file is too short
        fs::resize_file(path_of(scratch, "new", message(5)), 150);
        // A journal whose last record was torn.
        auto torn = commit(spool, message(6));
        std::uint64_t end = torn.header.journal_offset();
        REQUIRE(spool.append_journal(message(6), torn.file, end, {resolved_record()}));
        std::uint64_t good = end;
        REQUIRE(spool.append_journal(message(6), torn.file, end, {resolved_record()}));
        fs::resize_file(path_of(scratch, "new", message(6)), end - 1);
        // Deferred, but the rename to cur/ was lost.
        auto deferred = commit(spool, message(7));
        REQUIRE(spool.wait_until(message(7), Folder::New, deferred.file, kNow));
        fs::rename(path_of(scratch, "cur/7", message(7)), path_of(scratch, "new", message(7)));
        CHECK(spool.load(message(6), Folder::New, true)->contents.journal_end == good);
    }
    Spool spool(scratch.path(), false);
    spool.empty_tmp();
    auto found = scan(spool);
    CHECK(fs::is_empty(scratch.path() + "/tmp"));
    std::set<std::uint32_t> complete;
    std::set<std::uint32_t> corrupt;
    for (const auto& [id, where] : found) {
        auto loaded = spool.load(id, where.folder, true);
        (loaded ? complete : corrupt).insert(id.random());
        if (!loaded) CHECK_FALSE(loaded.error().temporary());
    }
    CHECK(complete == std::set<std::uint32_t>{2, 6, 7});
    CHECK(corrupt == std::set<std::uint32_t>{3, 4, 5});
    REQUIRE(spool.move_to_corrupt(message(3), Folder::New));
    CHECK(fs::exists(path_of(scratch, "corrupt", message(3))));
    CHECK(spool.open_kept(message(3)));
    CHECK_FALSE(spool.open_kept(message(2)));
}

TEST_CASE("a spool has one owner, and its key stays the same") {
    test::Scratch scratch;
    auto committed = [&] {
        Spool spool(scratch.path(), false);
        auto made = spool.commit_message(message(1), envelope_to("a@b.test"), kContent);
        std::uint64_t end = made->header.journal_offset();
        REQUIRE(spool.append_journal(message(1), made->file, end, {resolved_record()}));
        pid_t other = ::fork();
        if (other == 0) {
            // The lock belongs to the open file, which a forked process shares: it has to open its own.
            int root = ::open(scratch.path().c_str(), O_RDONLY | O_DIRECTORY);
            ::_exit(::flock(root, LOCK_EX | LOCK_NB) == 0 ? 1 : 0);
        }
        int status = -1;
        ::waitpid(other, &status, 0);
        CHECK(status == 0);
        return end;
    }();
    Spool spool(scratch.path(), false);
    auto loaded = spool.load(message(1), Folder::New, false);
    REQUIRE(loaded);
    CHECK(loaded->contents.journal_end == committed);
}

TEST_CASE("a journal forged by who could write the file is not believed") {
    test::Scratch scratch;
    Spool spool(scratch.path(), false);
    auto incoming = spool.create(message(1), envelope_to("a@b.test"));
    REQUIRE(incoming);
    REQUIRE(write_all(incoming->writer, kContent));
    auto header = spool.commit(incoming->header, incoming->file.get(), kContent.size(),
                               queue_file::content_hash(kContent));
    REQUIRE(header);
    // smtpd kept its descriptor and knows the format, but not the key.
    std::string forged;
    auto guess = queue_file::JournalKey::make();
    REQUIRE(
        queue_file::append_record(resolved_record(), guess, message(1), header->journal_offset(), forged));
    REQUIRE(write_all(incoming->writer, forged));
    auto loaded = spool.load(message(1), Folder::New, true);
    REQUIRE(loaded);
    CHECK_FALSE(loaded->contents.journal.resolved(0));
    // And our own record goes over it.
    std::uint64_t end = loaded->contents.journal_end;
    REQUIRE(spool.append_journal(message(1), loaded->file, end, {resolved_record()}));
    CHECK(spool.load(message(1), Folder::New, true)->contents.journal.resolved(0));
}

TEST_CASE("strange files in the spool are left alone") {
    test::Scratch scratch;
    Spool spool(scratch.path(), false);
    std::ofstream(scratch.path() + "/new/README") << "hello";
    CHECK(scan(spool).empty());
    CHECK(fs::exists(scratch.path() + "/new/README"));
}

TEST_CASE("a process killed at any instant loses no message it had acknowledged") {
    // A child commits, journals, defers and removes as fast as it can, and says what it did after each step;
    // it is killed after a while that differs from round to round.
    constexpr int kRounds = 40;
    for (int round = 0; round < kRounds; ++round) {
        test::Scratch scratch;
        int pipe_ends[2];
        REQUIRE(::pipe(pipe_ends) == 0);
        Fd reader(pipe_ends[0]);
        Fd writer(pipe_ends[1]);
        pid_t child = ::fork();
        REQUIRE(child >= 0);
        if (child == 0) {
            Spool spool(scratch.path(), false);
            for (std::uint32_t i = 0;; ++i) {
                auto say = [&](char what) {
                    std::string line = std::string(1, what) + message(i).text();
                    if (::write(writer.get(), line.data(), line.size()) < 0) ::_exit(1);
                };
                auto made = spool.commit_message(message(i), envelope_to("a@b.test"), kContent);
                if (!made) ::_exit(1);
                say('+');
                std::uint64_t end = made->header.journal_offset();
                static_cast<void>(spool.append_journal(message(i), made->file, end, {resolved_record()}));
                static_cast<void>(spool.wait_until(message(i), Folder::New, made->file, kNow));
                if (i % 3 != 0) continue;
                say('-');  // said before it is done: from here on either is right
                static_cast<void>(spool.remove(message(i), Folder::Cur));
            }
        }
        writer.reset();
        std::this_thread::sleep_for(std::chrono::microseconds(2000 + round * 1700));
        ::kill(child, SIGKILL);
        ::waitpid(child, nullptr, 0);
        std::string said;
        char buffer[4096];
        for (ssize_t got = 0; (got = ::read(reader.get(), buffer, sizeof(buffer))) > 0;) {
            said.append(buffer, static_cast<std::size_t>(got));
        }
        std::set<std::string> acknowledged;
        std::set<std::string> perhaps_removed;
        constexpr std::size_t kLine = 1 + QueueId::kTextLength;
        for (std::size_t at = 0; at + kLine <= said.size(); at += kLine) {
            (said[at] == '+' ? acknowledged : perhaps_removed)
                .insert(said.substr(at + 1, QueueId::kTextLength));
        }
        Spool spool(scratch.path(), false);
        auto found = scan(spool);
        for (const auto& [id, where] : found)
            CHECK(spool.load(id, where.folder, true));
        for (const auto& text : acknowledged) {
            bool there = found.count(*QueueId::parse(text)) == 1;
            CHECK((there || perhaps_removed.count(text) == 1));
        }
        CHECK(found.size() <= acknowledged.size() + 1);
    }
}
