#include "router/service.h"

#include <fmt/format.h>

#include <optional>
#include <utility>

#include "libcommon/ipc/channel.h"
#include "libcommon/log/log.h"
#include "router/explain.h"
#include "router/resolve.h"

namespace postrider::router {

namespace {

/// An expansion learns of further users with each look-up, but not more often than aliases are nested. Above
/// this something else is wrong, such as answers that go out of the cache before they are used.
constexpr int kMaximumRounds = 1000;

/// Questions of one peer that wait for a look-up; above, they are refused for now.
constexpr std::size_t kMaximumWaiting = 10'000;

/// Deliveries in one answer. Many recipients that are lists could otherwise hold up everybody and fill the
/// memory; those that go beyond are to be asked for again.
constexpr std::size_t kMaximumDeliveries = 20'000;

/// The client of a question; nothing if its address is none, which is an error of the asking daemon.
std::optional<Client> client_of(const wire::Client& asked) {
    Client client;
    client.login = asked.login();
    client.local = asked.kind() == "local";
    if (client.local) return client;
    client.helo = asked.helo();
    client.port = static_cast<std::uint16_t>(asked.port());
    client.submission = asked.kind() == "submission";
    client.encrypted = asked.tls();
    const Result<config::IpAddress> address = config::IpAddress::parse(asked.address());
    if (!address) return std::nullopt;
    client.address = *address;
    return client;
}

void fill(wire::Verdict& frame, const Verdict& verdict) {
    switch (verdict.action) {
        case Verdict::Action::Accept:
            frame.set_action(wire::Verdict::ACCEPT);
            break;
        case Verdict::Action::Reject:
            frame.set_action(wire::Verdict::REJECT);
            break;
        case Verdict::Action::Defer:
            frame.set_action(wire::Verdict::DEFER);
            break;
    }
    frame.set_code(verdict.code);
    frame.set_enhanced(verdict.enhanced);
    frame.set_text(verdict.text);
    frame.set_rule(verdict.rule);
}

/// Sends the frames of one answer, all but the last with `more`.
template <typename Body, typename Set>
void reply_in_parts(Service::Peer& peer, std::uint64_t id, std::vector<Body> parts, Set set) {
    for (std::size_t i = 0; i < parts.size(); ++i) {
        wire::RouterReply reply;
        reply.set_id(id);
        reply.set_more(i + 1 < parts.size());
        set(reply, std::move(parts[i]));
        peer.reply(reply);
    }
}

wire::ResolvedRecipient postponed(std::uint32_t index) {
    wire::ResolvedRecipient recipient;
    recipient.set_index(index);
    recipient.mutable_failure()->set_temporary(true);
    recipient.mutable_failure()->set_text("4.3.2 too many recipients at once");
    return recipient;
}

/// At least one frame, and each with the verdict in it, which needs far less than what a frame has room for
/// above its target size.
std::vector<wire::Verified> addresses_in_frames(std::vector<std::string> addresses) {
    constexpr std::size_t kOverhead = 8;
    std::vector<wire::Verified> frames(1);
    std::size_t size = 0;
    for (std::string& address : addresses) {
        if (size > 0 && size + address.size() + kOverhead > ipc::kFrameTarget) {
            frames.emplace_back();
            size = 0;
        }
        size += address.size() + kOverhead;
        frames.back().add_addresses(std::move(address));
    }
    return frames;
}

void count(ServiceCounters& counters, Verdict::Action action) {
    if (action == Verdict::Action::Accept) ++counters.recipients_accepted;
    if (action == Verdict::Action::Reject) ++counters.recipients_rejected;
    if (action == Verdict::Action::Defer) ++counters.recipients_deferred;
}

}  // namespace

bool may_ask(wire::Role role, wire::RouterRequest::BodyCase question) {
    switch (question) {
        case wire::RouterRequest::kConnect:
        case wire::RouterRequest::kSender:
        case wire::RouterRequest::kRecipient:
        case wire::RouterRequest::kVerify:
            return role == wire::ROLE_SMTPD;
        case wire::RouterRequest::kResolve:
            return role == wire::ROLE_QUEUE_MANAGER;
        case wire::RouterRequest::kExplain:
        case wire::RouterRequest::kStatus:
            return role == wire::ROLE_ADMIN;
        case wire::RouterRequest::kHello:
        case wire::RouterRequest::BODY_NOT_SET:
            break;
    }
    return false;
}

Service::Service(FactSources& sources, std::shared_ptr<const Tables> tables)
    : sources_(sources), tables_(std::move(tables)) {
    history_.use_tables(*tables_);
}

void Service::use_tables(std::shared_ptr<const Tables> tables) {
    tables_ = std::move(tables);
    history_.use_tables(*tables_);
}

/// A rate refuses what the tables have accepted; what they refuse stays as they say.
void Service::refuse_if(std::optional<Verdict> refused, Verdict& verdict) {
    if (!refused || verdict.action != Verdict::Action::Accept) return;
    ++counters_.refused_by_rate;
    verdict = std::move(*refused);
}

void Service::on_connect(Peer& peer) {
    log::debug("peer_connected")
        .add("role", static_cast<int>(peer.role()))
        .add("pid", peer.credentials().pid);
}

void Service::on_disconnect(Peer& /*peer*/) {}

Result<void> Service::on_request(Peer& peer, wire::RouterRequest&& request,
                                 const std::vector<Fd>& descriptors) {
    if (!descriptors.empty()) return permanent("sent a descriptor, which nothing here takes");
    if (!may_ask(peer.role(), request.body_case())) {
        return permanent(fmt::format("sent frame {}, which role {} may not",
                                     static_cast<int>(request.body_case()), static_cast<int>(peer.role())));
    }
    auto facts = std::make_unique<QuestionFacts>(sources_);
    dispatch(peer, request, *facts);
    if (facts->complete()) return {};
    ++counters_.waits;
    if (peer.scope().size() >= kMaximumWaiting) {
        peer.fail(request.id(), Error(Severity::Temporary, "too many questions wait for users and the DNS"));
        return {};
    }
    peer.scope().spawn(answer_later(peer, std::move(request), std::move(facts)));
    return {};
}

void Service::dispatch(Peer& peer, const wire::RouterRequest& request, Facts& facts) {
    switch (request.body_case()) {
        case wire::RouterRequest::kConnect:
            answer_connect(peer, request.id(), request.connect());
            break;
        case wire::RouterRequest::kSender:
            answer_sender(peer, request.id(), request.sender(), facts);
            break;
        case wire::RouterRequest::kRecipient:
            answer_recipient(peer, request.id(), request.recipient(), facts);
            break;
        case wire::RouterRequest::kResolve:
            answer_resolve(peer, request.id(), request.resolve(), facts);
            break;
        case wire::RouterRequest::kExplain:
            answer_explain(peer, request.id(), request.explain(), facts);
            break;
        case wire::RouterRequest::kStatus:
            answer_status(peer, request.id());
            break;
        case wire::RouterRequest::kVerify:
            answer_verify(peer, request.id(), request.verify(), facts);
            break;
        case wire::RouterRequest::kHello:  // may_ask() has refused these
        case wire::RouterRequest::BODY_NOT_SET:
            break;
    }
}

async::Task<void> Service::answer_later(Peer& peer, wire::RouterRequest request,
                                        std::unique_ptr<QuestionFacts> facts) {
    for (int round = 0; round < kMaximumRounds; ++round) {
        co_await facts->find_out();
        dispatch(peer, request, *facts);
        if (facts->complete()) co_return;
    }
    log::error("facts_not_found_out").add("frame", static_cast<int>(request.body_case()));
    peer.fail(request.id(), Error(Severity::Temporary, "users or names cannot be looked up"));
}

void Service::answer_connect(Peer& peer, std::uint64_t id, const wire::ConnectQuestion& question) {
    ++counters_.connects;
    wire::RouterReply reply;
    reply.set_id(id);
    if (const std::optional<Client> client = client_of(question.client())) {
        ConnectDecision decision = decide_connect(*client, *tables_);
        const SteadyTime now = std::chrono::steady_clock::now();
        if (question.begins_session()) {
            refuse_if(history_.count_connection(*client, *tables_, now), decision.verdict);
            reply.mutable_connect()->set_new_client(history_.is_new(*client, *tables_, now));
        }
        fill(*reply.mutable_connect()->mutable_verdict(), decision.verdict);
        *reply.mutable_connect()->mutable_policy() = std::move(decision.policy);
        reply.mutable_connect()->set_ask_again_with_helo(decision.ask_again_with_helo);
    } else {
        fill(*reply.mutable_connect()->mutable_verdict(), unclear_client());
    }
    peer.reply(reply);
}

void Service::answer_sender(Peer& peer, std::uint64_t id, const wire::SenderQuestion& question,
                            Facts& facts) {
    Verdict verdict = unclear_client();
    if (const std::optional<Client> client = client_of(question.client())) {
        verdict = decide_sender(*client, question.sender(), *tables_, facts);
        if (!facts.complete()) return;
        if (verdict.action == Verdict::Action::Accept) {
            refuse_if(history_.count_message(*client, *tables_, std::chrono::steady_clock::now()), verdict);
        }
    }
    ++counters_.senders;
    wire::RouterReply reply;
    reply.set_id(id);
    fill(*reply.mutable_verdict(), verdict);
    peer.reply(reply);
}

void Service::answer_recipient(Peer& peer, std::uint64_t id, const wire::RecipientQuestion& question,
                               Facts& facts) {
    RecipientDecision decision;
    if (const std::optional<Client> client = client_of(question.client())) {
        decision = decide_recipient(*client, question.sender(), question.recipient(), *tables_, facts);
        if (!facts.complete()) return;
        if (decision.verdict.action == Verdict::Action::Accept) {
            refuse_if(history_.count_recipient(*client, *tables_, std::chrono::steady_clock::now()),
                      decision.verdict);
        }
    } else {
        decision.verdict = unclear_client();
    }
    count(counters_, decision.verdict.action);
    wire::RouterReply reply;
    reply.set_id(id);
    fill(*reply.mutable_verdict(), decision.verdict);
    reply.mutable_verdict()->set_deliveries(static_cast<std::uint32_t>(decision.deliveries));
    peer.reply(reply);
}

void Service::answer_verify(Peer& peer, std::uint64_t id, const wire::VerifyQuestion& question,
                            Facts& facts) {
    VerifyDecision decision;
    if (const std::optional<Client> client = client_of(question.client())) {
        decision = decide_verify(*client, question.address(), question.expand(), *tables_, facts);
        if (!facts.complete()) return;
    } else {
        decision.verdict = unclear_client();
    }
    ++counters_.verifications;
    reply_in_parts(peer, id, addresses_in_frames(std::move(decision.addresses)),
                   [&decision](wire::RouterReply& reply, wire::Verified part) {
                       fill(*part.mutable_verdict(), decision.verdict);
                       *reply.mutable_verified() = std::move(part);
                   });
}

void Service::answer_resolve(Peer& peer, std::uint64_t id, const wire::ResolveQuestion& question,
                             Facts& facts) {
    std::vector<wire::ResolvedRecipient> recipients;
    std::size_t deliveries = 0;
    for (int i = 0; i < question.recipients_size(); ++i) {
        if (deliveries >= kMaximumDeliveries) {
            recipients.push_back(postponed(static_cast<std::uint32_t>(i)));
            continue;
        }
        wire::ResolvedRecipient resolved = resolve_recipient(
            static_cast<std::uint32_t>(i), question.recipients(i), question.sender(), *tables_, facts);
        deliveries += static_cast<std::size_t>(resolved.deliveries_size());
        // Once something is missing all is asked again, and the rest only says what else is.
        if (facts.complete()) recipients.push_back(std::move(resolved));
    }
    if (!facts.complete()) return;
    counters_.recipients_resolved += recipients.size();
    reply_in_parts(
        peer, id, split_into_frames(std::move(recipients)),
        [](wire::RouterReply& reply, wire::Resolved part) { *reply.mutable_resolved() = std::move(part); });
}

void Service::answer_explain(Peer& peer, std::uint64_t id, const wire::ExplainQuestion& question,
                             Facts& facts) {
    std::optional<Client> client;
    if (question.has_client()) {
        client = client_of(question.client());
        if (!client) {
            peer.fail(id, Error(Severity::Permanent, "the client's address is none"));
            return;
        }
    }
    ExplainedAnswer answer = explain(question, client ? &*client : nullptr, *tables_, facts);
    if (!facts.complete()) return;
    ++counters_.explanations;
    reply_in_parts(peer, id, split_into_frames(std::move(answer.lines)),
                   [&answer](wire::RouterReply& reply, wire::Explanation part) {
                       part.set_refused(answer.refused);
                       part.set_deferred(answer.deferred);
                       *reply.mutable_explanation() = std::move(part);
                   });
}

void Service::answer_status(Peer& peer, std::uint64_t id) {
    wire::RouterReply reply;
    reply.set_id(id);
    wire::RouterState& state = *reply.mutable_state();
    const auto add = [&state](std::string_view name, std::uint64_t value) {
        wire::Counter& counter = *state.add_counters();
        counter.set_name(std::string(name));
        counter.set_value(value);
    };
    add("connects", counters_.connects);
    add("senders", counters_.senders);
    add("recipients_accepted", counters_.recipients_accepted);
    add("recipients_rejected", counters_.recipients_rejected);
    add("recipients_deferred", counters_.recipients_deferred);
    add("recipients_resolved", counters_.recipients_resolved);
    add("verifications", counters_.verifications);
    add("refused_by_rate", counters_.refused_by_rate);
    add("explanations", counters_.explanations);
    add("waits", counters_.waits);
    add("cached_users", sources_.users.size());
    add("table_loads", counters_.loads);
    add("failed_table_loads", counters_.failed_loads);
    peer.reply(reply);
}

}  // namespace postrider::router
