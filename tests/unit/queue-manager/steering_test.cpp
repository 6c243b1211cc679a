// The real queue-manager, and an administrator who changes what is in the queue.

#include "queue-manager/steering.h"

#include <catch2/catch.hpp>

#include <string>
#include <thread>
#include <vector>

#include "tests/unit/queue-manager/daemon_fixture.h"

using namespace postrider;
using namespace postrider::queue_manager;
using namespace postrider::queue_manager::test;
using namespace std::chrono_literals;

namespace {

const std::string kSteeredContent = "Received: by test\r\nSubject: steered\r\n\r\nbody\r\n";

wire::QueueRequest steer_request(wire::Steer::Action action, const std::string& id = "",
                                 bool dry_run = false) {
    wire::QueueRequest request;
    request.set_id(9);
    request.mutable_steer()->set_action(action);
    request.mutable_steer()->set_dry_run(dry_run);
    request.mutable_steer()->set_login("tester");
    if (!id.empty()) request.mutable_steer()->mutable_selector()->add_queue_ids(id);
    return request;
}

/// Waits for the last frame of the answer.
wire::Steered steered(TestPeer& admin) {
    while (true) {
        const auto answer = admin.answer();
        INFO(answer.reply.failure().text());
        REQUIRE(answer.reply.has_steered());
        if (!answer.reply.more()) return answer.reply.steered();
    }
}

wire::Steered steer(const TestDaemon& daemon, const wire::QueueRequest& request) {
    TestPeer admin = daemon.connect(wire::ROLE_ADMIN);
    admin.send(request);
    return steered(admin);
}

std::vector<wire::QueueEntry> queue_of(const TestDaemon& daemon, wire::Place place = wire::PLACE_QUEUE) {
    TestPeer reader = daemon.connect_reader();
    wire::QueueRequest request;
    request.set_id(3);
    request.mutable_list()->set_place(place);
    return reader.listing(request);
}

wire::Flushed flush(const TestDaemon& daemon, const std::string& id) {
    TestPeer admin = daemon.connect(wire::ROLE_ADMIN);
    wire::QueueRequest request;
    request.set_id(4);
    if (id.empty())
        request.mutable_flush();
    else
        request.mutable_flush()->mutable_selector()->add_queue_ids(id);
    admin.send(request);
    return admin.answer().reply.flushed();
}

std::vector<std::string> trace_names(const TestDaemon& daemon, const std::string& id) {
    TestPeer reader = daemon.connect_reader();
    wire::QueueRequest request;
    request.set_id(5);
    request.mutable_trace()->set_queue_id(id);
    reader.send(request);
    std::vector<std::string> names;
    const auto answer = reader.answer();
    for (const auto& event : answer.reply.trace().events())
        names.push_back(event.event());
    return names;
}

void suspend(const TestDaemon& daemon, const std::string& domain, bool resume) {
    TestPeer admin = daemon.connect(wire::ROLE_ADMIN);
    wire::QueueRequest request;
    request.set_id(6);
    request.mutable_suspend()->add_domains(domain);
    request.mutable_suspend()->set_resume(resume);
    admin.send(request);
    const auto answer = admin.answer();
    REQUIRE(answer.reply.suspended().domains_size() == 1);
    CHECK(answer.reply.suspended().domains(0).domain() == domain);
}

TestPeer smtp_agent(const TestDaemon& daemon) {
    TestPeer agent = daemon.connect(wire::ROLE_REMOTE_DELIVERY);
    agent.ready({wire::TRANSPORT_SMTP}, 10);
    return agent;
}

/// A message whose recipient a@one.smtp.test has it, while b@two.smtp.test waits.
std::string half_delivered(const TestDaemon& daemon) {
    TestPeer smtpd = daemon.connect(wire::ROLE_SMTPD);
    TestPeer agent = smtp_agent(daemon);
    const std::string id =
        smtpd.submit("s@from.smtp.test", {"a@one.smtp.test", "b@two.smtp.test"}, kSteeredContent);
    for (int i = 0; i < 2; ++i) {
        auto job = agent.job();
        REQUIRE(job);
        const bool first = job->frame.deliveries(0).next_hop() == "one.smtp.test";
        if (first)
            agent.report(job->frame, wire::DeliveryResult::RELAYED, "2.0.0", "250 ok");
        else
            agent.report(job->frame, wire::DeliveryResult::DEFERRED, "4.2.2", "452 Mailbox full");
    }
    REQUIRE(eventually([&] { return daemon.files("cur").size() == 1; }));
    return id;
}

}  // namespace

