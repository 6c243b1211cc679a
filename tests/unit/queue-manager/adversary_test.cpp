// Peers that were taken over: each sends random and mutated frames in its role, as fast as it can. The real
// queue-manager has to live, to stay small, and to do nothing for a peer that its role may not do.
//
//     unit_queue_manager "[million]"     a million frames in each role

#include <catch2/catch.hpp>
#include <fmt/format.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <cstring>
#include <fstream>
#include <set>

#include "libcommon/ipc/channel.h"
#include "libcommon/ipc/packet.h"
#include "queue-manager/dispatcher.h"
#include "tests/unit/queue-manager/daemon_fixture.h"
#include "tests/unit/queue-manager/frame_maker.h"

using namespace postrider;
using namespace postrider::queue_manager;
using namespace postrider::queue_manager::test;

namespace {

struct Attack {
    std::size_t frames = 0;
    std::size_t connections = 0;
    std::size_t answers = 0;
    std::set<wire::Transport> transports;  // of the deliveries that were offered
};

/// Takes what the queue-manager said; false when it has hung up.
bool read_answers(const Fd& socket, FrameMaker& maker, Attack& attack) {
    static std::string block(ipc::kMaxFrame, '\0');
    while (true) {
        auto packet = ipc::receive_packet(socket, block, MSG_DONTWAIT);
        if (packet.error == EAGAIN) return true;
        if (packet.error != 0 || packet.size == 0) return false;
        ++attack.answers;
        wire::QueueReply reply;
        REQUIRE(reply.ParseFromArray(block.data(), static_cast<int>(packet.size)));
        if (reply.has_opened()) maker.learn(reply.opened().queue_id());
        if (!reply.has_deliver()) continue;
        maker.learn_job(reply.deliver().job(), reply.deliver().queue_id());
        for (const auto& delivery : reply.deliver().deliveries())
            attack.transports.insert(delivery.transport());
    }
}

/// One connection: until the queue-manager hangs up, or all frames are sent.
void attack_once(const TestDaemon& daemon, wire::Role role, std::size_t frames, FrameMaker& maker,
                 Attack& attack) {
    TestPeer peer(daemon.run_dir(), role);
    ++attack.connections;
    while (attack.frames < frames) {
        const std::string frame = maker.next();
        int error = ipc::send_packet(peer.socket(), frame, Fd(), MSG_DONTWAIT);
        while (error == EAGAIN) {
            if (!read_answers(peer.socket(), maker, attack)) return;
            pollfd waiting{peer.socket().get(), POLLIN | POLLOUT, 0};
            REQUIRE(::poll(&waiting, 1, 10'000) > 0);
            error = ipc::send_packet(peer.socket(), frame, Fd(), MSG_DONTWAIT);
        }
        if (error != 0) return;
        ++attack.frames;
        if (!read_answers(peer.socket(), maker, attack)) return;
    }
}

std::size_t resident_mib(const TestDaemon& daemon) {
    std::ifstream status(fmt::format("/proc/{}/status", daemon.pid()));
    std::string line;
    while (std::getline(status, line)) {
        if (line.starts_with("VmRSS:")) return std::stoul(line.substr(std::strlen("VmRSS:"))) / 1024;
    }
    return 0;
}

std::string state_of(const TestDaemon& daemon, const std::string& id) {
    TestPeer admin = daemon.connect(wire::ROLE_ADMIN);
    wire::QueueRequest request;
    request.set_id(1);
    request.mutable_list()->mutable_selector()->add_queue_ids(id);
    const auto entries = admin.listing(request);
    if (entries.empty()) return "gone";
    return entries.front().recipients(0).state();
}

void attack_in(wire::Role role, std::size_t frames) {
    TestDaemon daemon("intake_journal_max 48k\n");
    TestRouter router(daemon.run_dir());
    daemon.start();
    const auto plant = [&](const std::string& recipient, bool kept_back) {
        TestPeer smtpd = daemon.connect(wire::ROLE_SMTPD);
        wire::Envelope envelope;
        envelope.set_sender("sender@s.smtp.test");
        envelope.add_recipients()->set_address(recipient);
        if (kept_back) envelope.set_quarantine_rule("policy:1");
        const std::string id = smtpd.open(envelope);
        REQUIRE(smtpd.commit_small(id, "Subject: planted\r\n\r\n").has_committed());
        return id;
    };
    const std::string remote = plant("victim@a.smtp.test", false);
    const std::string local = plant("victim@b.local.test", false);
    const std::string kept_back = plant("victim@b.local.test", true);
    REQUIRE(eventually([&] { return state_of(daemon, local) == "active"; }));
    REQUIRE(eventually([&] { return state_of(daemon, remote) == "active"; }));

    FrameMaker maker(role, {remote, local, kept_back});
    Attack attack;
    while (attack.frames < frames)
        attack_once(daemon, role, frames, maker, attack);

    INFO("role " << role << ": " << attack.frames << " frames over " << attack.connections << " connections");
    // It lives, and it is the process that was attacked.
    CHECK(daemon.counter("committed_total") >= 3);
    CHECK(daemon.alive());
    const std::size_t resident = resident_mib(daemon);
    CHECK(resident < 512);
    if (frames >= 1'000'000) {
        fmt::print("role {}: {} frames, {} connections, {} answers, {} MiB resident\n",
                   static_cast<int>(role), attack.frames, attack.connections, attack.answers, resident);
    }
    if (role == wire::ROLE_ADMIN) return;
    // Whatever became of what was its own, nothing else was touched.
    CHECK(daemon.files("hold").size() >= 1);
    const auto held = daemon.files("hold");
    CHECK(std::find(held.begin(), held.end(), kept_back) != held.end());
    if (role != wire::ROLE_REMOTE_DELIVERY) CHECK(state_of(daemon, remote) == "active");
    if (role != wire::ROLE_LOCAL_DELIVERY) CHECK(state_of(daemon, local) == "active");
    for (const auto transport : attack.transports) {
        CHECK(transports_of(role).test(static_cast<std::size_t>(transport)));
    }
}

void attack_in_every_role(std::size_t frames) {
    for (const auto role : {wire::ROLE_NONE, wire::ROLE_SMTPD, wire::ROLE_LOCAL_DELIVERY,
                            wire::ROLE_REMOTE_DELIVERY, wire::ROLE_QUEUE_MANAGER, wire::ROLE_ADMIN}) {
        attack_in(role, frames);
    }
}

}  // namespace

TEST_CASE("a peer that sends anything gets no further than its role") {
    attack_in_every_role(10'000);
}

TEST_CASE("the same with a million frames in each role", "[.][million]") {
    attack_in_every_role(1'000'000);
}
