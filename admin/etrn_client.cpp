#include "admin/etrn_client.h"

#include <fmt/format.h>
#include <netdb.h>
#include <sys/socket.h>

#include <algorithm>
#include <cstring>
#include <memory>
#include <utility>

#include "admin/exit_status.h"
#include "admin/tls_client.h"
#include "libcommon/async/connect.h"
#include "libcommon/async/loop.h"
#include "libcommon/async/scope.h"
#include "libcommon/async/stream.h"
#include "libcommon/mail/ascii.h"
#include "libcommon/mail/domain.h"
#include "libcommon/smtp/reply_reader.h"

namespace postrider::admin {

namespace {

constexpr int kServiceEnds = 421;  // RFC 5321, 3.8: the server closes the connection, whatever was asked
constexpr Milliseconds kQuitTimeout{5'000};

struct SocketAddress {
    sockaddr_storage address{};
    socklen_t length = 0;
};

std::string bare_host(std::string host) {
    if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
    return host;
}

Result<std::vector<SocketAddress>> look_up(const std::string& host, std::uint16_t port) {
    addrinfo hints{};
    hints.ai_socktype = SOCK_STREAM;
    hints.ai_flags = AI_NUMERICSERV;
    addrinfo* found = nullptr;
    const int failed = ::getaddrinfo(bare_host(host).c_str(), std::to_string(port).c_str(), &hints, &found);
    if (failed != 0) return temporary(fmt::format("{}: {}", host, ::gai_strerror(failed)));
    const std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)> owner(found, ::freeaddrinfo);
    std::vector<SocketAddress> addresses;
    for (const addrinfo* one = found; one != nullptr; one = one->ai_next) {
        SocketAddress address;
        std::memcpy(&address.address, one->ai_addr, one->ai_addrlen);
        address.length = one->ai_addrlen;
        addresses.push_back(address);
    }
    return addresses;
}

/// One connection to the server.
class Dialogue {
  public:
    Dialogue(async::Loop& loop, Fd socket, const EtrnRequest& request, EtrnAnswers& answers)
        : loop_(loop),
          stream_(loop, std::move(socket)),
          replies_(stream_),
          request_(request),
          answers_(answers) {}

    async::Task<void> run() {
        bool ready = co_await greet();
        if (ready && request_.tls) ready = co_await begin_tls();
        if (ready && !offered_etrn_) {
            ready = false;
            end(true, "the server does not offer ETRN");
        }
        if (ready) co_await ask_all();
        if (open_) co_await say_goodbye();
    }

  private:
    async::Task<bool> greet() {
        std::optional<mail::Reply> greeting = co_await read(request_.timeout);
        if (!greeting) co_return false;
        if (!greeting->code.is_positive()) {
            end(greeting->code.is_permanent(), "the greeting is " + mail::summary(*greeting));
            co_return false;
        }
        co_return co_await say_hello();
    }

    async::Task<bool> say_hello() {
        std::optional<mail::Reply> hello = co_await command("EHLO " + request_.helo);
        if (!hello) co_return false;
        if (!hello->code.is_positive()) {
            end(hello->code.is_permanent(), "EHLO got " + mail::summary(*hello));
            co_return false;
        }
        offered_etrn_ = offers(*hello, "ETRN");
        offered_tls_ = offers(*hello, "STARTTLS");
        co_return true;
    }

    async::Task<bool> begin_tls() {
        if (!offered_tls_) {
            end(true, "the server does not offer STARTTLS");
            co_return false;
        }
        std::optional<mail::Reply> started = co_await command("STARTTLS");
        if (!started) co_return false;
        if (!started->code.is_positive()) {
            end(started->code.is_permanent(), "STARTTLS got " + mail::summary(*started));
            co_return false;
        }
        std::string name = bare_host(request_.host);
        std::string ca_file = request_.ca_file;
        const async::Deadline deadline = loop_.after(request_.timeout);
        Result<void> encrypted = co_await encrypt(stream_, std::move(name), std::move(ca_file), deadline);
        if (!encrypted) {
            open_ = false;
            end(false, encrypted.error().text);
            co_return false;
        }
        co_return co_await say_hello();
    }