TEST_CASE("what can be done depends on where a message is") {
    using Steer = wire::Steer;
    struct Case {
        wire::Place place;
        std::vector<Steer::Action> allowed;
    };
    for (const auto& test :
         {Case{wire::PLACE_QUEUE, {Steer::HOLD, Steer::RELEASE, Steer::FAIL, Steer::DELETE, Steer::REROUTE}},
          Case{wire::PLACE_FAILED, {Steer::DELETE, Steer::REQUEUE}},
          Case{wire::PLACE_CORRUPT, {Steer::DELETE}}}) {
        for (int action = Steer::Action_MIN; action <= Steer::Action_MAX; ++action) {
            wire::Steer asked;
            asked.set_place(test.place);
            asked.set_action(static_cast<Steer::Action>(action));
            const bool allowed =
                std::find(test.allowed.begin(), test.allowed.end(), action) != test.allowed.end();
            CHECK(check_steer(asked).has_value() == allowed);
        }
    }
    wire::Steer fail;
    fail.set_action(wire::Steer::FAIL);
    fail.set_text("no thanks");
    CHECK(check_steer(fail));
    fail.set_text("a\nb");
    CHECK_FALSE(check_steer(fail));
    fail.set_text(std::string(1000, 'x'));
    CHECK_FALSE(check_steer(fail));
}

TEST_CASE("a held message waits in hold/ until it is released, with all that its journal knows", "[daemon]") {
    TestDaemon daemon;
    TestRouter router(daemon.run_dir());
    daemon.start();
    const std::string id = half_delivered(daemon);
    CHECK(steer(daemon, steer_request(wire::Steer::HOLD, id, true)).messages() == 1);
    CHECK(daemon.files("hold").empty());
    const auto counts = steer(daemon, steer_request(wire::Steer::HOLD, id));
    CHECK(counts.messages() == 1);
    CHECK(counts.changed() == 1);
    CHECK(daemon.files("hold") == std::vector<std::string>{id});
    CHECK(daemon.files("cur").empty());
    for (int round = 0; round < 2; ++round) {
        const auto entries = queue_of(daemon);
        REQUIRE(entries.size() == 1);
        CHECK(entries[0].state() == "held");
        CHECK_THAT(entries[0].why(), Catch::Contains("held by an administrator (uid "));
        TestPeer agent = smtp_agent(daemon);
        const auto flushed = flush(daemon, id);
        CHECK(flushed.messages() == 0);
        CHECK(flushed.held() == 1);
        CHECK(flush(daemon, "").messages() == 0);
        CHECK_FALSE(agent.job(300ms));
        daemon.kill_hard();
        daemon.start();
    }
    CHECK(steer(daemon, steer_request(wire::Steer::RELEASE)).changed() == 1);
    CHECK(daemon.files("cur") == std::vector<std::string>{id});
    TestPeer agent = smtp_agent(daemon);
    CHECK(flush(daemon, id).messages() == 1);
    auto job = agent.job();
    REQUIRE(job);
    REQUIRE(job->frame.deliveries_size() == 1);
    CHECK(job->frame.deliveries(0).recipient() == "b@two.smtp.test");
    agent.report(job->frame, wire::DeliveryResult::RELAYED, "2.0.0", "250 ok");
    CHECK(eventually([&] { return daemon.files("cur").empty(); }));
    const std::vector<std::string> wanted = {"received", "resolved", "resolved", "relayed", "deferred",
                                             "held",     "released", "relayed",  "removed"};
    CHECK(eventually([&] { return trace_names(daemon, id).size() == wanted.size(); }));
    auto names = trace_names(daemon, id);
    if (names.size() > 4 && names[3] == "deferred") std::swap(names[3], names[4]);
    CHECK(names == wanted);
    for (const char* text :
         {" steer action=hold", "login=tester", "selector=\"--id ", " held id=", " released id="})
        CHECK_THAT(daemon.log(), Catch::Contains(text));
}

