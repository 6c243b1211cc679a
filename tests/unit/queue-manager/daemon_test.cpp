// The real queue-manager, driven over its sockets.

#include <catch2/catch.hpp>

#include <set>
#include <string>
#include <vector>

#include "tests/unit/queue-manager/daemon_fixture.h"

using namespace postrider;
using namespace postrider::queue_manager::test;
using namespace std::chrono_literals;

namespace {

const std::string kContent = "Received: by test\r\nSubject: hello\r\n\r\nbody\r\n";
const std::vector<wire::Transport> kRemote = {wire::TRANSPORT_SMTP};
const std::vector<wire::Transport> kLocal = {wire::TRANSPORT_MAILDIR, wire::TRANSPORT_PROGRAM,
                                             wire::TRANSPORT_FILE};

TestPeer remote_agent(const TestDaemon& daemon, std::uint32_t capacity = 100) {
    TestPeer agent = daemon.connect(wire::ROLE_REMOTE_DELIVERY);
    agent.ready(kRemote, capacity);
    return agent;
}

wire::QueueRequest list_request(const std::string& domain = "") {
    wire::QueueRequest request;
    request.set_id(7);
    request.mutable_list()->mutable_selector()->set_domain(domain);
    return request;
}

std::vector<wire::QueueEntry> list(const TestDaemon& daemon, const std::string& domain = "") {
    TestPeer admin = daemon.connect(wire::ROLE_ADMIN);
    return admin.listing(list_request(domain));
}

std::uint64_t flush(const TestDaemon& daemon, const std::string& domain) {
    TestPeer admin = daemon.connect(wire::ROLE_ADMIN);
    wire::QueueRequest request;
    request.set_id(8);
    request.mutable_flush()->mutable_selector()->set_domain(domain);
    admin.send(request);
    return admin.answer().reply.flushed().messages();
}

}  // namespace

TEST_CASE("a message goes in, to an agent, and out of the queue", "[daemon]") {
    TestDaemon daemon;
    TestRouter router(daemon.run_dir());
    daemon.start();
    TestPeer smtpd = daemon.connect(wire::ROLE_SMTPD);
    auto state = smtpd.receive();
    REQUIRE(state);
    CHECK(state->reply.intake().accepting());
    TestPeer agent = remote_agent(daemon);

    std::string id =
        smtpd.submit("s@example.org", {"a@x.smtp.test", "b@x.smtp.test", "c@discard.test"}, kContent);
    auto job = agent.job();
    REQUIRE(job);
    CHECK(job->frame.queue_id() == id);
    CHECK(job->frame.sender() == "s@example.org");
    CHECK(job->frame.deliveries_size() == 2);
    CHECK(job->content() == kContent);
    char byte = 'x';
    CHECK(::write(job->file.get(), &byte, 1) == -1);  // the agent's descriptor is for reading
    agent.report(job->frame, wire::DeliveryResult::RELAYED, "2.0.0", "250 ok");
    CHECK(eventually([&] { return spool_is_empty(daemon); }));
    CHECK(daemon.counter("relayed_total") == 2);
    CHECK(daemon.counter("delivered_total") == 1);
    CHECK(daemon.stop() == 0);
    for (const char* text :
         {" queued id=", " relayed id=", " removed id=", "to=<a@x.smtp.test>", "status=2.0.0"}) {
        CHECK_THAT(daemon.log(), Catch::Contains(text));
    }
}

TEST_CASE("each role may send its own frames only", "[daemon]") {
    TestDaemon daemon;
    daemon.start();
    wire::QueueRequest open;
    open.mutable_open()->mutable_envelope()->add_recipients()->set_address("a@b.test");
    wire::QueueRequest report;
    report.mutable_report()->set_job(1);
    wire::QueueRequest status;
    status.mutable_status();
    wire::QueueRequest again;
    again.mutable_hello()->set_role(wire::ROLE_SMTPD);
    struct Case {
        wire::Role role;
        wire::QueueRequest request;
    };
    for (const auto& test : {Case{wire::ROLE_NONE, open}, Case{wire::ROLE_REMOTE_DELIVERY, open},
                             Case{wire::ROLE_ADMIN, open}, Case{wire::ROLE_SMTPD, report},
                             Case{wire::ROLE_ADMIN, report}, Case{wire::ROLE_REMOTE_DELIVERY, report},
                             Case{wire::ROLE_SMTPD, status}, Case{wire::ROLE_LOCAL_DELIVERY, status},
                             Case{wire::ROLE_SMTPD, again}, Case{wire::ROLE_SMTPD, wire::QueueRequest()}}) {
        TestPeer peer = daemon.connect(test.role);
        peer.send(test.request);
        CHECK(peer.disconnected());
    }
    CHECK(daemon.stop() == 0);
    CHECK(spool_is_empty(daemon));
}

