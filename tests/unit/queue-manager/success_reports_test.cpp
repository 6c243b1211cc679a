// The real queue-manager, and what senders hear who asked for NOTIFY=SUCCESS.

#include <catch2/catch.hpp>
#include <sys/stat.h>

#include <map>
#include <string>
#include <vector>

#include "tests/unit/queue-manager/daemon_fixture.h"

using namespace postrider;
using namespace postrider::queue_manager::test;
using namespace std::chrono_literals;

namespace {

constexpr std::uint32_t kSuccess = 2;
constexpr std::uint32_t kFailure = 4;
const std::string kContent = "Received: by test\r\nSubject: hello\r\n\r\nbody\r\n";

TestPeer remote_agent(const TestDaemon& daemon) {
    TestPeer agent = daemon.connect(wire::ROLE_REMOTE_DELIVERY);
    agent.ready({wire::TRANSPORT_SMTP}, 100);
    return agent;
}

std::string submit(TestPeer& smtpd, const std::vector<std::string>& recipients, std::uint32_t notify) {
    wire::Envelope envelope;
    envelope.set_sender("s@o.smtp.test");
    envelope.set_envid("QQ=1");
    for (const auto& address : recipients) {
        auto* recipient = envelope.add_recipients();
        recipient->set_address(address);
        recipient->set_notify(notify);
        recipient->set_orcpt("rfc822;" + address);
    }
    std::string id = smtpd.open(envelope, kContent);
    REQUIRE(smtpd.commit(id, kContent).has_committed());
    return id;
}

/// The next jobs, by their first recipient.
std::map<std::string, TestPeer::Job> jobs(TestPeer& agent, std::size_t count) {
    std::map<std::string, TestPeer::Job> all;
    for (std::size_t i = 0; i < count; ++i) {
        auto job = agent.job();
        REQUIRE(job);
        std::string recipient = job->frame.deliveries(0).recipient();
        all.emplace(recipient, std::move(*job));
    }
    REQUIRE(all.size() == count);
    return all;
}

void relay(TestPeer& agent, const TestPeer::Job& job) {
    agent.report(job.frame, wire::DeliveryResult::RELAYED, "2.0.0", "250 ok");
}

}  // namespace

TEST_CASE("an address that stands for several is reported as expanded, at once and once", "[daemon]") {
    TestDaemon daemon;
    TestRouter router(daemon.run_dir());
    daemon.start();
    TestPeer smtpd = daemon.connect(wire::ROLE_SMTPD);
    TestPeer agent = remote_agent(daemon);
    submit(smtpd, {"team@several.test", "all@several.test"}, kSuccess | kFailure);
    auto given = jobs(agent, 3);
    // The report is there although no member has its copy yet.
    const std::string report = given.at("s@o.smtp.test").content();
    CHECK(given.at("s@o.smtp.test").frame.sender().empty());
    CHECK(count(report, "Action: expanded\r\nStatus: 2.0.0\r\n") == 2);
    CHECK(count(report, "Action: ") == 2);
    for (const char* text :
         {"Original-Envelope-Id: QQ=1", "Original-Recipient: rfc822;team@several.test",
          "Final-Recipient: rfc822; team@several.test", "Final-Recipient: rfc822; all@several.test"}) {
        CHECK_THAT(report, Catch::Contains(text));
    }
    // Whom it stands for is nobody's business.
    CHECK_THAT(report, !Catch::Contains("m1.smtp.test"));
    relay(agent, given.at("s@o.smtp.test"));

    CHECK(given.at("one@m1.smtp.test").frame.deliveries(0).notify() == kFailure);
    relay(agent, given.at("one@m1.smtp.test"));
    agent.report(given.at("two@m2.smtp.test").frame, wire::DeliveryResult::FAILED, "5.1.1",
                 "550 no such user");
    auto failure = agent.job();
    REQUIRE(failure);
    CHECK_THAT(failure->content(), Catch::Contains("Final-Recipient: rfc822; two@m2.smtp.test"));
    CHECK_THAT(failure->content(), Catch::Contains("Action: failed"));
    CHECK(failure->frame.deliveries(0).recipient() == "s@o.smtp.test");
    relay(agent, *failure);
    CHECK(eventually([&] { return spool_is_empty(daemon); }));
    CHECK(daemon.counter("reports_total") == 2);
    CHECK(daemon.counter("delivered_total") == 0);
    CHECK(daemon.stop() == 0);
    CHECK_THAT(daemon.log(), Catch::Contains(" expanded id="));
}

