// What a real queue-manager does for many messages at once: those for a destination that is down, and those
// that it has not read yet.

#include <catch2/catch.hpp>
#include <unistd.h>

#include <filesystem>
#include <set>
#include <string>
#include <vector>

#include "libcommon/base/clock.h"
#include "queue-manager/spool.h"
#include "queue-manager/topic_hint.h"
#include "tests/unit/queue-manager/daemon_fixture.h"

using namespace postrider;
using namespace postrider::queue_manager;
using namespace postrider::queue_manager::test;
using namespace std::chrono_literals;

namespace {

constexpr const char* kText = "Subject: one of many\r\n\r\nbody\r\n";

/// The ids of what is listed for a domain.
std::set<std::string> listed(const TestDaemon& daemon, const std::string& domain, bool subdomains = false) {
    TestPeer admin = daemon.connect(wire::ROLE_ADMIN);
    wire::QueueRequest request;
    request.set_id(1);
    request.mutable_list()->mutable_selector()->set_domain(domain);
    request.mutable_list()->mutable_selector()->set_subdomains(subdomains);
    std::set<std::string> ids;
    for (const auto& entry : admin.listing(request))
        ids.insert(entry.queue_id());
    return ids;
}

/// Fails the first messages to a destination, as an agent that cannot connect.
void bring_down(TestPeer& smtpd, TestPeer& agent, const TestDaemon& daemon) {
    while (daemon.counter("destinations_down") == 0) {
        smtpd.submit("s@example.org", {"first@x.smtp.test"}, kText);
        auto job = agent.job();
        REQUIRE(job);
        const auto before = daemon.counter("deferred_total");
        agent.report(job->frame, wire::DeliveryResult::DEFERRED, "4.4.1", "no connection", true);
        REQUIRE(eventually([&] { return daemon.counter("deferred_total") > before; }));
    }
}

}  // namespace

TEST_CASE("of what waits for a destination that is down one message probes, and then all go", "[daemon]") {
    TestDaemon daemon("retry 1h\ndestination_dead_time 1s\ndestination_dead_time_max 2s\n");
    TestRouter router(daemon.run_dir());
    daemon.start();
    TestPeer smtpd = daemon.connect(wire::ROLE_SMTPD);
    TestPeer agent = daemon.connect(wire::ROLE_REMOTE_DELIVERY);
    agent.ready({wire::TRANSPORT_SMTP}, 100);
    bring_down(smtpd, agent, daemon);

    constexpr std::size_t kParked = 30;
    std::set<std::string> waiting;
    for (std::size_t i = 0; i < kParked; ++i)
        waiting.insert(smtpd.submit("s@example.org", {"user@x.smtp.test"}, kText));
    CHECK(eventually([&] { return daemon.counter("messages_active") == 0; }));
    // Twice the probe fails, and nobody else is tried.
    for (int i = 0; i < 2; ++i) {
        auto probe = agent.job();
        REQUIRE(probe);
        CHECK(waiting.erase(probe->frame.queue_id()) == 1);
        CHECK_FALSE(agent.job(300ms));
        agent.report(probe->frame, wire::DeliveryResult::DEFERRED, "4.4.1", "no connection", true);
    }
    // The third succeeds.
    auto probe = agent.job();
    REQUIRE(probe);
    CHECK(waiting.erase(probe->frame.queue_id()) == 1);
    agent.report(probe->frame, wire::DeliveryResult::RELAYED, "2.0.0", "ok");
    while (!waiting.empty()) {
        auto job = agent.job(3s);
        REQUIRE(job);
        CHECK(waiting.erase(job->frame.queue_id()) == 1);
        agent.report(job->frame, wire::DeliveryResult::RELAYED, "2.0.0", "ok");
    }
    CHECK(count(daemon.log(), "the destination is down; waiting for it") <= kParked);
    CHECK(count(daemon.log(), "destination_is_down") == 3);
    CHECK(count(daemon.log(), "destination_is_up") == 1);
    CHECK(daemon.stop() == 0);
}

TEST_CASE("what waits for a destination is given up at the end of its own life", "[daemon]") {
    TestDaemon daemon("retry 1h\ndestination_dead_time 20s\nlifetime 5s\n");
    TestRouter router(daemon.run_dir());
    daemon.start();
    TestPeer smtpd = daemon.connect(wire::ROLE_SMTPD);
    TestPeer agent = daemon.connect(wire::ROLE_REMOTE_DELIVERY);
    agent.ready({wire::TRANSPORT_SMTP}, 100);
    bring_down(smtpd, agent, daemon);
    const std::string id = smtpd.submit("", {"user@x.smtp.test"}, kText);
    CHECK(eventually([&] { return daemon.counter("messages_active") == 0; }));
    CHECK(listed(daemon, "x.smtp.test").count(id) == 1);
    // At the end of its life it does not wait for the destination any longer: it is given up.
    CHECK(eventually(
        [&] { return daemon.log().find("the destination cannot be reached") != std::string::npos; }, 10s));
    CHECK(daemon.stop() == 0);
}

TEST_CASE("a domain's messages are found before all have been read, and afterwards", "[daemon]") {
    TestDaemon daemon;
    TestRouter router(daemon.run_dir());
    constexpr std::uint32_t kMessages = 3000;
    const UnixMillis due = unix_millis_now() + 3'600'000;
    std::set<std::string> wanted;
    {
        AsSpoolOwner owner;
        Spool spool(daemon.spool_dir(), false);
        for (std::uint32_t i = 0; i < kMessages; ++i) {
            const std::string domain = "d" + std::to_string(i % 10) + ".smtp.test";
            wire::Envelope envelope;
            envelope.set_sender("s@example.org");
            envelope.set_arrival_ms(unix_millis_now());
            envelope.add_recipients()->set_address("user@" + domain);
            const QueueId id(due - 7'200'000 + i, i * 2'654'435'761U);
            auto made = spool.create(id, envelope);
            REQUIRE(made);
            const std::string header =
                queue_file::complete_header(made->header, 0, queue_file::content_hash(""));
            REQUIRE(::pwrite(made->file.get(), header.data(), header.size(), 0) == 128);
            std::filesystem::rename(daemon.spool_dir() + "/tmp/" + id.text(),
                                    daemon.spool_dir() + "/new/" + id.text());
            // One in three as a copy would leave it, one in three with a hint, one with that of two names.
            const std::uint32_t hints[] = {0, hint_of({domain}), hint_of({domain, "relay.test:25"})};
            REQUIRE(spool.wait_until(id, Folder::New, made->file, due, hints[i % 3]));
            if (i % 10 == 7) wanted.insert(id.text());
        }
    }
    daemon.start();
    CHECK(daemon.counter("messages_unread") == kMessages);
    CHECK(listed(daemon, "d7.smtp.test") == wanted);
    CHECK(listed(daemon, "smtp.test", true).size() == kMessages);
    CHECK(listed(daemon, "smtp.test").empty());
    CHECK(eventually([&] { return daemon.counter("messages_unread") == 0; }, 60s));
    CHECK(daemon.counter("messages_waiting") == kMessages);
    CHECK(listed(daemon, "d7.smtp.test") == wanted);
    CHECK(listed(daemon, "smtp.test", true).size() == kMessages);
    CHECK(daemon.log().find("queue_known messages=3000") != std::string::npos);
    CHECK(daemon.stop() == 0);
}
