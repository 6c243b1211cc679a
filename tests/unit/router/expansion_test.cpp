#include "router/expansion.h"

#include <catch2/catch.hpp>
#include <fmt/format.h>

#include <map>
#include <string>
#include <vector>

#include "tests/unit/router/table_fixture.h"

namespace postrider::router {

using test::FakeFacts;
using test::tables_of;

namespace {

const std::string kConfiguration =
    "hostname mx2.test\n"
    "local_domain local.test second.test\n"
    "alias_file local.test aliases\n"
    "alias_file * common\n"
    "virtual_domain v.test maildir:/var/v/%d/%u owner=vmail users=v.users\n";

std::shared_ptr<const Tables> with_aliases(const std::string& aliases, const std::string& more = {},
                                           const std::map<std::string, std::string>& lists = {}) {
    std::map<std::string, std::string> files = lists;
    files["aliases"] = aliases;
    files.try_emplace("common", "root: alice\n");
    files.try_emplace("v.users",
                      "bob\nann forward=$user,x@remote.test\nonly forward=bob\nself forward=self\n");
    return tables_of(kConfiguration + more, files);
}

/// The leaves in a form that reads well in a table of cases.
std::string text_of(const Leaf& leaf) {
    switch (leaf.kind) {
        case Leaf::Kind::Mailbox:
            return leaf.path;
        case Leaf::Kind::Remote:
            return leaf.address.text();
        case Leaf::Kind::Program:
            return "|" + leaf.path;
        case Leaf::Kind::File:
            return "file " + leaf.path;
        case Leaf::Kind::Discard:
            return "discard";
        case Leaf::Kind::Failure:
            return leaf.address.text() + " " + leaf.failure;
    }
    return {};
}

std::vector<std::string> texts_of(const Expansion& expansion) {
    std::vector<std::string> texts;
    texts.reserve(expansion.leaves.size());
    for (const Leaf& leaf : expansion.leaves)
        texts.push_back(text_of(leaf));
    return texts;
}

Expansion expand_with(const Tables& tables, std::string_view address) {
    FakeFacts facts;
    facts.add("a%b", 2000);
    facts.add("root", 0);
    facts.add("toor", 0);
    return expand(tables.qualified(parse_address(address).value()), tables, facts);
}

const std::string kAlice = "/home/alice/Maildir";
const std::string kBob = "/home/bob/Maildir";
const std::string kCarol = "/home/carol/Maildir";

}  // namespace

TEST_CASE("where addresses lead") {
    struct Case {
        std::string aliases;
        std::string address;
        std::vector<std::string> leaves;
    };
    const std::vector<Case> cases = {
        {"", "alice@local.test", {kAlice}},
        {"", "ALICE@local.test", {kAlice}},
        {"", "alice@second.test", {kAlice}},
        {"", "alice+detail@local.test", {kAlice}},
        {"", "alice", {kAlice}},
        {"", "a%b@local.test", {"/home/a%b/Maildir"}},
        {"", "fred@remote.test", {"fred@remote.test"}},
        {"", "root@local.test", {kAlice}},
        {"", "root@v.test", {kAlice}},
        // $user and its other forms
        {"bob: $user, fred@remote.test", "bob@local.test", {kBob, "fred@remote.test"}},
        {"bob: \\bob, fred@remote.test", "bob@local.test", {kBob, "fred@remote.test"}},
        {"bob: bob, fred@remote.test", "bob@local.test", {kBob, "fred@remote.test"}},
        {"bob: Bob@LOCAL.test, fred@remote.test", "bob@local.test", {kBob, "fred@remote.test"}},
        {"bob: $user, fred@remote.test", "bob+x@local.test", {kBob, "fred@remote.test"}},
        {"bob: bob", "bob+x@local.test", {kBob}},
        {"alice: \\bob\nbob: carol", "alice@local.test", {kBob}},
        {"bob: fred@remote.test", "bob@second.test", {kBob}},
        // details
        {"alice+list: bob", "alice+list@local.test", {kBob}},
        {"alice+list: bob", "alice+other@local.test", {kAlice}},
        {"alice: carol", "alice+list@local.test", {kCarol}},
        // several, several ways
        {"sales: alice, john@remote.test", "sales@local.test", {kAlice, "john@remote.test"}},
        {"top: l1, l2\nl1: alice, bob\nl2: alice, carol", "top@local.test", {kAlice, kBob, kCarol}},
        {"x: alice, Alice@local.test, alice+1@second.test", "x@local.test", {kAlice}},
        {"x: fred@remote.test, Fred@remote.test, fred@REMOTE.test",
         "x@local.test",
         {"fred@remote.test", "Fred@remote.test"}},
        // programs and files
        {"x: |/bin/a, \"|/bin/a\", /var/log/x, /dev/null",
         "x@local.test",
         {"|/bin/a", "file /var/log/x", "discard"}},
        // circles
        {"a: b, carol\nb: a", "a@local.test", {kCarol}},
        {"a: b\nb: c, alice\nc: a, b", "a@local.test", {kAlice}},
        {"alice: bob\nbob: $user, alice", "alice@local.test", {kBob}},
        // unknown among known
        {"x: alice, nobody", "x@local.test", {kAlice, "nobody@local.test 5.1.1 no such user here"}},
        // virtual users
        {"", "bob@v.test", {"/var/v/v.test/bob"}},
        {"", "BOB+x@v.test", {"/var/v/v.test/bob"}},
        {"", "ann@v.test", {"/var/v/v.test/ann", "x@remote.test"}},
        {"", "only@v.test", {"/var/v/v.test/bob"}},
        {"", "self@v.test", {"/var/v/v.test/self"}},
        {"x: bob@v.test", "x@local.test", {"/var/v/v.test/bob"}},
    };
    for (const Case& one : cases) {
        CAPTURE(one.aliases, one.address);
        const auto tables = with_aliases(one.aliases);
        const Expansion expansion = expand_with(*tables, one.address);
        CHECK(expansion.outcome == Expansion::Outcome::Delivered);
        CHECK(texts_of(expansion) == one.leaves);
    }
}

TEST_CASE("addresses that lead nowhere are refused") {
    struct Case {
        std::string aliases;
        std::string address;
        std::string code;
    };
    const std::vector<Case> cases = {
        {"", "nobody@local.test", "5.1.1"},
        {"", "alice@v.test", "5.1.1"},  // a user of the system, not of the virtual domain
        {"sales: bob", "sales@v.test", "5.1.1"},
        {"sales: bob", "sales@second.test", "5.1.1"},
        {"", "+@local.test", "5.1.1"},
        {"", "../alice@local.test", "5.1.1"},
        {"", "\"../alice\"@local.test", "5.1.1"},
        {"", "\"tomy@hotmail.com\"@local.test", "5.1.1"},
        {"", "tomy%hotmail.com@local.test", "5.1.1"},
        {"", "hotmail.com!tomy@local.test", "5.1.1"},
        {"", "-f@local.test", "5.1.1"},
        {"", "a:b@local.test", "5.1.1"},
        {"x: nobody, nix", "x@local.test", "5.1.1"},
        {"a: b\nb: a", "a@local.test", "5.4.6"},
        {"a: b\nb: c\nc: a", "b@local.test", "5.4.6"},
        {"a: \"a+x\"\n\"a+x\": a", "a@local.test", "5.4.6"},
    };
    for (const Case& one : cases) {
        CAPTURE(one.aliases, one.address);
        Result<Address> address = parse_address(one.address);
        if (!address) continue;
        const auto tables = with_aliases(one.aliases);
        const Expansion expansion = expand_with(*tables, one.address);
        CHECK(expansion.outcome == Expansion::Outcome::Refused);
        CHECK(expansion.enhanced == one.code);
        CHECK(expansion.leaves.empty());
    }
}

TEST_CASE("postmaster and abuse are never unknown") {
    struct Case {
        std::string aliases;
        std::string address;
        Expansion::Outcome outcome;
        std::vector<std::string> leaves;
    };
    const auto held = Expansion::Outcome::Held;
    const auto delivered = Expansion::Outcome::Delivered;
    const std::vector<Case> cases = {
        {"", "postmaster", held, {}},
        {"", "Postmaster@v.test", held, {}},
        {"", "abuse@second.test", held, {}},
        {"postmaster: nobody", "postmaster@local.test", held, {}},
        {"postmaster: abuse\nabuse: postmaster", "abuse@local.test", held, {}},
        {"postmaster: alice", "Postmaster", delivered, {kAlice}},
        {"postmaster: alice", "abuse@local.test", delivered, {kAlice}},
        {"root: \\root", "root@local.test", held, {}},
        {"root: \\root\npostmaster: root", "postmaster@local.test", held, {}},
        {"root: \\root\npostmaster: alice", "toor@local.test", Expansion::Outcome::Refused, {}},
        {"postmaster: root", "postmaster@local.test", delivered, {kAlice}},
        {"postmaster: alice", "abuse@second.test", delivered, {kAlice}},
        {"postmaster: alice", "postmaster@v.test", delivered, {kAlice}},
        {"postmaster: alice\nabuse: bob", "abuse@local.test", delivered, {kBob}},
        {"", "postmaster@remote.test", delivered, {"postmaster@remote.test"}},
    };
    for (const Case& one : cases) {
        CAPTURE(one.aliases, one.address);
        const auto tables = with_aliases(one.aliases);
        const Expansion expansion = expand_with(*tables, one.address);
        CHECK(expansion.outcome == one.outcome);
        CHECK(texts_of(expansion) == one.leaves);
    }
}

TEST_CASE("the size of an expansion is bounded") {
    const auto list_of = [](int members) {
        std::string text = "list: u0@remote.test";
        for (int i = 1; i < members; ++i)
            text += ",\n u" + std::to_string(i) + "@remote.test";
        return text;
    };
    CHECK(expand_with(*with_aliases(list_of(1000)), "list@local.test").leaves.size() == 1000);
    const Expansion too_many = expand_with(*with_aliases(list_of(1001)), "list@local.test");
    CHECK(too_many.outcome == Expansion::Outcome::Refused);
    CHECK(too_many.enhanced == "5.5.3");
    const auto raised = with_aliases(list_of(1001), "max_expanded_recipients 1001\n");
    CHECK(expand_with(*raised, "list@local.test").leaves.size() == 1001);

    // Ways through such lists are 2^18; addresses are 37.
    std::string doubling = "d18: alice\ne18: alice\n";
    for (int i = 0; i < 18; ++i) {
        for (const char* letter : {"d", "e"})
            doubling += fmt::format("{}{}: d{}, e{}\n", letter, i, i + 1, i + 1);
    }
    CHECK(texts_of(expand_with(*with_aliases(doubling), "d0@local.test")) ==
          std::vector<std::string>{kAlice});

    std::string chain = "c21: alice\n";
    for (int i = 0; i < 21; ++i)
        chain += "c" + std::to_string(i) + ": c" + std::to_string(i + 1) + "\n";
    CHECK(expand_with(*with_aliases(chain), "c2@local.test").outcome == Expansion::Outcome::Delivered);
    CHECK(expand_with(*with_aliases(chain), "c0@local.test").enhanced == "5.4.6");

    // Many who share one mailbox are few recipients, but each of them takes a step.
    std::string same = "list: alice+0";
    for (int i = 1; i < 5001; ++i)
        same += ",\n alice+" + std::to_string(i);
    CHECK(expand_with(*with_aliases(same), "list@local.test").enhanced == "5.5.3");
}

TEST_CASE("lists are included") {
    const auto tables =
        with_aliases("list: carol, :include:members\nowner-list: bob\nempty: :include:none\n", {},
                     {{"members", "alice\n:include:members\nx@remote.test\n"}, {"none", "# no\n"}});
    CHECK(texts_of(expand_with(*tables, "list@local.test")) ==
          std::vector<std::string>{kCarol, kAlice, "x@remote.test"});
    CHECK(expand_with(*tables, "empty@local.test").enhanced == "5.2.4");
    const Expansion waiting =
        expand_with(*with_aliases("list: alice, :include:missing\n"), "list@local.test");
    CHECK(waiting.outcome == Expansion::Outcome::Deferred);
    CHECK(waiting.enhanced == "4.3.0");
    CHECK(waiting.leaves.empty());
}

TEST_CASE("the owner of a list becomes the sender for its members") {
    const auto tables = with_aliases(
        "list: alice, inner, bob@remote.test\nowner-list: carol\ninner: bob\nowner-inner: dave\nplain: "
        "alice\n");
    const Expansion expansion = expand_with(*tables, "list@local.test");
    REQUIRE(expansion.leaves.size() == 3);
    CHECK(expansion.leaves[0].owner == "owner-list@local.test");
    CHECK(expansion.leaves[1].owner == "owner-inner@local.test");
    CHECK(expansion.leaves[2].owner == "owner-list@local.test");
    CHECK_FALSE(expand_with(*tables, "plain@local.test").leaves.at(0).owner.has_value());
    CHECK_FALSE(expand_with(*tables, "owner-list@local.test").leaves.at(0).owner.has_value());
}

TEST_CASE("a leaf knows whose rights it has, and which line led to it") {
    const auto tables =
        with_aliases("x: alice,\n  |prog,\n  bob@v.test,\n  f@remote.test\n", "route remote.test mx\n");
    const Expansion expansion = expand_with(*tables, "x@local.test");
    REQUIRE(expansion.leaves.size() == 4);
    const Leaf& program = expansion.leaves[0];
    CHECK(program.kind == Leaf::Kind::Program);
    CHECK(program.user.uid == 65534);
    CHECK(program.user.gid == 65534);
    CHECK_FALSE(program.system_user);
    CHECK(program.rule.line_text() == "/etc/postrider/aliases:2");
    const Leaf& alice = expansion.leaves[1];
    CHECK(alice.user.name == "alice");
    CHECK(alice.system_user);
    CHECK(alice.user_key == "alice");
    CHECK(alice.rule.line_text() == "/etc/postrider/aliases:1");
    const Leaf& bob = expansion.leaves[2];
    CHECK(bob.user.name == "vmail");
    CHECK(bob.user.uid == 500);
    CHECK_FALSE(bob.system_user);
    CHECK(bob.user_key == "bob@v.test");
    CHECK(expansion.leaves[3].rule.line_text() == "/etc/postrider/postrider.conf:6");
    CHECK(expansion.rule.line_text() == "/etc/postrider/aliases:1");
}

TEST_CASE("users who are not known yet are named, all at once") {
    const auto tables = with_aliases("x: alice, bob, carol, fred@remote.test\n");
    FakeFacts facts;
    facts.set("alice", FactState::Pending);
    facts.set("carol", FactState::Pending);
    CHECK(expand({"x", "local.test"}, *tables, facts).outcome == Expansion::Outcome::Deferred);
    CHECK(facts.take_missing().users == std::vector<std::string>{"alice", "carol"});
    facts.set("alice", FactState::Unavailable);
    facts.set("carol", FactState::Unknown);
    CHECK(expand({"x", "local.test"}, *tables, facts).outcome == Expansion::Outcome::Deferred);
    CHECK(facts.complete());
}

TEST_CASE("a user whose name holds the delimiter comes before the detail") {
    const auto tables = with_aliases("");
    FakeFacts facts;
    facts.add("alice+x", 3000);
    const Expansion whole = expand({"alice+x", "local.test"}, *tables, facts);
    CHECK(texts_of(whole) == std::vector<std::string>{"/home/alice+x/Maildir"});
    const auto other = with_aliases("", "recipient_delimiter -\n");
    CHECK(texts_of(expand({"alice-x", "local.test"}, *other, facts)) == std::vector<std::string>{kAlice});
    CHECK(expand({"bob+x", "local.test"}, *other, facts).outcome == Expansion::Outcome::Refused);
    const auto none = with_aliases("", "recipient_delimiter \"\"\n");
    CHECK(expand({"bob+x", "local.test"}, *none, facts).outcome == Expansion::Outcome::Refused);
}

TEST_CASE("names that cannot be users are not looked up") {
    const auto tables = with_aliases("");
    FakeFacts facts;
    for (const std::string& name :
         {std::string("a/b"), std::string(".."), std::string("-x"), std::string(256, 'x')})
        CHECK(expand({name, "local.test"}, *tables, facts).enhanced == "5.1.1");
    CHECK(facts.asked.empty());
}

}  // namespace postrider::router
