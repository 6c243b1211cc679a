#include "libcommon/ipc/agent_link.h"

#include <catch2/catch.hpp>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdlib>
#include <memory>
#include <string>
#include <vector>

#include "libcommon/ipc/channel.h"
#include "tests/unit/async/run.h"

using namespace postrider;
using namespace postrider::async;

namespace {

/// The queue-manager, played: it takes one agent at a time, and says what it heard.
class PlayedQueue {
  public:
    explicit PlayedQueue(Loop& loop) : loop_(loop) {
        char name[] = "/tmp/postrider-agent-XXXXXX";
        folder_ = ::mkdtemp(name);
        REQUIRE(::chdir(folder_.c_str()) == 0);
        auto socket = ipc::listen_seqpacket("queue.sock", 0600);
        REQUIRE(socket.has_value());
        listening_ = std::move(*socket);
    }
    ~PlayedQueue() {
        static_cast<void>(::unlink("queue.sock"));
        static_cast<void>(::chdir("/"));
        static_cast<void>(::rmdir(folder_.c_str()));
    }
    PlayedQueue(const PlayedQueue&) = delete;
    PlayedQueue& operator=(const PlayedQueue&) = delete;

    /// Is started again: the connection to the agent ends, and the next one is taken. Returns the numbers of
    /// the reports that come before the agent is ready for jobs.
    Task<std::vector<std::uint64_t>> restart() {
        agent_.reset();
        Watch watch(loop_, listening_.get());
        co_await watch.readable();
        agent_ = std::make_unique<ipc::Channel>(
            loop_, Fd(::accept4(listening_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK)));
        std::vector<std::uint64_t> reports;
        while (true) {
            wire::QueueRequest request = co_await receive();
            if (request.has_agent_ready()) co_return reports;
            if (request.has_report()) reports.push_back(request.report().sequence());
        }
    }

    /// A job without its file, which the agent reports about at once. Returns the report.
    Task<wire::DeliveryReport> broken_job(std::uint64_t number, std::uint64_t reports_taken) {
        wire::QueueReply reply;
        reply.mutable_deliver()->set_job(number);
        reply.mutable_deliver()->set_queue_id("ID");
        reply.mutable_deliver()->add_deliveries()->set_number(7);
        reply.mutable_deliver()->set_reports_taken(reports_taken);
        REQUIRE(agent_->post(reply).has_value());
        wire::QueueRequest request = co_await receive();
        co_return request.report();
    }

    void say_taken(std::uint64_t sequence) {
        wire::QueueReply reply;
        reply.mutable_reports_taken()->set_sequence(sequence);
        REQUIRE(agent_->post(reply).has_value());
    }

  private:
    Task<wire::QueueRequest> receive() {
        const Deadline deadline = loop_.after(Seconds(10));
        auto frame = co_await agent_->receive(deadline);
        REQUIRE((frame && *frame));
        wire::QueueRequest request;
        REQUIRE(request.ParseFromString((*frame)->data));
        co_return request;
    }

    Loop& loop_;
    std::string folder_;
    Fd listening_;
    std::unique_ptr<ipc::Channel> agent_;
};

Task<void> play(PlayedQueue& queue) {
    std::vector<std::uint64_t> again = co_await queue.restart();
    CHECK(again.empty());
    wire::DeliveryReport report = co_await queue.broken_job(1, 0);
    CHECK(report.sequence() == 1);
    REQUIRE(report.results_size() == 1);
    CHECK(report.results(0).number() == 7);
    CHECK(report.results(0).outcome() == wire::DeliveryResult::DEFERRED);
    report = co_await queue.broken_job(2, 0);
    CHECK(report.sequence() == 2);

    // Killed before it had written them down: both come again, before anything else, as often as it takes.
    again = co_await queue.restart();
    CHECK(again == std::vector<std::uint64_t>{1, 2});
    again = co_await queue.restart();
    CHECK(again == std::vector<std::uint64_t>{1, 2});

    // What it has is not told again, whether it says so by itself or with the next job.
    queue.say_taken(1);
    report = co_await queue.broken_job(3, 1);
    CHECK(report.sequence() == 3);
    again = co_await queue.restart();
    CHECK(again == std::vector<std::uint64_t>{2, 3});
    report = co_await queue.broken_job(4, 3);
    again = co_await queue.restart();
    CHECK(again == std::vector<std::uint64_t>{4});
}

}  // namespace

TEST_CASE("an agent keeps its reports until the queue-manager has them") {
    Loop loop;
    PlayedQueue queue(loop);
    ipc::AgentLink agent(loop, wire::ROLE_REMOTE_DELIVERY, {wire::TRANSPORT_SMTP}, 5);
    agent.start();
    run_to_end(loop, play(queue));
}
