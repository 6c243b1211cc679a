// Which destinations get the places of a delivery agent when there are fewer than could be used.

#include <catch2/catch.hpp>

#include <map>
#include <string>
#include <vector>

#include "tests/unit/queue-manager/daemon_fixture.h"

using namespace postrider;
using namespace postrider::queue_manager::test;
using namespace std::chrono_literals;

namespace {

constexpr const char* kText = "Subject: one of many\r\n\r\nbody\r\n";
constexpr std::uint32_t kPlaces = 8;

/// Submits a message to each of `count` hosts NAME0.smtp.test ….
void submit_to(TestPeer& smtpd, const std::string& name, int count) {
    for (int i = 0; i < count; ++i)
        smtpd.submit("s@example.org", {"user@" + name + std::to_string(i) + ".smtp.test"}, kText);
}

/// All jobs that the agent is offered until there is none for a while.
std::vector<TestPeer::Job> jobs_of(TestPeer& agent) {
    std::vector<TestPeer::Job> jobs;
    while (auto job = agent.job(jobs.empty() ? 10'000ms : 500ms))
        jobs.push_back(std::move(*job));
    return jobs;
}

std::string host_of(const TestPeer::Job& job) {
    return job.frame.deliveries(0).next_hop();
}

}  // namespace

TEST_CASE("destinations that are not known leave a quarter of the places to those that take mail",
          "[daemon]") {
    TestDaemon daemon("shutdown_grace 1s\n");
    TestRouter router(daemon.run_dir());
    daemon.start();
    TestPeer smtpd = daemon.connect(wire::ROLE_SMTPD);
    TestPeer agent = daemon.connect(wire::ROLE_REMOTE_DELIVERY);
    agent.ready({wire::TRANSPORT_SMTP}, kPlaces);
    for (int i = 0; i < 12; ++i)
        smtpd.submit("s@example.org", {"user@live.smtp.test"}, kText);
    submit_to(smtpd, "silent", 10);
    const auto first = jobs_of(agent);
    CHECK(first.size() == 6);
    REQUIRE(host_of(first.at(0)) == "live.smtp.test");

    // One that answered is known to; the others hold what they have.
    agent.report(first[0].frame, wire::DeliveryResult::RELAYED, "2.0.0", "ok");
    const auto next = jobs_of(agent);
    std::map<std::string, int> hosts;
    for (const auto& job : next)
        ++hosts[host_of(job)];
    CHECK(hosts["live.smtp.test"] == 1);
    CHECK(next.size() == 2);
    // So it goes on getting places, however many wait for one.
    for (const auto& job : next) {
        if (host_of(job) != "live.smtp.test") continue;
        agent.report(job.frame, wire::DeliveryResult::RELAYED, "2.0.0", "ok");
    }
    const auto last = jobs_of(agent);
    REQUIRE_FALSE(last.empty());
    CHECK(host_of(last.front()) == "live.smtp.test");
    CHECK(daemon.stop() == 0);
}

TEST_CASE("destinations that failed last get half of the places", "[daemon]") {
    TestDaemon daemon("retry 2s\nretry_jitter 0%\nshutdown_grace 1s\n");
    TestRouter router(daemon.run_dir());
    daemon.start();
    TestPeer smtpd = daemon.connect(wire::ROLE_SMTPD);
    TestPeer agent = daemon.connect(wire::ROLE_REMOTE_DELIVERY);
    agent.ready({wire::TRANSPORT_SMTP}, kPlaces);
    submit_to(smtpd, "failing", 6);
    const auto first = jobs_of(agent);
    REQUIRE(first.size() == 6);
    for (const auto& job : first)
        agent.report(job.frame, wire::DeliveryResult::DEFERRED, "4.4.1", "no connection", true);

    const auto again = jobs_of(agent);
    CHECK(again.size() == 4);
    submit_to(smtpd, "new", 1);
    const auto other = agent.job();
    REQUIRE(other);
    CHECK(host_of(*other) == "new0.smtp.test");
    // A place that becomes free goes to one that waited for it.
    agent.report(again.at(0).frame, wire::DeliveryResult::RELAYED, "2.0.0", "ok");
    const auto fifth = agent.job();
    REQUIRE(fifth);
    CHECK(host_of(*fifth).starts_with("failing"));
    CHECK(daemon.stop() == 0);
}
