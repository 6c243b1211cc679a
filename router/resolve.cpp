#include "router/resolve.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "libcommon/ipc/channel.h"
#include "libcommon/mail/domain.h"
#include "router/path_template.h"
#include "router/way_out.h"

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
        delivery.set_hold(route->hold);
        delivery.set_never_expires(route->never_expires);
        if (route->limits.ByteSizeLong() > 0) *delivery.mutable_limits() = route->limits;
        if (route->schedule.ByteSizeLong() > 0) *delivery.mutable_schedule() = route->schedule;
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

/// Which forward files may replace the delivery, the one to prefer first: a user of the system has his in his
/// home, any other one beside his mailbox.
void add_forward_files(wire::LocalTarget& target, const Leaf& leaf, const Tables& tables) {
    if (!leaf.system_user || leaf.user.home.empty() || tables.forward_file.empty()) {
        std::string path = leaf.path;
        while (path.size() > 1 && path.back() == '/')
            path.pop_back();
        target.add_forward_files(path + ".fwd");
        return;
    }
    const std::string path = leaf.user.home + tables.forward_file.substr(1);
    if (is_safe_path_part(leaf.detail)) {
        target.add_forward_files(path + tables.recipient_delimiter + leaf.detail);
    }
    target.add_forward_files(path);
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
    target.set_extension(leaf.detail);
}

