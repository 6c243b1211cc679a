#include "smtpd/auth_link.h"

#include <fmt/format.h>

#include <cstring>
#include <utility>

#include "libcommon/log/log.h"

namespace postrider::wire {

void wipe_secrets(AuthRequest& request) {
    if (request.has_begin()) {
        std::string& initial = *request.mutable_begin()->mutable_initial();
        ::explicit_bzero(initial.data(), initial.size());
    }
    if (request.has_response()) {
        std::string& data = *request.mutable_response()->mutable_data();
        ::explicit_bzero(data.data(), data.size());
    }
}

}  // namespace postrider::wire

namespace postrider::smtpd {

namespace {

AuthStep no_answer(std::string reason) {
    AuthStep step;
    step.done = true;
    step.outcome.set_result(wire::AuthOutcome::UNAVAILABLE);
    step.outcome.set_reason(std::move(reason));
    return step;
}

}  // namespace

// authd answers within auth_timeout whatever the modules do; what comes later is lost. One that died comes
// back after respawn_delay, and an exchange that begins meanwhile waits for it, so that a restart is a pause
// and not a refusal.
AuthLink::AuthLink(async::Loop& loop, Client::Connect connect, const config::Limits& limits)
    : loop_(loop),
      timeout_(limits.time(config::Limit::AuthTimeout) + limits.time(config::Limit::IpcTimeout)),
      restart_time_(limits.time(config::Limit::RespawnDelay) * 2),
      client_(loop, "authd", wire::ROLE_SMTPD, std::move(connect)) {
    client_.on_state([](bool connected) { log::info(connected ? "authd connected" : "authd lost"); });
    client_.on_notice([this](wire::AuthReply&& notice, const std::vector<Fd>&) { take_notice(notice); });
}

void AuthLink::take_notice(const wire::AuthReply& notice) {
    if (!notice.has_offer()) return;
    mechanisms_.assign(notice.offer().mechanisms().begin(), notice.offer().mechanisms().end());
    log::info("logins_offered").add("mechanisms", fmt::format("{}", fmt::join(mechanisms_, " ")));
}

async::Task<AuthStep> AuthLink::begin(wire::AuthBegin begin, std::uint64_t& exchange) {
    exchange = next_exchange_++;
    if (!client_.connected()) {
        const async::Deadline restarted = loop_.after(restart_time_);
        bool connected = co_await client_.wait_connected(restarted);
        if (!connected) co_return no_answer("authd is not there");
    }
    wire::AuthRequest request;
    *request.mutable_begin() = std::move(begin);
    request.mutable_begin()->set_exchange(exchange);
    co_return co_await ask(std::move(request));
}

async::Task<AuthStep> AuthLink::respond(std::uint64_t exchange, std::string data) {
    wire::AuthRequest request;
    request.mutable_response()->set_exchange(exchange);
    request.mutable_response()->set_data(data);
    ::explicit_bzero(data.data(), data.size());
    co_return co_await ask(std::move(request));
}

void AuthLink::cancel(std::uint64_t exchange) {
    wire::AuthRequest request;
    request.mutable_cancel()->set_exchange(exchange);
    // If it cannot be sent the exchange is over as well: authd forgets those of a peer that is gone.
    static_cast<void>(client_.notify(request));
}

async::Task<AuthStep> AuthLink::ask(wire::AuthRequest request) {
    const async::Deadline deadline = loop_.after(timeout_);
    auto answer = co_await client_.call(std::move(request), deadline);
    if (!answer) co_return no_answer(answer.error().text);
    AuthStep step;
    if (answer->reply.has_challenge()) {
        step.challenge = answer->reply.challenge().data();
        co_return step;
    }
    if (!answer->reply.has_outcome()) co_return no_answer("authd answered with another frame");
    step.done = true;
    step.outcome = answer->reply.outcome();
    // Nobody is logged in under no name.
    if (step.outcome.result() == wire::AuthOutcome::ACCEPTED && step.outcome.login().empty()) {
        co_return no_answer("authd accepted nobody");
    }
    co_return step;
}

}  // namespace postrider::smtpd
