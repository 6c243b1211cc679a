#include "libcommon/ipc/server.h"

#include <catch2/catch.hpp>
#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cstdlib>
#include <string>
#include <thread>

#include "libcommon/ipc/client.h"
#include "libcommon/ipc/packet.h"
#include "tests/unit/async/run.h"

using namespace postrider;
using namespace postrider::async;

namespace {

using Request = wire::QueueRequest;
using Reply = wire::QueueReply;
using QueuePeer = ipc::Peer<Reply>;
using QueueClient = ipc::Client<Request, Reply>;

/// A server that answers Flush with a number, QueueStatus with three frames, Etrn with four that take their
/// time, and breaks on anything else.
struct TestHandler {
    Loop& loop;
    void on_connect(QueuePeer& peer) {
        ++connected;
        Reply notice;
        notice.mutable_intake()->set_accepting(true);
        peer.reply(notice);
    }
    Result<void> on_request(QueuePeer& peer, Request&& request, std::vector<Fd> descriptors) {
        if (!descriptors.empty()) return permanent("sent a descriptor that nobody asked for");
        if (request.has_flush()) {
            Reply reply;
            reply.set_id(request.id());
            reply.mutable_flushed()->set_messages(
                static_cast<std::uint64_t>(request.flush().selector().queue_ids_size()));
            peer.reply(reply, Fd(::open("/dev/null", O_RDONLY | O_CLOEXEC)));
            return {};
        }
        if (request.has_status()) {
            for (int n = 0; n < 3; ++n) {
                Reply reply;
                reply.set_id(request.id());
                reply.set_more(n < 2);
                reply.mutable_state();
                peer.reply(reply);
            }
            return {};
        }
        if (request.has_list()) {
            peer.fail(request.id(), Error(Severity::Permanent, "no such message"));
            return {};
        }
        if (request.has_abort()) return {};  // never answers
        if (request.has_etrn()) {
            peer.scope().spawn(answer_slowly(loop, peer, request.id()));
            return {};
        }
        return permanent("may not send this");
    }
    void on_disconnect(QueuePeer&) { ++disconnected; }
    static Task<void> answer_slowly(Loop& loop, QueuePeer& peer, std::uint64_t id) {
        for (int n = 0; n < 4; ++n) {
            co_await Sleep(loop, Milliseconds(150));
            Reply reply;
            reply.set_id(id);
            reply.set_more(n < 3);
            reply.mutable_flushed();
            peer.reply(reply);
        }
    }
    int connected = 0;
    int disconnected = 0;
};

struct ScratchDirectory {
    ScratchDirectory() {
        char name[] = "/tmp/postrider-ipc-XXXXXX";
        path = ::mkdtemp(name);
        REQUIRE(::chdir(path.c_str()) == 0);
    }
    ~ScratchDirectory() {
        static_cast<void>(::unlink("test.sock"));
        static_cast<void>(::chdir("/"));
        static_cast<void>(::rmdir(path.c_str()));
    }
    std::string path;
};

constexpr int kQuestions = 20'000;

using TestServer = ipc::Server<Request, Reply, TestHandler>;

Fd listening() {
    auto socket = ipc::listen_seqpacket("test.sock", 0600);
    REQUIRE(socket.has_value());
    return std::move(*socket);
}

Task<void> wait_for(Loop& loop, const int& value, int wanted) {
    for (int tries = 0; tries < 500 && value != wanted; ++tries)
        co_await Sleep(loop, Milliseconds(2));
    CHECK(value == wanted);
}

Task<void> ask_everything(Loop& loop, QueueClient& client, int& notices) {
    auto deadline = loop.after(Milliseconds(5000));
    bool connected = co_await client.wait_connected(deadline);
    REQUIRE(connected);
    Request flush;
    flush.mutable_flush()->mutable_selector()->add_queue_ids("A");
    auto flushed = co_await client.call(flush, deadline);
    REQUIRE(flushed.has_value());
    CHECK(flushed->reply.flushed().messages() == 1);
    CHECK(flushed->descriptors.size() == 1);
    CHECK(notices == 1);

    Request status;
    status.mutable_status();
    auto states = co_await client.call_all(status, deadline);
    REQUIRE(states.has_value());
    CHECK(states->size() == 3);

    // Each frame may take that long, not all together.
    Request etrn;
    etrn.mutable_etrn();
    auto parts = co_await client.call_all(etrn, Milliseconds(400));
    REQUIRE(parts.has_value());
    CHECK(parts->size() == 4);
    auto too_slow = co_await client.call_all(etrn, Milliseconds(10));
    REQUIRE_FALSE(too_slow.has_value());
    CHECK(too_slow.error().text == "no answer from test.sock");

    Request list;
    list.mutable_list();
    auto refused = co_await client.call(list, deadline);
    REQUIRE_FALSE(refused.has_value());
    CHECK(refused.error().text == "no such message");
    CHECK_FALSE(refused.error().temporary());

    Request unanswered;
    unanswered.mutable_abort();
    auto late = co_await client.call(unanswered, loop.after(Milliseconds(10)));
    REQUIRE_FALSE(late.has_value());
    CHECK(late.error().temporary());

    Request forbidden;
    forbidden.mutable_commit();
    auto cut_off = co_await client.call(forbidden, deadline);
    REQUIRE_FALSE(cut_off.has_value());
    CHECK(cut_off.error().temporary());
    // The client comes back by itself.
    co_await Sleep(loop, Milliseconds(1));
    bool again = co_await client.wait_connected(deadline);
    CHECK(again);
}

}  // namespace

