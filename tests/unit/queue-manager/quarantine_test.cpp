// The real queue-manager with messages that the policy keeps back.

#include <catch2/catch.hpp>

#include <algorithm>
#include <fstream>
#include <functional>
#include <string>
#include <thread>
#include <vector>

#include "tests/unit/queue-manager/daemon_fixture.h"

using namespace postrider;
using namespace postrider::queue_manager::test;
using namespace std::chrono_literals;

namespace {

const std::string kHeldContent = "Received: by test\r\nSubject: suspicious\r\n\r\nbody\r\n";

wire::Envelope suspicious(const std::string& sender, const std::vector<std::string>& recipients) {
    wire::Envelope envelope;
    envelope.set_sender(sender);
    for (const auto& recipient : recipients) {
        envelope.add_recipients()->set_address(recipient);
        constexpr std::uint32_t kSuccess = 2;
        envelope.mutable_recipients(envelope.recipients_size() - 1)->set_notify(kSuccess);
    }
    envelope.set_quarantine_rule("policy:7");
    envelope.set_quarantine_reason("client in quarantine");
    return envelope;
}

std::string keep_back(TestPeer& smtpd, const std::string& sender,
                      const std::vector<std::string>& recipients) {
    const std::string id = smtpd.open(suspicious(sender, recipients), kHeldContent);
    REQUIRE_FALSE(id.empty());
    REQUIRE(smtpd.commit(id, kHeldContent).has_committed());
    return id;
}

wire::QueueRequest question(wire::Quarantine::Action action, const wire::Selector& selector = {},
                            bool dry_run = false) {
    wire::QueueRequest request;
    request.set_id(9);
    request.mutable_quarantine()->set_action(action);
    request.mutable_quarantine()->set_dry_run(dry_run);
    *request.mutable_quarantine()->mutable_selector() = selector;
    return request;
}

std::vector<wire::QueueEntry> listed(const TestDaemon& daemon, const wire::Selector& selector = {}) {
    TestPeer admin = daemon.connect(wire::ROLE_ADMIN);
    return admin.listing(question(wire::Quarantine::LIST, selector));
}

std::uint64_t changed(const TestDaemon& daemon, wire::Quarantine::Action action,
                      const wire::Selector& selector, bool dry_run = false) {
    TestPeer admin = daemon.connect(wire::ROLE_ADMIN);
    admin.send(question(action, selector, dry_run));
    while (true) {
        const auto answer = admin.answer();
        REQUIRE(answer.reply.has_quarantined());
        CHECK(answer.reply.quarantined().failed() == 0);
        if (!answer.reply.more()) return answer.reply.quarantined().messages();
    }
}

/// What an agent was given: the ids of the messages, and those that the reports to their sender speak of.
struct Taken {
    std::vector<std::string> messages;
    std::vector<std::string> reported;
    bool mixed = false;  // a message came behind a report
};

/// Relays all it is given until there have been `kept` messages and as many reports: each message wants one,
/// and an agent gets it as a job of its own, perhaps between those of the messages.
Taken relay_all(
    TestPeer& agent, std::size_t kept,
    const std::function<void(const Taken&)>& after_each = [](const Taken&) {}) {
    static const std::string kOriginal = "X-Postrider-Queue-ID: ";
    constexpr std::size_t kIdLength = 16;
    Taken taken;
    while (taken.messages.size() < kept || taken.reported.size() < kept) {
        auto job = agent.job();
        REQUIRE(job);
        if (job->frame.sender().empty()) {
            const std::string report = job->content();
            const std::size_t at = report.find(kOriginal);
            REQUIRE(at != std::string::npos);
            taken.reported.push_back(report.substr(at + kOriginal.size(), kIdLength));
        } else {
            taken.mixed |= !taken.reported.empty();
            taken.messages.push_back(job->frame.queue_id());
        }
        agent.report(job->frame, wire::DeliveryResult::RELAYED, "2.0.0", "250 ok");
        after_each(taken);
    }
    std::sort(taken.messages.begin(), taken.messages.end());
    std::sort(taken.reported.begin(), taken.reported.end());
    return taken;
}

wire::Selector by_id(const std::string& id) {
    wire::Selector selector;
    selector.add_queue_ids(id);
    return selector;
}

}  // namespace

