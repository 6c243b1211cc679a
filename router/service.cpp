#include "router/service.h"

#include <fmt/format.h>

#include <optional>
#include <utility>

#include "libcommon/ipc/channel.h"
#include "libcommon/log/log.h"
#include "libcommon/mail/domain.h"
#include "router/client_name.h"
#include "router/etrn.h"
#include "router/explain.h"
#include "router/mx_check.h"
#include "router/resolve.h"
#include "router/verdict_frame.h"
#include "router/way_out.h"

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
    client.name = asked.name();
    client.unconfirmed_names.assign(asked.unconfirmed_names().begin(), asked.unconfirmed_names().end());
    client.helo = asked.helo();
    client.port = static_cast<std::uint16_t>(asked.port());
    client.submission = asked.kind() == "submission";
    client.encrypted = asked.tls();
    const Result<config::IpAddress> address = config::IpAddress::parse(asked.address());
    if (!address) return std::nullopt;
    client.address = *address;
    return client;
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
        case wire::RouterRequest::kEtrn:
            return role == wire::ROLE_SMTPD;
        case wire::RouterRequest::kResolve:
        case wire::RouterRequest::kHold:
        case wire::RouterRequest::kForward:
        case wire::RouterRequest::kMailbox:
            return role == wire::ROLE_QUEUE_MANAGER;
        case wire::RouterRequest::kExplain:
        case wire::RouterRequest::kMxCheck:
        case wire::RouterRequest::kStatus:
            return role == wire::ROLE_ADMIN;
        case wire::RouterRequest::kHello:
        case wire::RouterRequest::BODY_NOT_SET:
            break;
    }
    return false;
}

Service::Service(FactSources& sources, std::shared_ptr<const Tables> tables)
    : sources_(sources), tables_(std::move(tables)), full_mailboxes_(tables_->limits.rate_names) {
    history_.use_tables(*tables_);
}

void Service::use_tables(std::shared_ptr<const Tables> tables) {
    tables_ = std::move(tables);
    history_.use_tables(*tables_);
}

/// A rate refuses what the tables have accepted. What they refuse stays as they say, and counts for nothing.
void Service::limit(Verdict& verdict, const std::function<std::optional<Verdict>()>& count) {
    if (verdict.action != Verdict::Action::Accept) return;
    std::optional<Verdict> refused = count();
    if (!refused) return;
    ++counters_.refused_by_rate;
    verdict = std::move(*refused);
}

