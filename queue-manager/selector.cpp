#include "queue-manager/selector.h"

#include <fmt/format.h>

#include <algorithm>
#include <string_view>

#include "libcommon/mail/ascii.h"
#include "queue-manager/flush_scope.h"
#include "queue-manager/message.h"

namespace postrider::queue_manager {

namespace {

bool is_open(const wire::QueueRecipient& recipient) {
    return recipient.state() != "delivered" && recipient.state() != "failed";
}

bool is_about(std::string_view name, const wire::Selector& selector) {
    return belongs_to(name, selector.domain(), selector.subdomains());
}

/// Whether an address is the wanted one, or in the wanted domain ("@domain").
bool is_address(const std::string& address, const std::string& wanted) {
    if (!wanted.starts_with('@')) return mail::equal_ignoring_case(address, wanted);
    return mail::equal_ignoring_case(domain_of(address), std::string_view(wanted).substr(1));
}

bool contains_ignoring_case(std::string_view text, std::string_view part) {
    const auto same = [](char left, char right) {
        return mail::equal_ignoring_case(std::string_view(&left, 1), std::string_view(&right, 1));
    };
    return std::search(text.begin(), text.end(), part.begin(), part.end(), same) != text.end();
}

bool is_named(const wire::QueueEntry& entry, const wire::Selector& selector) {
    const auto& ids = selector.queue_ids();
    return ids.empty() || std::find(ids.begin(), ids.end(), entry.queue_id()) != ids.end();
}

bool is_of_age(const wire::QueueEntry& entry, const wire::Selector& selector, UnixMillis now) {
    const UnixMillis age = now > entry.arrival_ms() ? now - entry.arrival_ms() : 0;
    if (selector.older_ms() != 0 && age <= selector.older_ms()) return false;
    return selector.younger_ms() == 0 || age < selector.younger_ms();
}

bool is_from(const wire::QueueEntry& entry, const wire::Selector& selector) {
    if (selector.null_sender() && !entry.sender().empty()) return false;
    return selector.sender().empty() || is_address(entry.sender(), selector.sender());
}

template <typename Predicate>
bool any_recipient(const wire::QueueEntry& entry, Predicate predicate) {
    return std::any_of(entry.recipients().begin(), entry.recipients().end(), predicate);
}

bool is_to(const wire::QueueEntry& entry, const wire::Selector& selector) {
    if (!selector.recipient().empty() && !any_recipient(entry, [&](const auto& recipient) {
            return is_address(recipient.address(), selector.recipient());
        })) {
        return false;
    }
    if (!selector.domain().empty() && !any_recipient(entry, [&](const auto& recipient) {
            return is_open(recipient) && (is_about(domain_of(recipient.address()), selector) ||
                                          is_about(recipient.next_hop(), selector));
        })) {
        return false;
    }
    return selector.last_reply().empty() || any_recipient(entry, [&](const auto& recipient) {
               return is_open(recipient) &&
                      contains_ignoring_case(recipient.last_reply(), selector.last_reply());
           });
}

}  // namespace

std::vector<queue_file::QueueId> ids_of(const wire::Selector& selector) {
    std::vector<queue_file::QueueId> ids;
    for (const auto& text : selector.queue_ids()) {
        auto id = queue_file::QueueId::parse(text);
        if (id) ids.push_back(*id);
    }
    std::sort(ids.begin(), ids.end());
    ids.erase(std::unique(ids.begin(), ids.end()), ids.end());
    return ids;
}

bool needs_listing(const wire::Selector& selector) {
    wire::Selector rest = selector;
    rest.clear_queue_ids();
    return rest.ByteSizeLong() > 0;
}

bool matches(const wire::QueueEntry& entry, const wire::Selector& selector, UnixMillis now) {
    const auto& states = selector.states();
    const bool has_state =
        states.empty() || std::find(states.begin(), states.end(), entry.state()) != states.end();
    return has_state && is_named(entry, selector) && is_of_age(entry, selector, now) &&
           is_from(entry, selector) && is_to(entry, selector);
}

std::string selector_text(const wire::Selector& selector) {
    constexpr UnixMillis kSecond = 1000;
    constexpr int kMostIds = 20;
    std::string text;
    const auto add = [&](std::string_view option, std::string_view value) {
        text += fmt::format("{}{} {}", text.empty() ? "" : " ", option, value);
    };
    for (int i = 0; i < std::min(selector.queue_ids_size(), kMostIds); ++i)
        add("--id", selector.queue_ids(i));
    if (selector.queue_ids_size() > kMostIds)
        text += fmt::format(" and {} more", selector.queue_ids_size() - kMostIds);
    if (selector.null_sender()) add("--from", "<>");
    if (!selector.sender().empty()) add("--from", selector.sender());
    if (!selector.recipient().empty()) add("--to", selector.recipient());
    if (!selector.domain().empty()) add("--domain", (selector.subdomains() ? "." : "") + selector.domain());
    if (selector.older_ms() != 0) add("--age", fmt::format(">{}s", selector.older_ms() / kSecond));
    if (selector.younger_ms() != 0) add("--age", fmt::format("<{}s", selector.younger_ms() / kSecond));
    for (const auto& state : selector.states())
        add("--state", state);
    if (!selector.last_reply().empty()) add("--last-reply", selector.last_reply());
    return text.empty() ? "--all" : text;
}

}  // namespace postrider::queue_manager
