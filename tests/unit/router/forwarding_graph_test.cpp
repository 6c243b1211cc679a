// Random graphs of redirect lines, aliases, forward= lines and forward files, compared with a plain model of
// what they mean.

#include <catch2/catch.hpp>
#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <memory>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "tests/unit/router/expansion_fixture.h"

namespace postrider::router {

namespace {

constexpr const char* kGraphDomain = "v.test";
constexpr const char* kGraphAlias = "v2.test";

/// What the lines of a configuration say, as they were invented. Destinations are "n3@v.test", "n3@v2.test",
/// "x1@remote.test", "$user" and "\\n3".
struct Graph {
    using Lines = std::map<std::string, std::vector<std::string>>;  // by name, without domain
    int names = 0;
    std::set<std::string> users;
    Lines forward;                 // of users
    Lines files;                   // beside the mailboxes of users
    Lines aliases;                 // of both names of the domain
    Lines redirects;               // of both names of the domain
    std::set<std::string> copies;  // of redirects
    Lines second_name;             // redirects of v2.test only
};

class Inventor {
  public:
    explicit Inventor(std::uint32_t seed) : random_(seed) {}

    Graph graph() {
        Graph graph;
        graph.names = number(1, 12);
        // Few lines make chains and circles, many make diamonds and webs.
        const int density = number(1, 9);
        const int fan_out = number(1, 4);
        for (int i = 0; i < graph.names; ++i) {
            const std::string name = fmt::format("n{}", i);
            if (chance(6)) graph.users.insert(name);
            if (graph.users.contains(name) && chance(density))
                graph.forward[name] = destinations(graph.names, fan_out);
            if (graph.users.contains(name) && chance(density))
                graph.files[name] = destinations(graph.names, fan_out);
            if (chance(density)) graph.aliases[name] = destinations(graph.names, fan_out);
            if (chance(density / 2)) graph.redirects[name] = destinations(graph.names, fan_out);
            if (graph.redirects.contains(name) && chance(4)) graph.copies.insert(name);
            if (chance(density / 3)) graph.second_name[name] = destinations(graph.names, fan_out);
        }
        return graph;
    }

    int number(int least, int most) { return std::uniform_int_distribution<int>(least, most)(random_); }

  private:
    bool chance(int of_ten) { return number(0, 9) < of_ten; }

    std::vector<std::string> destinations(int names, int most) {
        std::vector<std::string> result;
        for (int i = number(1, most); i > 0; --i) {
            const int name = number(0, names - 1);
            switch (number(0, 9)) {
                case 0:
                    result.push_back(fmt::format("x{}@remote.test", number(0, 3)));
                    break;
                case 1:
                    result.emplace_back("$user");
                    break;
                case 2:
                    result.push_back(fmt::format("n{}@{}", name, kGraphAlias));
                    break;
                default:
                    result.push_back(fmt::format("n{}@{}", name, kGraphDomain));
            }
        }
        return result;
    }

