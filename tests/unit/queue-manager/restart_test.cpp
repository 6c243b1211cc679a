// What a real queue-manager finds again after it was stopped or killed.

#include <catch2/catch.hpp>

#include <filesystem>
#include <fstream>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "libcommon/base/clock.h"
#include "queue-manager/spool.h"
#include "tests/unit/queue-manager/daemon_fixture.h"

using namespace postrider;
using namespace postrider::queue_manager;
using namespace postrider::queue_manager::test;
using namespace std::chrono_literals;

namespace {

const std::string kContent = "Subject: hello\r\n\r\nbody\r\n";

TestPeer remote_agent(const TestDaemon& daemon, std::uint32_t capacity = 100) {
    TestPeer agent = daemon.connect(wire::ROLE_REMOTE_DELIVERY);
    agent.ready({wire::TRANSPORT_SMTP}, capacity);
    return agent;
}

std::vector<wire::QueueEntry> list(const TestDaemon& daemon) {
    TestPeer admin = daemon.connect(wire::ROLE_ADMIN);
    wire::QueueRequest request;
    request.set_id(1);
    request.mutable_list();
    return admin.listing(request);
}

}  // namespace

TEST_CASE("ten thousand waiting messages come back with their times, recipients and order", "[daemon]") {
    TestDaemon daemon;
    constexpr std::uint32_t kMessages = 10'000;
    std::vector<std::string> ids;
    UnixMillis due = unix_millis_now() + 3'600'000;
    {
        AsSpoolOwner owner;
        Spool spool(daemon.spool_dir(), false);
        for (std::uint32_t i = 0; i < kMessages; ++i) {
            wire::Envelope envelope;
            envelope.set_sender("s@example.org");
            envelope.set_arrival_ms(unix_millis_now());
            envelope.add_recipients()->set_address("user" + std::to_string(i) + "@x.smtp.test");
            QueueId id(due - 7'200'000 + i, i * 2'654'435'761U);
            auto incoming = spool.create(id, envelope);
            REQUIRE(incoming);
            // Without the sync: this is not about a power cut.
            std::string header =
                queue_file::complete_header(incoming->header, 0, queue_file::content_hash(""));
            REQUIRE(::pwrite(incoming->file.get(), header.data(), header.size(), 0) == 128);
            std::string name = "/" + id.text();
            std::filesystem::rename(daemon.spool_dir() + "/tmp" + name, daemon.spool_dir() + "/new" + name);
            REQUIRE(spool.wait_until(id, Folder::New, incoming->file, due + i));
            ids.push_back(id.text());
        }
    }
    daemon.start();
    CHECK(daemon.counter("messages_waiting") == kMessages);
    auto entries = list(daemon);
    REQUIRE(entries.size() == kMessages);
    for (std::uint32_t i = 0; i < kMessages; ++i) {
        CHECK(entries[i].queue_id() == ids[i]);
        CHECK(entries[i].recipients(0).address() == "user" + std::to_string(i) + "@x.smtp.test");
        CHECK(entries[i].state() == "waiting");
        CHECK(entries[i].next_attempt_ms() == due + i);
    }
    CHECK(daemon.stop() == 0);
}

TEST_CASE("after a kill delivered recipients stay delivered and the router is not asked again", "[daemon]") {
    TestDaemon daemon("retry 2s\n");
    TestRouter router(daemon.run_dir());
    daemon.start();
    std::string id;
    {
        TestPeer smtpd = daemon.connect(wire::ROLE_SMTPD);
        TestPeer agent = remote_agent(daemon);
        id = smtpd.submit("s@example.org", {"a@one.smtp.test", "b@two.smtp.test", "c@three.smtp.test"},
                          kContent);
        std::map<std::string, TestPeer::Job> jobs;
        for (int i = 0; i < 3; ++i) {
            auto job = agent.job();
            REQUIRE(job);
            std::string next_hop = job->frame.deliveries(0).next_hop();
            jobs.emplace(next_hop, std::move(*job));
        }
        agent.report(jobs.at("one.smtp.test").frame, wire::DeliveryResult::RELAYED, "2.0.0", "ok");
        agent.report(jobs.at("two.smtp.test").frame, wire::DeliveryResult::DEFERRED, "4.2.0", "busy");
        // The third is still in flight when the daemon dies.
        CHECK(eventually([&] { return daemon.counter("deferred_total") == 1; }));
        daemon.kill_hard();
    }
    std::size_t asked = router.questions();
    daemon.start();
    TestPeer agent = remote_agent(daemon);
    std::set<std::string> tried;
    for (int i = 0; i < 2; ++i) {
        auto job = agent.job();
        REQUIRE(job);
        CHECK(job->frame.queue_id() == id);
        for (const auto& delivery : job->frame.deliveries())
            tried.insert(delivery.recipient());
        agent.report(job->frame, wire::DeliveryResult::RELAYED, "2.0.0", "ok");
    }
    CHECK(tried == std::set<std::string>{"b@two.smtp.test", "c@three.smtp.test"});
    CHECK(router.questions() == asked);
    CHECK(eventually([&] { return spool_is_empty(daemon); }));
    CHECK(daemon.stop() == 0);
}

TEST_CASE("an agent that outlived the daemon can still report what it did", "[daemon]") {
    TestDaemon daemon("retry 1h\n");
    TestRouter router(daemon.run_dir());
    daemon.start();
    wire::DeliverJob job;
    {
        TestPeer smtpd = daemon.connect(wire::ROLE_SMTPD);
        TestPeer agent = remote_agent(daemon);
        smtpd.submit("s@example.org", {"a@x.smtp.test"}, kContent);
        auto offered = agent.job();
        REQUIRE(offered);
        job = offered->frame;
        daemon.kill_hard();
    }
    daemon.start();
    {
        // One of another role is not believed.
        TestPeer local = daemon.connect(wire::ROLE_LOCAL_DELIVERY);
        local.report(job, wire::DeliveryResult::DELIVERED, "2.0.0", "ok");
        TestPeer agent = daemon.connect(wire::ROLE_REMOTE_DELIVERY);
        agent.report(job, wire::DeliveryResult::RELAYED, "2.0.0", "ok");
        CHECK(eventually([&] { return spool_is_empty(daemon); }));
        CHECK(daemon.counter("relayed_total") == 1);
        CHECK(daemon.counter("delivered_total") == 0);
    }
    CHECK(daemon.stop() == 0);
}

TEST_CASE("killed at random, the daemon delivers all it acknowledged and nothing it did not", "[daemon]") {
    constexpr int kRounds = 6;
    for (int round = 0; round < kRounds; ++round) {
        TestDaemon daemon("retry 1s\n");
        TestRouter router(daemon.run_dir());
        daemon.start();
        std::set<std::string> acknowledged;
        std::set<std::string> delivered;
        {
            TestPeer smtpd = daemon.connect(wire::ROLE_SMTPD);
            TestPeer agent = remote_agent(daemon, 20);
            auto end = std::chrono::steady_clock::now() + std::chrono::milliseconds(100 + 130 * round);
            while (std::chrono::steady_clock::now() < end) {
                acknowledged.insert(
                    smtpd.submit("s@o.smtp.test", {"a@one.smtp.test", "b@two.smtp.test"}, kContent));
                while (auto job = agent.job(0ms)) {
                    auto outcome = job->frame.job() % 3 == 0 ? wire::DeliveryResult::DEFERRED
                                                             : wire::DeliveryResult::RELAYED;
                    if (outcome == wire::DeliveryResult::RELAYED) {
                        delivered.insert(job->frame.queue_id() + job->frame.deliveries(0).recipient());
                    }
                    agent.report(job->frame, outcome, "2.0.0", "ok");
                }
            }
            daemon.kill_hard();
        }
        daemon.start();
        TestPeer agent = remote_agent(daemon, 20);
        bool emptied = eventually(
            [&] {
                while (auto job = agent.job(1ms)) {
                    CHECK(acknowledged.count(job->frame.queue_id()) == 1);
                    CHECK(job->content() == kContent);
                    delivered.insert(job->frame.queue_id() + job->frame.deliveries(0).recipient());
                    agent.report(job->frame, wire::DeliveryResult::RELAYED, "2.0.0", "ok");
                }
                return spool_is_empty(daemon);
            },
            30s);
        CHECK(emptied);
        for (const auto& id : acknowledged) {
            CHECK(delivered.count(id + "a@one.smtp.test") == 1);
            CHECK(delivered.count(id + "b@two.smtp.test") == 1);
        }
        CHECK(daemon.files("corrupt").empty());
        CHECK(daemon.stop() == 0);
    }
}

TEST_CASE("a file that is no message is put aside and nothing else suffers", "[daemon]") {
    TestDaemon daemon;
    TestRouter router(daemon.run_dir());
    daemon.start();
    TestPeer smtpd = daemon.connect(wire::ROLE_SMTPD);
    std::string good = smtpd.submit("s@example.org", {"a@x.smtp.test"}, kContent);
    std::string cut = smtpd.submit("s@example.org", {"a@x.smtp.test"}, kContent);
    CHECK(daemon.stop() == 0);
    std::filesystem::resize_file(daemon.spool_dir() + "/new/" + cut, 150);
    std::string strange(16, 'Z');
    std::ofstream(daemon.spool_dir() + "/new/" + strange) << "no message";
    std::filesystem::permissions(daemon.spool_dir() + "/new/" + strange, std::filesystem::perms(0666));
    daemon.start();
    TestPeer agent = remote_agent(daemon);
    auto job = agent.job();
    REQUIRE(job);
    CHECK(job->frame.queue_id() == good);
    agent.report(job->frame, wire::DeliveryResult::RELAYED, "2.0.0", "ok");
    CHECK(eventually([&] { return spool_is_empty(daemon); }));
    INFO(daemon.log());
    CHECK(daemon.files("corrupt") == std::vector<std::string>{cut, strange});
    CHECK_THAT(daemon.log(), Catch::Contains("corrupt_message"));
    CHECK(daemon.stop() == 0);
}

TEST_CASE("off for longer than a message lives, it is tried once before it is returned", "[daemon]") {
    TestDaemon daemon("lifetime 1s\nretry 1h\n");
    TestRouter router(daemon.run_dir());
    daemon.start();
    {
        TestPeer smtpd = daemon.connect(wire::ROLE_SMTPD);
        smtpd.submit("s@o.smtp.test", {"a@x.smtp.test"}, kContent);
    }
    CHECK(daemon.stop() == 0);
    std::this_thread::sleep_for(1500ms);
    daemon.start();
    TestPeer agent = remote_agent(daemon);
    auto job = agent.job();
    REQUIRE(job);
    CHECK(job->frame.sender() == "s@o.smtp.test");
    agent.report(job->frame, wire::DeliveryResult::DEFERRED, "4.4.1", "refused", true);
    auto report = agent.job();
    REQUIRE(report);
    CHECK(report->frame.sender().empty());
    CHECK_THAT(report->content(), Catch::Contains("5.4.7"));
    agent.report(report->frame, wire::DeliveryResult::RELAYED, "2.0.0", "ok");
    CHECK(eventually([&] { return spool_is_empty(daemon); }));
    CHECK(daemon.stop() == 0);
}