TEST_CASE("what is not committed leaves nothing behind", "[daemon]") {
    TestDaemon daemon;
    daemon.start();
    wire::Envelope envelope;
    envelope.add_recipients()->set_address("a@x.smtp.test");
    {
        TestPeer smtpd = daemon.connect(wire::ROLE_SMTPD);
        std::string id = smtpd.open(envelope, kContent);
        CHECK(daemon.files("tmp") == std::vector<std::string>{id});
        wire::QueueRequest abort;
        abort.mutable_abort()->set_queue_id(id);
        smtpd.send(abort);
        CHECK(eventually([&] { return daemon.files("tmp").empty(); }));
        smtpd.open(envelope, kContent);
        smtpd.open(envelope, kContent);
        CHECK(daemon.files("tmp").size() == 2);
    }
    CHECK(eventually([&] { return daemon.files("tmp").empty(); }));
    // A length or an id that is not right.
    TestPeer smtpd = daemon.connect(wire::ROLE_SMTPD);
    std::string id = smtpd.open(envelope, kContent);
    CHECK(smtpd.commit(id, kContent + "more").has_failure());
    CHECK(spool_is_empty(daemon));
    wire::QueueRequest commit;
    commit.mutable_commit()->set_queue_id(id);
    smtpd.send(commit);
    CHECK(smtpd.disconnected());
    CHECK(daemon.stop() == 0);
}

TEST_CASE("envelopes that nobody honest sends end the connection or are refused", "[daemon]") {
    TestDaemon daemon;
    daemon.start();
    for (const auto& recipient : {std::string(), std::string(5000, 'a')}) {
        TestPeer smtpd = daemon.connect(wire::ROLE_SMTPD);
        wire::QueueRequest open;
        open.set_id(1);
        open.mutable_open()->mutable_envelope()->add_recipients()->set_address(recipient);
        smtpd.send(open);
        CHECK(smtpd.answer().reply.has_failure());
    }
    TestPeer smtpd = daemon.connect(wire::ROLE_SMTPD);
    wire::QueueRequest more;
    more.set_id(5);
    more.mutable_more_recipients()->add_recipients()->set_address("a@b.test");
    smtpd.send(more);
    CHECK(smtpd.disconnected());
    CHECK(daemon.stop() == 0);
}

TEST_CASE("a full disk stops the intake and tells smtpd", "[daemon]") {
    TestDaemon daemon("min_free_space 100%\n");
    daemon.start();
    TestPeer smtpd = daemon.connect(wire::ROLE_SMTPD);
    auto state = smtpd.receive();
    REQUIRE(state);
    CHECK_FALSE(state->reply.intake().accepting());
    CHECK_THAT(state->reply.intake().reason(), Catch::Equals("insufficient system storage"));
    wire::Envelope envelope;
    envelope.add_recipients()->set_address("a@x.smtp.test");
    CHECK(smtpd.open(envelope, kContent).empty());
    CHECK(spool_is_empty(daemon));
    CHECK(daemon.stop() == 0);
}

