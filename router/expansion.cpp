#include "router/expansion.h"

#include <fmt/format.h>

#include <algorithm>
#include <deque>
#include <unordered_set>
#include <utility>

#include "libcommon/log/log.h"
#include "router/users.h"

// How this ends. Work is a list of nodes, each an address and the stage at which it enters: aliases, then the
// forwarding of the user, then his mailbox. A node either becomes a leaf or is replaced by its destinations,
// which enter at the first stage again, or, where they mean the same address, at a later one. Two rules bound
// the work:
//
//   * The ancestor rule. A child is dropped when a node on the way to it has the same address and entered at
//   the
//     same stage or later. So no address is followed round a circle: `a: b` and `b: a` end where `a` comes up
//     again.
//   * No address enters at the same stage twice, on whatever way: what it leads to is in the result already.
//   So
//     lists that share their members cost no more than the sum of their lines, although the number of ways
//     through them may grow exponentially.
//
// A recipient is never lost by them. If an address is dropped as its own ancestor, all that the ancestor
// leads to is in the result; only if that is nothing, all ways are circles, and the recipient is refused as a
// loop.
namespace postrider::router {

namespace {

using config::Position;

enum class Stage { Alias, Forward, Mailbox };

struct Node {
    Address address;
    std::string key;  // the form in which addresses are compared
    Stage stage = Stage::Alias;
    const Node* parent = nullptr;
    std::size_t depth = 0;
    std::optional<std::string> owner;
    Position rule;
};

constexpr std::string_view kPostmaster = "postmaster";
constexpr std::string_view kAbuse = "abuse";
constexpr std::string_view kRoot = "root";
constexpr std::string_view kOwnerPrefix = "owner-";

/// Programs and files of alias tables get the rights of nobody, whose ids these are on every Linux: an alias
/// file names no user, and root's it must not be.
constexpr uid_t kNobody = 65534;

class Expander {
  public:
    Expander(const Tables& tables, Facts& facts, std::vector<TraceLine>* trace)
        : tables_(tables), facts_(facts), trace_(trace) {}

    Expansion run(const Address& root);

  private:
    /// The destinations of one alias or forward line, and what they mean in its place.
    struct Source {
        const Node& node;
        std::string own_name;     // a destination of this name means the user himself
        std::string bare_domain;  // the domain of destinations without one
        Stage own_stage;          // where the user himself enters
        std::optional<std::string> owner;
        Position rule;
    };

    void visit(const Node& node);
    void visit_alias(const Node& node, const LocalDomain& domain, const AliasMatch& match);
    void visit_virtual_user(const Node& node, const LocalDomain& domain, const std::string& local);
    void visit_system_user(const Node& node, const LocalDomain& domain, const std::string& local);
    void unclear(const Node& node, const std::string& reason);
    void unknown_user(const Node& node, const LocalDomain& domain, std::string_view local);

    void follow(const Source& source, const std::vector<Destination>& destinations, std::size_t list_depth);
    void follow_mail(const Source& source, const Destination& destination);
    void follow_list(const Source& source, const Destination& destination, std::size_t list_depth);
    void add_child(const Source& source, Address address, Stage stage, const Position& rule);
    void flush_children();

    void add_mailbox(const Node& node, const LocalDomain& domain, SystemUser user, std::string_view name);
    void add_command_or_file(const Source& source, const Destination& destination);
    void add_remote(const Node& node);
    void add_failure(const Node& node, std::string failure);
    void add_leaf(Leaf leaf, std::string_view identity);

    void refuse(std::string_view enhanced, std::string text, const Position& rule);
    Expansion finish(const Address& root);

    [[nodiscard]] std::string key_of(const Address& address) const;
    void note(std::size_t depth, std::string text);

