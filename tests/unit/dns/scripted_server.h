#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <cstring>
#include <functional>
#include <stdexcept>
#include <string>
#include <vector>

#include "libcommon/async/scope.h"
#include "libcommon/async/stream.h"
#include "libcommon/async/watch.h"
#include "libcommon/base/fd.h"
#include "libcommon/config/network.h"
#include "libcommon/dns/packet.h"
#include "tests/unit/dns/packet_writer.h"

namespace postrider::dns::test {

/// A DNS server on a free loopback port that answers as a test says. It runs on the test's loop.
class ScriptedServer {
  public:
    /// What arrived, and the packets to send back; none for silence.
    using Script = std::function<std::vector<std::string>(const Question& question, bool over_tcp)>;

    ScriptedServer(async::Loop& loop, Script script)
        : loop_(loop),
          script_(std::move(script)),
          udp_(::socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)),
          tcp_(::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)),
          udp_watch_(loop, udp_.get()),
          tcp_watch_(loop, tcp_.get()),
          scope_(loop) {
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        socklen_t length = sizeof address;
        auto* raw = reinterpret_cast<sockaddr*>(&address);
        if (::bind(tcp_.get(), raw, length) < 0 || ::listen(tcp_.get(), 16) < 0 ||
            ::getsockname(tcp_.get(), raw, &length) < 0 || ::bind(udp_.get(), raw, length) < 0) {
            throw std::runtime_error("no port for the DNS server");
        }
        endpoint_ = *config::Endpoint::parse("127.0.0.1:" + std::to_string(ntohs(address.sin_port)));
        scope_.spawn(serve_udp());
        scope_.spawn(serve_tcp());
    }

    [[nodiscard]] const config::Endpoint& endpoint() const { return endpoint_; }
    [[nodiscard]] std::size_t asked() const { return asked_; }

  private:
    /// Reads the one question of a query.
    static Question question_of(std::string_view packet) {
        Question question;
        auto octet = [&](std::size_t at) { return static_cast<unsigned char>(packet.at(at)); };
        question.id = static_cast<std::uint16_t>(octet(0) << 8 | octet(1));
        std::size_t at = 12;
        for (; octet(at) != 0; at += 1U + octet(at)) {
            if (!question.name.empty()) question.name += '.';
            question.name += packet.substr(at + 1, octet(at));
        }
        question.type = static_cast<Type>(octet(at + 1) << 8 | octet(at + 2));
        return question;
    }

    async::Task<void> serve_udp() {
        while (true) {
            co_await udp_watch_.readable();
            char block[1500];
            sockaddr_storage from{};
            socklen_t length = sizeof from;
            auto* raw = reinterpret_cast<sockaddr*>(&from);
            ssize_t got = ::recvfrom(udp_.get(), block, sizeof block, 0, raw, &length);
            if (got <= 0) continue;
            ++asked_;
            Question question = question_of(std::string_view(block, static_cast<std::size_t>(got)));
            for (const std::string& packet : script_(question, false)) {
                static_cast<void>(::sendto(udp_.get(), packet.data(), packet.size(), 0, raw, length));
            }
        }
    }

    async::Task<void> serve_tcp() {
        while (true) {
            co_await tcp_watch_.readable();
            Fd client(::accept4(tcp_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
            if (client) scope_.spawn(answer_tcp(std::move(client)));
        }
    }

    async::Task<void> answer_tcp(Fd client) {
        async::Stream stream(loop_, std::move(client));
        while (stream.buffered().size() < 14) {
            auto more = co_await stream.fill(1500, loop_.after(Seconds(5)));
            if (!more || !*more) co_return;
        }
        ++asked_;
        Question question = question_of(stream.buffered().substr(2));
        for (const std::string& packet : script_(question, true)) {
            stream.put(PacketWriter::number(static_cast<std::uint16_t>(packet.size())) + packet);
        }
        co_await stream.flush(loop_.after(Seconds(5)));
    }

    async::Loop& loop_;
    Script script_;
    Fd udp_;
    Fd tcp_;
    async::Watch udp_watch_;
    async::Watch tcp_watch_;
    config::Endpoint endpoint_;
    std::size_t asked_ = 0;
    async::Scope scope_;
};

}  // namespace postrider::dns::test
