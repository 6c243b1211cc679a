#include "tests/unit/remote-delivery/scripted_smtp_server.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <stdexcept>
#include <utility>

namespace postrider::remote_delivery::test {
namespace {

constexpr std::size_t kBuffer = 64 * 1024;

Fd listen_on_loopback(std::uint16_t& port) {
    Fd socket(::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t length = sizeof address;
    auto* raw = reinterpret_cast<sockaddr*>(&address);
    if (::bind(socket.get(), raw, length) < 0 || ::listen(socket.get(), 64) < 0 ||
        ::getsockname(socket.get(), raw, &length) < 0) {
        throw std::runtime_error("no port for the SMTP server");
    }
    port = ntohs(address.sin_port);
    return socket;
}

bool accepts(const std::string& reply) {
    return reply.starts_with('2');
}

}  // namespace

ScriptedSmtpServer::ScriptedSmtpServer(async::Loop& loop, std::vector<std::string> extensions, Script script)
    : loop_(loop),
      extensions_(std::move(extensions)),
      script_(std::move(script)),
      listening_(listen_on_loopback(port_)),
      watch_(loop, listening_.get()),
      clients_(loop),
      acceptor_(loop) {
    acceptor_.spawn(accept_clients());
}

std::string ScriptedSmtpServer::next_hop() const {
    return "[127.0.0.1]:" + std::to_string(port_);
}

std::vector<std::string> ScriptedSmtpServer::lines_with(const std::string& verb) const {
    std::vector<std::string> found;
    for (const std::string& line : lines_) {
        if (line.substr(line.find(' ') + 1).starts_with(verb)) found.push_back(line);
    }
    return found;
}

async::Task<void> ScriptedSmtpServer::accept_clients() {
    while (true) {
        co_await watch_.readable();
        Fd client(::accept4(listening_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
        if (client) clients_.spawn(serve(std::move(client)));
    }
}

async::Task<void> ScriptedSmtpServer::serve(Fd client) {
    async::Stream stream(loop_, std::move(client));
    Dialogue dialogue;
    dialogue.number = ++connections_;
    std::string greeting = answer(dialogue, "");
    if (greeting == kClose) co_return;
    if (greeting != kSilence) stream.put(greeting + "\r\n");
    while (true) {
        async::Deadline deadline = loop_.after(Seconds(20));
        std::size_t end = async::Stream::find_line(stream.buffered());
        if (end == async::Stream::kNoLine) {
            auto sent = co_await stream.flush(deadline);
            auto more = co_await stream.fill(kBuffer, deadline);
            if (!sent || !more || !*more) co_return;
            continue;
        }
        std::string line(stream.buffered().substr(0, end));
        stream.consume(end + 2);
        if (line.find_first_of("\r\n") != std::string::npos) bare_line_end_ = true;
        std::string reply;
        if (dialogue.in_content) {
            reply = answer_content(dialogue, line);
        } else {
            reply = answer(dialogue, line);
        }
        bool close = reply.ends_with(kClose);
        if (close) reply.resize(reply.size() - std::string_view(kClose).size());
        if (!reply.empty() && reply != kSilence) stream.put(reply + "\r\n");
        if (close) {
            co_await stream.flush(deadline);
            co_return;
        }
    }
}

std::string ScriptedSmtpServer::answer(Dialogue& dialogue, const std::string& line) {
    if (!line.empty()) lines_.push_back(std::to_string(dialogue.number) + " " + line);
    std::string reply = script_ ? script_(dialogue.number, line) : std::string();
    if (reply.empty()) reply = usual_reply(dialogue, line);
    if (line.starts_with("RCPT") && accepts(reply)) ++dialogue.accepted;
    if (line == "RSET") dialogue.accepted = 0;
    dialogue.in_content = line == "DATA" && reply.starts_with('3');
    return reply;
}

std::string ScriptedSmtpServer::answer_content(Dialogue& dialogue, const std::string& line) {
    dialogue.received += line.size() + 2;
    if (interrupt_after_ > 0 && dialogue.received > interrupt_after_) {
        return script_(dialogue.number, "middle");
    }
    if (line != ".") {
        dialogue.content += line.starts_with('.') ? line.substr(1) : line;
        dialogue.content += "\r\n";
        return {};
    }
    messages_.push_back(std::exchange(dialogue.content, {}));
    dialogue.in_content = false;
    std::string reply = script_ ? script_(dialogue.number, ".") : std::string();
    if (reply.empty()) reply = dialogue.accepted > 0 ? "250 2.0.0 taken" : "554 5.5.1 no recipients";
    dialogue.accepted = 0;
    return reply;
}

std::string ScriptedSmtpServer::usual_reply(Dialogue& dialogue, const std::string& line) const {
    if (line.empty()) return "220 server.test ESMTP";
    if (line.starts_with("EHLO")) {
        std::string reply = "250-server.test";
        for (const std::string& extension : extensions_)
            reply += "\r\n250-" + extension;
        return reply + "\r\n250 HELP";
    }
    if (line == "DATA") return dialogue.accepted > 0 ? "354 go ahead" : "554 5.5.1 no valid recipients";
    if (line == "QUIT") return std::string("221 2.0.0 bye") + kClose;
    return "250 2.0.0 ok";
}

}  // namespace postrider::remote_delivery::test
