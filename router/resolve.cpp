#include "router/resolve.h"

#include <fmt/format.h>

#include <utility>

#include "libcommon/ipc/channel.h"
#include "libcommon/mail/domain.h"

namespace postrider::router {

namespace {

// Bits of Recipient.notify (RFC 3461, 4.1).
constexpr std::uint32_t kNotifyNever = 1;
constexpr std::uint32_t kNotifySuccess = 2;

void set_failure(wire::ResolvedRecipient& recipient, bool is_temporary, std::string_view enhanced,
                 std::string_view text) {
    recipient.mutable_failure()->set_temporary(is_temporary);
    recipient.mutable_failure()->set_text(fmt::format("{} {}", enhanced, text));
}

void set_error(wire::Delivery& delivery, std::string text) {
    delivery.set_transport(wire::TRANSPORT_ERROR);
    delivery.set_next_hop("error");
    delivery.set_error_text(std::move(text));
}

void set_discard(wire::Delivery& delivery) {
    delivery.set_transport(wire::TRANSPORT_DISCARD);
    delivery.set_next_hop("discard");
}

/// Mail for an address literal goes to that address, as remote-delivery writes it. Without a port: one would
/// say that an administrator chose the address, which may then be our own.
std::string direct_next_hop(const std::string& domain) {
    if (!domain.starts_with('[')) return domain;
    const Result<mail::Domain> literal = mail::parse_domain(domain);
    return literal ? fmt::format("[{}]", literal->address()) : domain;
}

void set_remote(wire::Delivery& delivery, const Leaf& leaf) {
    const Route* route = leaf.route;
    const Route::Kind kind = route == nullptr ? Route::Kind::Mx : route->kind;
    if (route != nullptr) {
        delivery.mutable_retry_seconds()->Assign(route->retry_seconds.begin(), route->retry_seconds.end());
        delivery.set_lifetime_seconds(route->lifetime_seconds);
    }
    switch (kind) {
        case Route::Kind::Mx:
            delivery.set_transport(wire::TRANSPORT_SMTP);
            delivery.set_next_hop(direct_next_hop(leaf.address.domain));
            break;
        case Route::Kind::Via:
            delivery.set_transport(wire::TRANSPORT_SMTP);
            delivery.set_next_hop(route->next_hop);
            break;
        case Route::Kind::Discard:
            set_discard(delivery);
            break;
        case Route::Kind::Error:
            set_error(delivery, fmt::format("{} {}", route->enhanced, route->text));
            break;
        case Route::Kind::None:
            set_error(delivery, "5.7.1 no mail is sent to this domain");
            break;
    }
}

void set_local(wire::Delivery& delivery, const Leaf& leaf, wire::Transport transport) {
    delivery.set_transport(transport);
    delivery.set_next_hop(leaf.kind == Leaf::Kind::Mailbox ? leaf.user_key : leaf.path);
    wire::LocalTarget& target = *delivery.mutable_local();
    target.set_user(leaf.user.name);
    target.set_uid(leaf.user.uid);
    target.set_gid(leaf.user.gid);
    target.set_home(leaf.user.home);
    target.set_path(leaf.path);
    target.set_system_user(leaf.system_user);
}

void set_destination(wire::Delivery& delivery, const Leaf& leaf) {
    switch (leaf.kind) {
        case Leaf::Kind::Mailbox:
            set_local(delivery, leaf, wire::TRANSPORT_MAILDIR);
            break;
        case Leaf::Kind::Program:
            set_local(delivery, leaf, wire::TRANSPORT_PROGRAM);
            break;
        case Leaf::Kind::File:
            set_local(delivery, leaf, wire::TRANSPORT_FILE);
            break;
        case Leaf::Kind::Remote:
            set_remote(delivery, leaf);
            break;
        case Leaf::Kind::Discard:
            set_discard(delivery);
            break;
        case Leaf::Kind::Failure:
            set_error(delivery, leaf.failure);
            break;
    }
}

/// The sender's wishes about notifications, as far as they reach this delivery.
void set_notification(wire::Delivery& delivery, const wire::Recipient& recipient, bool several) {
    if (delivery.has_sender()) return;  // reports go to the owner of the list, who asked for nothing
    delivery.set_orcpt(recipient.orcpt());
    const std::uint32_t notify = recipient.notify();
    if (!several || (notify & kNotifySuccess) == 0) {
        delivery.set_notify(notify);
        return;
    }
    const std::uint32_t rest = notify & ~kNotifySuccess;
    // Nothing left to report is not the same as nothing said, which would bring reports of failures.
    delivery.set_notify(rest == 0 ? kNotifyNever : rest);
}

wire::Delivery delivery_of(const Leaf& leaf, const wire::Recipient& recipient, std::string_view sender,
                           bool several) {
    wire::Delivery delivery;
    delivery.set_recipient(leaf.address.text());
    delivery.set_original_recipient(recipient.address());
    // A notification keeps its null sender on every list: an answer to it must not be possible.
    if (leaf.owner && !sender.empty()) {
        delivery.set_sender(*leaf.owner);
        delivery.set_has_sender(true);
    }
    set_notification(delivery, recipient, several);
    delivery.set_rule(leaf.rule.line_text());
    set_destination(delivery, leaf);
    return delivery;
}

/// A route line may say how long to try again, with the reply itself: `route d error "451 4.7.1 later"`.
bool is_temporary_error(const Leaf& leaf) {
    return leaf.kind == Leaf::Kind::Remote && leaf.route != nullptr &&
           leaf.route->kind == Route::Kind::Error && leaf.route->enhanced.starts_with('4');
}

}  // namespace

wire::ResolvedRecipient resolve_recipient(std::uint32_t index, const wire::Recipient& recipient,
                                          std::string_view sender, const Tables& tables, Facts& facts,
                                          std::vector<TraceLine>* trace) {
    wire::ResolvedRecipient resolved;
    resolved.set_index(index);
    Result<Address> parsed = parse_address(recipient.address());
    if (!parsed) {
        set_failure(resolved, false, "5.1.3", parsed.error().text);
        return resolved;
    }
    Expansion expansion = expand(tables.qualified(std::move(*parsed)), tables, facts, trace);
    switch (expansion.outcome) {
        case Expansion::Outcome::Refused:
            set_failure(resolved, false, expansion.enhanced, expansion.text);
            return resolved;
        case Expansion::Outcome::Deferred:
            set_failure(resolved, true, expansion.enhanced, expansion.text);
            return resolved;
        case Expansion::Outcome::Held:
            set_failure(resolved, true, "4.3.0",
                        fmt::format("nobody reads {}: it needs an alias", recipient.address()));
            return resolved;
        case Expansion::Outcome::Delivered:
            break;
    }
    const bool several = expansion.leaves.size() > 1;
    for (const Leaf& leaf : expansion.leaves) {
        if (is_temporary_error(leaf)) {
            resolved.clear_deliveries();
            set_failure(resolved, true, leaf.route->enhanced, leaf.route->text);
            return resolved;
        }
        *resolved.add_deliveries() = delivery_of(leaf, recipient, sender, several);
    }
    return resolved;
}

std::vector<wire::Resolved> split_into_frames(std::vector<wire::ResolvedRecipient> recipients) {
    std::vector<wire::Resolved> frames(1);
    std::size_t size = 0;
    for (wire::ResolvedRecipient& recipient : recipients) {
        wire::ResolvedRecipient* part = nullptr;
        const auto begin_part = [&](std::size_t next) {
            if (size > 0 && size + next > ipc::kFrameTarget) {
                frames.emplace_back();
                size = 0;
                part = nullptr;
            }
            if (part == nullptr) {
                part = frames.back().add_recipients();
                part->set_index(recipient.index());
            }
            size += next;
        };
        // Tags, lengths and the index of a part take fewer bytes than this.
        constexpr std::size_t kOverhead = 32;
        if (recipient.has_failure()) {
            begin_part(recipient.failure().ByteSizeLong() + kOverhead);
            *part->mutable_failure() = std::move(*recipient.mutable_failure());
        }
        for (wire::Delivery& delivery : *recipient.mutable_deliveries()) {
            begin_part(delivery.ByteSizeLong() + kOverhead);
            *part->add_deliveries() = std::move(delivery);
        }
    }
    return frames;
}

}  // namespace postrider::router