void set_destination(wire::Delivery& delivery, const Leaf& leaf, const Tables& tables) {
    switch (leaf.kind) {
        case Leaf::Kind::Mailbox:
            set_local(delivery, leaf, wire::TRANSPORT_MAILDIR);
            delivery.mutable_local()->set_quota(leaf.quota);
            delivery.mutable_local()->set_over_quota_fails(tables.over_quota_fails);
            if (leaf.forward_file) add_forward_files(*delivery.mutable_local(), leaf, tables);
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

/// A backup MX keeps mail at least as long as the hosts that send to it would have done (mx-backup, 11); a
/// route that says how long knows better.
void set_backup(wire::Delivery& delivery, const Leaf& leaf, const Tables& tables) {
    if (delivery.transport() != wire::TRANSPORT_SMTP || !leaf.backup) return;
    delivery.set_backup(true);
    const BackupSchedule& schedule = tables.backup_schedule;
    if (delivery.lifetime_seconds() == 0 && !delivery.never_expires())
        delivery.set_lifetime_seconds(schedule.lifetime_seconds);
    if (delivery.retry_seconds().empty()) {
        delivery.mutable_retry_seconds()->Assign(schedule.retry_seconds.begin(),
                                                 schedule.retry_seconds.end());
    }
}

wire::Delivery delivery_of(const Leaf& leaf, const wire::Recipient& recipient, std::string_view sender,
                           bool several, const Tables& tables) {
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
    set_destination(delivery, leaf, tables);
    set_backup(delivery, leaf, tables);
    return delivery;
}

/// A route line may say how long to try again, with the reply itself: `route d error "451 4.7.1 later"`.
bool is_temporary_error(const Leaf& leaf) {
    return leaf.kind == Leaf::Kind::Remote && leaf.route != nullptr &&
           leaf.route->kind == Route::Kind::Error && leaf.route->enhanced.starts_with('4');
}

/// Adds what the sender is to be told of the recipient itself, if he asked for SUCCESS and the deliveries
/// will not tell him: those of several do not, because that is not what he sent to, and members of a list
/// never do.
void add_success(wire::ResolvedRecipient& resolved, const Expansion& expansion,
                 const wire::Recipient& recipient, std::string_view sender, std::string address) {
    if ((recipient.notify() & kNotifySuccess) == 0 || sender.empty()) return;
    const auto& deliveries = resolved.deliveries();
    const bool is_list = std::all_of(deliveries.begin(), deliveries.end(),
                                     [](const wire::Delivery& delivery) { return delivery.has_sender(); });
    if (!is_list && deliveries.size() == 1) return;
    wire::Delivery success;
    success.set_recipient(std::move(address));
    success.set_original_recipient(recipient.address());
    success.set_transport(is_list ? wire::TRANSPORT_LIST : wire::TRANSPORT_ALIAS);
    success.set_next_hop(is_list ? "list" : "alias");
    success.set_notify(recipient.notify());
    success.set_orcpt(recipient.orcpt());
    success.set_rule(expansion.rule.line_text());
    *resolved.add_deliveries() = std::move(success);
}

/// Gives each leaf that leaves this host its way out. False: it takes what the DNS does not tell now. A
/// member of a list goes its usual way then: one dead domain must not hold up all the others.
bool find_ways_out(Expansion& expansion, const Tables& tables, Facts& facts) {
    for (Leaf& leaf : expansion.leaves) {
        if (leaf.kind != Leaf::Kind::Remote) continue;
        const WayOut way = find_way_out(leaf.address, tables, facts);
        if (way.unclear && expansion.leaves.size() == 1) return false;
        leaf.backup = way.backup != nullptr;
        if (way.backup != nullptr && way.route == nullptr) leaf.rule = *way.backup;
        leaf.route = way.route;
    }
    return true;
}

/// Puts what the expansion of `address` came to into the answer.
void set_expansion(wire::ResolvedRecipient& resolved, Expansion expansion, std::string address,
                   const wire::Recipient& recipient, std::string_view sender, const Tables& tables,
                   Facts& facts) {
    switch (expansion.outcome) {
        case Expansion::Outcome::Refused:
            set_failure(resolved, false, expansion.enhanced, expansion.text);
            return;
        case Expansion::Outcome::Deferred:
            set_failure(resolved, true, expansion.enhanced, expansion.text);
            return;
        case Expansion::Outcome::Held:
            set_failure(resolved, true, "4.3.0",
                        fmt::format("nobody reads {}: it needs an alias", recipient.address()));
            return;
        case Expansion::Outcome::Delivered:
            break;
    }
    if (!find_ways_out(expansion, tables, facts)) {
        set_failure(resolved, true, "4.4.3", "the DNS does not tell now whose backup this host is");
        return;
    }
    const bool several = expansion.leaves.size() > 1;
    for (const Leaf& leaf : expansion.leaves) {
        if (is_temporary_error(leaf)) {
            resolved.clear_deliveries();
            set_failure(resolved, true, leaf.route->enhanced, leaf.route->text);
            return;
        }
        *resolved.add_deliveries() = delivery_of(leaf, recipient, sender, several, tables);
    }
    add_success(resolved, expansion, recipient, sender, std::move(address));
}

/// The destinations that local-delivery has read. It has parsed them; what does not parse here as well is
/// an error of the file, which nobody must take for an address.
Result<std::vector<Destination>> destinations_of(const wire::ForwardQuestion& question) {
    const auto file = std::make_shared<const std::string>(question.forward_file());
    std::vector<Destination> destinations;
    for (const wire::Forwarded& forwarded : question.forwarded()) {
        Destination destination;
        destination.position = config::Position{file, forwarded.line(), 1};
        const bool own = forwarded.kind() == wire::Forwarded::MAILBOX && forwarded.text().empty();
        switch (forwarded.kind()) {
            case wire::Forwarded::PROGRAM:
                destination.kind = Destination::Kind::Program;
                destination.text = forwarded.text();
                break;
            case wire::Forwarded::FILE:
                destination.kind = Destination::Kind::File;
                destination.text = forwarded.text();
                break;
            default: {
                const bool mailbox = forwarded.kind() == wire::Forwarded::MAILBOX;
                destination.kind = mailbox ? Destination::Kind::User : Destination::Kind::Mail;
                if (own) break;
                Result<Address> address = parse_address(forwarded.text());
                if (!address) return failure(std::move(address).error());
                destination.address = std::move(*address);
            }
        }
        destinations.push_back(std::move(destination));
    }
    return destinations;
}

/// The recipient of the message that `delivery` is on the way to.
wire::Recipient recipient_of(const wire::Delivery& delivery) {
    wire::Recipient recipient;
    recipient.set_address(delivery.original_recipient());
    recipient.set_notify(delivery.notify());
    recipient.set_orcpt(delivery.orcpt());
    return recipient;
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
    const Address root = tables.qualified(std::move(*parsed));
    set_expansion(resolved, expand(root, tables, facts, trace), root.text(), recipient, sender, tables,
                  facts);
    return resolved;
}

wire::ResolvedRecipient resolve_forward_file(const wire::ForwardQuestion& question, const Tables& tables,
                                             Facts& facts, std::vector<TraceLine>* trace) {
    const wire::Delivery& replaced = question.delivery();
    const wire::LocalTarget& target = replaced.local();
    wire::ResolvedRecipient resolved;
    Result<Address> owner = parse_address(replaced.recipient());
    Result<std::vector<Destination>> destinations = destinations_of(question);
    if (!owner || !destinations) {
        set_failure(resolved, true, "4.3.5", "the forward file cannot be understood");
        return resolved;
    }
    ForwardFile file;
    file.owner = tables.qualified(std::move(*owner));
    // The next hop of a mailbox is its user, with the domain if it is a virtual one.
    file.user = replaced.next_hop().substr(0, replaced.next_hop().rfind('@'));
    for (const auto& forwarder : replaced.forwarded_by()) {
        if (Result<Address> ancestor = parse_address(forwarder)) {
            file.ancestors.push_back(tables.qualified(std::move(*ancestor)));
        }
    }
    file.rights = SystemUser{target.user(), target.uid(), target.gid(), target.home()};
    file.system_user = target.system_user();
    file.destinations = std::move(*destinations);
    file.position = config::Position{std::make_shared<const std::string>(question.forward_file()), 1, 1};

    const wire::Recipient recipient = recipient_of(replaced);
    set_expansion(resolved, expand_forward_file(file, tables, facts, trace), replaced.recipient(), recipient,
                  question.sender(), tables, facts);
    for (wire::Delivery& delivery : *resolved.mutable_deliveries()) {
        *delivery.mutable_forwarded_by() = replaced.forwarded_by();
        delivery.add_forwarded_by(replaced.recipient());
        if (delivery.has_local() && delivery.recipient() == replaced.recipient()) {
            delivery.mutable_local()->set_extension(target.extension());
        }
        if (replaced.has_sender() && !delivery.has_sender()) {
            delivery.set_sender(replaced.sender());
            delivery.set_has_sender(true);
        }
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