TEST_CASE("a recipient refused by a remote host is reported to the sender", "[daemon]") {
    TestDaemon daemon;
    TestRouter router(daemon.run_dir());
    daemon.start();
    TestPeer smtpd = daemon.connect(wire::ROLE_SMTPD);
    TestPeer agent = remote_agent(daemon);
    std::string id = smtpd.submit("s@o.smtp.test", {"u@primary.smtp.test", "gone@error.test"}, kContent);
    auto job = agent.job();
    REQUIRE(job);
    agent.report(job->frame, wire::DeliveryResult::FAILED, "5.1.1", "550 5.1.1 no such user");

    auto report = agent.job();
    REQUIRE(report);
    CHECK(report->frame.sender().empty());
    CHECK(report->frame.queue_id() != id);
    REQUIRE(report->frame.deliveries_size() == 1);
    CHECK(report->frame.deliveries(0).recipient() == "s@o.smtp.test");
    std::string text = report->content();
    for (const char* line :
         {"report-type=delivery-status", "Final-Recipient: rfc822; u@primary.smtp.test",
          "Final-Recipient: rfc822; gone@error.test", "Action: failed", "Status: 5.1.1",
          "Remote-MTA: dns; mx.primary.smtp.test", "Diagnostic-Code: smtp; 550 5.1.1 no such user"}) {
        CHECK_THAT(text, Catch::Contains(line));
    }
    // By now the failed message itself is gone.
    CHECK(daemon.files("new") == std::vector<std::string>{report->frame.queue_id()});
    agent.report(report->frame, wire::DeliveryResult::RELAYED, "2.0.0", "250 ok");
    CHECK(eventually([&] { return spool_is_empty(daemon); }));
    CHECK(daemon.stop() == 0);
}

TEST_CASE("NOTIFY decides who is told", "[daemon]") {
    TestDaemon daemon;
    TestRouter router(daemon.run_dir());
    daemon.start();
    TestPeer smtpd = daemon.connect(wire::ROLE_SMTPD);
    TestPeer agent = remote_agent(daemon);
    struct Case {
        std::uint32_t notify;
        wire::DeliveryResult::Outcome outcome;
        const char* action;  // nullptr: nobody is told
    };
    for (const auto& test :
         {Case{1, wire::DeliveryResult::FAILED, nullptr}, Case{2, wire::DeliveryResult::FAILED, nullptr},
          Case{4, wire::DeliveryResult::FAILED, "Action: failed"},
          Case{8, wire::DeliveryResult::FAILED, nullptr},
          Case{2, wire::DeliveryResult::RELAYED, "Action: relayed"},
          Case{2, wire::DeliveryResult::DELIVERED, "Action: delivered"},
          Case{4, wire::DeliveryResult::RELAYED, nullptr}}) {
        wire::Envelope envelope;
        envelope.set_sender("s@o.smtp.test");
        auto* recipient = envelope.add_recipients();
        recipient->set_address("u@primary.smtp.test");
        recipient->set_notify(test.notify);
        std::string id = smtpd.open(envelope, kContent);
        REQUIRE(smtpd.commit(id, kContent).has_committed());
        auto job = agent.job();
        REQUIRE(job);
        agent.report(job->frame, test.outcome, "5.0.0", "said so");
        if (test.action != nullptr) {
            auto report = agent.job();
            REQUIRE(report);
            CHECK_THAT(report->content(), Catch::Contains(test.action));
            agent.report(report->frame, wire::DeliveryResult::RELAYED, "2.0.0", "ok");
        }
        CHECK(eventually([&] { return spool_is_empty(daemon); }));
    }
    CHECK(daemon.stop() == 0);
}

TEST_CASE("mail from the null sender is never answered: the postmaster once, then failed/", "[daemon]") {
    TestDaemon daemon("double_bounce_to postmaster@local.smtp.test\n");
    TestRouter router(daemon.run_dir());
    daemon.start();
    TestPeer smtpd = daemon.connect(wire::ROLE_SMTPD);
    TestPeer agent = remote_agent(daemon);
    smtpd.submit("", {"u@primary.smtp.test"}, kContent);
    auto job = agent.job();
    REQUIRE(job);
    agent.report(job->frame, wire::DeliveryResult::FAILED, "5.1.1", "550 no");
    auto notice = agent.job();
    REQUIRE(notice);
    CHECK(notice->frame.sender().empty());
    CHECK(notice->frame.deliveries(0).recipient() == "postmaster@local.smtp.test");
    agent.report(notice->frame, wire::DeliveryResult::FAILED, "5.1.1", "550 no");
    CHECK(eventually([&] { return daemon.files("failed").size() == 1; }));
    CHECK(daemon.files("failed").front() == notice->frame.queue_id());
    CHECK(spool_is_empty(daemon));
    CHECK_FALSE(agent.job(300ms));
    CHECK(daemon.stop() == 0);
}