TEST_CASE("a message that is being attempted is changed when the results are in", "[daemon]") {
    TestDaemon daemon("retry 1s\n");
    TestRouter router(daemon.run_dir());
    daemon.start();
    TestPeer smtpd = daemon.connect(wire::ROLE_SMTPD);
    TestPeer agent = smtp_agent(daemon);
    const std::string id = smtpd.submit("s@from.smtp.test", {"a@one.smtp.test"}, kSteeredContent);
    auto job = agent.job();
    REQUIRE(job);
    TestPeer admin = daemon.connect(wire::ROLE_ADMIN);
    admin.send(steer_request(wire::Steer::HOLD, id));
    // While it waits it says so.
    const auto waiting = admin.answer();
    REQUIRE(waiting.reply.steered().waiting_for() == 1);
    CHECK(waiting.reply.more());
    CHECK(daemon.files("hold").empty());

    SECTION("it was deferred") {
        agent.report(job->frame, wire::DeliveryResult::DEFERRED, "4.2.0", "450 later");
        CHECK(steered(admin).changed() == 1);
        CHECK(daemon.files("hold").size() == 1);
        CHECK_FALSE(agent.job(1500ms));
    }
    SECTION("it was delivered") {
        agent.report(job->frame, wire::DeliveryResult::RELAYED, "2.0.0", "250 ok");
        const auto counts = steered(admin);
        CHECK(counts.changed() == 0);
        CHECK(counts.gone() == 1);
        CHECK(daemon.files("hold").empty());
        CHECK(queue_of(daemon).empty());
    }
    SECTION("its agent disappeared") {
        agent = daemon.connect(wire::ROLE_REMOTE_DELIVERY);
        CHECK(steered(admin).changed() == 1);
        agent.ready({wire::TRANSPORT_SMTP}, 10);
        CHECK_FALSE(agent.job(500ms));
    }
    SECTION("whoever asked is gone") {
        admin = daemon.connect(wire::ROLE_ADMIN);
        agent.report(job->frame, wire::DeliveryResult::DEFERRED, "4.2.0", "450 later");
        CHECK(eventually([&] { return daemon.files("hold").size() == 1; }));
    }
    SECTION("somebody else wants something else") {
        CHECK(steer(daemon, steer_request(wire::Steer::DELETE, id)).failed() == 1);
        agent.report(job->frame, wire::DeliveryResult::DEFERRED, "4.2.0", "450 later");
        CHECK(steered(admin).changed() == 1);
    }
    SECTION("the queue-manager dies: nothing was changed, and nothing is lost") {
        daemon.kill_hard();
        daemon.start();
        TestPeer again = smtp_agent(daemon);
        CHECK(again.job());
        CHECK(daemon.files("hold").empty());
    }
}

TEST_CASE("what fails by order is returned with the administrator's words, or to nobody", "[daemon]") {
    TestDaemon daemon;
    TestRouter router(daemon.run_dir());
    daemon.start();
    const std::string id = half_delivered(daemon);
    auto request = steer_request(wire::Steer::FAIL, id);
    request.mutable_steer()->set_text("please use the form");
    SECTION("told") {
        CHECK(steer(daemon, request).changed() == 1);
        TestPeer agent = smtp_agent(daemon);
        auto job = agent.job();
        REQUIRE(job);
        CHECK(job->frame.sender().empty());
        CHECK(job->frame.deliveries(0).recipient() == "s@from.smtp.test");
        const std::string report = job->content();
        CHECK_THAT(report, Catch::Contains("please use the form") && Catch::Contains("Status: 5.7.1"));
        CHECK_THAT(report, Catch::Contains("b@two.smtp.test") && !Catch::Contains("a@one.smtp.test"));
    }
    SECTION("silent") {
        request.mutable_steer()->set_silent(true);
        CHECK(steer(daemon, request).changed() == 1);
        TestPeer agent = smtp_agent(daemon);
        CHECK_FALSE(agent.job(500ms));
    }
    SECTION("held before, and with a status of its own") {
        CHECK(steer(daemon, steer_request(wire::Steer::HOLD, id)).changed() == 1);
        request.mutable_steer()->set_text("5.2.1 gone away");
        CHECK(steer(daemon, request).changed() == 1);
        CHECK(daemon.files("hold").empty());
        TestPeer agent = smtp_agent(daemon);
        auto job = agent.job();
        REQUIRE(job);
        CHECK_THAT(job->content(), Catch::Contains("Status: 5.2.1"));
    }
    CHECK(eventually([&] { return daemon.files("cur").empty(); }));
    CHECK(daemon.files("failed").empty());
}