TEST_CASE("what is kept back is acknowledged, listed, and goes to nobody until it is released", "[daemon]") {
    TestDaemon daemon;
    TestRouter router(daemon.run_dir());
    daemon.start();
    TestPeer smtpd = daemon.connect(wire::ROLE_SMTPD);
    TestPeer agent = daemon.connect(wire::ROLE_REMOTE_DELIVERY);
    agent.ready({wire::TRANSPORT_SMTP}, 10);
    const std::string id = keep_back(smtpd, "s@example.org", {"a@x.smtp.test", "b@x.smtp.test"});
    const std::string other = keep_back(smtpd, "", {"c@x.smtp.test"});
    CHECK(daemon.files("hold").size() == 2);
    CHECK(daemon.files("new").empty());
    CHECK_FALSE(agent.job(300ms));
    CHECK(router.questions() == 0);

    const auto entries = listed(daemon);
    REQUIRE(entries.size() == 2);
    CHECK(entries[0].queue_id() == id);
    CHECK(entries[0].state() == "quarantined");
    CHECK(entries[0].quarantine_rule() == "policy:7");
    CHECK(entries[0].quarantine_reason() == "client in quarantine");
    CHECK(entries[0].recipients_size() == 2);
    wire::Selector to;
    to.set_recipient("B@x.smtp.test");
    CHECK(listed(daemon, to).size() == 1);
    wire::Selector from_null;
    from_null.set_null_sender(true);
    REQUIRE(listed(daemon, from_null).size() == 1);
    CHECK(listed(daemon, from_null).front().queue_id() == other);
    wire::Selector nobody;
    nobody.set_sender("nobody@example.org");
    CHECK(listed(daemon, nobody).empty());

    // A restart changes nothing.
    daemon.kill_hard();
    daemon.start();
    CHECK(listed(daemon).size() == 2);
    TestPeer second = daemon.connect(wire::ROLE_REMOTE_DELIVERY);
    second.ready({wire::TRANSPORT_SMTP}, 10);
    CHECK_FALSE(second.job(300ms));

    CHECK(changed(daemon, wire::Quarantine::RELEASE, by_id(id), true) == 1);
    CHECK(daemon.files("hold").size() == 2);
    CHECK(changed(daemon, wire::Quarantine::RELEASE, by_id(id)) == 1);
    auto job = second.job();
    REQUIRE(job);
    CHECK(job->frame.queue_id() == id);
    CHECK(job->frame.deliveries_size() == 2);
    CHECK(job->content() == kHeldContent);
    second.report(job->frame, wire::DeliveryResult::RELAYED, "2.0.0", "250 ok");
    CHECK(changed(daemon, wire::Quarantine::RELEASE, by_id(id)) == 0);

    CHECK(changed(daemon, wire::Quarantine::DELETE, from_null) == 1);
    CHECK(daemon.files("hold").empty());
    CHECK(listed(daemon).empty());
    CHECK(daemon.counter("quarantine_released_total") == 1);
    CHECK(daemon.stop() == 0);
    for (const char* text : {" quarantined id=", "rule=policy:7", " released id=", " deleted id=", "by_uid="})
        CHECK_THAT(daemon.log(), Catch::Contains(text));
}

