// The router itself beside a DNS server that answers nothing, garbage, or late.

#include <arpa/inet.h>
#include <catch2/catch.hpp>
#include <poll.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <string>
#include <thread>
#include <vector>

#include "tests/unit/router/router_process.h"

namespace postrider::router {

using test::RouterPeer;
using test::RouterProcess;

namespace {

/// A DNS server in a thread of its own.
class BadServer {
  public:
    enum class Manner { Silent, Garbage, Late };

    explicit BadServer(Manner manner)
        : manner_(manner), socket_(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0)) {
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        socklen_t length = sizeof address;
        auto* raw = reinterpret_cast<sockaddr*>(&address);
        if (::bind(socket_.get(), raw, length) < 0 || ::getsockname(socket_.get(), raw, &length) < 0) {
            throw std::runtime_error("no port for the DNS server");
        }
        port_ = ntohs(address.sin_port);
        thread_ = std::thread([this] { serve(); });
    }
    BadServer(const BadServer&) = delete;
    BadServer& operator=(const BadServer&) = delete;
    ~BadServer() {
        stopped_ = true;
        thread_.join();
    }

    [[nodiscard]] int port() const { return port_; }
    [[nodiscard]] int asked() const { return asked_; }

  private:
    struct Held {
        std::chrono::steady_clock::time_point due;
        std::string packet;
        sockaddr_storage from{};
        socklen_t length = 0;
    };

    void serve() {
        std::vector<Held> held;
        while (!stopped_) {
            pollfd ready{socket_.get(), POLLIN, 0};
            if (::poll(&ready, 1, 20) > 0) receive(held);
            const auto now = std::chrono::steady_clock::now();
            std::erase_if(held, [&](const Held& one) {
                if (one.due > now) return false;
                ::sendto(socket_.get(), one.packet.data(), one.packet.size(), 0,
                         reinterpret_cast<const sockaddr*>(&one.from), one.length);
                return true;
            });
        }
    }

    void receive(std::vector<Held>& held) {
        char block[1500];
        Held one;
        one.length = sizeof one.from;
        const ssize_t got = ::recvfrom(socket_.get(), block, sizeof block, 0,
                                       reinterpret_cast<sockaddr*>(&one.from), &one.length);
        if (got < 12) return;
        ++asked_;
        if (manner_ == Manner::Silent) return;
        one.packet.assign(block, static_cast<std::size_t>(got));
        if (manner_ == Manner::Garbage) {
            one.packet.replace(2, 10, "\x81\x80\x00\x01\x00\x09\x00\x00\x00\x00",
                               10);  // nine answers, not there
            one.due = std::chrono::steady_clock::now();
        } else {
            one.packet[2] = '\x81';
            one.packet[3] = '\x83';  // NXDOMAIN
            one.due = std::chrono::steady_clock::now() + std::chrono::milliseconds(1500);
        }
        held.push_back(std::move(one));
    }

    Manner manner_;
    Fd socket_;
    int port_ = 0;
    std::atomic<bool> stopped_ = false;
    std::atomic<int> asked_ = 0;
    std::thread thread_;
};

wire::RouterRequest sender_question(std::uint64_t id, const std::string& sender) {
    wire::RouterRequest request;
    request.set_id(id);
    request.mutable_sender()->mutable_client()->set_address("203.0.113.9");
    request.mutable_sender()->mutable_client()->set_kind("smtp");
    request.mutable_sender()->set_sender(sender);
    return request;
}

wire::RouterRequest recipient_question() {
    wire::RouterRequest request;
    request.mutable_recipient()->mutable_client()->set_address("203.0.113.9");
    request.mutable_recipient()->mutable_client()->set_kind("smtp");
    request.mutable_recipient()->set_recipient("root@local.test");
    return request;
}

}  // namespace

TEST_CASE("a DNS server that answers nothing, garbage or late delays nobody who does not ask it") {
    const auto manner =
        GENERATE(BadServer::Manner::Silent, BadServer::Manner::Garbage, BadServer::Manner::Late);
    CAPTURE(static_cast<int>(manner));
    BadServer server(manner);
    RouterProcess router;
    router.write("aliases", "postmaster: root\nroot: /dev/null\n");
    router.write("postrider.conf",
                 "local_domain local.test\nalias_file * aliases\n"
                 "default sender senddns=require\n"
                 "dns_timeout 1s\ndns_chain_timeout 2s\n"
                 "resolver 127.0.0.1:" +
                     std::to_string(server.port()) + "\n");
    router.start();
    RouterPeer waiting(router, wire::ROLE_SMTPD);
    RouterPeer other(router, wire::ROLE_SMTPD);
    constexpr std::uint64_t kWaiting = 500;
    for (std::uint64_t i = 1; i <= kWaiting; ++i)
        waiting.send(sender_question(i, "x@name" + std::to_string(i) + ".test"));

    using Clock = std::chrono::steady_clock;
    std::vector<Clock::duration> took;
    for (int i = 0; i < 300; ++i) {
        const auto begun = Clock::now();
        const auto reply = other.ask(recipient_question());
        took.push_back(Clock::now() - begun);
        REQUIRE(reply);
        REQUIRE(reply->verdict().action() == wire::Verdict::ACCEPT);
        std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
    std::sort(took.begin(), took.end());
    const auto milliseconds = [](Clock::duration time) {
        return std::chrono::duration<double, std::milli>(time).count();
    };
    UNSCOPED_INFO("median " << milliseconds(took[150]) << " ms, longest " << milliseconds(took.back())
                            << " ms");
    // Sanitizers and a busy machine included; a question that waited for the DNS would take 1,500 ms and
    // more.
    CHECK(took[150] < std::chrono::milliseconds(50));
    CHECK(took.back() < std::chrono::milliseconds(1000));

    // Those who asked get an answer within dns_chain_timeout, and it opens nothing.
    const std::uint32_t expected = manner == BadServer::Manner::Late ? 550 : 451;
    for (std::uint64_t i = 1; i <= kWaiting; ++i) {
        const auto reply = waiting.receive();
        REQUIRE(reply);
        if (manner == BadServer::Manner::Late) {
            CHECK(reply->verdict().action() != wire::Verdict::ACCEPT);
        } else {
            CHECK(reply->verdict().code() == expected);
        }
    }
    CHECK(server.asked() >= static_cast<int>(kWaiting));
}

TEST_CASE("a greeting waits for a client's name only as long as it is told to") {
    BadServer server(BadServer::Manner::Silent);
    RouterProcess router;
    router.write("postrider.conf",
                 "local_domain local.test\nclient_name_timeout 1s\n"
                 "resolver 127.0.0.1:" +
                     std::to_string(server.port()) + "\n");
    router.start();
    RouterPeer smtpd(router, wire::ROLE_SMTPD);
    wire::RouterRequest question;
    question.mutable_connect()->mutable_client()->set_address("203.0.113.9");
    question.mutable_connect()->mutable_client()->set_kind("smtp");
    question.mutable_connect()->set_begins_session(true);
    for (const bool first : {true, false}) {
        CAPTURE(first);
        const auto begun = std::chrono::steady_clock::now();
        const auto reply = smtpd.ask(question);
        const auto took = std::chrono::steady_clock::now() - begun;
        REQUIRE(reply);
        CHECK(reply->connect().verdict().action() == wire::Verdict::ACCEPT);
        CHECK(reply->connect().client_name().empty());
        // The second client from there does not wait: the name was slow just now.
        if (first) CHECK(took > std::chrono::milliseconds(900));
        CHECK(took < std::chrono::milliseconds(first ? 2500 : 500));
    }
}

}  // namespace postrider::router
