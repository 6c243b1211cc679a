#include "router/explain.h"

#include <fmt/format.h>

#include <algorithm>
#include <string>
#include <utility>

#include "libcommon/ipc/channel.h"
#include "libcommon/mail/session_rules.h"
#include "libcommon/mail/utf8.h"
#include "router/block_list.h"
#include "router/explain_limits.h"
#include "router/mail_domain.h"
#include "router/resolve.h"
#include "router/session_policy.h"
#include "router/verdict_frame.h"
#include "router/way_out.h"

namespace postrider::router {

namespace {

// Every item has to fit into a frame, whatever tables, clients and the DNS say.
constexpr std::size_t kLongestText = 8192;
constexpr std::size_t kLargestItem = ipc::kMaxFrame / 2;
constexpr std::size_t kShownAddresses = 16;

std::string cut(std::string text) {
    text.resize(mail::utf8_cut(text, kLongestText));
    return text;
}

/// Puts a reply into a verdict. What it does, and why, stays.
void set_reply(const mail::Reply& reply, wire::Verdict& verdict) {
    verdict.set_code(static_cast<std::uint32_t>(reply.code.value()));
    verdict.set_enhanced(reply.enhanced ? reply.enhanced->to_string() : std::string());
    verdict.set_text(cut(reply.lines.front()));
}

wire::Verdict refused_by_rule(const mail::Refusal& refusal) {
    wire::Verdict verdict;
    verdict.set_action(refusal.reply.code.is_transient() ? wire::Verdict::DEFER : wire::Verdict::REJECT);
    set_reply(refusal.reply, verdict);
    verdict.set_rule(refusal.rule);
    return verdict;
}

/// The verdict with the reply that a client reads: what says that it is accepted, or the refusal in the form
/// of this stage.
wire::Verdict told(const Verdict& verdict, const mail::Reply& accepted,
                   mail::Reply (*form)(mail::Reply) = nullptr) {
    wire::Verdict frame;
    fill(frame, verdict);
    const auto code = mail::ReplyCode::from_number(static_cast<int>(verdict.code));
    if (verdict.action == Verdict::Action::Accept) {
        set_reply(accepted, frame);
    } else if (form != nullptr && code) {
        set_reply(form(mail::Reply{*code, mail::parse_enhanced_code(verdict.enhanced), {verdict.text}}),
                  frame);
    }
    return frame;
}

/// As RouterLink tells an address that was parsed: canonical.
std::string path_argument(std::string_view address) {
    return fmt::format("<{}>", address);
}

class Explainer {
  public:
    Explainer(const wire::ExplainQuestion& question, const ExplainInputs& inputs, Facts& facts)
        : question_(question), inputs_(inputs), tables_(inputs.tables), facts_(facts) {}

    ExplainedAnswer run(const Client* client) {
        Client at_rcpt;
        if (client != nullptr) {
            at_rcpt = explain_session(*client);
        }
        if (question_.has_sender()) explain_sender(at_rcpt);
        if (!question_.recipient().empty()) explain_recipient(at_rcpt);
        if (client != nullptr) explain_limits(at_rcpt);
        if (!question_.recipient().empty()) explain_way();
        return std::move(answer_);
    }

  private:
    Client explain_session(Client client);
    void explain_connect(const Client& client);
    void explain_again(std::string_view name, const Client& client, const mail::Reply& accepted,
                       mail::Reply (*form)(mail::Reply));
    void explain_sender(const Client& client);
    void explain_recipient(const Client& client);
    void explain_limits(const Client& client);
    void explain_way();
    void add_exchangers(wire::ExplainedDelivery& explained);
    void add_listings(const Client& client, wire::ExplainedStage& stage);

    wire::Verdict decide_by_form_or(const mail::SessionTerms& terms, std::string_view address,
                                    mail::PathRole role, std::string& canonical);
    [[nodiscard]] std::optional<Verdict> over(const std::vector<RateUse>& rates, const Verdict& verdict);

    wire::ExplainedStage& add_stage(std::string_view name, wire::Verdict verdict);
    void add_line(PolicyKind kind, bool is_default, const PolicyRule* rule, wire::ExplainedStage& stage);
    wire::ExplainedItem& add_item() { return answer_.items.emplace_back(); }

