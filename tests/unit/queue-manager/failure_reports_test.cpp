// The real queue-manager: who is told of failures and delays, when, and how often.

#include <catch2/catch.hpp>

#include <string>
#include <vector>

#include "tests/unit/queue-manager/daemon_fixture.h"

using namespace postrider;
using namespace postrider::queue_manager::test;
using namespace std::chrono_literals;

namespace {

constexpr std::uint32_t kSuccess = 2;
constexpr std::uint32_t kFailure = 4;
constexpr std::uint32_t kDelay = 8;
const std::string kContent = "Received: by test\r\nSubject: hello\r\n\r\nbody\r\n";
const std::string kSender = "s@o.smtp.test";

struct Wish {
    std::string address;
    std::uint32_t notify = 0;
};

TestPeer agent_for(const TestDaemon& daemon, wire::Role role, wire::Transport transport) {
    TestPeer agent = daemon.connect(role);
    agent.ready({transport}, 100);
    return agent;
}

TestPeer remote_agent(const TestDaemon& daemon) {
    return agent_for(daemon, wire::ROLE_REMOTE_DELIVERY, wire::TRANSPORT_SMTP);
}

std::string submit(const TestDaemon& daemon, const std::vector<Wish>& wishes, bool stranger = false,
                   const std::string& sender = kSender) {
    TestPeer smtpd = daemon.connect(wire::ROLE_SMTPD);
    wire::Envelope envelope;
    envelope.set_sender(sender);
    envelope.set_stranger(stranger);
    for (const Wish& wish : wishes) {
        auto* recipient = envelope.add_recipients();
        recipient->set_address(wish.address);
        recipient->set_notify(wish.notify);
    }
    std::string id = smtpd.open(envelope, kContent);
    REQUIRE(smtpd.commit(id, kContent).has_committed());
    return id;
}

void relay(TestPeer& agent, const TestPeer::Job& job) {
    agent.report(job.frame, wire::DeliveryResult::RELAYED, "2.0.0", "250 ok");
}

void refuse(TestPeer& agent, const TestPeer::Job& job) {
    agent.report(job.frame, wire::DeliveryResult::FAILED, "5.1.1", "550 no such user");
}

void defer(TestPeer& agent, const TestPeer::Job& job) {
    agent.report(job.frame, wire::DeliveryResult::DEFERRED, "4.2.0", "450 busy");
}

}  // namespace

TEST_CASE("failures of one message within the window are in one report", "[daemon]") {
    struct Case {
        const char* settings;
        bool together;
    };
    for (const auto& test :
         {Case{"retry 1s\ndsn_aggregate 20s\n", true}, Case{"retry 1s\ndsn_aggregate 0\n", false}}) {
        TestDaemon daemon(test.settings);
        TestRouter router(daemon.run_dir());
        daemon.start();
        TestPeer agent = remote_agent(daemon);
        submit(daemon, {{"a@one.smtp.test"}, {"b@two.smtp.test"}});
        for (int i = 0; i < 2; ++i) {
            auto job = agent.job();
            REQUIRE(job);
            const bool first = job->frame.deliveries(0).recipient() == "a@one.smtp.test";
            first ? refuse(agent, *job) : defer(agent, *job);
        }
        // The second attempt at b comes before the window ends, and then nothing more can fail.
        bool b_failed = false;
        std::string reports;
        for (int jobs = 0; jobs < (test.together ? 2 : 3); ++jobs) {
            auto job = agent.job();
            REQUIRE(job);
            if (job->frame.sender().empty()) {
                CHECK((b_failed || !test.together));
                reports += job->content();
                relay(agent, *job);
            } else {
                b_failed = true;
                refuse(agent, *job);
            }
        }
        CHECK(count(reports, "Final-Recipient: rfc822; a@one.smtp.test") == 1);
        CHECK(count(reports, "Final-Recipient: rfc822; b@two.smtp.test") == 1);
        CHECK(eventually([&] { return spool_is_empty(daemon); }));
        CHECK(daemon.counter("reports_total") == (test.together ? 1 : 2));
        CHECK(daemon.stop() == 0);
    }
}

