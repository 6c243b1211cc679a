// How many questions about recipients the router answers. Connects to a router's socket as four clients, each
// a thread with several questions outstanding, first as fast as it answers, then at half of that rate or of
// the target, at times given beforehand, for the latencies. Prints each figure with its limit, and ends with
// 1 if one is missed.
//     bench_router SOCKET DOMAIN [NAMES] [SECONDS]
// The socket must take this user for smtpd; bench/router-rate starts such a router.

#include <fmt/format.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdlib>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "libcommon/ipc/channel.h"
#include "libcommon/ipc/packet.h"
#include "libcommon/ipc/router.pb.h"

namespace {

using namespace postrider;
using Clock = std::chrono::steady_clock;

constexpr int kClients = 4;
constexpr std::size_t kOutstanding = 32;
constexpr double kTarget = 50'000;

struct Load {
    std::string socket;
    std::string domain;
    std::size_t names = 0;
    double seconds = 0;
    double rate = 0;  // of one client; 0: as fast as it goes
};

struct Outcome {
    std::size_t answers = 0;
    std::size_t accepted = 0;
    std::vector<double> latencies;  // in ms
};

void send(const Fd& socket, const wire::RouterRequest& request) {
    std::string data;
    request.SerializeToString(&data);
    if (ipc::send_packet(socket, data, Fd()) != 0) {
        fmt::print(stderr, "cannot send\n");
        std::exit(2);
    }
}

/// One client: questions by number, so that an answer finds the time when its question was due.
class Client {
  public:
    Client(const Load& load, unsigned seed) : load_(load), random_(seed) {
        Result<Fd> socket = ipc::connect_seqpacket(load.socket);
        if (!socket) {
            fmt::print(stderr, "{}\n", socket.error().text);
            std::exit(2);
        }
        socket_ = std::move(*socket);
        wire::RouterRequest hello;
        hello.mutable_hello()->set_role(wire::ROLE_SMTPD);
        send(socket_, hello);
    }

    Outcome run() {
        const auto start = Clock::now();
        const auto end =
            start + std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(load_.seconds));
        while (Clock::now() < end || answered_ < due_.size()) {
            while (Clock::now() < end && may_ask(start))
                ask(start);
            receive();
        }
        return std::move(outcome_);
    }

  private:
    [[nodiscard]] Clock::time_point due(Clock::time_point start) const {
        return start + std::chrono::duration_cast<Clock::duration>(
                           std::chrono::duration<double>(static_cast<double>(due_.size()) / load_.rate));
    }
    [[nodiscard]] bool may_ask(Clock::time_point start) const {
        if (load_.rate == 0) return due_.size() - answered_ < kOutstanding;
        return Clock::now() >= due(start);
    }
    void ask(Clock::time_point start) {
        due_.push_back(load_.rate == 0 ? Clock::now() : due(start));
        wire::RouterRequest request;
        request.set_id(due_.size());
        wire::RecipientQuestion& question = *request.mutable_recipient();
        question.mutable_client()->set_address("192.0.2.1");
        question.mutable_client()->set_kind("smtp");
        question.mutable_client()->set_port(25);
        question.set_sender("someone@remote.example");
        question.set_recipient(fmt::format("user{:07}@{}", random_() % load_.names, load_.domain));
        send(socket_, request);
    }
    void receive() {
        thread_local std::array<char, ipc::kMaxFrame> block;
        const int wait = MSG_DONTWAIT;
        ipc::ReceivedPacket packet = ipc::receive_packet(socket_, block, wait);
        if (packet.error == EAGAIN) {
            pollfd ready{socket_.get(), POLLIN, 0};
            const timespec millisecond{0, 200'000};
            static_cast<void>(::ppoll(&ready, 1, &millisecond, nullptr));
            return;
        }
        wire::RouterReply reply;
        if (packet.error != 0 || packet.size == 0 ||
            !reply.ParseFromArray(block.data(), static_cast<int>(packet.size))) {
            fmt::print(stderr, "the router ended the connection\n");
            std::exit(2);
        }
        ++answered_;
        ++outcome_.answers;
        if (reply.verdict().action() == wire::Verdict::ACCEPT) ++outcome_.accepted;
        outcome_.latencies.push_back(
            std::chrono::duration<double>(Clock::now() - due_.at(reply.id() - 1)).count() * 1e3);
    }

    Load load_;
    std::mt19937 random_;
    Fd socket_;
    std::vector<Clock::time_point> due_;
    std::size_t answered_ = 0;
    Outcome outcome_;
};

Outcome run(const Load& load) {
    std::vector<Outcome> outcomes(kClients);
    std::vector<std::thread> threads;
    for (unsigned n = 0; n < kClients; ++n)
        threads.emplace_back([&outcomes, &load, n] { outcomes[n] = Client(load, n + 1).run(); });
    Outcome all;
    for (unsigned n = 0; n < kClients; ++n) {
        threads[n].join();
        all.answers += outcomes[n].answers;
        all.accepted += outcomes[n].accepted;
        all.latencies.insert(all.latencies.end(), outcomes[n].latencies.begin(), outcomes[n].latencies.end());
    }
    std::sort(all.latencies.begin(), all.latencies.end());
    return all;
}

double percentile(const Outcome& outcome, double part) {
    const auto last = static_cast<double>(outcome.latencies.size() - 1);
    return outcome.latencies.at(static_cast<std::size_t>(last * part));
}

}  // namespace

int main(int argc, char** argv) {
    if (argc < 3) return 2;
    Load load{argv[1], argv[2], argc > 3 ? std::strtoul(argv[3], nullptr, 10) : 1'000'000,
              argc > 4 ? std::strtod(argv[4], nullptr) : 5.0, 0};
    const Outcome closed = run(load);
    const double rate = static_cast<double>(closed.answers) / load.seconds;
    fmt::print("as fast as it goes: {:.0f} answers/s, {} of {} accepted; p50 {:.3f} ms, p99 {:.3f} ms\n",
               rate, closed.accepted, closed.answers, percentile(closed, 0.5), percentile(closed, 0.99));
    load.rate = kTarget / 2 / kClients;
    const Outcome open = run(load);
    const double p99 = percentile(open, 0.99);
    fmt::print("at {:.0f}/s: {} answers; p50 {:.3f} ms, p99 {:.3f} ms, most {:.3f} ms\n", kTarget / 2,
               open.answers, percentile(open, 0.5), p99, open.latencies.back());
    const bool good = rate >= kTarget && p99 < 1.0;
    fmt::print("{}\n", good ? "good" : "MISSED: 50000/s, p99 1 ms");
    return good ? 0 : 1;
}