/// What is looked up once for a session, and comes with its later questions.
void Service::describe_beginning(Client& client, Facts& facts) {
    client.begins_session = true;
    if (!client.address) return;
    ClientNames names = find_client_names(*client.address, *tables_, facts);
    client.name = std::move(names.confirmed);
    client.unconfirmed_names = std::move(names.unconfirmed);
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
            answer_connect(peer, request.id(), request.connect(), facts);
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
        case wire::RouterRequest::kHold:
            answer_hold(peer, request.id(), request.hold(), facts);
            break;
        case wire::RouterRequest::kForward:
            answer_forward(peer, request.id(), request.forward(), facts);
            break;
        case wire::RouterRequest::kExplain:
            answer_explain(peer, request.id(), request.explain(), facts);
            break;
        case wire::RouterRequest::kMxCheck:
            answer_mx_check(peer, request.id(), request.mx_check(), facts);
            break;
        case wire::RouterRequest::kStatus:
            answer_status(peer, request.id());
            break;
        case wire::RouterRequest::kVerify:
            answer_verify(peer, request.id(), request.verify(), facts);
            break;
        case wire::RouterRequest::kEtrn:
            answer_etrn(peer, request.id(), request.etrn(), facts);
            break;
        case wire::RouterRequest::kMailbox:
            note_mailbox(request.mailbox());
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

void Service::answer_connect(Peer& peer, std::uint64_t id, const wire::ConnectQuestion& question,
                             Facts& facts) {
    wire::RouterReply reply;
    reply.set_id(id);
    wire::ConnectVerdict& answer = *reply.mutable_connect();
    std::optional<Client> client = client_of(question.client());
    if (client) {
        if (question.begins_session()) describe_beginning(*client, facts);
        ConnectDecision decision = decide_connect(*client, *tables_, facts);
        if (!facts.complete()) return;
        const SteadyTime now = std::chrono::steady_clock::now();
        if (question.begins_session()) {
            limit(decision.verdict, [&] { return history_.count_connection(*client, *tables_, now); });
            answer.set_new_client(history_.is_new(*client, *tables_, now));
        }
        fill(*answer.mutable_verdict(), decision.verdict);
        *answer.mutable_policy() = std::move(decision.policy);
        answer.set_ask_again_with_helo(decision.ask_again_with_helo);
        answer.set_client_name(client->name);
        for (std::string& name : client->unconfirmed_names)
            answer.add_unconfirmed_names(std::move(name));
    } else {
        fill(*answer.mutable_verdict(), unclear_client());
    }
    ++counters_.connects;
    peer.reply(reply);
}

void Service::answer_sender(Peer& peer, std::uint64_t id, const wire::SenderQuestion& question,
                            Facts& facts) {
    Verdict verdict = unclear_client();
    bool stranger = false;
    if (const std::optional<Client> client = client_of(question.client())) {
        verdict = decide_sender(*client, question.sender(), *tables_, facts);
        if (!facts.complete()) return;
        limit(verdict, [&] {
            return history_.count_message(*client, question.sender(), *tables_,
                                          std::chrono::steady_clock::now());
        });
        stranger = is_stranger(*client, question.sender(), *tables_);
    }
    ++counters_.senders;
    wire::RouterReply reply;
    reply.set_id(id);
    fill(*reply.mutable_verdict(), verdict);
    reply.mutable_verdict()->set_stranger(stranger);
    peer.reply(reply);
}

void Service::answer_recipient(Peer& peer, std::uint64_t id, const wire::RecipientQuestion& question,
                               Facts& facts) {
    RecipientDecision decision;
    if (const std::optional<Client> client = client_of(question.client())) {
        decision = decide_recipient(*client, question.sender(), question.recipient(), *tables_, facts);
        if (!facts.complete()) return;
        if (decision.verdict.action == Verdict::Action::Accept &&
            decision.verdict.fate == Verdict::Fate::Deliver && !decision.mailbox.empty() &&
            full_mailboxes_.contains(decision.mailbox, std::chrono::steady_clock::now()))
            decision.verdict = mailbox_is_full(*tables_);
        limit(decision.verdict, [&] {
            return history_.count_recipient(*client, question.sender(), *tables_,
                                            std::chrono::steady_clock::now());
        });
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

void Service::answer_etrn(Peer& peer, std::uint64_t id, const wire::EtrnQuestion& question, Facts& facts) {
    const Result<mail::Domain> domain = mail::parse_domain(question.domain());
    if (!domain || domain->is_literal()) {
        peer.fail(id, Error(Severity::Permanent, "ETRN is for domains"));
        return;
    }
    Verdict verdict = unclear_client();
    if (const std::optional<Client> client = client_of(question.client())) {
        verdict = decide_etrn(*client, domain->name(), *tables_, facts);
        if (!facts.complete()) return;
    }
    ++counters_.etrns;
    wire::RouterReply reply;
    reply.set_id(id);
    fill(*reply.mutable_verdict(), verdict);
    peer.reply(reply);
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

void Service::answer_hold(Peer& peer, std::uint64_t id, const wire::HoldQuestion& question, Facts& facts) {
    wire::RouterReply reply;
    reply.set_id(id);
    wire::Held& held = *reply.mutable_held();
    for (const std::string& domain : question.domains()) {
        if (tables_->local_domain(domain) != nullptr) continue;
        const Route* route = find_way_out(Address{{}, domain}, *tables_, facts).route;
        if (route == nullptr) continue;
        if (route->hold) held.add_domains(domain);
        if (route->schedule.ByteSizeLong() == 0) continue;
        wire::ScheduledDomain& scheduled = *held.add_scheduled();
        scheduled.set_domain(domain);
        *scheduled.mutable_schedule() = route->schedule;
    }
    if (facts.complete()) peer.reply(reply);
}

void Service::answer_forward(Peer& peer, std::uint64_t id, const wire::ForwardQuestion& question,
                             Facts& facts) {
    std::vector<wire::ResolvedRecipient> recipients;
    recipients.push_back(resolve_forward_file(question, *tables_, facts));
    if (!facts.complete()) return;
    ++counters_.recipients_resolved;
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
        describe_beginning(*client, facts);
    }
    ExplainedAnswer answer = explain(question, client ? &*client : nullptr,
                                     {*tables_, history_, std::chrono::steady_clock::now()}, facts);
    if (!facts.complete()) return;
    ++counters_.explanations;
    reply_in_parts(peer, id, split_into_frames(std::move(answer.items)),
                   [&answer](wire::RouterReply& reply, wire::Explanation part) {
                       part.set_refused(answer.refused);
                       part.set_deferred(answer.deferred);
                       *reply.mutable_explanation() = std::move(part);
                   });
}

void Service::answer_mx_check(Peer& peer, std::uint64_t id, const wire::MxCheckQuestion& question,
                              Facts& facts) {
    const Result<mail::Domain> domain = mail::parse_domain(question.domain());
    if (!domain || domain->is_literal()) {
        peer.fail(id, Error(Severity::Permanent, domain ? "an address has no MX" : domain.error().text));
        return;
    }
    MxReport report = check_mx(domain->name(), *tables_, facts);
    if (!facts.complete()) return;
    ++counters_.explanations;
    reply_in_parts(peer, id, split_into_frames(std::move(report.lines)),
                   [&report](wire::RouterReply& reply, wire::Explanation part) {
                       part.set_refused(report.has_problems);
                       part.set_deferred(report.unclear);
                       *reply.mutable_explanation() = std::move(part);
                   });
}

void Service::note_mailbox(const wire::MailboxNotice& notice) {
    const SteadyTime now = std::chrono::steady_clock::now();
    if (notice.full()) {
        full_mailboxes_.found_full(notice.path(), now + tables_->limits.full_mailbox_time);
    } else {
        full_mailboxes_.found_room(notice.path(), now);
    }
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
    add("etrns", counters_.etrns);
    add("refused_by_rate", counters_.refused_by_rate);
    add("explanations", counters_.explanations);
    add("waits", counters_.waits);
    add("cached_users", sources_.users.size());
    add("cached_dns_answers", sources_.resolver.cached());
    add("dns_questions", sources_.resolver.questions_sent());
    add("table_loads", counters_.loads);
    add("failed_table_loads", counters_.failed_loads);
    peer.reply(reply);
}

}  // namespace postrider::router