TEST_CASE("a client and a server talk, and the client reconnects when it was cut off") {
    ScratchDirectory scratch;
    Loop loop;
    TestHandler handler{loop};
    TestServer server(loop, listening(), "test.sock", {}, 8, handler);
    server.start();
    int notices = 0;
    QueueClient client(loop, "test.sock", wire::ROLE_SMTPD);
    client.on_notice([&notices](Reply&& reply, std::vector<Fd>) { notices += reply.has_intake() ? 1 : 0; });
    client.start();
    run_to_end(loop, ask_everything(loop, client, notices));
    run_to_end(loop, wait_for(loop, handler.connected, 2));
    CHECK(handler.disconnected == 1);
}

TEST_CASE("a peer that does not say Hello, or lies about its role, is cut off") {
    ScratchDirectory scratch;
    Loop loop;
    TestHandler handler{loop};
    ipc::RoleUsers users;
    users.smtpd = ::geteuid() + 1;
    TestServer server(loop, listening(), "test.sock", users, 8, handler);
    server.start();
    auto check = [](Loop& on) -> Task<void> {
        for (bool hello : {true, false}) {
            auto socket = ipc::connect_seqpacket("test.sock");
            REQUIRE(socket.has_value());
            ipc::Channel channel(on, std::move(*socket));
            Request request;
            if (hello) {
                request.mutable_hello()->set_role(wire::ROLE_SMTPD);
            } else {
                request.mutable_flush();
            }
            REQUIRE(channel.post(request));
            auto end = co_await channel.receive(on.after(Milliseconds(2000)));
            REQUIRE(end.has_value());
            CHECK_FALSE(end->has_value());
        }
    };
    run_to_end(loop, check(loop));
    CHECK(handler.connected == 0);
}

TEST_CASE("a peer that asks faster than it reads gets all answers, and leaves the others their turn") {
    ScratchDirectory scratch;
    Loop loop;
    TestHandler handler{loop};
    TestServer server(loop, listening(), "test.sock", {}, 8, handler);
    server.start();
    auto socket = ipc::connect_seqpacket("test.sock");
    REQUIRE(socket.has_value());
    REQUIRE(::fcntl(socket->get(), F_SETFL, 0) == 0);
    std::atomic<int> received = 0;
    std::thread sender([&socket] {
        Request request;
        request.mutable_hello()->set_role(wire::ROLE_SMTPD);
        for (int n = 0; n <= kQuestions; ++n) {
            if (ipc::send_packet(*socket, request.SerializeAsString(), Fd()) != 0) return;
            request.set_id(static_cast<std::uint64_t>(n) + 1);
            request.mutable_list();
        }
    });
    std::thread receiver([&socket, &received] {
        std::this_thread::sleep_for(Milliseconds(100));
        std::array<char, ipc::kMaxFrame> block{};
        // The first is the notice.
        while (received <= kQuestions && ipc::receive_packet(*socket, block).size > 0)
            ++received;
    });
    auto check = [](Loop& on, std::atomic<int>& answers) -> Task<void> {
        QueueClient client(on, "test.sock", wire::ROLE_SMTPD);
        client.start();
        auto deadline = on.after(Milliseconds(20'000));
        bool connected = co_await client.wait_connected(deadline);
        REQUIRE(connected);
        Request list;
        list.mutable_list();
        auto answer = co_await client.call(list, deadline);
        CHECK(answer.error().text == "no such message");
        CHECK(answers < kQuestions);
        while (answers <= kQuestions && on.now() < *deadline)
            co_await Sleep(on, Milliseconds(5));
    };
    run_to_end(loop, check(loop, received));
    server.stop();
    sender.join();
    receiver.join();
    CHECK(received == kQuestions + 1);
}

TEST_CASE("more peers than the limit are turned away") {
    ScratchDirectory scratch;
    Loop loop;
    TestHandler handler{loop};
    TestServer server(loop, listening(), "test.sock", {}, 1, handler);
    server.start();
    QueueClient first(loop, "test.sock", wire::ROLE_SMTPD);
    first.start();
    run_to_end(loop, wait_for(loop, handler.connected, 1));
    {
        QueueClient second(loop, "test.sock", wire::ROLE_SMTPD);
        second.start();
        auto pause = [](Loop& on) -> Task<void> { co_await Sleep(on, Milliseconds(50)); };
        run_to_end(loop, pause(loop));
        CHECK(handler.connected == 1);
    }
}
