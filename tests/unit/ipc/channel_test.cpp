#include "libcommon/ipc/channel.h"

#include <catch2/catch.hpp>
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>

#include "libcommon/ipc/queue.pb.h"
#include "tests/unit/async/run.h"

using namespace postrider;
using namespace postrider::async;

namespace {

std::array<Fd, 2> packet_pair() {
    int ends[2] = {-1, -1};
    REQUIRE(::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) == 0);
    return {Fd(ends[0]), Fd(ends[1])};
}

wire::QueueRequest abort_of(const std::string& queue_id) {
    wire::QueueRequest request;
    request.mutable_abort()->set_queue_id(queue_id);
    return request;
}

}  // namespace

TEST_CASE("frames keep their borders and carry descriptors") {
    Loop loop;
    auto ends = packet_pair();
    auto check = [](Loop& on, Fd a, Fd b) -> Task<void> {
        ipc::Channel one(on, std::move(a));
        ipc::Channel two(on, std::move(b));
        Fd null(::open("/dev/null", O_RDONLY | O_CLOEXEC));
        REQUIRE(one.post(abort_of("first"), std::move(null)));
        REQUIRE(one.post(abort_of("second")));
        auto first = co_await two.receive(on.after(Milliseconds(1000)));
        REQUIRE(first.has_value());
        REQUIRE(first->has_value());
        CHECK((*first)->descriptors.size() == 1);
        wire::QueueRequest request;
        CHECK(request.ParseFromString((*first)->data));
        CHECK(request.abort().queue_id() == "first");
        auto second = co_await two.receive(on.after(Milliseconds(1000)));
        REQUIRE(second.has_value());
        CHECK((*second)->descriptors.empty());
        one.shut_down();
        auto end = co_await two.receive(on.after(Milliseconds(1000)));
        REQUIRE(end.has_value());
        CHECK_FALSE(end->has_value());
    };
    run_to_end(loop, check(loop, std::move(ends[0]), std::move(ends[1])));
}

TEST_CASE("a peer that does not read is waited for, then cut off") {
    Loop loop;
    auto ends = packet_pair();
    auto check = [](Loop& on, Fd a, Fd b) -> Task<void> {
        ipc::Channel one(on, std::move(a));
        ipc::Channel two(on, std::move(b));
        auto frame = abort_of(std::string(1000, 'x'));
        std::size_t posted = 0;
        while (one.post(frame))
            ++posted;
        CHECK(posted >= ipc::kMaxQueuedFrames);
        CHECK(posted < 2 * ipc::kMaxQueuedFrames);
        CHECK_FALSE(one.post(frame));
        co_return;
    };
    run_to_end(loop, check(loop, std::move(ends[0]), std::move(ends[1])));
}

TEST_CASE("queued frames are sent in order as the peer reads") {
    Loop loop;
    auto ends = packet_pair();
    auto check = [](Loop& on, Fd a, Fd b) -> Task<void> {
        ipc::Channel one(on, std::move(a));
        ipc::Channel two(on, std::move(b));
        constexpr int kFrames = 3000;
        for (int n = 0; n < kFrames; ++n)
            REQUIRE(one.post(abort_of(std::to_string(n))));
        CHECK(one.queued() > 0);
        for (int n = 0; n < kFrames; ++n) {
            auto frame = co_await two.receive(on.after(Milliseconds(5000)));
            REQUIRE(frame.has_value());
            wire::QueueRequest request;
            REQUIRE(request.ParseFromString((*frame)->data));
            REQUIRE(request.abort().queue_id() == std::to_string(n));
        }
        bool drained = co_await one.drained(on.after(Milliseconds(1000)));
        CHECK(drained);
    };
    run_to_end(loop, check(loop, std::move(ends[0]), std::move(ends[1])));
}

TEST_CASE("the last frames of a peer that died with ours unread still arrive") {
    Loop loop;
    auto ends = packet_pair();
    auto check = [](Loop& on, Fd a, Fd b) -> Task<void> {
        ipc::Channel channel(on, std::move(a));
        {
            ipc::Channel dying(on, std::move(b));
            REQUIRE(channel.post(abort_of("never read")));
            REQUIRE(dying.post(abort_of("one")));
            REQUIRE(dying.post(abort_of("two")));
        }
        for (const char* expected : {"one", "two"}) {
            auto frame = co_await channel.receive(on.after(Milliseconds(1000)));
            REQUIRE(frame.has_value());
            REQUIRE(frame->has_value());
            wire::QueueRequest request;
            CHECK(request.ParseFromString((*frame)->data));
            CHECK(request.abort().queue_id() == expected);
        }
        auto end = co_await channel.receive(on.after(Milliseconds(1000)));
        REQUIRE(end.has_value());
        CHECK_FALSE(end->has_value());
    };
    run_to_end(loop, check(loop, std::move(ends[0]), std::move(ends[1])));
}

TEST_CASE("frames that break the rules are refused") {
    Loop loop;
    auto ends = packet_pair();
    auto check = [](Loop& on, Fd a, Fd raw) -> Task<void> {
        ipc::Channel channel(on, std::move(a));
        CHECK_FALSE(channel.post(abort_of(std::string(ipc::kMaxFrame, 'x'))));
        std::string large(ipc::kMaxFrame + 1, 'x');
        REQUIRE(::send(raw.get(), large.data(), large.size(), MSG_NOSIGNAL) > 0);
        auto received = co_await channel.receive(on.after(Milliseconds(1000)));
        REQUIRE_FALSE(received.has_value());
        CHECK_FALSE(received.error().temporary());
    };
    run_to_end(loop, check(loop, std::move(ends[0]), std::move(ends[1])));
}
