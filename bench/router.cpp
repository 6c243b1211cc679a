// How the router answers questions about recipients; bench/router-rate starts one for it, whose socket takes
// this user for smtpd.
//     bench_router rate SOCKET DOMAIN NAMES SECONDS
// connects as four clients, each a thread with several questions outstanding, in each of five rounds first as
// fast as it answers, then at half of the target, at times given beforehand, for the latencies.
//     bench_router edit SOCKET DOMAIN NAMES FILE
// adds users to the end of FILE, and looks how long it takes until the router knows them, and how long other
// questions, 2000 a second, wait meanwhile, and in the time before.
// Both print each round and the medians with their limits, and end with 1 if one is missed.

#include <fmt/format.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <random>
#include <string>
#include <string_view>
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
constexpr int kRounds = 5;

/// Questions that a client may have outstanding when it is behind its times. What it cannot send then is
/// late, which the latencies show: they count from the time when a question was due.
constexpr std::size_t kMostOutstanding = 200;

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

[[noreturn]] void give_up(const std::string& reason) {
    fmt::print(stderr, "{}\n", reason);
    std::exit(2);
}

double milliseconds_since(Clock::time_point start) {
    return std::chrono::duration<double>(Clock::now() - start).count() * 1e3;
}

double median(std::vector<double> values) {
    std::sort(values.begin(), values.end());
    return values.at(values.size() / 2);
}

std::string name_of(std::size_t number) {
    return fmt::format("{}{:07}", number % 2 == 0 ? "user" : "alias", number / 2);
}