TEST_CASE("a message that nobody could resolve can be failed, held and deleted", "[daemon]") {
    TestDaemon daemon;  // without a router
    daemon.start();
    TestPeer smtpd = daemon.connect(wire::ROLE_SMTPD);
    std::vector<std::string> ids;
    for (int i = 0; i < 3; ++i)
        ids.push_back(smtpd.submit("s@from.smtp.test", {"a@one.smtp.test"}, kSteeredContent));
    CHECK(steer(daemon, steer_request(wire::Steer::HOLD, ids[0])).changed() == 1);
    CHECK(steer(daemon, steer_request(wire::Steer::DELETE, ids[1])).changed() == 1);
    CHECK(steer(daemon, steer_request(wire::Steer::FAIL, ids[2])).changed() == 1);
    CHECK(eventually([&] { return daemon.counter("reports_total") == 1; }));
    CHECK(daemon.files("hold") == std::vector<std::string>{ids[0]});
    CHECK(trace_names(daemon, ids[1]) == std::vector<std::string>{"received", "deleted"});
    CHECK(steer(daemon, steer_request(wire::Steer::DELETE, ids[1])).messages() == 0);
    CHECK(steer(daemon, steer_request(wire::Steer::DELETE, ids[0])).changed() == 1);
    CHECK(daemon.files("hold").empty());
}

TEST_CASE("rerouted mail takes the new way, and nobody gets it twice", "[daemon]") {
    TestDaemon daemon;
    TestRouter router(daemon.run_dir());
    daemon.start();
    const std::string id = half_delivered(daemon);
    router.change_routes();
    CHECK(steer(daemon, steer_request(wire::Steer::REROUTE, id)).changed() == 1);
    SECTION("at once") {}
    SECTION("the queue-manager dies as soon as the order is written") {
        daemon.kill_hard();
        daemon.start();
    }
    TestPeer agent = smtp_agent(daemon);
    auto job = agent.job();
    REQUIRE(job);
    REQUIRE(job->frame.deliveries_size() == 1);
    CHECK(job->frame.deliveries(0).recipient() == "b@two.smtp.test");
    CHECK(job->frame.deliveries(0).next_hop() == "detour.smtp.test");
    agent.report(job->frame, wire::DeliveryResult::RELAYED, "2.0.0", "250 ok");
    CHECK(eventually([&] { return daemon.files("cur").empty() && daemon.files("new").empty(); }));
    CHECK_FALSE(agent.job(300ms));
}

TEST_CASE("what could not even be returned is tried again", "[daemon]") {
    TestDaemon daemon("double_bounce_to dump@dump.smtp.test\n");
    TestRouter router(daemon.run_dir());
    daemon.start();
    TestPeer smtpd = daemon.connect(wire::ROLE_SMTPD);
    TestPeer agent = smtp_agent(daemon);
    smtpd.submit("", {"a@one.smtp.test"}, kSteeredContent);
    auto job = agent.job();
    REQUIRE(job);
    agent.report(job->frame, wire::DeliveryResult::FAILED, "5.1.1", "550 who");
    // The message that tells the postmaster of it.
    job = agent.job();
    REQUIRE(job);
    CHECK(job->frame.deliveries(0).recipient() == "dump@dump.smtp.test");
    agent.report(job->frame, wire::DeliveryResult::FAILED, "5.1.1", "550 who");
    REQUIRE(eventually([&] { return daemon.files("failed").size() == 1; }));
    const std::string id = daemon.files("failed").front();
    const auto entries = queue_of(daemon, wire::PLACE_FAILED);
    REQUIRE(entries.size() == 1);
    CHECK(entries[0].state() == "failed");
    CHECK(queue_of(daemon).empty());
    auto request = steer_request(wire::Steer::REQUEUE, id);
    request.mutable_steer()->set_place(wire::PLACE_FAILED);
    CHECK(steer(daemon, request).changed() == 1);
    job = agent.job();
    REQUIRE(job);
    CHECK(job->frame.queue_id() == id);
    agent.report(job->frame, wire::DeliveryResult::FAILED, "5.1.1", "550 who");
    REQUIRE(eventually([&] { return daemon.files("failed").size() == 1; }));
    request.mutable_steer()->set_action(wire::Steer::DELETE);
    CHECK(steer(daemon, request).changed() == 1);
    CHECK(daemon.files("failed").empty());
}

