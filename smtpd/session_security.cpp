#include "libcommon/base/base64.h"
#include "libcommon/base/wipe.h"
#include "libcommon/log/log.h"
#include "smtpd/replies.h"
#include "smtpd/session.h"

/// The parts of a session that are about secrets: STARTTLS and AUTH.
namespace postrider::smtpd {

namespace {
using config::Limit;
}

/// Makes the TLS handshake. False: the connection is lost.
async::Task<bool> Session::encrypt() {
    if (!services_.tls.ready()) {
        lose("there is no certificate");
        co_return false;
    }
    const async::Deadline deadline =
        services_.loop.after(services_.settings.limits.time(Limit::TlsHandshakeTimeout, client_.load));
    auto settled = co_await services_.tls.accept(stream_, listener_, deadline);
    if (!settled) {
        log::info("tls-failed")
            .add("session", client_.session_text())
            .add("client", client_.text())
            .add("reason", settled.error().text);
        lose("tls handshake: " + settled.error().text);
        co_return false;
    }
    tls_session_ = std::make_unique<TlsSession>(std::move(*settled));
    log::info("tls")
        .add("session", client_.session_text())
        .add("client", client_.text())
        .add("version", tls_session_->version)
        .add("cipher", tls_session_->cipher)
        .add("name", tls_session_->server_name)
        .add("resumed", tls_session_->resumed)
        .add("certificate", tls_session_->client_certificate);
    dialogue_.encrypted(!tls_session_->channel_binding.empty());
    co_return true;
}

async::Task<void> Session::start_tls(StartTls start) {
    co_await say(std::move(start.answer), "STARTTLS");
    co_await flush();
    if (ended_) co_return;
    // What came in clear text behind STARTTLS may be somebody else's (RFC 3207, 4.2).
    stream_.consume(stream_.buffered().size());
    bool ready = co_await encrypt();
    if (!ready) co_return;
    ClientVerdict client = co_await ask_about_client();
    if (client.answered) dialogue_.client_decided(client);
    // One that is not welcome any more is told at MAIL.
    client_known_ = client.answered && client.verdict.accepted();
}

async::Task<void> Session::authenticate(Authenticate asked) {
    const std::string mechanism = asked.mechanism;
    wire::AuthBegin begin;
    begin.set_mechanism(asked.mechanism);
    begin.set_has_initial(asked.initial.has_value());
    if (asked.initial) {
        begin.set_initial(*asked.initial);
        wipe(*asked.initial);
    }
    if (client_.address) begin.set_client_address(client_.address->text());
    begin.set_tls(dialogue_.is_encrypted());
    if (tls_session_) begin.set_channel_binding(tls_session_->channel_binding);
    std::uint64_t exchange = 0;
    AuthStep step = co_await services_.logins.begin(std::move(begin), exchange);
    while (!step.done && !ended_) {
        stream_.put("334 " + encode_base64(step.challenge) + "\r\n");
        co_await flush();
        std::optional<std::string> line = co_await read_secret_line();
        if (!line) {
            services_.logins.cancel(exchange);
            co_return;
        }
        std::optional<std::string> response = decode_base64(*line);
        const bool cancelled = *line == "*";
        wipe(*line);
        if (!response) {
            services_.logins.cancel(exchange);
            Answer answer =
                cancelled ? dialogue_.authentication_cancelled() : dialogue_.authentication_unreadable();
            co_await say(std::move(answer), "AUTH " + mechanism);
            co_return;
        }
        step = co_await services_.logins.respond(exchange, std::move(*response));
    }
    if (ended_) co_return;
    co_await finish_authentication(std::move(step.outcome), mechanism);
}

async::Task<void> Session::finish_authentication(wire::AuthOutcome outcome, std::string mechanism) {
    log_login(outcome, mechanism);
    Answer answer = dialogue_.authenticated(outcome);
    if (!dialogue_.login().empty()) {
        // What the login may do is known before the client can ask for it.
        ClientVerdict client = co_await ask_about_client();
        if (client.answered && client.verdict.accepted()) {
            dialogue_.client_decided(client);
        } else if (client.answered) {
            answer = dialogue_.login_refused(client.verdict);
        }
    }
    co_await say(std::move(answer), "AUTH " + mechanism);
}

/// The next line of an AUTH dialogue, without its end. Nothing: the session has ended.
async::Task<std::optional<std::string>> Session::read_secret_line() {
    const async::Deadline deadline = services_.loop.after(services_.settings.limits.time(Limit::AuthTimeout));
    const std::size_t longest = services_.settings.limits.size(Limit::AuthLine);
    while (true) {
        const std::size_t end = async::Stream::find_line(stream_.buffered());
        if (end != async::Stream::kNoLine && end + 2 <= longest) {
            std::string line(stream_.buffered().substr(0, end));
            stream_.consume_secret(end + 2);
            co_return line;
        }
        if (end != async::Stream::kNoLine || stream_.buffered().size() > longest) {
            // Whatever this is, nothing in it may be taken for a command.
            Answer answer{make_reply(500, {5, 5, 6}, "The line is too long"), "auth_line", Milliseconds(0),
                          true};
            co_await say(std::move(answer), "AUTH");
            co_return std::nullopt;
        }
        waiting_ = true;
        auto filled = co_await stream_.fill(longest + 1, deadline);
        waiting_ = false;
        if (filled && *filled) continue;
        end_waiting(filled ? std::nullopt : std::optional<std::string>(filled.error().text));
        co_return std::nullopt;
    }
}

void Session::log_login(const wire::AuthOutcome& outcome, const std::string& mechanism) const {
    const bool accepted = outcome.result() == wire::AuthOutcome::ACCEPTED;
    log::info(accepted ? "login" : "login-failed")
        .add("session", client_.session_text())
        .add("client", client_.text())
        .add("mechanism", mechanism)
        .add("login", outcome.login())
        .add("reason", outcome.reason());
}

}  // namespace postrider::smtpd