/// One client: questions by number, so that an answer finds the time when its question was due.
class Client {
  public:
    Client(const Load& load, unsigned seed) : load_(load), random_(seed) {
        Result<Fd> socket = ipc::connect_seqpacket(load.socket);
        if (!socket) give_up(socket.error().text);
        socket_ = std::move(*socket);
        wire::RouterRequest hello;
        hello.mutable_hello()->set_role(wire::ROLE_SMTPD);
        send(hello);
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

    /// Asks for one name and waits for the answer, which says whether it is there.
    bool knows(const std::string& name) {
        const std::size_t accepted = outcome_.accepted;
        due_.push_back(Clock::now());
        ask_for(name);
        while (answered_ < due_.size())
            receive();
        return outcome_.accepted > accepted;
    }

  private:
    void send(const wire::RouterRequest& request) {
        std::string data;
        request.SerializeToString(&data);
        const int error = ipc::send_packet(socket_, data, Fd());
        if (error != 0) give_up(fmt::format("cannot send: {}", std::strerror(error)));
    }
    [[nodiscard]] Clock::time_point due(Clock::time_point start) const {
        return start + std::chrono::duration_cast<Clock::duration>(
                           std::chrono::duration<double>(static_cast<double>(due_.size()) / load_.rate));
    }
    [[nodiscard]] bool may_ask(Clock::time_point start) const {
        const std::size_t outstanding = due_.size() - answered_;
        if (load_.rate == 0) return outstanding < kOutstanding;
        return outstanding < kMostOutstanding && Clock::now() >= due(start);
    }
    void ask(Clock::time_point start) {
        due_.push_back(load_.rate == 0 ? Clock::now() : due(start));
        ask_for(name_of(random_() % load_.names));
    }
    void ask_for(const std::string& name) {
        wire::RouterRequest request;
        request.set_id(due_.size());
        wire::RecipientQuestion& question = *request.mutable_recipient();
        question.mutable_client()->set_address("192.0.2.1");
        question.mutable_client()->set_kind("smtp");
        question.mutable_client()->set_port(25);
        question.set_sender("someone@remote.example");
        question.set_recipient(fmt::format("{}@{}", name, load_.domain));
        send(request);
    }
    void receive() {
        thread_local std::array<char, ipc::kMaxFrame> block;
        const int wait = MSG_DONTWAIT;
        ipc::ReceivedPacket packet = ipc::receive_packet(socket_, block, wait);
        if (packet.error == EAGAIN) {
            pollfd ready{socket_.get(), POLLIN, 0};
            const timespec time_of_a_turn{0, 200'000};
            static_cast<void>(::ppoll(&ready, 1, &time_of_a_turn, nullptr));
            return;
        }
        wire::RouterReply reply;
        if (packet.error != 0 || packet.size == 0 ||
            !reply.ParseFromArray(block.data(), static_cast<int>(packet.size))) {
            give_up(fmt::format("the router ended the connection: {}", std::strerror(packet.error)));
        }
        ++answered_;
        ++outcome_.answers;
        if (reply.verdict().action() == wire::Verdict::ACCEPT) ++outcome_.accepted;
        outcome_.latencies.push_back(milliseconds_since(due_.at(reply.id() - 1)));
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

bool measure_rate(Load load) {
    std::vector<double> rates;
    std::vector<double> latencies;
    for (int round = 0; round < kRounds; ++round) {
        load.rate = 0;
        const Outcome closed = run(load);
        rates.push_back(static_cast<double>(closed.answers) / load.seconds);
        load.rate = kTarget / 2 / kClients;
        const Outcome open = run(load);
        latencies.push_back(percentile(open, 0.99));
        fmt::print(
            "{:.0f} answers/s, {} of {} accepted, p99 {:.3f} ms; at {:.0f}/s: p50 {:.3f} ms, p99 {:.3f} ms, "
            "most {:.3f} ms\n",
            rates.back(), closed.accepted, closed.answers, percentile(closed, 0.99), kTarget / 2,
            percentile(open, 0.5), latencies.back(), open.latencies.back());
    }
    const bool good = median(rates) >= kTarget && median(latencies) < 1.0;
    fmt::print("medians: {:.0f} answers/s (at least {:.0f}), p99 {:.3f} ms (below 1): {}\n", median(rates),
               kTarget, median(latencies), good ? "good" : "MISSED");
    return good;
}

/// The longest that one of the questions waits while `meanwhile` runs.
template <typename Work>
double longest_wait(Load load, const Work& meanwhile) {
    load.rate = 2000;
    load.seconds = 1;
    Outcome outcome;
    std::thread others([&outcome, &load] { outcome = Client(load, 7).run(); });
    meanwhile();
    others.join();
    return *std::max_element(outcome.latencies.begin(), outcome.latencies.end());
}

bool measure_edits(const Load& load, const std::string& path) {
    std::vector<double> visible;
    std::vector<double> waits;
    Client editor(load, 1);
    for (int round = 0; round < kRounds; ++round) {
        const double quiet = longest_wait(load, [] {});
        waits.push_back(longest_wait(load, [&] {
            const std::string name = fmt::format("new{}", round);
            std::ofstream(path, std::ios::app) << name << " home=/var/mail/x\n";
            const auto edited = Clock::now();
            while (!editor.knows(name) && milliseconds_since(edited) < 10'000)
                std::this_thread::sleep_for(std::chrono::milliseconds(2));
            visible.push_back(milliseconds_since(edited));
        }));
        fmt::print("visible after {:.0f} ms; longest wait of others {:.3f} ms, before the edit {:.3f} ms\n",
                   visible.back(), waits.back(), quiet);
    }
    const bool good = median(visible) < 1000 && median(waits) < 5;
    fmt::print("medians: {:.0f} ms (below 1000), {:.3f} ms (below 5): {}\n", median(visible), median(waits),
               good ? "good" : "MISSED");
    return good;
}

}  // namespace

int main(int argc, char** argv) {
    if (argc != 6) give_up("usage: bench_router rate|edit SOCKET DOMAIN NAMES SECONDS|FILE");
    const Load load{argv[2], argv[3], std::strtoul(argv[4], nullptr, 10), std::strtod(argv[5], nullptr), 0};
    const bool good = std::string_view(argv[1]) == "rate" ? measure_rate(load) : measure_edits(load, argv[5]);
    return good ? 0 : 1;
}
