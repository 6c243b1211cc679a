#pragma once

#include <sys/socket.h>

#include <algorithm>
#include <memory>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "libcommon/async/scope.h"
#include "libcommon/async/stream.h"
#include "libcommon/config/settings.h"
#include "smtpd/session.h"
#include "tests/unit/smtpd/fake_peers.h"

namespace postrider::smtpd::test {

/// What Player::play() returns when all went as the script says.
inline const std::string kAsExpected;

/// Settings of a small host with one listener.
inline config::Settings test_settings() {
    config::Settings settings;
    settings.hostname = "mx.test";
    config::Listener listener;
    listener.address = config::IpAddress::parse("127.0.0.1").value();
    listener.port = 25;
    settings.listeners.push_back(listener);
    // Tests of other things must not wait.
    settings.limits.set(config::Limit::ErrorDelay, 0);
    settings.limits.set(config::Limit::ErrorDelayMax, 0);
    return settings;
}

inline std::pair<Fd, Fd> socket_pair() {
    int ends[2] = {-1, -1};
    if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) != 0)
        throw std::bad_alloc();
    return {Fd(ends[0]), Fd(ends[1])};
}

/// A session with a client that plays a script.
///
///     < 220              a reply is awaited whose first line begins so
///     > EHLO a.test      a line is sent, with CRLF; lines without a reply between them go out in one piece
///     >> TEXT            octets are sent as they are, where \r \n \0 and \\ are what they are in C
///     < closed           the server closes the connection
///     ! finish           Session::finish() is called
///     ! wait MS          nothing happens for so many milliseconds
///
/// Blank lines, and blanks before the mark, do not count.
class Player {
  public:
    explicit Player(config::Settings settings_in = test_settings())
        : settings(std::move(settings_in)), router(loop) {}

    async::Loop loop;
    config::Settings settings;
    FakeRouter router;
    FakeQueue queue;
    FakeTls tls;
    FakeLogins logins;
    std::uint32_t sessions_of_client = 1;
    bool local = false;  ///< the client is a user of the host
    bool busy = false;   ///< other work keeps waking the loop, as in a worker with many sessions
    Milliseconds pause_of_others{3};
    std::size_t turns = 0;             ///< that the other work had
    std::vector<std::string> replies;  ///< every reply, whole, in order

    /// Plays `script` in a new session. Returns "" or what was not as expected.
    std::string play(const std::string& script) {
        auto [server_end, client_end] = socket_pair();
        ClientInfo client;
        client.session = 1;
        if (local) {
            client.local_user = "uid:1000";
        } else {
            client.address = config::IpAddress::parse("192.0.2.7").value();
            client.port = 4711;
        }
        client.sessions_of_client = sessions_of_client;
        const Services services{loop, settings, router, queue, tls, logins};
        session_ = std::make_unique<Session>(services, client, std::move(server_end));
        client_ = std::make_unique<async::Stream>(loop, std::move(client_end));
        problem_.clear();
        done_ = false;
        {
            async::Scope scope(loop);
            scope.spawn(run_session());
            scope.spawn(run_script(script));
            if (busy) scope.spawn(wake_often());
            loop.run();
        }
        client_.reset();
        session_.reset();
        return problem_;
    }

  private:
    async::Task<void> wake_often() {
        while (true) {
            co_await async::Sleep(loop, pause_of_others);
            ++turns;
        }
    }

    async::Task<void> run_session() {
        co_await session_->run();
        session_.reset();  // closes, as the worker does
        if (done_) loop.stop();
    }

    async::Task<void> run_script(std::string script) {
        std::istringstream lines(script);
        std::string line;
        // A session that ends at once must not stop the loop before it runs.
        co_await async::Sleep(loop, Milliseconds(0));
        while (problem_.empty() && std::getline(lines, line)) {
            line.erase(0, line.find_first_not_of(" \t"));
            if (line.starts_with(">> ")) {
                client_->put(unescape(line.substr(3)));
            } else if (line == ">" || line.starts_with("> ")) {
                client_->put(line.substr(std::min<std::size_t>(2, line.size())) + "\r\n");
            } else if (line.starts_with("< ")) {
                std::string expected = line.substr(2);
                co_await expect(std::move(expected));
            } else if (line.starts_with("! wait ")) {
                const Milliseconds pause(std::stoi(line.substr(7)));
                co_await flush();
                co_await async::Sleep(loop, pause);
            } else if (line == "! finish") {
                session_->finish();
            } else if (!line.empty()) {
                problem_ = "not understood: " + line;
            }
        }
        done_ = true;
        // The client hangs up; whoever is last stops the loop.
        co_await flush();
        if (session_) {
            client_.reset();
        } else {
            loop.stop();
        }
    }

    async::Task<void> flush() {
        async::Deadline deadline = loop.after(Seconds(10));
        auto flushed = co_await client_->flush(deadline);
        if (!flushed && problem_.empty()) problem_ = "cannot send: " + flushed.error().text;
    }

    async::Task<void> expect(std::string expected) {
        // A server that closes does not take what we still want to send.
        if (expected == "closed") {
            async::Deadline deadline = loop.after(Seconds(10));
            auto flushed = co_await client_->flush(deadline);
            static_cast<void>(flushed);
        } else {
            co_await flush();
        }
        std::string reply = co_await read_reply();
        replies.push_back(reply);
        if (!reply.starts_with(expected)) problem_ = "expected: " + expected + "\ngot: " + reply;
    }

    async::Task<std::string> read_reply() {
        std::string reply;
        while (true) {
            std::size_t end = async::Stream::find_line(client_->buffered());
            if (end != async::Stream::kNoLine) {
                std::string line(client_->buffered().substr(0, end));
                client_->consume(end + 2);
                reply += line;
                if (line.size() < 4 || line[3] != '-') co_return reply;
                reply += '\n';
                continue;
            }
            async::Deadline deadline = loop.after(Seconds(20));
            auto filled = co_await client_->fill(65536, deadline);
            if (!filled) co_return filled.error().text;
            if (!*filled) co_return "closed";
        }
    }

    static std::string unescape(const std::string& text) {
        std::string result;
        for (std::size_t at = 0; at < text.size(); ++at) {
            if (text[at] != '\\' || at + 1 == text.size()) {
                result += text[at];
                continue;
            }
            const char next = text[++at];
            result += next == 'r' ? '\r' : next == 'n' ? '\n' : next == '0' ? '\0' : next;
        }
        return result;
    }

    std::unique_ptr<Session> session_;
    std::unique_ptr<async::Stream> client_;
    std::string problem_;
    bool done_ = false;
};

}  // namespace postrider::smtpd::test