TEST_CASE("a hold that a crash interrupted is completed, and a release can be repeated", "[daemon]") {
    TestDaemon daemon;
    TestRouter router(daemon.run_dir());
    daemon.start();
    const std::string id = half_delivered(daemon);
    daemon.kill_hard();
    {
        // As after a crash between record and rename: moved back by hand.
        AsSpoolOwner owner;
        Spool spool(daemon.spool_dir(), false);
        wire::OrderRecord hold;
        hold.set_action(wire::OrderRecord::HOLD);
        const auto queue_id = *QueueId::parse(id);
        auto folder = spool.carry_out(queue_id, Folder::Cur, false, hold);
        REQUIRE(folder);
        CHECK(*folder == Folder::Hold);
        auto file = spool.open_writable(queue_id, Folder::Hold);
        REQUIRE(file);
        REQUIRE(spool.move_to_corrupt(queue_id, Folder::Hold));
    }
    {
        AsSpoolOwner owner;
        const std::string from = daemon.spool_dir() + "/corrupt/" + id;
        const std::string to = daemon.spool_dir() + "/new/" + id;
        REQUIRE(::rename(from.c_str(), to.c_str()) == 0);
    }
    daemon.start();
    TestPeer agent = smtp_agent(daemon);
    CHECK(eventually([&] { return daemon.files("hold").size() == 1; }));
    CHECK_FALSE(agent.job(300ms));
    daemon.kill_hard();
    {
        AsSpoolOwner owner;
        Spool spool(daemon.spool_dir(), false);
        wire::OrderRecord release;
        release.set_action(wire::OrderRecord::RELEASE);
        const auto queue_id = *QueueId::parse(id);
        auto folder = spool.carry_out(queue_id, Folder::Hold, false, release);
        REQUIRE(folder);
        CHECK(*folder == Folder::Cur);
        REQUIRE(spool.move_to_hold(queue_id, Folder::Cur));
    }
    daemon.start();
    CHECK(eventually([&] { return queue_of(daemon).size() == 1; }));
    CHECK(queue_of(daemon)[0].state() == "held");
    CHECK(steer(daemon, steer_request(wire::Steer::RELEASE, id)).changed() == 1);
    CHECK(
        eventually([&] { return queue_of(daemon).size() == 1 && queue_of(daemon)[0].state() == "waiting"; }));
}

TEST_CASE("no attempt is made for a suspended domain until it is resumed", "[daemon]") {
    TestDaemon daemon;
    TestRouter router(daemon.run_dir());
    daemon.start();
    suspend(daemon, "one.smtp.test", false);
    TestPeer smtpd = daemon.connect(wire::ROLE_SMTPD);
    const std::string id = smtpd.submit("s@from.smtp.test", {"a@one.smtp.test"}, kSteeredContent);
    {
        TestPeer agent = smtp_agent(daemon);
        CHECK_FALSE(agent.job(300ms));
        smtpd.submit("s@from.smtp.test", {"a@other.smtp.test"}, kSteeredContent);
        auto job = agent.job();
        REQUIRE(job);
        agent.report(job->frame, wire::DeliveryResult::RELAYED, "2.0.0", "250 ok");
        const auto flushed = flush(daemon, id);
        CHECK(flushed.messages() == 0);
        CHECK(flushed.suspended() == 1);
        CHECK_FALSE(agent.job(300ms));
    }
    daemon.kill_hard();
    daemon.start();
    TestPeer agent = smtp_agent(daemon);
    CHECK_FALSE(agent.job(500ms));
    REQUIRE(eventually(
        [&] { return queue_of(daemon).size() == 1 && queue_of(daemon)[0].state() == "suspended"; }));
    CHECK(queue_of(daemon)[0].why() == "its domain is suspended");
    suspend(daemon, "one.smtp.test", true);
    auto job = agent.job();
    REQUIRE(job);
    CHECK(job->frame.queue_id() == id);
}