TEST_CASE("a message in quarantine that a crash left incomplete is put aside, not sent", "[daemon]") {
    TestDaemon daemon;
    TestRouter router(daemon.run_dir());
    daemon.start();
    TestPeer smtpd = daemon.connect(wire::ROLE_SMTPD);
    const std::string id = keep_back(smtpd, "s@example.org", {"a@x.smtp.test"});
    {
        AsSpoolOwner owner;
        // One octet of the content changes, as if it had not reached the disk.
        std::fstream file(daemon.spool_dir() + "/hold/" + id,
                          std::ios::in | std::ios::out | std::ios::binary);
        file.seekp(-3, std::ios::end);
        file.put('X');
        REQUIRE(file.flush());
    }
    TestPeer admin = daemon.connect(wire::ROLE_ADMIN);
    admin.send(question(wire::Quarantine::RELEASE, by_id(id)));
    const auto answer = admin.answer();
    CHECK(answer.reply.quarantined().messages() == 1);
    CHECK(answer.reply.quarantined().failed() == 1);
    CHECK(daemon.files("new").empty());
    CHECK(daemon.files("hold").empty());
    CHECK(daemon.files("corrupt").size() == 1);
    CHECK(daemon.stop() == 0);
}

TEST_CASE("killed while quarantine is released, the daemon loses nothing and doubles nothing", "[daemon]") {
    TestDaemon daemon;
    TestRouter router(daemon.run_dir());
    daemon.start();
    constexpr std::size_t kMessages = 40;
    std::vector<std::string> kept;
    {
        TestPeer smtpd = daemon.connect(wire::ROLE_SMTPD);
        for (std::size_t i = 0; i < kMessages; ++i)
            kept.push_back(keep_back(smtpd, "s@example.org", {"r" + std::to_string(i) + "@x.smtp.test"}));
    }
    std::sort(kept.begin(), kept.end());
    {
        TestPeer admin = daemon.connect(wire::ROLE_ADMIN);
        admin.send(question(wire::Quarantine::RELEASE));
        std::this_thread::sleep_for(15ms);
        daemon.kill_hard();
    }
    daemon.start();
    static_cast<void>(changed(daemon, wire::Quarantine::RELEASE, {}));
    TestPeer agent = daemon.connect(wire::ROLE_REMOTE_DELIVERY);
    agent.ready({wire::TRANSPORT_SMTP}, 100);
    const Taken taken = relay_all(agent, kMessages);
    CHECK(taken.messages == kept);
    CHECK(taken.reported == kept);
    CHECK_FALSE(agent.job(200ms));
    CHECK(daemon.files("hold").empty());
    CHECK(daemon.stop() == 0);
}

TEST_CASE("reports about released messages go between the messages and are no second copies", "[daemon]") {
    TestDaemon daemon;
    TestRouter router(daemon.run_dir());
    daemon.start();
    constexpr std::size_t kMessages = 8;
    std::vector<std::string> kept;
    TestPeer smtpd = daemon.connect(wire::ROLE_SMTPD);
    for (std::size_t i = 0; i < kMessages; ++i)
        kept.push_back(keep_back(smtpd, "s@example.org", {"a@x.smtp.test"}));
    std::sort(kept.begin(), kept.end());
    CHECK(changed(daemon, wire::Quarantine::RELEASE, {}) == kMessages);
    // One at a time, and each only when the report about the one before is there to be sent.
    TestPeer agent = daemon.connect(wire::ROLE_REMOTE_DELIVERY);
    agent.ready({wire::TRANSPORT_SMTP}, 1);
    const Taken taken = relay_all(agent, kMessages, [&](const Taken& so_far) {
        CHECK(eventually([&] { return daemon.counter("reports_total") == so_far.messages.size(); }));
    });
    CHECK(taken.mixed);
    CHECK(taken.messages == kept);
    CHECK(taken.reported == kept);
    CHECK_FALSE(agent.job(200ms));
    CHECK(daemon.stop() == 0);
}