    std::mt19937 random_;
};

std::string joined(const std::vector<std::string>& parts, const char* between) {
    std::string text;
    for (const std::string& part : parts)
        text += (text.empty() ? "" : between) + part;
    return text;
}

std::shared_ptr<const Tables> tables_for(const Graph& graph) {
    std::string lines =
        "hostname mx2.test\nlocal_domain local.test\nalias_domain v2.test -> v.test\nalias_file v.test "
        "aliases\n"
        "virtual_domain v.test maildir:/m/%u owner=vmail users=users\nalias_nesting 1000\n"
        "max_expanded_recipients 100000\nalias_expansion 1000000\n";
    std::string aliases;
    std::string users;
    for (const auto& [name, destinations] : graph.redirects) {
        lines += fmt::format("redirect{} {}@v.test {}\n", graph.copies.contains(name) ? "+copy" : "", name,
                             joined(destinations, " "));
    }
    for (const auto& [name, destinations] : graph.second_name)
        lines += fmt::format("redirect {}@v2.test {}\n", name, joined(destinations, " "));
    for (const auto& [name, destinations] : graph.aliases)
        aliases += fmt::format("{}: {}\n", name, joined(destinations, ", "));
    for (const std::string& name : graph.users) {
        users += name;
        const auto forward = graph.forward.find(name);
        if (forward != graph.forward.end()) users += " forward=" + joined(forward->second, ",");
        users += '\n';
    }
    return test::tables_of(lines, {{"aliases", aliases}, {"users", users}});
}

/// What must come of a recipient.
struct Expected {
    std::set<std::string> leaves;    // that can be delivered to
    std::set<std::string> failures;  // addresses without a user
};

/// The meaning of the lines, in the plainest way: everything that can be reached, where an address is at one
/// of the stages 0 (redirects), 1 (aliases), 2 (forward=), 3 (the mailbox with its forward file) or 4 (the
/// mailbox). It shares nothing with the expansion.
class Model {
  public:
    explicit Model(const Graph& graph) : graph_(graph) {}

    Expected reach(const std::string& root) {
        go(root, 0);
        return expected_;
    }

  private:
    void go(const std::string& address, int stage) {
        if (!seen_.insert({address, stage}).second) return;
        const std::string name = address.substr(0, address.find('@'));
        const std::string domain = address.substr(address.find('@') + 1);
        if (domain == "remote.test") {
            expected_.leaves.insert(address);
            return;
        }
        if (stage == 0) {
            const bool any = graph_.redirects.contains(name);
            const bool second = domain == kGraphAlias && graph_.second_name.contains(name);
            if (any) follow(graph_.redirects.at(name), name, 1);
            if (second) follow(graph_.second_name.at(name), name, 1);
            if ((any && graph_.copies.contains(name)) || !(any || second)) go(canonical(name), 1);
        } else if (stage == 1 && graph_.aliases.contains(name)) {
            follow(graph_.aliases.at(name), name, 2);
        } else if (!graph_.users.contains(name)) {
            expected_.failures.insert(canonical(name));
        } else if (stage <= 2 && graph_.forward.contains(name)) {
            follow(graph_.forward.at(name), name, 3);
        } else if (stage <= 3 && graph_.files.contains(name)) {
            follow(graph_.files.at(name), name, 4);
        } else {
            expected_.leaves.insert("/m/" + name);
        }
    }

    /// An address among its own destinations means itself, one stage further.
    void follow(const std::vector<std::string>& destinations, const std::string& name, int own_stage) {
        for (const std::string& destination : destinations) {
            const bool own = destination == "$user" || destination == canonical(name) ||
                             destination == name + "@" + kGraphAlias;
            go(own ? canonical(name) : destination, own ? own_stage : 0);
        }
    }

    static std::string canonical(const std::string& name) { return name + "@" + kGraphDomain; }

    const Graph& graph_;
    std::set<std::pair<std::string, int>> seen_;
    Expected expected_;
};

/// The destinations of a forward file, as local-delivery reads them.
std::vector<Destination> destinations_of(const std::vector<std::string>& texts) {
    std::vector<Destination> destinations;
    for (const std::string& text : texts) {
        Destination destination;
        destination.kind = text == "$user" ? Destination::Kind::User : Destination::Kind::Mail;
        if (text != "$user") destination.address = parse_address(text).value();
        destinations.push_back(std::move(destination));
    }
    return destinations;
}

/// What becomes of a message: the expansion of its recipient, and of each forward file on the way, as the
/// queue-manager asks for them when local-delivery has read one. It does nothing twice.
class Message {
  public:
    Message(const Graph& graph, const Tables& tables) : graph_(graph), tables_(tables) {}

    void deliver(const std::string& root) {
        take(test::expand_text(tables_, root), {});
        while (!files_.empty()) {
            const ForwardFile file = std::move(files_.back());
            files_.pop_back();
            read_.insert(file.owner.local);
            std::vector<Address> chain = file.ancestors;
            chain.push_back(file.owner);
            test::FakeFacts facts;
            take(expand_forward_file(file, tables_, facts), chain);
        }
    }