TEST_CASE("what waits for an agent is taken back when its domain is suspended", "[daemon]") {
    TestDaemon daemon;
    TestRouter router(daemon.run_dir());
    daemon.start();
    TestPeer smtpd = daemon.connect(wire::ROLE_SMTPD);
    smtpd.submit("s@from.smtp.test", {"a@one.smtp.test", "b@two.smtp.test"}, kSteeredContent);
    REQUIRE(eventually([&] { return daemon.counter("deliveries_ready") == 2; }));
    suspend(daemon, "one.smtp.test", false);
    TestPeer agent = smtp_agent(daemon);
    auto job = agent.job();
    REQUIRE(job);
    CHECK(job->frame.deliveries(0).next_hop() == "two.smtp.test");
    CHECK_FALSE(agent.job(300ms));
    suspend(daemon, "one.smtp.test", true);
    job = agent.job();
    REQUIRE(job);
    CHECK(job->frame.deliveries(0).next_hop() == "one.smtp.test");
    CHECK_FALSE(agent.job(300ms));
}

TEST_CASE("a reader may look, on the socket for readers, and nothing else", "[daemon]") {
    TestDaemon daemon;
    TestRouter router(daemon.run_dir());
    daemon.start();
    const std::string id = half_delivered(daemon);
    CHECK(queue_of(daemon).size() == 1);
    struct Case {
        wire::Role role;
        bool read_socket;
        wire::QueueRequest request;
    };
    wire::QueueRequest list;
    list.mutable_list();
    wire::QueueRequest open;
    open.mutable_open_file()->set_queue_id(id);
    for (const auto& test : {Case{wire::ROLE_READER, true, steer_request(wire::Steer::DELETE, id)},
                             Case{wire::ROLE_READER, true, open},
                             Case{wire::ROLE_ADMIN, true, steer_request(wire::Steer::DELETE, id)},
                             Case{wire::ROLE_ADMIN, true, list}, Case{wire::ROLE_READER, false, list}}) {
        TestPeer peer = test.read_socket ? daemon.connect_reader(test.role) : daemon.connect(test.role);
        peer.send(test.request);
        CHECK(peer.disconnected());
    }
    CHECK_THAT(daemon.log(), Catch::Contains("socket=queue-read.sock") &&
                                 Catch::Contains("sent a frame that its role may not send"));
    CHECK(queue_of(daemon).size() == 1);
}

TEST_CASE("destinations and the shape of the queue are told from memory", "[daemon]") {
    TestDaemon daemon("destination_failures 1\ndestination_concurrency_initial 1\n");
    TestRouter router(daemon.run_dir());
    daemon.start();
    TestPeer smtpd = daemon.connect(wire::ROLE_SMTPD);
    TestPeer agent = smtp_agent(daemon);
    // As many failures as make it down.
    for (int i = 0; i < 12; ++i)
        smtpd.submit("s@from.smtp.test", {"a@down.smtp.test"}, kSteeredContent);
    while (auto job = agent.job(500ms))
        agent.report(job->frame, wire::DeliveryResult::DEFERRED, "4.4.1", "connection refused", true);
    REQUIRE(eventually([&] { return daemon.counter("destinations_down") == 1; }));
    REQUIRE(eventually([&] { return daemon.files("cur").size() == 12; }));
    TestPeer reader = daemon.connect_reader();
    wire::QueueRequest request;
    request.set_id(7);
    request.mutable_destinations()->set_name("down.smtp.test");
    reader.send(request);
    auto answer = reader.answer();
    REQUIRE(answer.reply.destinations().destinations_size() == 1);
    const auto& state = answer.reply.destinations().destinations(0);
    CHECK(state.state() == "down");
    CHECK(state.waiting() == 12);
    CHECK(state.last_reply() == "4.4.1 connection refused");
    CHECK(state.next_probe_ms() > state.last_failure_ms());
    for (const bool senders : {false, true}) {
        request.mutable_shape()->set_senders(senders);
        reader.send(request);
        answer = reader.answer();
        CHECK(answer.reply.shape().total().counts(0) == 12);
        REQUIRE(answer.reply.shape().rows_size() == 1);
        CHECK(answer.reply.shape().rows(0).name() == (senders ? "from.smtp.test" : "down.smtp.test"));
        CHECK(answer.reply.shape().rows(0).counts(0) == 12);
    }
}