    const wire::ExplainQuestion& question_;
    const ExplainInputs& inputs_;
    const Tables& tables_;
    Facts& facts_;
    ExplainedAnswer answer_;
    wire::SessionPolicy policy_;
    std::string sender_;           // canonical, once it was parsed
    std::uint64_t own_limit_ = 0;  // of the recipient: octets
    std::string own_limit_rule_;
    std::vector<RateUse> rates_;
};

wire::ExplainedStage& Explainer::add_stage(std::string_view name, wire::Verdict verdict) {
    const bool reached = !answer_.refused && !answer_.deferred;
    answer_.refused |= verdict.action() == wire::Verdict::REJECT;
    answer_.deferred |= verdict.action() == wire::Verdict::DEFER;
    wire::ExplainedStage& stage = *add_item().mutable_stage();
    stage.set_name(std::string(name));
    stage.set_reached(reached);
    *stage.mutable_verdict() = std::move(verdict);
    return stage;
}

void Explainer::add_line(PolicyKind kind, bool is_default, const PolicyRule* rule,
                         wire::ExplainedStage& stage) {
    if (rule == nullptr) return;
    wire::ExplainedLine& line = *stage.add_lines();
    line.set_kind(std::string(kind_name(kind)));
    line.set_is_default(is_default);
    line.set_position(rule->position.line_text());
}

/// What would be said instead, because a rate is used up. What the tables refuse is not counted.
std::optional<Verdict> Explainer::over(const std::vector<RateUse>& rates, const Verdict& verdict) {
    rates_.insert(rates_.end(), rates.begin(), rates.end());
    const RateUse* used_up = first_used_up(rates);
    if (used_up == nullptr || verdict.action != Verdict::Action::Accept) return std::nullopt;
    return over_rate(used_up->applied);
}

/// The stages before MAIL. Returns the client as it is then.
Client Explainer::explain_session(Client client) {
    wire::Client& described = *add_item().mutable_client();
    described = question_.client();
    described.set_name(client.name);
    for (const std::string& name : client.unconfirmed_names)
        described.add_unconfirmed_names(name);

    const std::string helo = std::exchange(client.helo, {});
    const std::string login = client.local ? client.login : std::exchange(client.login, {});
    explain_connect(client);
    client.begins_session = false;
    if (!helo.empty()) {
        const auto refusal = mail::refuse_greeting(helo, terms_of_session(client, policy_, tables_).strict,
                                                   tables_.general.limits.size(config::Limit::DomainLength));
        client.helo = helo;
        if (refusal) {
            add_stage("helo", refused_by_rule(*refusal));
        } else {
            explain_again("helo", client, mail::Reply{250, std::nullopt, {tables_.hostname}}, nullptr);
        }
    }
    if (!login.empty() && !client.local) {
        client.login = login;
        explain_again("login", client, mail::login_accepted(), mail::as_login_refusal);
    }
    return client;
}

void Explainer::explain_connect(const Client& client) {
    ConnectDecision decision = decide_connect(client, tables_, facts_);
    std::optional<Verdict> refused =
        over(inputs_.history.connection_rates(client, tables_, inputs_.now), decision.verdict);
    const Verdict& verdict = refused ? *refused : decision.verdict;
    policy_ = std::move(decision.policy);
    wire::ExplainedStage& stage =
        add_stage("connect", told(verdict, mail::banner(tables_.hostname), mail::as_banner));
    for (const SessionLine& line : session_lines(client, rules_for(client, tables_), tables_))
        add_line(line.kind, line.is_default, line.rule, stage);
    add_listings(client, stage);
}

/// What is decided anew about a client of whom more is known now.
void Explainer::explain_again(std::string_view name, const Client& client, const mail::Reply& accepted,
                              mail::Reply (*form)(mail::Reply)) {
    ConnectDecision decision = decide_connect(client, tables_, facts_);
    policy_ = std::move(decision.policy);
    wire::ExplainedStage& stage = add_stage(name, told(decision.verdict, accepted, form));
    for (const SessionLine& line : session_lines(client, rules_for(client, tables_), tables_)) {
        const PolicyKind kind = name == "helo" ? PolicyKind::Helo : PolicyKind::Auth;
        if (line.kind == kind) add_line(line.kind, line.is_default, line.rule, stage);
    }
}

/// What each list of the client's network says, whether or not it counts for this client.
void Explainer::add_listings(const Client& client, wire::ExplainedStage& stage) {
    if (!client.address) return;
    const PolicyTuning network = network_tuning(client, tables_);
    const auto add = [&](bool allows, const std::optional<std::vector<DnsList>>& lists) {
        for (const DnsList& list : lists.value_or(std::vector<DnsList>())) {
            Listing found = look_up_listing(*client.address, list, tables_, facts_);
            wire::ExplainedListing& listing = *stage.add_listings();
            listing.set_allows(allows);
            listing.set_zone(list.zone);
            listing.set_text(cut(std::move(found.text)));
            if (found.state == Listing::State::Listed) listing.set_state(wire::ExplainedListing::LISTED);
            if (found.state == Listing::State::Unclear) listing.set_state(wire::ExplainedListing::UNCLEAR);
        }
    };
    add(false, network.block_lists);
    add(true, network.allow_lists);
}

/// A refusal of an address for its form, or a verdict that accepts, and `canonical` as the tables are asked.
wire::Verdict Explainer::decide_by_form_or(const mail::SessionTerms& terms, std::string_view address,
                                           mail::PathRole role, std::string& canonical) {
    const auto parsed = mail::read_path(path_argument(address), role, terms);
    if (!parsed) return refused_by_rule(parsed.error());
    // A client that writes such an address also says SMTPUTF8.
    if (const auto refusal = mail::refuse_path(parsed->path, true, terms)) return refused_by_rule(*refusal);
    canonical = parsed->path.to_string();
    return {};
}

void Explainer::explain_sender(const Client& client) {
    const mail::SessionTerms terms = terms_of_session(client, policy_, tables_);
    std::optional<wire::Verdict> refused;
    if (const auto refusal = mail::refuse_unready(terms)) refused = refused_by_rule(*refusal);
    wire::Verdict verdict = decide_by_form_or(terms, question_.sender(), mail::PathRole::Sender, sender_);
    if (!refused && verdict.action() != wire::Verdict::ACCEPT) refused = std::move(verdict);
    if (const auto refusal = mail::refuse_size(question_.size(), terms); refusal && !refused)
        refused = refused_by_rule(*refusal);
    if (!refused) {
        const Verdict decided = decide_sender(client, sender_, tables_, facts_);
        const std::optional<Verdict> limited =
            over(inputs_.history.message_rates(client, sender_, tables_, inputs_.now), decided);
        refused = told(limited ? *limited : decided, mail::sender_accepted());
    }
    wire::ExplainedStage& stage = add_stage("mail", std::move(*refused));
    const Result<Address> address = parse_address(sender_);
    if (!address && !sender_.empty()) return;
    const Address qualified = address ? tables_.qualified(*address) : Address();
    add_line(PolicyKind::Sender, false, tables_.policy.sender(sender_.empty() ? nullptr : &qualified), stage);
    add_line(PolicyKind::Sender, true, tables_.policy.fallback(PolicyKind::Sender), stage);
}

void Explainer::explain_recipient(const Client& client) {
    const mail::SessionTerms terms = terms_of_session(client, policy_, tables_);
    std::string recipient;
    wire::Verdict verdict =
        decide_by_form_or(terms, question_.recipient(), mail::PathRole::Recipient, recipient);
    if (verdict.action() != wire::Verdict::ACCEPT) {
        add_stage("rcpt", std::move(verdict));
        return;
    }
    const RecipientDecision decision = decide_recipient(client, sender_, recipient, tables_, facts_);
    const std::optional<Verdict> limited =
        over(inputs_.history.recipient_rates(client, sender_, tables_, inputs_.now), decision.verdict);
    verdict = told(limited ? *limited : decision.verdict, mail::recipient_accepted());
    verdict.set_deliveries(static_cast<std::uint32_t>(decision.deliveries));
    if (verdict.action() == wire::Verdict::ACCEPT) {
        own_limit_ = decision.verdict.max_message_size;
        const auto refusal =
            mail::refuse_size_for_recipient(question_.size(), own_limit_, decision.verdict.rule);
        if (refusal) verdict = refused_by_rule(*refusal);
    }
    wire::ExplainedStage& stage = add_stage("rcpt", std::move(verdict));
    const Result<Address> address = parse_address(recipient);
    if (!address) return;
    const PolicyRule* line = recipient_line(tables_.qualified(*address), tables_);
    const PolicyRule* fallback = tables_.policy.fallback(PolicyKind::Recipient);
    add_line(PolicyKind::Recipient, false, line, stage);
    add_line(PolicyKind::Recipient, true, fallback, stage);
    if (own_limit_ == 0) return;
    const bool own = line != nullptr && line->tuning.max_message_size;
    own_limit_rule_ = (own ? line : fallback)->position.line_text();
}

void Explainer::explain_limits(const Client& client) {
    const bool is_new = inputs_.history.is_new(client, tables_, inputs_.now);
    const config::Listener* listener = tables_.general.listener(client.port, client.local);
    const bool waits = is_new && (listener == nullptr || listener->kind == config::ListenerKind::Smtp);
    for (wire::ExplainedLimit& limit : limits_of_session(client, policy_, waits, tables_))
        *add_item().mutable_limit() = std::move(limit);
    if (own_limit_ > 0) {
        wire::ExplainedLimit& limit = *add_item().mutable_limit();
        limit.set_name("max_message_size_of_recipient");
        limit.set_value(config::format_size(own_limit_));
        limit.set_rule(own_limit_rule_);
    }
    for (const RateUse& use : rates_)
        *add_item().mutable_rate() = explained_rate(use);
}

/// Where the mail goes, if that is for the DNS to say.
void Explainer::add_exchangers(wire::ExplainedDelivery& explained) {
    const wire::Delivery& delivery = explained.delivery();
    const bool has_address = delivery.next_hop().find_first_of(":[") != std::string::npos;
    if (delivery.transport() != wire::TRANSPORT_SMTP) return;
    explained.set_route(has_address ? "via " + delivery.next_hop() : "mx");
    if (has_address) return;
    const Exchangers found = find_exchangers(delivery.next_hop(), tables_, facts_);
    explained.set_more_exchangers(!found.complete);
    for (const Exchanger& host : found.hosts) {
        if (explained.ByteSizeLong() > kLargestItem) {
            explained.set_more_exchangers(true);
            break;
        }
        wire::ExplainedExchanger& exchanger = *explained.add_exchangers();
        exchanger.set_preference(host.preference);
        exchanger.set_host(host.host);
        const std::size_t shown = std::min(host.addresses.size(), kShownAddresses);
        for (std::size_t i = 0; i < shown; ++i)
            exchanger.add_addresses(host.addresses[i].text());
        exchanger.set_more_addresses(shown < host.addresses.size());
        exchanger.set_is_us(host.is_us);
        exchanger.set_unclear(host.unclear);
    }
}

/// The expansion and the deliveries of the recipient, as if his mail were accepted: that is how mail of
/// before goes, too.
void Explainer::explain_way() {
    std::vector<TraceLine> trace;
    wire::Recipient recipient;
    recipient.set_address(question_.recipient());
    wire::ResolvedRecipient resolved = resolve_recipient(0, recipient, sender_, tables_, facts_, &trace);
    for (TraceLine& line : trace) {
        wire::ExpansionStep& step = *add_item().mutable_step();
        step.set_depth(static_cast<std::uint32_t>(line.depth));
        step.set_address(cut(std::move(line.address)));
        step.set_step(std::string(line.step));
        step.set_detail(cut(std::move(line.detail)));
        step.set_rule(std::move(line.rule));
    }
    if (resolved.has_failure()) {
        (resolved.failure().temporary() ? answer_.deferred : answer_.refused) = true;
        *add_item().mutable_delivery()->mutable_failure() = std::move(*resolved.mutable_failure());
    }
    for (wire::Delivery& delivery : *resolved.mutable_deliveries()) {
        answer_.refused |= delivery.transport() == wire::TRANSPORT_ERROR;
        wire::ExplainedDelivery& explained = *add_item().mutable_delivery();
        *explained.mutable_delivery() = std::move(delivery);
        add_exchangers(explained);
    }
}

/// Packs parts into frames; `put` moves a part into the frame, `size_of` says how large it is there.
template <typename Part, typename SizeOf, typename Put>
std::vector<wire::Explanation> packed(std::vector<Part> parts, SizeOf size_of, Put put) {
    constexpr std::size_t kOverhead = 8;
    std::vector<wire::Explanation> frames(1);
    std::size_t size = 0;
    for (Part& part : parts) {
        const std::size_t next = size_of(part) + kOverhead;
        if (size > 0 && size + next > ipc::kFrameTarget) {
            frames.emplace_back();
            size = 0;
        }
        size += next;
        put(frames.back(), std::move(part));
    }
    return frames;
}

}  // namespace

ExplainedAnswer explain(const wire::ExplainQuestion& question, const Client* client,
                        const ExplainInputs& inputs, Facts& facts) {
    return Explainer(question, inputs, facts).run(client);
}

std::vector<wire::Explanation> split_into_frames(std::vector<wire::ExplainedItem> items) {
    return packed(
        std::move(items), [](const wire::ExplainedItem& item) { return item.ByteSizeLong(); },
        [](wire::Explanation& frame, wire::ExplainedItem&& item) { *frame.add_items() = std::move(item); });
}

std::vector<wire::Explanation> split_into_frames(std::vector<std::string> lines) {
    for (std::string& line : lines)
        line = cut(std::move(line));
    return packed(
        std::move(lines), [](const std::string& line) { return line.size(); },
        [](wire::Explanation& frame, std::string&& line) { frame.add_lines(std::move(line)); });
}

}  // namespace postrider::router