    const Tables& tables_;
    Facts& facts_;
    std::vector<TraceLine>* trace_;
    std::deque<Node> nodes_;             // a deque, because nodes are pointed at
    std::vector<const Node*> work_;      // a stack, so that the result is in the order of the tables
    std::vector<const Node*> children_;  // of the node being visited, not yet on the stack
    std::unordered_set<std::string> entered_;
    std::unordered_set<std::string> lists_;
    std::unordered_set<std::string> leaf_identities_;
    std::size_t steps_ = 0;
    bool dropped_ = false;     // some way was a circle
    bool ended_ = false;       // result_ is final
    std::string unavailable_;  // what cannot be decided now, and why
    Expansion result_;
};

Expansion Expander::run(const Address& root) {
    Node node;
    node.address = root;
    node.key = key_of(root);
    if (const LocalDomain* domain = tables_.local_domain(root.domain)) node.rule = domain->position;
    result_.rule = node.rule;
    nodes_.push_back(std::move(node));
    work_.push_back(&nodes_.back());
    while (!work_.empty() && !ended_) {
        const Node* next = work_.back();
        work_.pop_back();
        visit(*next);
        flush_children();
    }
    return finish(root);
}

void Expander::visit(const Node& node) {
    const LocalDomain* domain = tables_.local_domain(node.address.domain);
    if (domain == nullptr) {
        add_remote(node);
        return;
    }
    const std::string local = folded(node.address.local);
    if (node.stage == Stage::Alias) {
        const AliasMatch match = find_alias(tables_, *domain, local);
        if (!match.unclear.empty()) {
            unclear(node, match.unclear);
            return;
        }
        if (match.alias != nullptr) {
            visit_alias(node, *domain, match);
            return;
        }
    }
    if (domain->users) {
        visit_virtual_user(node, *domain, local);
    } else {
        visit_system_user(node, *domain, local);
    }
}

void Expander::visit_alias(const Node& node, const LocalDomain& domain, const AliasMatch& match) {
    const Alias& alias = *match.alias;
    if (node.parent == nullptr) result_.rule = alias.position;
    note(node.depth,
         fmt::format("{}: alias {} at {}", node.address.text(), alias.name, alias.position.line_text()));
    // In the common file a name without domain is a user of the system, whom a virtual domain does not have.
    const bool elsewhere = match.common && domain.is_virtual;
    Source source{node,           alias.name, elsewhere ? tables_.primary_domain : domain.name,
                  Stage::Forward, node.owner, alias.position};
    const std::string owner = std::string(kOwnerPrefix) + alias.name;
    if (!alias.name.starts_with(kOwnerPrefix)) {
        const Result<bool> owned = has_alias(tables_, domain, owner);
        if (!owned) {
            unclear(node, owned.error().text);
            return;
        }
        if (*owned) source.owner = Address{owner, domain.name}.text();
    }
    follow(source, alias.destinations, 0);
}

void Expander::visit_virtual_user(const Node& node, const LocalDomain& domain, const std::string& local) {
    VirtualUserAnswer found = domain.users->find(local);
    if (found && !*found) {
        const std::optional<std::string> undetailed = without_detail(tables_, local);
        if (undetailed) found = domain.users->find(*undetailed);
    }
    if (!found) {
        unclear(node, found.error().text);
        return;
    }
    if (!*found) {
        unknown_user(node, domain, local);
        return;
    }
    const VirtualUser& user = **found;
    if (node.stage <= Stage::Forward && !user.forward.empty()) {
        note(node.depth, fmt::format("{}: forward= at {}", node.address.text(), user.position.line_text()));
        follow(Source{node, user.name, domain.name, Stage::Mailbox, node.owner, user.position}, user.forward,
               0);
        return;
    }
    SystemUser owner;
    owner.name = domain.owner->name;
    owner.uid = domain.owner->ids.uid;
    owner.gid = domain.owner->ids.gid;
    owner.home = user.home;
    add_mailbox(node, domain, std::move(owner), user.name);
}

void Expander::visit_system_user(const Node& node, const LocalDomain& domain, const std::string& local) {
    std::string name = local;
    UserAnswer answer;
    answer.state = FactState::Unknown;
    if (can_be_user_name(name)) answer = facts_.system_user(name);
    if (answer.state == FactState::Unknown) {
        std::optional<std::string> user = without_detail(tables_, local);
        if (user && can_be_user_name(*user)) {
            name = std::move(*user);
            answer = facts_.system_user(name);
        }
    }
    switch (answer.state) {
        case FactState::Unknown:
            unknown_user(node, domain, local);
            return;
        case FactState::Unavailable:
        case FactState::Pending:
            unavailable_ = "the user database does not answer";
            return;
        case FactState::Known:
            break;
    }
    SystemUser user = *answer.user;
    if (domain.owner) {
        user.uid = domain.owner->ids.uid;
        user.gid = domain.owner->ids.gid;
    }
    // Nothing is ever delivered with the rights of root.
    if (user.uid == 0 && is_reserved(local)) {
        unknown_user(node, domain, local);
    } else if (user.uid == 0) {
        add_failure(node, "5.2.1 the mailbox is not available");
    } else {
        add_mailbox(node, domain, std::move(user), name);
    }
}

/// A table cannot tell now. The sender learns no more than that; the trace and the log have the reason.
void Expander::unclear(const Node& node, const std::string& reason) {
    note(node.depth, fmt::format("{}: {}", node.address.text(), reason));
    log::warning("table_unclear").add("address", node.address.text()).add("reason", reason);
    unavailable_ = "a table cannot be read";
}

/// Somebody must read what is sent to postmaster, abuse and root, so they fall back on each other before they
/// are unknown.
void Expander::unknown_user(const Node& node, const LocalDomain& domain, std::string_view local) {
    if (node.stage == Stage::Alias && is_reserved(local)) {
        const Source source{node, {}, {}, Stage::Alias, node.owner, domain.position};
        if (local != kPostmaster) {
            add_child(source, Address{std::string(kPostmaster), domain.name}, Stage::Alias, domain.position);
            return;
        }
        if (domain.name != tables_.primary_domain) {
            add_child(source, Address{std::string(kPostmaster), tables_.primary_domain}, Stage::Alias,
                      domain.position);
            return;
        }
    }
    add_failure(node, "5.1.1 no such user here");
}

void Expander::follow(const Source& source, const std::vector<Destination>& destinations,
                      std::size_t list_depth) {
    for (const Destination& destination : destinations) {
        if (++steps_ > tables_.limits.expansion_steps) {
            refuse("5.5.3", "the address leads to too many others", source.rule);
        }
        if (ended_) return;
        switch (destination.kind) {
            case Destination::Kind::Mail:
            case Destination::Kind::User:
                follow_mail(source, destination);
                break;
            case Destination::Kind::Include:
                follow_list(source, destination, list_depth);
                break;
            case Destination::Kind::Program:
            case Destination::Kind::File:
                add_command_or_file(source, destination);
                break;
        }
    }
}

void Expander::follow_mail(const Source& source, const Destination& destination) {
    if (destination.is_own_user()) {
        add_child(source, source.node.address, source.own_stage, destination.position);
        return;
    }
    Address address = destination.address;
    if (address.domain.empty()) address.domain = source.bare_domain;
    const bool own = address.domain == source.node.address.domain && folded(address.local) == source.own_name;
    if (own) {
        // With the detail that he was written to.
        add_child(source, source.node.address, source.own_stage, destination.position);
    } else if (destination.kind == Destination::Kind::User) {
        add_child(source, std::move(address), Stage::Forward, destination.position);
    } else {
        add_child(source, std::move(address), Stage::Alias, destination.position);
    }
}

void Expander::follow_list(const Source& source, const Destination& destination, std::size_t list_depth) {
    if (list_depth >= tables_.limits.nesting) {
        refuse("5.4.6", "lists are included too deep inside each other", destination.position);
        return;
    }
    const auto list = tables_.lists.find(destination.text);
    if (list == tables_.lists.end() || !list->second.usable) {
        unavailable_ = "a list cannot be read";
        note(source.node.depth + 1, fmt::format("list {}: cannot be read", destination.text));
        return;
    }
    note(source.node.depth + 1, fmt::format("list {}", destination.text));
    if (!lists_.insert(destination.text).second) return;
    follow(source, list->second.destinations, list_depth + 1);
}

void Expander::add_child(const Source& source, Address address, Stage stage, const Position& rule) {
    const Node& parent = source.node;
    std::string key = key_of(address);
    for (const Node* ancestor = &parent; ancestor != nullptr; ancestor = ancestor->parent) {
        if (ancestor->key == key && stage <= ancestor->stage) {
            dropped_ = true;
            note(parent.depth + 1, fmt::format("{}: leads back to itself, dropped", address.text()));
            return;
        }
    }
    if (!entered_.insert(fmt::format("{}\n{}", static_cast<int>(stage), key)).second) {
        note(parent.depth + 1, fmt::format("{}: is in the list already", address.text()));
        return;
    }
    if (parent.depth >= tables_.limits.nesting) {
        refuse("5.4.6", "aliases lead too deep into each other", rule);
        return;
    }
    nodes_.push_back(
        Node{std::move(address), std::move(key), stage, &parent, parent.depth + 1, source.owner, rule});
    children_.push_back(&nodes_.back());
}

void Expander::flush_children() {
    work_.insert(work_.end(), children_.rbegin(), children_.rend());
    children_.clear();
}

void Expander::add_mailbox(const Node& node, const LocalDomain& domain, SystemUser user,
                           std::string_view name) {
    Result<std::string> path = domain.mailbox.fill({name, domain.name, user.home});
    if (!path) {
        add_failure(node, "5.2.1 the mailbox is not available");
        return;
    }
    Leaf leaf;
    leaf.kind = Leaf::Kind::Mailbox;
    leaf.address = node.address;
    leaf.path = std::move(*path);
    leaf.user_key = domain.is_virtual ? fmt::format("{}@{}", name, domain.name) : std::string(name);
    leaf.system_user = !domain.owner;
    leaf.owner = node.owner;
    leaf.rule = node.rule;
    note(node.depth,
         fmt::format("{}: mailbox {} of {} (uid {})", node.address.text(), leaf.path, user.name, user.uid));
    const std::string identity = fmt::format("mailbox {} {}", user.uid, leaf.path);
    leaf.user = std::move(user);
    add_leaf(std::move(leaf), identity);
}

void Expander::add_command_or_file(const Source& source, const Destination& destination) {
    Leaf leaf;
    const bool is_program = destination.kind == Destination::Kind::Program;
    leaf.kind = is_program ? Leaf::Kind::Program : Leaf::Kind::File;
    if (!is_program && destination.text == "/dev/null") leaf.kind = Leaf::Kind::Discard;
    leaf.address = source.node.address;
    leaf.path = destination.text;
    leaf.user.name = "nobody";
    leaf.user.uid = kNobody;
    leaf.user.gid = kNobody;
    leaf.user.home = "/";
    leaf.owner = source.owner;
    leaf.rule = destination.position;
    note(source.node.depth + 1, fmt::format("{} {}", is_program ? "program" : "file", destination.text));
    const std::string identity = fmt::format("{} {}", is_program ? "program" : "file", destination.text);
    add_leaf(std::move(leaf), identity);
}

void Expander::add_remote(const Node& node) {
    Leaf leaf;
    leaf.kind = Leaf::Kind::Remote;
    leaf.address = node.address;
    leaf.route = tables_.routes.find(node.address.domain);
    leaf.owner = node.owner;
    leaf.rule = leaf.route == nullptr ? node.rule : leaf.route->position;
    note(node.depth, fmt::format("{}: leaves this host", node.address.text()));
    add_leaf(std::move(leaf), "remote " + node.key);
}

void Expander::add_failure(const Node& node, std::string failure) {
    note(node.depth, fmt::format("{}: {}", node.address.text(), failure));
    Leaf leaf;
    leaf.address = node.address;
    leaf.failure = std::move(failure);
    leaf.owner = node.owner;
    leaf.rule = node.rule;
    add_leaf(std::move(leaf), "failure " + node.key);
}

void Expander::add_leaf(Leaf leaf, std::string_view identity) {
    if (!leaf_identities_.emplace(identity).second) return;
    const Position rule = leaf.rule;
    result_.leaves.push_back(std::move(leaf));
    if (result_.leaves.size() > tables_.limits.expanded_recipients) {
        refuse("5.5.3", "the address leads to too many recipients", rule);
    }
}

void Expander::refuse(std::string_view enhanced, std::string text, const Position& rule) {
    if (ended_) return;
    ended_ = true;
    result_.outcome = Expansion::Outcome::Refused;
    result_.enhanced = enhanced;
    result_.text = std::move(text);
    result_.rule = rule;
}

Expansion Expander::finish(const Address& root) {
    if (!ended_ && !unavailable_.empty()) {
        result_.outcome = Expansion::Outcome::Deferred;
        result_.enhanced = "4.3.0";
        result_.text = std::move(unavailable_);
        result_.leaves.clear();
        return std::move(result_);
    }
    const bool hopeless = std::all_of(result_.leaves.begin(), result_.leaves.end(),
                                      [](const Leaf& leaf) { return leaf.kind == Leaf::Kind::Failure; });
    if (!ended_ && !hopeless) {
        result_.outcome = Expansion::Outcome::Delivered;
        return std::move(result_);
    }
    if (!ended_ && !result_.leaves.empty()) {
        const std::string failure = result_.leaves.front().failure;
        const std::size_t blank = failure.find(' ');
        refuse(failure.substr(0, blank), failure.substr(blank + 1), result_.rule);
    } else if (dropped_) {
        refuse("5.4.6", "alias loop", result_.rule);
    } else {
        refuse("5.2.4", "the list has no members", result_.rule);
    }
    result_.leaves.clear();
    if (tables_.local_domain(root.domain) != nullptr && is_reserved(folded(root.local))) {
        result_.outcome = Expansion::Outcome::Held;
    }
    return std::move(result_);
}

std::string Expander::key_of(const Address& address) const {
    const bool local = tables_.local_domain(address.domain) != nullptr;
    return fmt::format("{}@{}", local ? folded(address.local) : address.local, address.domain);
}

void Expander::note(std::size_t depth, std::string text) {
    if (trace_ != nullptr) trace_->push_back(TraceLine{depth, std::move(text)});
}

}  // namespace

bool is_reserved(std::string_view local) {
    return local == kPostmaster || local == kAbuse || local == kRoot;
}

Expansion expand(const Address& root, const Tables& tables, Facts& facts, std::vector<TraceLine>* trace) {
    return Expander(tables, facts, trace).run(root);
}

}  // namespace postrider::router