TEST_CASE("per recipient: delivered once, deferred alone again, failed at once", "[daemon]") {
    TestDaemon daemon("retry 1s,1s\ndsn_aggregate 0s\n");
    TestRouter router(daemon.run_dir());
    daemon.start();
    TestPeer smtpd = daemon.connect(wire::ROLE_SMTPD);
    TestPeer agent = remote_agent(daemon);
    smtpd.submit("s@o.smtp.test", {"a@x.smtp.test", "b@x.smtp.test", "c@x.smtp.test"}, kContent);
    auto job = agent.job();
    REQUIRE(job);
    REQUIRE(job->frame.deliveries_size() == 3);
    wire::QueueRequest report;
    report.mutable_report()->set_job(job->frame.job());
    report.mutable_report()->set_queue_id(job->frame.queue_id());
    const wire::DeliveryResult::Outcome outcomes[] = {
        wire::DeliveryResult::RELAYED, wire::DeliveryResult::DEFERRED, wire::DeliveryResult::FAILED};
    for (int i = 0; i < 3; ++i) {
        auto* result = report.mutable_report()->add_results();
        result->set_number(job->frame.deliveries(i).number());
        result->set_outcome(outcomes[i]);
    }
    agent.send(report);
    auto dsn = agent.job();
    REQUIRE(dsn);
    CHECK(dsn->frame.deliveries(0).recipient() == "s@o.smtp.test");
    CHECK_THAT(dsn->content(), Catch::Contains("c@x.smtp.test") && !Catch::Contains("b@x.smtp.test"));
    agent.report(dsn->frame, wire::DeliveryResult::RELAYED, "2.0.0", "ok");
    auto again = agent.job();
    REQUIRE(again);
    REQUIRE(again->frame.deliveries_size() == 1);
    CHECK(again->frame.deliveries(0).recipient() == "b@x.smtp.test");
    agent.report(again->frame, wire::DeliveryResult::RELAYED, "2.0.0", "ok");
    CHECK(eventually([&] { return spool_is_empty(daemon); }));
    CHECK(daemon.stop() == 0);
}

TEST_CASE("a message whose time is over is returned, after an attempt", "[daemon]") {
    TestDaemon daemon("retry 1s\nlifetime 2s\n");
    TestRouter router(daemon.run_dir());
    daemon.start();
    TestPeer smtpd = daemon.connect(wire::ROLE_SMTPD);
    TestPeer agent = remote_agent(daemon);
    smtpd.submit("s@o.smtp.test", {"a@dead.smtp.test"}, kContent);
    int attempts = 0;
    while (true) {
        auto job = agent.job();
        REQUIRE(job);
        if (job->frame.sender().empty()) {
            CHECK_THAT(job->content(), Catch::Contains("Status: 5.4.7"));
            agent.report(job->frame, wire::DeliveryResult::RELAYED, "2.0.0", "ok");
            break;
        }
        ++attempts;
        agent.report(job->frame, wire::DeliveryResult::DEFERRED, "4.4.1", "connection refused", true);
    }
    CHECK(attempts >= 2);
    CHECK(eventually([&] { return spool_is_empty(daemon); }));
    CHECK(daemon.stop() == 0);
}

TEST_CASE("the job of an agent that disappears is given to another", "[daemon]") {
    TestDaemon daemon;
    TestRouter router(daemon.run_dir());
    daemon.start();
    TestPeer smtpd = daemon.connect(wire::ROLE_SMTPD);
    std::string id;
    {
        TestPeer agent = remote_agent(daemon);
        id = smtpd.submit("s@example.org", {"a@x.smtp.test"}, kContent);
        REQUIRE(agent.job());
    }
    TestPeer other = remote_agent(daemon);
    auto job = other.job();
    REQUIRE(job);
    CHECK(job->frame.queue_id() == id);
    other.report(job->frame, wire::DeliveryResult::RELAYED, "2.0.0", "ok");
    CHECK(eventually([&] { return spool_is_empty(daemon); }));
    CHECK(daemon.stop() == 0);
}

