#include "router/expansion.h"

#include <fmt/format.h>

#include <algorithm>
#include <deque>
#include <unordered_set>
#include <utility>

#include "libcommon/log/log.h"
#include "router/local_user.h"

// How this ends. Work is a list of nodes, each an address and the stage at which it enters: redirect lines,
// then aliases, then the forwarding of the user, then his mailbox. A node either becomes a leaf or is
// replaced by its destinations, which enter at the first stage again, or, where they mean the same address,
// at a later one. One rule bounds the work: no address enters at the same stage twice.
//
//   * On the way from the recipient this is the ancestor rule: `a: b` and `b: a` end where `a` comes again.
//     The rule as it is usually told drops an address also where an ancestor entered later than it would:
//     after `x: \alice`, what leads back to alice ends, and what her alias says is never looked at. That
//     loses mail, and whether it does depends on the order of the lines; so here only the same stage counts.
//   * On other ways, what the address leads to is in the result already. So lists that share their members
//     cost no more than the sum of their lines, although the number of ways through them may be exponential.
//
// A recipient is never lost by it: all that the dropped address leads to is in the result. Only if that is
// nothing, all ways are circles, and the recipient is refused as a loop.
//
// A forward file is read in another expansion, later. That one knows the owners of the files before. The rule
// is the same: none of their mailboxes, which the files replace, enters again, but the last one as the
// owner's own mailbox.
namespace postrider::router {

namespace {

using config::Position;

enum class Stage { Redirect, Alias, Forward, Mailbox, OwnMailbox };

struct Node {
    Address address;             // its domain is never a further name of a local domain
    std::string written_domain;  // that may be one
    std::string key;             // the form in which addresses are compared
    Stage stage = Stage::Redirect;
    const Node* parent = nullptr;
    std::size_t depth = 0;
    std::optional<std::string> owner;
    Position rule;
};

constexpr std::string_view kPostmaster = "postmaster";
constexpr std::string_view kAbuse = "abuse";
constexpr std::string_view kRoot = "root";
constexpr std::string_view kOwnerPrefix = "owner-";
constexpr const char* kNoCatchall = "the catch-all has no mailbox";

/// Programs and files of alias tables get the rights of nobody, whose ids these are on every Linux: an alias
/// file names no user, and root's it must not be.
constexpr uid_t kNobody = 65534;

class Expander {
  public:
    Expander(const Tables& tables, Facts& facts, std::vector<TraceLine>* trace)
        : tables_(tables), facts_(facts), trace_(trace) {}

    Expansion run(const Address& root);
    Expansion run_forward_file(const ForwardFile& file);

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

    void work_off();
    void visit(const Node& node);
    bool visit_redirects(const Node& node);
    void visit_alias(const Node& node, const LocalDomain& domain, const AliasMatch& match);
    void visit_user(const Node& node, const LocalDomain& domain, const std::string& local);
    void unclear(const Node& node, std::string_view text, const std::string& reason);
    void unknown_user(const Node& node, const LocalDomain& domain, std::string_view local);
    void visit_catchall(const Node& node, const LocalDomain& domain);

    void follow(const Source& source, const std::vector<Destination>& destinations, std::size_t list_depth);
    void follow_mail(const Source& source, const Destination& destination);
    void follow_list(const Source& source, const Destination& destination, std::size_t list_depth);
    void add_child(const Source& source, Address address, Stage stage, const Position& rule);
    void flush_children();

    void add_mailbox(const Node& node, const LocalDomain& domain, LocalUser user, std::string_view name);
    void add_command_or_file(const Source& source, const Destination& destination);
    void add_remote(const Node& node);
    void add_failure(const Node& node, std::string failure);
    void add_leaf(Leaf leaf, std::string_view identity);

    void refuse(std::string_view enhanced, std::string text, const Position& rule);
    Expansion finish(const Address& root);

    [[nodiscard]] std::string key_of(const Address& address) const;
    [[nodiscard]] static std::string entry_of(Stage stage, const Node& node);
    [[nodiscard]] static bool is_ancestor(const Node& child, const Node& parent);
    void note(std::size_t depth, std::string address, std::string_view step, std::string detail,
              const Position& rule);