    async::Task<void> ask_all() {
        for (const std::string& name : request_.names) {
            std::optional<mail::Reply> reply = co_await command("ETRN " + name);
            if (!reply) co_return;
            if (reply->code.value() == kServiceEnds) {
                open_ = false;
                end(false, fmt::format("ETRN {} got {}", name, mail::summary(*reply)));
                co_return;
            }
            answers_.replies.push_back({name, std::move(*reply)});
        }
    }

    async::Task<void> say_goodbye() {
        stream_.put("QUIT\r\n");
        const async::Deadline deadline = loop_.after(kQuitTimeout);
        Result<void> sent = co_await stream_.flush(deadline);
        // What the server says to that changes nothing.
        if (sent) static_cast<void>(co_await replies_.read(deadline));
    }

    async::Task<std::optional<mail::Reply>> command(std::string line) {
        stream_.put(line + "\r\n");
        const async::Deadline deadline = loop_.after(request_.timeout);
        Result<void> sent = co_await stream_.flush(deadline);
        if (!sent) {
            lost(sent.error());
            co_return std::nullopt;
        }
        co_return co_await read(request_.timeout);
    }

    async::Task<std::optional<mail::Reply>> read(Milliseconds patience) {
        const async::Deadline deadline = loop_.after(patience);
        Result<mail::Reply> reply = co_await replies_.read(deadline);
        if (!reply) {
            lost(reply.error());
            co_return std::nullopt;
        }
        co_return std::move(*reply);
    }

    static bool offers(const mail::Reply& hello, std::string_view keyword) {
        // The first line is the server's name.
        bool is_first = true;
        return std::any_of(hello.lines.begin(), hello.lines.end(), [&](const std::string& line) {
            if (std::exchange(is_first, false)) return false;
            return mail::equal_ignoring_case(line.substr(0, line.find(' ')), keyword);
        });
    }

    void lost(const Error& error) {
        open_ = false;
        end(false, error.text);
    }

    void end(bool lasting, std::string trouble) {
        answers_.trouble = std::move(trouble);
        answers_.lasting = lasting;
    }

    async::Loop& loop_;
    async::Stream stream_;
    smtp::ReplyReader replies_;
    const EtrnRequest& request_;
    EtrnAnswers& answers_;
    bool open_ = true;
    bool offered_etrn_ = false;
    bool offered_tls_ = false;
};

async::Task<void> ask_first_that_answers(async::Loop& loop, const EtrnRequest& request,
                                         std::vector<SocketAddress> addresses, EtrnAnswers& answers) {
    for (const SocketAddress& address : addresses) {
        const async::Deadline deadline = loop.after(request.timeout);
        Result<Fd> socket =
            co_await async::connect_socket(loop, SOCK_STREAM, address.address, address.length, deadline);
        if (!socket) {
            answers.trouble = socket.error().text;
            continue;
        }
        answers.trouble.clear();
        Dialogue dialogue(loop, std::move(*socket), request, answers);
        co_await dialogue.run();
        break;
    }
    loop.stop();
}

}  // namespace

bool is_etrn_name(std::string_view name) {
    if (name.starts_with('#')) {
        return name.size() > 1 &&
               std::all_of(name.begin(), name.end(), [](char c) { return c > ' ' && c < '\x7f'; });
    }
    if (name.starts_with('@')) name.remove_prefix(1);
    const auto domain = mail::parse_domain(name);
    return domain && !domain->is_literal();
}

EtrnAnswers ask_with_etrn(const EtrnRequest& request) {
    EtrnAnswers answers;
    Result<std::vector<SocketAddress>> addresses = look_up(request.host, request.port);
    if (!addresses) {
        answers.trouble = addresses.error().text;
        return answers;
    }
    async::Loop loop;
    async::Scope scope(loop);
    scope.spawn(ask_first_that_answers(loop, request, std::move(*addresses), answers));
    if (scope.size() > 0) loop.run();
    return answers;
}

int etrn_status(const EtrnAnswers& answers) {
    bool refused = !answers.trouble.empty() && answers.lasting;
    bool later = !answers.trouble.empty() && !answers.lasting;
    for (const EtrnAnswers::One& one : answers.replies) {
        const int code = one.reply.code.value();
        if (code >= 250 && code <= 253) continue;
        (one.reply.code.is_transient() ? later : refused) = true;
    }
    if (refused) return kExitUnavailable;
    return later ? kExitTemporary : 0;
}

}  // namespace postrider::admin