TEST_CASE("a list is reported as delivered, and what becomes of its members is told to its owner",
          "[daemon]") {
    TestDaemon daemon("retry 1s\ndsn_aggregate 0s\n");
    TestRouter router(daemon.run_dir());
    daemon.start();
    TestPeer smtpd = daemon.connect(wire::ROLE_SMTPD);
    TestPeer agent = remote_agent(daemon);
    submit(smtpd, {"news@list.test"}, kSuccess | kFailure);
    auto given = jobs(agent, 3);
    const std::string report = given.at("s@o.smtp.test").content();
    CHECK_THAT(report, Catch::Contains("Final-Recipient: rfc822; news@list.test\r\nAction: delivered\r\n"));
    CHECK(count(report, "Action: ") == 1);
    relay(agent, given.at("s@o.smtp.test"));

    agent.report(given.at("one@m1.smtp.test").frame, wire::DeliveryResult::FAILED, "5.1.1",
                 "550 no such user");
    agent.report(given.at("two@m2.smtp.test").frame, wire::DeliveryResult::DEFERRED, "4.2.0", "450 busy");
    auto failure = agent.job();
    REQUIRE(failure);
    CHECK(failure->frame.deliveries(0).recipient() == "owner@o.smtp.test");
    CHECK_THAT(failure->content(), Catch::Contains("Final-Recipient: rfc822; one@m1.smtp.test"));
    CHECK_THAT(failure->content(), !Catch::Contains("QQ=1"));
    relay(agent, *failure);
    auto again = agent.job();
    REQUIRE(again);
    CHECK(again->frame.deliveries(0).recipient() == "two@m2.smtp.test");
    relay(agent, *again);
    CHECK(eventually([&] { return spool_is_empty(daemon); }));
    CHECK(daemon.counter("reports_total") == 2);
    CHECK(daemon.stop() == 0);
}

TEST_CASE("the owner of a list and the sender are told of their failures apart", "[daemon]") {
    TestDaemon daemon;
    TestRouter router(daemon.run_dir());
    daemon.start();
    TestPeer smtpd = daemon.connect(wire::ROLE_SMTPD);
    TestPeer agent = remote_agent(daemon);
    submit(smtpd, {"news@list.test", "u@primary.smtp.test"}, kFailure);
    auto given = jobs(agent, 3);
    for (const auto& [recipient, job] : given)
        agent.report(job.frame, wire::DeliveryResult::FAILED, "5.1.1", "550 no such user");
    auto reports = jobs(agent, 2);
    const std::string to_owner = reports.at("owner@o.smtp.test").content();
    const std::string to_sender = reports.at("s@o.smtp.test").content();
    CHECK(count(to_owner, "Final-Recipient: ") == 2);
    CHECK_THAT(to_owner, !Catch::Contains("u@primary.smtp.test"));
    CHECK(count(to_sender, "Final-Recipient: ") == 1);
    CHECK_THAT(to_sender, Catch::Contains("Final-Recipient: rfc822; u@primary.smtp.test"));
    for (const auto& [recipient, job] : reports)
        relay(agent, job);
    CHECK(eventually([&] { return spool_is_empty(daemon); }));
    CHECK(daemon.stop() == 0);
}

TEST_CASE("killed between a delivery and the report that was asked for, the daemon still writes it",
          "[daemon]") {
    for (const char* address : {"a@x.smtp.test", "news@list.test", "team@several.test"}) {
        CAPTURE(address);
        TestDaemon daemon;
        TestRouter router(daemon.run_dir());
        daemon.start();
        const std::string tmp = daemon.spool_dir() + "/tmp";
        {
            TestPeer smtpd = daemon.connect(wire::ROLE_SMTPD);
            submit(smtpd, {address}, kSuccess);
            // No report can be made meanwhile.
            REQUIRE(eventually([&] { return daemon.files("tmp").empty(); }));
            REQUIRE(::chmod(tmp.c_str(), 0500) == 0);
            TestPeer agent = remote_agent(daemon);
            const bool one = std::string(address) == "a@x.smtp.test";
            for (const auto& [recipient, job] : jobs(agent, one ? 1 : 2))
                relay(agent, job);
            CHECK(eventually([&] {
                return daemon.log().find("cannot_write_report") != std::string::npos &&
                       daemon.counter("relayed_total") == (one ? 1 : 2);
            }));
            daemon.kill_hard();
        }
        REQUIRE(::chmod(tmp.c_str(), 0700) == 0);
        daemon.start();
        TestPeer agent = remote_agent(daemon);
        auto report = agent.job();
        REQUIRE(report);
        CHECK(report->frame.deliveries(0).recipient() == "s@o.smtp.test");
        CHECK_THAT(report->content(), Catch::Contains("Final-Recipient: rfc822; " + std::string(address)));
        relay(agent, *report);
        CHECK(eventually([&] { return spool_is_empty(daemon); }));
        CHECK_FALSE(agent.job(100ms));
        CHECK(daemon.stop() == 0);
    }
}
