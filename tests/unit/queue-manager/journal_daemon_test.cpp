// Messages in the intake journal, as the whole daemon treats them.

#include <catch2/catch.hpp>

#include <filesystem>
#include <fstream>
#include <utility>

#include "libcommon/base/file.h"
#include "tests/unit/queue-manager/daemon_fixture.h"

using namespace postrider;
using namespace postrider::queue_manager;
using namespace postrider::queue_manager::test;

namespace {

const std::string kSmall = "Subject: small\r\n\r\nHello.\r\n";

/// A daemon whose journal is ready.
struct JournalDaemon : TestDaemon {
    explicit JournalDaemon(const std::string& settings = "intake_journal_size 64M\n")
        : TestDaemon(settings), router(run_dir()) {
        begin();
    }
    void begin() {
        start();
        REQUIRE(eventually([this] { return counter("journal_ready") == 1; }));
    }
    TestRouter router;
};

}  // namespace

TEST_CASE("a small message has no file while its first attempt goes on") {
    JournalDaemon daemon;
    TestPeer smtpd = daemon.connect(wire::ROLE_SMTPD);
    TestPeer agent = daemon.connect(wire::ROLE_REMOTE_DELIVERY);
    const std::string id = smtpd.submit("s@s.smtp.test", {"u@a.smtp.test"}, kSmall);
    CHECK(daemon.files("new").empty());
    CHECK(daemon.counter("journal_messages") == 1);
    agent.ready({wire::TRANSPORT_SMTP}, 10);
    auto job = agent.job();
    REQUIRE(job);
    CHECK(job->content() == kSmall);

    SECTION("delivered, it never has one") {
        agent.report(job->frame, wire::DeliveryResult::RELAYED, "2.0.0", "250 taken");
        CHECK(eventually([&] { return daemon.counter("journal_messages") == 0; }));
        CHECK(daemon.counter("removed_total") == 1);
        CHECK(daemon.files("new").empty());
        CHECK(daemon.files("cur").empty());
        daemon.kill_hard();
        daemon.begin();
        CHECK(daemon.counter("messages_active") + daemon.counter("messages_waiting") == 0);
    }
    SECTION("deferred, it gets one") {
        agent.report(job->frame, wire::DeliveryResult::DEFERRED, "4.0.0", "450 later");
        CHECK(eventually([&] { return daemon.files("cur") == std::vector<std::string>{id}; }));
        CHECK(daemon.counter("journal_messages") == 0);
        daemon.kill_hard();
        daemon.begin();
        CHECK(daemon.counter("messages_waiting") == 1);
    }
    SECTION("failed, its sender gets a report that holds it") {
        agent.report(job->frame, wire::DeliveryResult::FAILED, "5.1.1", "550 no such user");
        auto report = agent.job();
        REQUIRE(report);
        CHECK(report->frame.sender().empty());
        CHECK(report->content().find("Subject: small") != std::string::npos);
        CHECK(eventually([&] { return daemon.counter("journal_messages") == 0; }));
    }
}

TEST_CASE("what is in the journal survives the process, with all that became of it") {
    JournalDaemon daemon;
    std::string id;
    {
        TestPeer smtpd = daemon.connect(wire::ROLE_SMTPD);
        TestPeer agent = daemon.connect(wire::ROLE_REMOTE_DELIVERY);
        id = smtpd.submit("s@s.smtp.test", {"one@a.smtp.test", "two@b.smtp.test"}, kSmall);
        CHECK(daemon.files("new").empty());
        agent.ready({wire::TRANSPORT_SMTP}, 1);
        auto job = agent.job();
        REQUIRE(job);
        agent.report(job->frame, wire::DeliveryResult::RELAYED, "2.0.0", "250 taken");
        // Which says that the report is in the journal.
        REQUIRE(agent.job());
        daemon.kill_hard();
    }
    daemon.begin();
    CHECK(daemon.counter("messages_active") == 1);
    TestPeer agent = daemon.connect(wire::ROLE_REMOTE_DELIVERY);
    agent.ready({wire::TRANSPORT_SMTP}, 10);
    auto job = agent.job();
    REQUIRE(job);
    CHECK(job->frame.queue_id() == id);
    CHECK(job->content() == kSmall);
    REQUIRE(job->frame.deliveries_size() == 1);
    CHECK_FALSE(agent.job(std::chrono::milliseconds(200)));
    agent.report(job->frame, wire::DeliveryResult::RELAYED, "2.0.0", "250 taken");
    CHECK(eventually([&] { return daemon.files("new").empty(); }));
    CHECK(daemon.counter("removed_total") == 1);
}