TEST_CASE("the window ends although something else is still tried", "[daemon]") {
    TestDaemon daemon("retry 1s\ndsn_aggregate 2s\n");
    TestRouter router(daemon.run_dir());
    daemon.start();
    TestPeer agent = remote_agent(daemon);
    submit(daemon, {{"a@one.smtp.test"}, {"b@two.smtp.test"}});
    bool told = false;
    for (int jobs = 0; jobs < 20 && !told; ++jobs) {
        auto job = agent.job();
        REQUIRE(job);
        told = job->frame.sender().empty();
        if (told) {
            CHECK(count(job->content(), "Final-Recipient: ") == 1);
            relay(agent, *job);
        } else if (job->frame.deliveries(0).recipient() == "a@one.smtp.test") {
            refuse(agent, *job);
        } else {
            defer(agent, *job);
        }
    }
    CHECK(told);
    CHECK(daemon.counter("reports_total") == 1);
    CHECK(daemon.stop() == 0);
}

TEST_CASE("a stranger gets no report where dsn_only_to says so, and the log says that", "[daemon]") {
    TestDaemon daemon("dsn_only_to local\n");
    TestRouter router(daemon.run_dir());
    daemon.start();
    TestPeer agent = remote_agent(daemon);
    const std::string id =
        submit(daemon, {{"u@x.smtp.test"}, {"gone@error.test"}, {"ok@y.smtp.test", kSuccess}}, true);
    for (int i = 0; i < 2; ++i) {
        auto job = agent.job();
        REQUIRE(job);
        job->frame.deliveries(0).recipient() == "u@x.smtp.test" ? refuse(agent, *job) : relay(agent, *job);
    }
    CHECK(eventually([&] { return spool_is_empty(daemon); }));
    CHECK(daemon.files("failed").empty());
    CHECK(daemon.counter("reports_total") == 0);
    CHECK(daemon.counter("reports_withheld_total") == 2);
    for (const char* text :
         {"report_withheld", "kind=failed", "kind=relayed", "reason=\"dsn_only_to local\""}) {
        CHECK_THAT(daemon.log(), Catch::Contains(text));
    }
    CHECK_THAT(daemon.log(), Catch::Contains("report_withheld id=" + id));
    // The owner of a list is one of ours, whoever wrote to it.
    submit(daemon, {{"news@list.test"}}, true);
    for (int i = 0; i < 2; ++i) {
        auto job = agent.job();
        REQUIRE(job);
        refuse(agent, *job);
    }
    auto to_owner = agent.job();
    REQUIRE(to_owner);
    CHECK(to_owner->frame.deliveries(0).recipient() == "owner@o.smtp.test");
    relay(agent, *to_owner);
    // So is who may relay.
    submit(daemon, {{"gone@error.test"}}, false);
    auto report = agent.job();
    REQUIRE(report);
    CHECK(report->frame.deliveries(0).recipient() == kSender);
    relay(agent, *report);
    CHECK(eventually([&] { return spool_is_empty(daemon); }));
    CHECK(daemon.stop() == 0);
}

TEST_CASE("what nobody can be told of is kept or removed as the configuration says", "[daemon]") {
    for (const bool keep : {true, false}) {
        TestDaemon daemon(keep ? "double_bounce_to off\n" : "double_bounce_to discard\n");
        TestRouter router(daemon.run_dir());
        daemon.start();
        TestPeer agent = remote_agent(daemon);
        submit(daemon, {{"gone@error.test"}}, false, "");
        CHECK(eventually(
            [&] { return spool_is_empty(daemon) && daemon.files("failed").size() == (keep ? 1U : 0U); }));
        CHECK_FALSE(agent.job(300ms));
        CHECK(daemon.counter("reports_withheld_total") == (keep ? 0 : 1));
        CHECK(daemon.stop() == 0);
        CHECK((daemon.log().find("double_bounce_to discard") != std::string::npos) != keep);
    }
}

