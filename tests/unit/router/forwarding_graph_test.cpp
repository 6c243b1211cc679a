// Random graphs of redirect lines, aliases and forward= lines, compared with a plain model of what they mean.

#include <catch2/catch.hpp>
#include <fmt/format.h>

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
/// of the stages 0 (redirects), 1 (aliases), 2 (forward=) or 3 (mailbox). It shares nothing with the
/// expansion.
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

/// Whether the expansion of every name is what the model says; reports the first that is not.
void compare(std::uint32_t seed) {
    const Graph graph = Inventor(seed).graph();
    const auto tables = tables_for(graph);
    for (int i = 0; i < graph.names; ++i) {
        for (const char* domain : {kGraphDomain, kGraphAlias}) {
            const std::string root = fmt::format("n{}@{}", i, domain);
            const Expected expected = Model(graph).reach(root);
            const Expansion expansion = test::expand_text(*tables, root);
            std::set<std::string> leaves;
            std::set<std::string> failures;
            std::size_t twice = 0;
            for (const Leaf& leaf : expansion.leaves) {
                const bool failed = leaf.kind == Leaf::Kind::Failure;
                std::set<std::string>& place = failed ? failures : leaves;
                if (!place.insert(failed ? leaf.address.text() : test::leaf_text(leaf)).second) ++twice;
            }
            INFO("seed " << seed << ", recipient " << root);
            CHECK(twice == 0);
            CHECK(leaves == expected.leaves);
            if (!expected.leaves.empty()) {
                CHECK(expansion.outcome == Expansion::Outcome::Delivered);
                CHECK(failures == expected.failures);
            } else {
                // Nobody gets it, and that is said: a user who does not exist, or a circle.
                CHECK(expansion.outcome == Expansion::Outcome::Refused);
                CHECK(expansion.enhanced == (expected.failures.empty() ? "5.4.6" : "5.1.1"));
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