TEST_CASE("a message that a crash met on its way from the journal to a file is delivered once, and whole") {
    JournalDaemon daemon;
    std::string id;
    {
        TestPeer smtpd = daemon.connect(wire::ROLE_SMTPD);
        id = smtpd.submit("s@s.smtp.test", {"u@a.smtp.test"}, kSmall);
        CHECK(daemon.files("new").empty());
        daemon.kill_hard();
    }
    // Where the file was, and how much of it: a power cut may keep the name and not the rest.
    const auto [folder, left] =
        GENERATE(std::pair("tmp", std::string()), std::pair("tmp", std::string("PRQUEUE")),
                 std::pair("new", std::string()), std::pair("new", std::string("PRQUEUE")),
                 std::pair("new", std::string(500, '\0')));
    INFO(folder << ", " << left.size() << " octets");
    {
        AsSpoolOwner owner;
        std::ofstream(daemon.spool_dir() + "/" + folder + "/" + id) << left;
    }
    daemon.begin();
    TestPeer agent = daemon.connect(wire::ROLE_REMOTE_DELIVERY);
    agent.ready({wire::TRANSPORT_SMTP}, 10);
    auto job = agent.job();
    REQUIRE(job);
    CHECK(job->frame.queue_id() == id);
    CHECK(job->content() == kSmall);
    agent.report(job->frame, wire::DeliveryResult::RELAYED, "2.0.0", "250 taken");
    CHECK(eventually([&] { return daemon.counter("removed_total") == 1; }));
    CHECK_FALSE(agent.job(std::chrono::milliseconds(200)));
    CHECK(daemon.files("new").empty());
    CHECK(daemon.files("corrupt").empty());
    CHECK(daemon.files("tmp").empty());
}

TEST_CASE("an administrator sees a message in the journal like any other") {
    JournalDaemon daemon;
    TestPeer smtpd = daemon.connect(wire::ROLE_SMTPD);
    const std::string id = smtpd.submit("s@s.smtp.test", {"u@a.smtp.test"}, kSmall);
    TestPeer admin = daemon.connect(wire::ROLE_ADMIN);
    wire::QueueRequest list;
    list.set_id(1);
    list.mutable_list()->mutable_selector()->set_domain("a.smtp.test");
    auto entries = admin.listing(list);
    REQUIRE(entries.size() == 1);
    CHECK(entries.front().queue_id() == id);
    wire::QueueRequest open;
    open.set_id(2);
    open.mutable_open_file()->set_queue_id(id);
    admin.send(open);
    auto answer = admin.answer();
    REQUIRE(answer.reply.has_file());
    auto bytes = read_at(answer.descriptor, 100'000, 0);
    REQUIRE(bytes);
    CHECK(bytes->find("Subject: small") != std::string::npos);
}

TEST_CASE("smtpd that goes away before it was answered leaves nothing in the journal") {
    JournalDaemon daemon;
    {
        TestPeer smtpd = daemon.connect(wire::ROLE_SMTPD);
        wire::Envelope envelope;
        envelope.set_sender("s@s.smtp.test");
        envelope.add_recipients()->set_address("u@a.smtp.test");
        const std::string id = smtpd.open(envelope);
        wire::QueueRequest commit;
        commit.set_id(77);
        commit.mutable_commit()->set_queue_id(id);
        commit.mutable_commit()->set_content(kSmall);
        smtpd.send(commit);
    }
    // Either it was answered in time, and is there, or it is not.
    REQUIRE(eventually([&] { return daemon.counter("messages_open") == 0; }));
    CHECK(
        eventually([&] { return daemon.counter("journal_messages") == daemon.counter("messages_active"); }));
}

TEST_CASE("without room in the journal messages become files at once") {
    JournalDaemon daemon("intake_journal_size 8M\nqueue_messages 20000\n");
    TestPeer smtpd = daemon.connect(wire::ROLE_SMTPD);
    const std::string large(40'000, 'x');
    // No agent takes them: eight segments fill up, and the oldest messages have to make room.
    for (int i = 0; i < 300; ++i)
        smtpd.submit("s@s.smtp.test", {"u@a.smtp.test"}, "Subject: a\r\n\r\n" + large);
    CHECK(daemon.counter("journal_messages") < 200);
    CHECK(eventually([&] { return daemon.files("new").size() + daemon.counter("journal_messages") == 300; }));
    daemon.kill_hard();
    daemon.begin();
    CHECK(daemon.files("new").size() == 300);
    CHECK(daemon.counter("journal_messages") == 0);
}

TEST_CASE("a journal that is switched off leaves nothing behind") {
    JournalDaemon daemon;
    TestPeer smtpd = daemon.connect(wire::ROLE_SMTPD);
    smtpd.submit("s@s.smtp.test", {"u@a.smtp.test"}, kSmall);
    daemon.kill_hard();
    daemon.add_settings("intake_journal_max 0\n");
    daemon.start();
    CHECK(eventually([&] { return daemon.files("new").size() == 1; }));
    CHECK(eventually([&] { return daemon.files("journal").empty(); }));
    TestPeer again = daemon.connect(wire::ROLE_SMTPD);
    again.submit("s@s.smtp.test", {"u@a.smtp.test"}, kSmall);
    CHECK(daemon.files("new").size() == 2);
}
