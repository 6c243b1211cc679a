#include "router/dns_policy.h"

#include <fmt/format.h>

#include <utility>

#include "router/block_list.h"
#include "router/mail_domain.h"
#include "router/session_policy.h"

namespace postrider::router {

namespace {

const PolicyRule* network_rule(const Client& client, const Tables& tables) {
    return client.address ? tables.policy.net(*client.address) : nullptr;
}

/// Which of a client's `net` line and the default one has an option; nullptr if neither does.
template <typename T>
const PolicyRule* network_rule_with(std::optional<T> PolicyTuning::*option, const Client& client,
                                    const Tables& tables) {
    for (const PolicyRule* rule : {network_rule(client, tables), tables.policy.fallback(PolicyKind::Net)}) {
        if (rule != nullptr && rule->tuning.*option) return rule;
    }
    return nullptr;
}

/// The line that has senddns=: of those about the sender and the client, and then of the defaults.
const PolicyRule* sender_dns_rule(const Client& client, const PolicyRule* sender, const Tables& tables) {
    for (const PolicyRule* rule :
         {sender, network_rule(client, tables), tables.policy.fallback(PolicyKind::Sender),
          tables.policy.fallback(PolicyKind::Net)}) {
        if (rule != nullptr && rule->tuning.sender_dns) return rule;
    }
    return nullptr;
}

bool is_literal(const std::string& domain) {
    return domain.starts_with('[');
}

}  // namespace

std::optional<DnsRefusal> unknown_sender_domain(const Client& client, const Address& sender,
                                                const PolicyRule* rule, const Tables& tables, Facts& facts) {
    const std::string& domain = sender.domain;
    if (client.local || is_literal(domain) || tables.local_domain(domain) != nullptr) return std::nullopt;
    const PolicyRule* asking = sender_dns_rule(client, rule, tables);
    if (asking == nullptr || asking->tuning.sender_dns == SenderDns::Off) return std::nullopt;
    const bool existence_only = asking->tuning.sender_dns == SenderDns::Soft;
    switch (existence_only ? check_existence(domain, tables, facts)
                           : check_mail_domain(domain, tables, facts)) {
        case MailDomain::Good:
            break;
        case MailDomain::NoSuchDomain:
            return DnsRefusal{550, "5.1.8", fmt::format("the sender's domain {} does not exist", domain),
                              asking};
        case MailDomain::NullMx:
            return DnsRefusal{550, "5.7.27", fmt::format("the sender's domain {} takes no mail", domain),
                              asking};
        case MailDomain::NoHost:
            return DnsRefusal{550, "5.1.8",
                              fmt::format("no host takes mail for the sender's domain {}", domain), asking};
        case MailDomain::Unclear:
            return DnsRefusal{451, "4.4.3",
                              fmt::format("the DNS does not answer for the sender's domain {}", domain),
                              asking};
    }
    return std::nullopt;
}

std::optional<DnsRefusal> unknown_recipient_domain(const Client& client, const std::string& domain,
                                                   const Tables& tables, Facts& facts) {
    if (client.local || is_literal(domain)) return std::nullopt;
    const PolicyRule* asking = network_rule_with(&PolicyTuning::recipient_dns, client, tables);
    if (asking == nullptr || !*asking->tuning.recipient_dns) return std::nullopt;
    switch (check_mail_domain(domain, tables, facts)) {
        case MailDomain::Good:
            break;
        case MailDomain::NoSuchDomain:
            return DnsRefusal{550, "5.1.2", fmt::format("the domain {} does not exist", domain), asking};
        case MailDomain::NullMx:
            return DnsRefusal{556, "5.1.10", fmt::format("the domain {} takes no mail", domain), asking};
        case MailDomain::NoHost:
            return DnsRefusal{550, "5.4.4", fmt::format("no host takes mail for the domain {}", domain),
                              asking};
        case MailDomain::Unclear:
            return DnsRefusal{451, "4.4.3", fmt::format("the DNS does not answer for the domain {}", domain),
                              asking};
    }
    return std::nullopt;
}

const PolicyRule* mx_line(const PolicyRule* rule, const Tables& tables) {
    if (rule == nullptr) rule = tables.policy.fallback(PolicyKind::Recipient);
    const bool wanted = rule != nullptr && rule->grants.mx.value_or(MxRule::Off) != MxRule::Off;
    return wanted ? rule : nullptr;
}

MxDecision decide_by_mx(const std::string& domain, const PolicyRule* rule, const Tables& tables,
                        Facts& facts) {
    rule = mx_line(rule, tables);
    MxDecision decision;
    if (rule == nullptr || is_literal(domain)) return decision;
    switch (check_admission(domain, *rule->grants.mx, tables, facts)) {
        case Admission::Admitted:
            decision.admitted_by = rule;
            break;
        case Admission::NotExchanger:
            break;
        case Admission::NoSuchDomain:
            decision.refusal =
                DnsRefusal{550, "5.1.2", fmt::format("the domain {} does not exist", domain), rule};
            break;
        case Admission::NullMx:
            decision.refusal =
                DnsRefusal{556, "5.1.10", fmt::format("the domain {} takes no mail", domain), rule};
            break;
        case Admission::PrivateHost:
        case Admission::Unclear:
            decision.refusal = DnsRefusal{
                451, "4.4.3", fmt::format("the DNS does not tell now who takes mail for {}", domain), rule};
            break;
    }
    return decision;
}

std::optional<DnsRefusal> listed_client(const Client& client, BlockStage at, const Tables& tables,
                                        Facts& facts) {
    // Who comes to submit mail has to log in, and may well sit at an address that sends none itself.
    if (!client.address || client.submission) return std::nullopt;
    const PolicyRule* asking = network_rule_with(&PolicyTuning::block_lists, client, tables);
    if (asking == nullptr) return std::nullopt;
    const PolicyTuning network = network_tuning(client, tables);
    BlockStage stage = network.block_stage.value_or(BlockStage::Recipient);
    if (tables.policy.has_exemptions()) stage = BlockStage::Recipient;
    if (stage != at) return std::nullopt;
    std::optional<Listing> listing = find_listing(*client.address, network, tables, facts);
    if (!listing) return std::nullopt;
    const std::uint32_t code = at == BlockStage::Connect ? 554 : 550;
    return DnsRefusal{code, "5.7.1", std::move(listing->text), asking};
}

bool counts_block_lists(const Address& recipient, const PolicyRule* rule, const Tables& tables) {
    const std::string local = folded(recipient.local);
    const bool always_reached = local == "postmaster" || local == "abuse";
    if (always_reached && tables.local_domain(recipient.domain) != nullptr) return false;
    if (rule != nullptr && rule->verb == PolicyVerb::Accept) return false;
    if (rule == nullptr || !rule->tuning.uses_block_lists) {
        rule = tables.policy.fallback(PolicyKind::Recipient);
    }
    return rule == nullptr || rule->tuning.uses_block_lists.value_or(true);
}

}  // namespace postrider::router
