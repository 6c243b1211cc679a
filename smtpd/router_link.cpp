#include "smtpd/router_link.h"

#include "libcommon/log/log.h"

namespace postrider::smtpd {

namespace {

using mail::EnhancedCode;
using mail::Reply;
using mail::ReplyCode;

Verdict unavailable(std::string rule) {
    Verdict verdict;
    verdict.refusal = Reply{451, EnhancedCode{4, 3, 0}, {"Temporary failure, please try again later"}};
    verdict.rule = std::move(rule);
    return verdict;
}

}  // namespace

Verdict verdict_from_wire(const wire::Verdict& verdict) {
    if (verdict.action() == wire::Verdict::ACCEPT) {
        Verdict accepted;
        accepted.rule = verdict.rule();
        accepted.fate = verdict.fate();
        accepted.fate_rule = verdict.fate_rule();
        accepted.fate_reason = verdict.fate_reason();
        accepted.max_message_size = verdict.max_message_size();
        accepted.deliveries = verdict.deliveries();
        accepted.stranger = verdict.stranger();
        return accepted;
    }
    const bool rejected = verdict.action() == wire::Verdict::REJECT;
    const auto code = ReplyCode::from_number(static_cast<int>(verdict.code()));
    if (!code || !(rejected ? code->is_permanent() : code->is_transient()))
        return unavailable("router-nonsense");
    auto enhanced = mail::parse_enhanced_code(verdict.enhanced());
    // The class of the two codes must agree (RFC 2034, 4).
    if (enhanced && enhanced->code_class() != code->value() / 100) enhanced.reset();
    Verdict refused;
    refused.refusal = Reply{*code, enhanced, {verdict.text()}};
    refused.rule = verdict.rule();
    return refused;
}

// A router that died comes back after respawn_delay; a question waits that long, and as long again for the
// start, so that a restart is a pause and not a refusal.
RouterLink::RouterLink(async::Loop& loop, Client::Connect connect, const config::Limits& limits)
    : loop_(loop),
      timeout_(limits.time(config::Limit::IpcTimeout)),
      restart_time_(limits.time(config::Limit::RespawnDelay) * 2),
      client_(loop, "router", wire::ROLE_SMTPD, std::move(connect)) {
    client_.on_state([](bool connected) { log::info(connected ? "router connected" : "router lost"); });
}

async::Task<ClientVerdict> RouterLink::may_connect(wire::Client client, bool begins_session) {
    wire::RouterRequest request;
    *request.mutable_connect()->mutable_client() = std::move(client);
    request.mutable_connect()->set_begins_session(begins_session);
    ClientVerdict verdict;
    auto answer = co_await call(std::move(request));
    if (!answer || !answer->reply.has_connect()) {
        verdict.verdict = unavailable("router-unavailable");
        co_return verdict;
    }
    const wire::ConnectVerdict& decided = answer->reply.connect();
    verdict.answered = true;
    verdict.verdict = verdict_from_wire(decided.verdict());
    verdict.policy = decided.policy();
    verdict.client_name = decided.client_name();
    verdict.unconfirmed_names.assign(decided.unconfirmed_names().begin(), decided.unconfirmed_names().end());
    verdict.ask_again_with_helo = decided.ask_again_with_helo();
    verdict.new_client = decided.new_client();
    co_return verdict;
}

async::Task<Verdict> RouterLink::may_send(wire::Client client, std::string sender) {
    wire::RouterRequest request;
    *request.mutable_sender()->mutable_client() = std::move(client);
    request.mutable_sender()->set_sender(std::move(sender));
    co_return co_await ask(std::move(request));
}

async::Task<Verdict> RouterLink::may_receive(wire::Client client, std::string sender, std::string recipient) {
    wire::RouterRequest request;
    *request.mutable_recipient()->mutable_client() = std::move(client);
    request.mutable_recipient()->set_sender(std::move(sender));
    request.mutable_recipient()->set_recipient(std::move(recipient));
    co_return co_await ask(std::move(request));
}

async::Task<VerifiedAddress> RouterLink::verify(wire::Client client, std::string address, bool expand) {
    wire::RouterRequest request;
    *request.mutable_verify()->mutable_client() = std::move(client);
    request.mutable_verify()->set_address(std::move(address));
    request.mutable_verify()->set_expand(expand);
    VerifiedAddress found;
    found.verdict = unavailable("router-unavailable");
    bool connected = co_await connection();
    if (!connected) co_return found;
    const async::Deadline deadline = loop_.after(timeout_);
    auto answers = co_await client_.call_all(std::move(request), deadline);
    if (!answers || !answers->front().reply.has_verified()) co_return found;
    found.verdict = verdict_from_wire(answers->front().reply.verified().verdict());
    for (const Client::Answer& answer : *answers) {
        const auto& addresses = answer.reply.verified().addresses();
        found.addresses.insert(found.addresses.end(), addresses.begin(), addresses.end());
    }
    co_return found;
}

async::Task<Verdict> RouterLink::may_start_queue(wire::Client client, std::string domain) {
    wire::RouterRequest request;
    *request.mutable_etrn()->mutable_client() = std::move(client);
    request.mutable_etrn()->set_domain(std::move(domain));
    co_return co_await ask(std::move(request));
}

async::Task<bool> RouterLink::connection() {
    const async::Deadline restarted = loop_.after(restart_time_);
    co_return co_await client_.wait_connected(restarted);
}

async::Task<Result<RouterLink::Client::Answer>> RouterLink::call(wire::RouterRequest request) {
    if (!client_.connected()) {
        bool connected = co_await connection();
        if (!connected) co_return temporary("the router is not there");
    }
    const async::Deadline deadline = loop_.after(timeout_);
    co_return co_await client_.call(std::move(request), deadline);
}

async::Task<Verdict> RouterLink::ask(wire::RouterRequest request) {
    auto answer = co_await call(std::move(request));
    if (!answer || !answer->reply.has_verdict()) co_return unavailable("router-unavailable");
    co_return verdict_from_wire(answer->reply.verdict());
}

}  // namespace postrider::smtpd