TEST_CASE("a delay is told once for each recipient, also after a kill", "[daemon]") {
    TestDaemon daemon("retry 1s\ndelay_warning 1s\n");
    TestRouter router(daemon.run_dir());
    daemon.start();
    submit(daemon,
           {{"a@x.smtp.test"}, {"b@x.smtp.test", kDelay}, {"c@x.smtp.test", kFailure}, {"d@later.test"}});
    std::string reports;
    std::size_t attempts = 0;
    {
        TestPeer agent = remote_agent(daemon);
        while (reports.empty()) {
            auto job = agent.job();
            REQUIRE(job);
            if (job->frame.sender().empty()) {
                reports += job->content();
                relay(agent, *job);
            } else {
                defer(agent, *job);
                ++attempts;
            }
        }
        // The report left the queue, and its being written is in the journal.
        CHECK(eventually([&] { return daemon.files("new").size() + daemon.files("cur").size() == 1; }));
    }
    CHECK(attempts >= 1);
    for (const char* name : {"a@x.smtp.test", "b@x.smtp.test", "d@later.test"}) {
        INFO(name);
        CHECK(count(reports, std::string("Final-Recipient: rfc822; ") + name) == 1);
    }
    CHECK(count(reports, "Action: delayed\r\n") == 3);
    CHECK(count(reports, "Will-Retry-Until: ") == 3);
    CHECK(count(reports, "Status: 4.2.0\r\n") == 2);
    CHECK_THAT(reports, Catch::Contains("Content-Type: text/rfc822-headers") && !Catch::Contains("body"));
    for (int round = 0; round < 2; ++round) {
        TestPeer agent = remote_agent(daemon);
        for (int i = 0; i < 2; ++i) {
            auto job = agent.job();
            REQUIRE(job);
            CHECK(job->frame.sender() == kSender);
            defer(agent, *job);
        }
        daemon.kill_hard();
        daemon.start();
    }
    CHECK(daemon.counter("reports_total") == 0);
    CHECK(daemon.stop() == 0);
}

TEST_CASE("delay_warning 0 tells nobody", "[daemon]") {
    TestDaemon daemon("retry 1s\ndelay_warning 0\n");
    TestRouter router(daemon.run_dir());
    daemon.start();
    TestPeer agent = remote_agent(daemon);
    submit(daemon, {{"a@x.smtp.test", kDelay}});
    for (int i = 0; i < 3; ++i) {
        auto job = agent.job();
        REQUIRE(job);
        CHECK(job->frame.sender() == kSender);
        defer(agent, *job);
    }
    CHECK(daemon.stop() == 0);
}

TEST_CASE("two ways to one mailbox are one copy, and each is answered as he wants", "[daemon]") {
    for (const auto outcome : {wire::DeliveryResult::DELIVERED, wire::DeliveryResult::FAILED}) {
        TestDaemon daemon("retry 1s\n");
        TestRouter router(daemon.run_dir());
        daemon.start();
        TestPeer reporter = remote_agent(daemon);
        submit(daemon, {{"u@a.local.test", kSuccess}, {"u@a.local.test", kFailure}, {"u@a.local.test", 1}});
        {
            TestPeer agent = agent_for(daemon, wire::ROLE_LOCAL_DELIVERY, wire::TRANSPORT_MAILDIR);
            auto job = agent.job();
            REQUIRE(job);
            CHECK(job->frame.deliveries_size() == 1);
            defer(agent, *job);
            CHECK(eventually([&] { return daemon.counter("deferred_total") == 3; }));
        }
        daemon.kill_hard();
        daemon.start();
        reporter = remote_agent(daemon);
        TestPeer agent = agent_for(daemon, wire::ROLE_LOCAL_DELIVERY, wire::TRANSPORT_MAILDIR);
        auto job = agent.job();
        REQUIRE(job);
        CHECK(job->frame.deliveries_size() == 1);
        agent.report(job->frame, outcome, outcome == wire::DeliveryResult::FAILED ? "5.2.2" : "2.0.0",
                     "so it is");
        auto report = reporter.job();
        REQUIRE(report);
        CHECK(count(report->content(), "Final-Recipient: ") == 1);
        const char* action = outcome == wire::DeliveryResult::FAILED ? "Action: failed" : "Action: delivered";
        CHECK(count(report->content(), action) == 1);
        relay(reporter, *report);
        CHECK_FALSE(agent.job(300ms));
        CHECK(eventually([&] { return spool_is_empty(daemon); }));
        CHECK(daemon.counter("reports_total") == 1);
        CHECK(daemon.stop() == 0);
    }
}

TEST_CASE("at another host one copy is for those who want to hear the same", "[daemon]") {
    TestDaemon daemon;
    TestRouter router(daemon.run_dir());
    daemon.start();
    TestPeer agent = remote_agent(daemon);
    submit(daemon, {{"u@x.smtp.test"}, {"u@x.smtp.test"}, {"u@x.smtp.test", kFailure}});
    auto job = agent.job();
    REQUIRE(job);
    CHECK(job->frame.deliveries_size() == 2);
    refuse(agent, *job);
    auto report = agent.job();
    REQUIRE(report);
    CHECK(count(report->content(), "Final-Recipient: rfc822; u@x.smtp.test") == 3);
    relay(agent, *report);
    CHECK(eventually([&] { return spool_is_empty(daemon); }));
    CHECK(daemon.stop() == 0);
}