TEST_CASE("a long release says how far it is, and a long listing goes on", "[daemon]") {
    TestDaemon daemon;
    TestRouter router(daemon.run_dir());
    daemon.start();
    constexpr std::uint64_t kMessages = 150;
    TestPeer smtpd = daemon.connect(wire::ROLE_SMTPD);
    for (std::uint64_t i = 0; i < kMessages; ++i)
        keep_back(smtpd, "s@example.org", {"a@x.smtp.test"});
    TestPeer admin = daemon.connect(wire::ROLE_ADMIN);
    // Nobody is found, and yet there is a sign of life for each batch.
    wire::Selector nobody;
    nobody.set_sender("nobody@example.org");
    std::size_t frames = 0;
    CHECK(admin.listing(question(wire::Quarantine::LIST, nobody), &frames).empty());
    CHECK(frames == 4);

    admin.send(question(wire::Quarantine::RELEASE));
    std::vector<std::uint64_t> so_far;
    for (bool more = true; more;) {
        const auto answer = admin.answer();
        so_far.push_back(answer.reply.quarantined().messages());
        more = answer.reply.more();
        // What is counted is done.
        CHECK(daemon.files("hold").size() <= kMessages - so_far.back());
    }
    CHECK(so_far == std::vector<std::uint64_t>{64, 128, kMessages});
    CHECK(changed(daemon, wire::Quarantine::RELEASE, {}) == 0);
    CHECK(daemon.stop() == 0);
}

TEST_CASE("messages with many recipients are listed in several batches, each once", "[daemon]") {
    TestDaemon daemon;
    TestRouter router(daemon.run_dir());
    daemon.start();
    std::vector<std::string> many;
    for (int i = 0; i < 8000; ++i)
        many.push_back("recipient-with-a-rather-long-name-" + std::to_string(i) + "@later.test");
    TestPeer smtpd = daemon.connect(wire::ROLE_SMTPD);
    TestPeer agent = daemon.connect(wire::ROLE_REMOTE_DELIVERY);
    std::vector<std::string> held;
    std::vector<std::string> queued;
    for (int i = 0; i < 5; ++i) {
        held.push_back(keep_back(smtpd, "s@example.org", many));
        // One that waits on disk, and one in memory, in turns.
        queued.push_back(smtpd.submit("s@example.org", many, kHeldContent));
        queued.push_back(smtpd.submit("s@example.org", {"a@x.smtp.test"}, kHeldContent));
    }
    CHECK(eventually([&] { return daemon.counter("messages_waiting") == 5; }));
    CHECK(daemon.counter("messages_active") == 5);
    const auto check = [&](const std::vector<wire::QueueEntry>& parts, const std::vector<std::string>& ids,
                           std::size_t expected) {
        std::vector<std::string> seen;
        std::size_t recipients = 0;
        for (const auto& part : parts) {
            if (seen.empty() || seen.back() != part.queue_id()) seen.push_back(part.queue_id());
            recipients += static_cast<std::size_t>(part.recipients_size());
        }
        CHECK(seen == ids);
        CHECK(recipients == expected);
    };
    TestPeer admin = daemon.connect(wire::ROLE_ADMIN);
    check(admin.listing(question(wire::Quarantine::LIST)), held, 5 * many.size());
    wire::QueueRequest all;
    all.set_id(1);
    all.mutable_list();
    // What is held is a part of the queue, and comes behind the rest.
    std::vector<std::string> ids = queued;
    ids.insert(ids.end(), held.begin(), held.end());
    check(admin.listing(all), ids, 10 * many.size() + 5);
    CHECK(daemon.stop() == 0);
}

TEST_CASE("who asks for a release and goes away does not stop it", "[daemon]") {
    TestDaemon daemon;
    TestRouter router(daemon.run_dir());
    daemon.start();
    TestPeer smtpd = daemon.connect(wire::ROLE_SMTPD);
    const std::string id = keep_back(smtpd, "s@example.org", {"a@x.smtp.test"});
    TestPeer agent = daemon.connect(wire::ROLE_REMOTE_DELIVERY);
    agent.ready({wire::TRANSPORT_SMTP}, 10);
    for (int i = 0; i < 100 && !daemon.files("hold").empty(); ++i) {
        TestPeer admin = daemon.connect(wire::ROLE_ADMIN);
        admin.send(question(wire::Quarantine::RELEASE, by_id(id)));
        std::this_thread::sleep_for(std::chrono::microseconds(200 * i));
    }
    auto job = agent.job();
    REQUIRE(job);
    CHECK(job->frame.queue_id() == id);
    agent.report(job->frame, wire::DeliveryResult::RELAYED, "2.0.0", "250 ok");
    CHECK(daemon.stop() == 0);
}