TEST_CASE("an agent gets the transports of its role and as many jobs as it can take", "[daemon]") {
    TestDaemon daemon;
    TestRouter router(daemon.run_dir());
    daemon.start();
    TestPeer smtpd = daemon.connect(wire::ROLE_SMTPD);
    for (int i = 0; i < 3; ++i)
        smtpd.submit("s@example.org", {"bob@a.local.test"}, kContent);
    TestPeer remote = daemon.connect(wire::ROLE_REMOTE_DELIVERY);
    remote.ready({wire::TRANSPORT_SMTP, wire::TRANSPORT_MAILDIR, wire::TRANSPORT_DISCARD}, 10);
    CHECK_FALSE(remote.job(300ms));
    TestPeer local = daemon.connect(wire::ROLE_LOCAL_DELIVERY);
    local.ready(kLocal, 1);
    for (int i = 0; i < 3; ++i) {
        auto job = local.job();
        REQUIRE(job);
        CHECK_FALSE(local.job(100ms));
        local.report(job->frame, wire::DeliveryResult::DELIVERED, "2.0.0", "ok");
    }
    CHECK(eventually([&] { return spool_is_empty(daemon); }));
    CHECK(daemon.stop() == 0);
}

TEST_CASE("without a router messages wait, and go when there is one", "[daemon]") {
    TestDaemon daemon;
    daemon.start();
    TestPeer smtpd = daemon.connect(wire::ROLE_SMTPD);
    TestPeer agent = remote_agent(daemon);
    for (int i = 0; i < 10; ++i)
        smtpd.submit("s@example.org", {"a@x.smtp.test"}, kContent);
    CHECK_FALSE(agent.job(200ms));
    TestRouter router(daemon.run_dir());
    for (int i = 0; i < 10; ++i) {
        auto job = agent.job();
        REQUIRE(job);
        agent.report(job->frame, wire::DeliveryResult::RELAYED, "2.0.0", "ok");
    }
    CHECK(eventually([&] { return spool_is_empty(daemon); }));
    CHECK(daemon.stop() == 0);
}

TEST_CASE("an address that cannot be resolved now is asked about again", "[daemon]") {
    TestDaemon daemon("retry 1s\nlifetime 3s\n");
    TestRouter router(daemon.run_dir());
    daemon.start();
    TestPeer smtpd = daemon.connect(wire::ROLE_SMTPD);
    TestPeer agent = remote_agent(daemon);
    smtpd.submit("s@o.smtp.test", {"a@later.test", "b@x.smtp.test"}, kContent);
    auto job = agent.job();
    REQUIRE(job);
    CHECK(job->frame.deliveries(0).recipient() == "b@x.smtp.test");
    agent.report(job->frame, wire::DeliveryResult::RELAYED, "2.0.0", "ok");
    auto report = agent.job();
    REQUIRE(report);
    CHECK_THAT(report->content(),
               Catch::Contains("Final-Recipient: rfc822; a@later.test") && Catch::Contains("Status: 5.4.7"));
    CHECK(router.questions() >= 4);
    agent.report(report->frame, wire::DeliveryResult::RELAYED, "2.0.0", "ok");
    CHECK(eventually([&] { return spool_is_empty(daemon); }));
    CHECK(daemon.stop() == 0);
}