    std::set<std::string> leaves;
    std::set<std::string> failures;
    std::set<std::string> refusals;  // of an expansion, by enhanced code
    bool twice = false;

  private:
    void take(const Expansion& expansion, const std::vector<Address>& chain) {
        if (expansion.outcome != Expansion::Outcome::Delivered) {
            refusals.insert(expansion.enhanced);
            return;
        }
        REQUIRE_FALSE(expansion.leaves.empty());
        std::set<std::string> here;
        bool reached = false;
        const Leaf* read_before = nullptr;
        for (const Leaf& leaf : expansion.leaves) {
            const std::string effect = test::leaf_text(leaf) + (leaf.forward_file ? " file" : "");
            twice |= !here.insert(effect).second;
            const bool is_file = leaf.forward_file && graph_.files.contains(leaf.address.local);
            if (!effects_.insert(effect).second) {
                const bool was_read = read_.contains(leaf.address.local);
                reached |= !is_file || !was_read;
                if (is_file && was_read) read_before = &leaf;
                continue;
            }
            reached = true;
            if (leaf.kind == Leaf::Kind::Failure) {
                failures.insert(leaf.address.text());
            } else if (is_file) {
                read_later(leaf, chain);
            } else {
                leaves.insert(test::leaf_text(leaf));
            }
        }
        if (!reached) read_later(*read_before, chain);
    }

    void read_later(const Leaf& leaf, const std::vector<Address>& chain) {
        ForwardFile file;
        file.owner = leaf.address;
        file.user = leaf.address.local;
        file.ancestors = chain;
        file.rights = leaf.user;
        file.destinations = destinations_of(graph_.files.at(leaf.address.local));
        files_.push_back(std::move(file));
    }

    const Graph& graph_;
    const Tables& tables_;
    std::vector<ForwardFile> files_;
    std::set<std::string> effects_;
    std::set<std::string> read_;  // whose files were
};

/// Whether what becomes of mail for every name is what the model says; reports the first of which it is not.
void compare(std::uint32_t seed) {
    const Graph graph = Inventor(seed).graph();
    const auto tables = tables_for(graph);
    for (int i = 0; i < graph.names; ++i) {
        for (const char* domain : {kGraphDomain, kGraphAlias}) {
            const std::string root = fmt::format("n{}@{}", i, domain);
            const Expected expected = Model(graph).reach(root);
            Message message(graph, *tables);
            message.deliver(root);
            INFO("seed " << seed << ", recipient " << root);
            CHECK_FALSE(message.twice);
            CHECK(message.leaves == expected.leaves);
            CHECK(std::includes(expected.failures.begin(), expected.failures.end(), message.failures.begin(),
                                message.failures.end()));
            // Whoever does not exist is told of: by name, or because nothing else was there.
            const bool all_named = message.failures == expected.failures;
            CHECK((all_named || message.refusals.contains("5.1.1")));
            // Nobody gets it, and that is said: a user who does not exist, or a circle.
            if (expected.leaves.empty()) CHECK_FALSE((message.refusals.empty() && message.failures.empty()));
            if (graph.files.empty() && !expected.leaves.empty()) {
                CHECK(message.refusals.empty());
                CHECK(all_named);
            }
        }
    }
}

}  // namespace

TEST_CASE("random graphs deliver to exactly whom a plain model says", "[graph]") {
    constexpr std::uint32_t kFixedSeeds = 1500;
    constexpr std::uint32_t kRandomSeeds = 500;
    for (std::uint32_t seed = 1; seed <= kFixedSeeds; ++seed)
        compare(seed);
    std::random_device device;
    for (std::uint32_t i = 0; i < kRandomSeeds; ++i)
        compare(device());
}

}  // namespace postrider::router