    const Tables& tables_;
    Facts& facts_;
    std::vector<TraceLine>* trace_;
    const ForwardFile* forward_file_ = nullptr;  // whose destinations are expanded, if it is one: then their
                                                 // Source alone has Stage::OwnMailbox
    std::deque<Node> nodes_;                     // a deque, because nodes are pointed at
    std::vector<const Node*> work_;              // a stack, so that the result is in the order of the tables
    std::vector<const Node*> children_;          // of the node being visited, not yet on the stack
    std::unordered_set<std::string> entered_;
    std::unordered_set<std::string> forwarders_;  // the keys of those whose forward files led here
    std::unordered_set<std::string> lists_;
    std::unordered_set<std::string> leaf_identities_;
    std::size_t steps_ = 0;
    bool dropped_ = false;     // some address came up again: if nothing else did, all ways are circles
    bool ended_ = false;       // result_ is final
    std::string unavailable_;  // what cannot be decided now, and why
    Expansion result_;
};

Expansion Expander::run(const Address& root) {
    Node node;
    node.address = root;
    node.written_domain = root.domain;
    if (const LocalDomain* domain = tables_.local_domain(root.domain)) {
        node.address.domain = domain->name;
        node.rule = domain->position;
    }
    node.key = key_of(node.address);
    entered_.insert(entry_of(node.stage, node));
    result_.rule = node.rule;
    nodes_.push_back(std::move(node));
    work_.push_back(&nodes_.back());
    work_off();
    return finish(root);
}

Expansion Expander::run_forward_file(const ForwardFile& file) {
    forward_file_ = &file;
    result_.rule = file.position;
    std::vector<Address> way = file.ancestors;
    way.push_back(file.owner);
    for (Address& address : way) {
        Node node;
        node.key = key_of(address);
        node.address = std::move(address);
        forwarders_.insert(node.key);
        node.stage = Stage::Mailbox;
        node.parent = nodes_.empty() ? nullptr : &nodes_.back();
        node.depth = nodes_.size();
        node.rule = file.position;
        nodes_.push_back(std::move(node));
    }
    const Node& owner = nodes_.back();
    note(owner.depth, owner.address.text(), "forward_file", {}, file.position);
    follow(Source{owner, file.user, owner.address.domain, Stage::OwnMailbox, std::nullopt, file.position},
           file.destinations, 0);
    flush_children();
    work_off();
    return finish(file.owner);
}

void Expander::work_off() {
    while (!work_.empty() && !ended_) {
        const Node* next = work_.back();
        work_.pop_back();
        visit(*next);
        flush_children();
    }
}

void Expander::visit(const Node& node) {
    if (node.stage == Stage::Redirect && visit_redirects(node)) return;
    const LocalDomain* domain = tables_.local_domain(node.address.domain);
    if (domain == nullptr) {
        add_remote(node);
        return;
    }
    const std::string local = folded(node.address.local);
    if (node.stage <= Stage::Alias) {
        const AliasMatch match = find_alias(tables_, *domain, local);
        if (!match.unclear.empty()) {
            unclear(node, kTableUnclear, match.unclear);
            return;
        }
        if (match.alias != nullptr) {
            visit_alias(node, *domain, match);
            return;
        }
    }
    visit_user(node, *domain, local);
}

/// Whether there is a redirect line for the address: then its mail goes there, and to the address itself only
/// with redirect+copy. Names without domain belong to the primary domain, since the lines are for all
/// domains.
bool Expander::visit_redirects(const Node& node) {
    const std::vector<const Redirect*> redirects = redirects_of(tables_, node.address, node.written_domain);
    if (redirects.empty()) return false;
    if (node.parent == nullptr) result_.rule = redirects.front()->position;
    const Position* copy = nullptr;
    for (const Redirect* redirect : redirects) {
        note(node.depth, node.address.text(), redirect->copy ? "redirect+copy" : "redirect",
             redirect->pattern.text(), redirect->position);
        if (redirect->copy && copy == nullptr) copy = &redirect->position;
        const Source source{node,         node.address.local, tables_.primary_domain,
                            Stage::Alias, node.owner,         redirect->position};
        follow(source, redirect->destinations, 0);
        if (ended_) return true;
    }
    if (copy != nullptr) {
        const Source source{node, {}, {}, Stage::Alias, node.owner, *copy};
        add_child(source, node.address, Stage::Alias, *copy);
    }
    return true;
}

void Expander::visit_alias(const Node& node, const LocalDomain& domain, const AliasMatch& match) {
    const Alias& alias = *match.alias;
    if (node.parent == nullptr) result_.rule = alias.position;
    note(node.depth, node.address.text(), "alias", alias.name, alias.position);
    // In the common file a name without domain is a user of the system, whom a virtual domain does not have.
    const bool elsewhere = match.common && domain.is_virtual;
    Source source{node,           match.name, elsewhere ? tables_.primary_domain : domain.name,
                  Stage::Forward, node.owner, alias.position};
    const std::string owner = std::string(kOwnerPrefix) + alias.name;
    if (!alias.name.starts_with(kOwnerPrefix)) {
        const Result<bool> owned = has_alias(tables_, domain, owner);
        if (!owned) {
            unclear(node, kTableUnclear, owned.error().text);
            return;
        }
        if (*owned) source.owner = Address{owner, domain.name}.text();
    }
    follow(source, alias.destinations, 0);
}

void Expander::visit_user(const Node& node, const LocalDomain& domain, const std::string& local) {
    LocalUser user = find_local_user(domain, local, tables_, facts_);
    if (user.state == FactState::Unknown) {
        const std::optional<std::string> undetailed = without_detail(tables_, local);
        if (undetailed) user = find_local_user(domain, *undetailed, tables_, facts_);
    }
    // Nothing is ever delivered with the rights of root.
    const bool is_root = user.state == FactState::Known && user.rights.uid == 0;
    if (user.state == FactState::Unknown || (is_root && is_reserved(local))) {
        unknown_user(node, domain, local);
    } else if (user.state != FactState::Known) {
        unclear(node, user.text, user.reason);
    } else if (node.stage <= Stage::Forward && !user.forward.empty()) {
        note(node.depth, node.address.text(), "forward", {}, user.position);
        follow(Source{node, user.name, domain.name, Stage::Mailbox, node.owner, user.position}, user.forward,
               0);
    } else if (is_root) {
        add_failure(node, "5.2.1 the mailbox is not available");
    } else {
        const std::string name = user.name;
        add_mailbox(node, domain, std::move(user), name);
    }
}

/// Nobody can tell now. The sender learns no more than `text`; the trace and the log have the reason.
void Expander::unclear(const Node& node, std::string_view text, const std::string& reason) {
    unavailable_ = text;
    // Without a reason nobody was asked, at least not yet.
    if (reason.empty()) return;
    note(node.depth, node.address.text(), "unclear", reason, node.rule);
    log::warning("table_unclear").add("address", node.address.text()).add("reason", reason);
}

/// Somebody must read what is sent to postmaster, abuse and root, so they fall back on each other before they
/// are unknown.
void Expander::unknown_user(const Node& node, const LocalDomain& domain, std::string_view local) {
    const bool falls_back = node.stage <= Stage::Alias && is_reserved(local);
    const Source source{node, {}, {}, Stage::Alias, node.owner, domain.position};
    if (falls_back && local != kPostmaster) {
        add_child(source, Address{std::string(kPostmaster), domain.name}, Stage::Redirect, domain.position);
    } else if (!domain.catchall.empty()) {
        visit_catchall(node, domain);
    } else if (falls_back && domain.name != tables_.primary_domain) {
        add_child(source, Address{std::string(kPostmaster), tables_.primary_domain}, Stage::Redirect,
                  domain.position);
    } else {
        add_failure(node, "5.1.1 no such user here");
    }
}

/// The mailbox of the catch-all, for the address as it is: that is what his reader wants to know.
void Expander::visit_catchall(const Node& node, const LocalDomain& domain) {
    note(node.depth, node.address.text(), "catchall", domain.catchall, domain.catchall_position);
    if (node.parent == nullptr) result_.rule = domain.catchall_position;
    LocalUser user = find_local_user(domain, domain.catchall, tables_, facts_);
    if (user.state == FactState::Unavailable || user.state == FactState::Pending) {
        unclear(node, user.text, user.reason);
        return;
    }
    // His mail waits until there is one: an administrator who wants to have it must not lose it.
    if (user.state == FactState::Unknown || user.rights.uid == 0) {
        unavailable_ = kNoCatchall;
        return;
    }
    add_mailbox(node, domain, std::move(user), domain.catchall);
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
    const std::string key = key_of(address);
    if (key == key_of({source.own_name, source.node.address.domain}) ||
        (source.own_stage == Stage::OwnMailbox && key == source.node.key)) {
        // With the detail that he was written to.
        add_child(source, source.node.address, source.own_stage, destination.position);
    } else if (destination.kind == Destination::Kind::User) {
        add_child(source, std::move(address), Stage::Forward, destination.position);
    } else {
        add_child(source, std::move(address), Stage::Redirect, destination.position);
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
        note(source.node.depth + 1, {}, "failure", unavailable_ + ": " + destination.text,
             destination.position);
        return;
    }
    note(source.node.depth + 1, {}, "list", destination.text, destination.position);
    if (!lists_.insert(destination.text).second) return;
    follow(source, list->second.destinations, list_depth + 1);
}

void Expander::add_child(const Source& source, Address address, Stage stage, const Position& rule) {
    const Node& parent = source.node;
    Node child;
    child.written_domain = address.domain;
    child.address = std::move(address);
    if (const LocalDomain* domain = tables_.local_domain(child.written_domain))
        child.address.domain = domain->name;
    child.key = key_of(child.address);
    child.stage = stage;
    if (!entered_.insert(entry_of(stage, child)).second) {
        dropped_ = true;
        const bool circle = is_ancestor(child, parent);
        note(parent.depth + 1, child.address.text(), circle ? "circle" : "known", {}, rule);
        return;
    }
    if (parent.depth >= tables_.limits.nesting) {
        refuse("5.4.6", "aliases lead too deep into each other", rule);
        return;
    }
    child.parent = &parent;
    child.depth = parent.depth + 1;
    child.owner = source.owner;
    child.rule = rule;
    nodes_.push_back(std::move(child));
    children_.push_back(&nodes_.back());
}

void Expander::flush_children() {
    work_.insert(work_.end(), children_.rbegin(), children_.rend());
    children_.clear();
}

void Expander::add_mailbox(const Node& node, const LocalDomain& domain, LocalUser user,
                           std::string_view name) {
    SystemUser& rights = user.rights;
    Result<std::string> path = domain.mailbox.fill({name, domain.name, rights.home});
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
    leaf.forward_file = node.stage <= Stage::Alias ||
                        (node.stage != Stage::OwnMailbox && tables_.forward_file_overrides_self);
    if (leaf.forward_file && forwarders_.contains(node.key)) {
        dropped_ = true;
        note(node.depth, node.address.text(), "circle", {}, node.rule);
        return;
    }
    const std::string local = folded(node.address.local);
    if (without_detail(tables_, local) == name) leaf.detail = local.substr(name.size() + 1);
    leaf.owner = node.owner;
    leaf.rule = node.rule;
    note(node.depth, node.address.text(), "mailbox",
         fmt::format("{} of {} (uid {})", leaf.path, rights.name, rights.uid), node.rule);
    const std::string identity = fmt::format("mailbox {} {}", rights.uid, leaf.path);
    leaf.quota = user.quota;
    leaf.user = std::move(rights);
    add_leaf(std::move(leaf), identity);
}

void Expander::add_command_or_file(const Source& source, const Destination& destination) {
    Leaf leaf;
    const bool is_program = destination.kind == Destination::Kind::Program;
    leaf.kind = is_program ? Leaf::Kind::Program : Leaf::Kind::File;
    if (!is_program && destination.text == "/dev/null") leaf.kind = Leaf::Kind::Discard;
    leaf.address = source.node.address;
    leaf.path = destination.text;
    if (source.own_stage == Stage::OwnMailbox) {
        leaf.user = forward_file_->rights;
        leaf.system_user = forward_file_->system_user;
    } else {
        leaf.user.name = "nobody";
        leaf.user.uid = kNobody;
        leaf.user.gid = kNobody;
        leaf.user.home = "/";
    }
    leaf.owner = source.owner;
    leaf.rule = destination.position;
    note(source.node.depth + 1, {}, is_program ? "program" : "file", destination.text, destination.position);
    const std::string identity =
        fmt::format("{} {} {}", is_program ? "program" : "file", leaf.user.uid, destination.text);
    add_leaf(std::move(leaf), identity);
}

void Expander::add_remote(const Node& node) {
    Leaf leaf;
    leaf.kind = Leaf::Kind::Remote;
    leaf.address = node.address;
    leaf.route = tables_.routes.find(node.address.domain);
    leaf.owner = node.owner;
    leaf.rule = leaf.route == nullptr ? node.rule : leaf.route->position;
    note(node.depth, node.address.text(), "remote", {}, node.rule);
    add_leaf(std::move(leaf), "remote " + node.key);
}

void Expander::add_failure(const Node& node, std::string failure) {
    note(node.depth, node.address.text(), "failure", failure, node.rule);
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
    const LocalDomain* domain = tables_.local_domain(address.domain);
    if (domain == nullptr) return fmt::format("{}@{}", address.local, address.domain);
    return fmt::format("{}@{}", folded(address.local), domain->name);
}

std::string Expander::entry_of(Stage stage, const Node& node) {
    // Redirect lines can tell the names of a domain apart; what comes behind them cannot.
    return fmt::format("{}\n{}\n{}", static_cast<int>(stage), node.key,
                       stage == Stage::Redirect ? node.written_domain : std::string());
}

bool Expander::is_ancestor(const Node& child, const Node& parent) {
    for (const Node* ancestor = &parent; ancestor != nullptr; ancestor = ancestor->parent) {
        if (ancestor->key == child.key && child.stage <= ancestor->stage) return true;
    }
    return false;
}

void Expander::note(std::size_t depth, std::string address, std::string_view step, std::string detail,
                    const Position& rule) {
    if (trace_ == nullptr) return;
    trace_->push_back({depth, std::move(address), step, std::move(detail), rule.line_text()});
}

}  // namespace

bool is_reserved(std::string_view local) {
    return local == kPostmaster || local == kAbuse || local == kRoot;
}

Expansion expand(const Address& root, const Tables& tables, Facts& facts, std::vector<TraceLine>* trace) {
    return Expander(tables, facts, trace).run(root);
}

Expansion expand_forward_file(const ForwardFile& file, const Tables& tables, Facts& facts,
                              std::vector<TraceLine>* trace) {
    return Expander(tables, facts, trace).run_forward_file(file);
}

}  // namespace postrider::router