TEST_CASE("an administrator lists, reads, flushes and counts", "[daemon]") {
    TestDaemon daemon("retry 1h\n");
    TestRouter router(daemon.run_dir());
    daemon.start();
    TestPeer smtpd = daemon.connect(wire::ROLE_SMTPD);
    TestPeer agent = remote_agent(daemon);
    std::vector<std::string> ids;
    for (const char* domain : {"one", "two", "one"}) {
        ids.push_back(smtpd.submit("s@example.org", {std::string("a@") + domain + ".smtp.test"}, kContent));
        auto job = agent.job();
        REQUIRE(job);
        agent.report(job->frame, wire::DeliveryResult::DEFERRED, "4.2.2", "452 full");
    }
    CHECK(eventually([&] { return daemon.counter("messages_waiting") == 3; }));
    auto entries = list(daemon);
    REQUIRE(entries.size() == 3);
    CHECK(entries[0].queue_id() == ids[0]);
    CHECK(entries[0].sender() == "s@example.org");
    CHECK(entries[0].size() == kContent.size());
    CHECK(entries[0].state() == "waiting");
    CHECK(entries[0].attempts() == 1);
    CHECK(entries[0].recipients(0).last_reply() == "4.2.2 452 full");
    CHECK(list(daemon, "one.smtp.test").size() == 2);
    CHECK(list(daemon, "nowhere.test").empty());

    TestPeer admin = daemon.connect(wire::ROLE_ADMIN);
    wire::QueueRequest request;
    request.set_id(3);
    request.mutable_open_file()->set_queue_id(ids[1]);
    admin.send(request);
    auto file = admin.answer();
    CHECK(file.reply.has_file());
    CHECK(file.descriptor);
    request.mutable_open_file()->set_queue_id("0000000000000000");
    admin.send(request);
    CHECK(admin.answer().reply.has_failure());

    CHECK(flush(daemon, "two.smtp.test") == 1);
    auto job = agent.job();
    REQUIRE(job);
    CHECK(job->frame.queue_id() == ids[1]);
    agent.report(job->frame, wire::DeliveryResult::RELAYED, "2.0.0", "ok");
    CHECK(eventually([&] { return daemon.files("cur").size() == 2; }));
    CHECK(daemon.stop() == 0);

    // After a restart nothing is known of them but their names, and the same requests find them.
    daemon.start();
    TestPeer agent_again = remote_agent(daemon);
    CHECK(list(daemon, "one.smtp.test").size() == 2);
    CHECK(flush(daemon, "one.smtp.test") == 2);
    // Both are read at the same time, so either may be offered first.
    std::set<std::string> offered;
    for (int i = 0; i < 2; ++i) {
        auto again = agent_again.job();
        REQUIRE(again);
        offered.insert(again->frame.queue_id());
        agent_again.report(again->frame, wire::DeliveryResult::RELAYED, "2.0.0", "ok");
    }
    CHECK(offered == std::set<std::string>{ids[0], ids[2]});
    CHECK(eventually([&] { return spool_is_empty(daemon); }));
    CHECK(daemon.stop() == 0);
}

TEST_CASE("a message with 50,000 recipients does not block one with a single one", "[daemon]") {
    TestDaemon daemon;
    TestRouter router(daemon.run_dir());
    daemon.start();
    TestPeer smtpd = daemon.connect(wire::ROLE_SMTPD);
    std::vector<std::string> recipients;
    constexpr int kRecipients = 50'000;
    for (int i = 0; i < kRecipients; ++i)
        recipients.push_back("user" + std::to_string(i) + "@big.smtp.test");
    std::string big = smtpd.submit("s@example.org", recipients, kContent);
    TestPeer agent = remote_agent(daemon, 4);
    auto first = agent.job();
    REQUIRE(first);
    std::string small = smtpd.submit("s@example.org", {"single@big.smtp.test"}, kContent);
    std::set<std::string> seen;
    int jobs_before_small = 0;
    bool small_seen = false;
    auto take = [&](const TestPeer::Job& job) {
        if (job.frame.queue_id() == small) small_seen = true;
        if (!small_seen) ++jobs_before_small;
        for (const auto& delivery : job.frame.deliveries())
            seen.insert(delivery.recipient());
        agent.report(job.frame, wire::DeliveryResult::RELAYED, "2.0.0", "ok");
    };
    take(*first);
    while (seen.size() < kRecipients + 1) {
        auto job = agent.job(60s);
        REQUIRE(job);
        take(*job);
    }
    CHECK(small_seen);
    CHECK(jobs_before_small < 900);
    CHECK(eventually([&] { return spool_is_empty(daemon); }));
    CHECK(daemon.stop() == 0);
}

TEST_CASE("a stop waits for what is in flight and keeps the rest", "[daemon]") {
    TestDaemon daemon;
    TestRouter router(daemon.run_dir());
    daemon.start();
    TestPeer smtpd = daemon.connect(wire::ROLE_SMTPD);
    TestPeer agent = remote_agent(daemon, 1);
    smtpd.submit("s@example.org", {"a@x.smtp.test"}, kContent);
    std::string second = smtpd.submit("s@example.org", {"a@x.smtp.test"}, kContent);
    auto job = agent.job();
    REQUIRE(job);
    std::thread reporter([&] {
        std::this_thread::sleep_for(300ms);
        agent.report(job->frame, wire::DeliveryResult::RELAYED, "2.0.0", "ok");
    });
    CHECK(daemon.stop() == 0);
    reporter.join();
    std::string rest = job->frame.queue_id() == second ? "" : second;
    CHECK(daemon.files("new") == std::vector<std::string>{rest});
}
