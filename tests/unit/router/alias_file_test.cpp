#include <catch2/catch.hpp>
#include <fmt/format.h>

#include <memory>
#include <string>
#include <vector>

#include "router/alias_table.h"

namespace postrider::router {

namespace {

struct Parsed {
    std::shared_ptr<const AliasTable> table;
    std::vector<std::string> errors;
    [[nodiscard]] Alias at(std::string_view name) const { return *table->find(name).value(); }
    [[nodiscard]] Alias wild_at(std::string_view name) const { return *table->find_wild(name).value(); }
    [[nodiscard]] bool contains(std::string_view name) const { return table->contains(name).value(); }
};

std::shared_ptr<const std::string> file_name() {
    return std::make_shared<const std::string>("/etc/aliases");
}

Parsed parse(std::string_view text) {
    config::Errors errors(20);
    Parsed parsed;
    parsed.table = parse_alias_table(std::string(text), file_name(), errors);
    parsed.errors = errors.take();
    return parsed;
}

std::string text_of(const Destination& destination) {
    switch (destination.kind) {
        case Destination::Kind::Mail:
            return destination.address.text();
        case Destination::Kind::User:
            return destination.is_own_user() ? "$user" : "\\" + destination.address.text();
        case Destination::Kind::Program:
            return "|" + destination.text;
        case Destination::Kind::File:
            return destination.text;
        case Destination::Kind::Include:
            return ":include:" + destination.text;
    }
    return {};
}

std::vector<std::string> texts_of(const std::vector<Destination>& destinations) {
    std::vector<std::string> texts;
    texts.reserve(destinations.size());
    for (const Destination& destination : destinations)
        texts.push_back(text_of(destination));
    return texts;
}

}  // namespace

TEST_CASE("what an alias line leads to") {
    struct Case {
        const char* line;
        const char* name;
        std::vector<std::string> destinations;
    };
    const std::vector<Case> cases = {
        {"root: fred", "root", {"fred"}},
        {"ROOT : fred,john", "root", {"fred", "john"}},
        {"sales:alice , john@Remote.TEST", "sales", {"alice", "john@remote.test"}},
        {"sales: alice,\n   john,\n\tdave\n", "sales", {"alice", "john", "dave"}},
        {"sales: alice\r\n  , john\r\n", "sales", {"alice", "john"}},
        {"sales: alice,\n# not him: bob,\n\n  dave", "sales", {"alice", "dave"}},
        {"sales: alice # the boss, and\n  , dave", "sales", {"alice", "dave"}},
        {"bob: $user, fred@remote.test", "bob", {"$user", "fred@remote.test"}},
        {"bob: \\bob, \\Other", "bob", {"\\bob", "\\Other"}},
        {"robot: |/usr/bin/robot", "robot", {"|/usr/bin/robot"}},
        {"robot: |/usr/bin/robot -q  x", "robot", {"|/usr/bin/robot -q  x"}},
        {"robot: \"|/usr/bin/robot --to 'a, b' #1\", x", "robot", {"|/usr/bin/robot --to 'a, b' #1", "x"}},
        {"robot: |\"/usr/bin/robot a,b\"", "robot", {"|/usr/bin/robot a,b"}},
        {R"(robot: "|/bin/sort \"a, b\" \\n")", "robot", {R"(|/bin/sort "a, b" \n)"}},
        {"log: /var/log/mail", "log", {"/var/log/mail"}},
        {"log: \"/var/log/my mail\"", "log", {"/var/log/my mail"}},
        {"list: :include:/etc/list", "list", {":include:/etc/list"}},
        {"list: :INCLUDE:lists/x", "list", {":include:/etc/lists/x"}},
        {"list: \":include: /etc/my list\"", "list", {":include:/etc/my list"}},
        {"\"john doe\": \"jd two\"@x.test", "john doe", {"\"jd two\"@x.test"}},
        {"a: \"john doe\"", "a", {"\"john doe\""}},
        {"a: \"fred@x.test\"", "a", {"fred@x.test"}},
        {"a: <fred@x.test>", "a", {"fred@x.test"}},
        {"a: x#y", "a", {"x#y"}},
        {"a: b,,c,", "a", {"b", "c"}},
        {"a: \"b,c\"@x.test", "a", {"\"b,c\"@x.test"}},
        {"a: user%other@local.test", "a", {"user%other@local.test"}},
        {"Jürgen: b", "jürgen", {"b"}},
    };
    for (const Case& one : cases) {
        CAPTURE(one.line);
        const Parsed parsed = parse(one.line);
        CHECK(parsed.errors.empty());
        REQUIRE(parsed.contains(one.name));
        CHECK(parsed.at(one.name).name == one.name);
        CHECK(texts_of(parsed.at(one.name).destinations) == one.destinations);
    }
}

TEST_CASE("in quotes a backslash only escapes, so a quoted user without alias takes two") {
    CHECK(texts_of(parse("bob: \"\\bob\"").at("bob").destinations) == std::vector<std::string>{"bob"});
    CHECK(texts_of(parse("bob: \"\\\\bob\"").at("bob").destinations) == std::vector<std::string>{"\\bob"});
}

TEST_CASE("each destination knows its line") {
    const Parsed parsed = parse("# head\nsales: alice,\n  bob,\n# between\n  carol\nroot: dave\n");
    const Alias sales = parsed.at("sales");
    CHECK(sales.position.text() == "/etc/aliases:2:1");
    CHECK(sales.destinations.at(0).position.text() == "/etc/aliases:2:8");
    CHECK(sales.destinations.at(1).position.text() == "/etc/aliases:3:3");
    CHECK(sales.destinations.at(2).position.text() == "/etc/aliases:5:3");
    CHECK(parsed.at("root").position.text() == "/etc/aliases:6:1");
}

TEST_CASE("errors name file, line and column, and faultless lines are there") {
    struct Case {
        std::string text;
        std::string error;
    };
    const std::vector<Case> cases = {
        {"good: a\nno colon here\n", "/etc/aliases:2:1: expected NAME: DESTINATION, …"},
        {"good: a\nempty:\n", "/etc/aliases:2:1: alias empty has no destination"},
        {"good: a\nempty: # nobody\n", "/etc/aliases:2:1: alias empty has no destination"},
        {"good: a\nGOOD: b\n", "/etc/aliases:2:1: alias good is there already, at /etc/aliases:1"},
        {"good: a\nx: fred john\n",
         "/etc/aliases:2:4: blank inside a destination: a comma is missing, or quotes"},
        {"good: a\nx: b,\n  fred@\n", "/etc/aliases:3:3: empty domain"},
        {"good: a\nx: \"|prog\n", "/etc/aliases:2:4: a quote is not closed on its line"},
        {"good: a\n\"x: b\n", "/etc/aliases:2:1: a quote is not closed on its line"},
        {"good: a\nx@d.test: b\n",
         "/etc/aliases:2:1: the name of an alias has no domain; alias_file says for which domain it is"},
        {"good: a\n: b\n", "/etc/aliases:2:1: the name of an alias: empty local part"},
        {"good: a\nx: |\n", "/etc/aliases:2:4: the command or path is missing"},
        {"good: a\nx: :include:\n", "/etc/aliases:2:4: the command or path is missing"},
        {"good: a\nx: \\b@d.test\n",
         "/etc/aliases:2:4: behind \\ stands the name of a user, without a domain"},
        {"good: a\nx: /a\x01\n", "/etc/aliases:2:4: control character in a command or path"},
        {std::string("good: a\nx: |p\0q\n", 15), "/etc/aliases:2:4: control character in a command or path"},
    };
    for (const Case& one : cases) {
        CAPTURE(one.text);
        const Parsed parsed = parse(one.text);
        CHECK(parsed.errors == std::vector<std::string>{one.error});
        CHECK(parsed.contains("good"));
    }
}

TEST_CASE("a continuation needs something to continue") {
    const Parsed parsed = parse("  alice\ngood: b\n");
    CHECK(parsed.errors ==
          std::vector<std::string>{
              "/etc/aliases:1:1: a line that begins with a blank continues an alias, but there is none"});
    CHECK(parsed.contains("good"));
}

TEST_CASE("a list holds addresses, one or more a line, and nothing that runs or writes") {
    config::Errors errors(20);
    const std::vector<Destination> members = parse_alias_list(
        "# members\nalice\nbob@remote.test, carol\n  dave # the last\n\n:include:more\n\\eve\n", file_name(),
        errors);
    CHECK(errors.empty());
    CHECK(texts_of(members) == std::vector<std::string>{"alice", "bob@remote.test", "carol", "dave",
                                                        ":include:/etc/more", "\\eve"});
    CHECK(parse_alias_list("alice\n|/bin/sh\n/etc/passwd\n\"|x\"", file_name(), errors).size() == 1);
    CHECK(errors.take() ==
          std::vector<std::string>{
              "/etc/aliases:2:1: a list may hold addresses and further lists, no program and no file",
              "/etc/aliases:3:1: a list may hold addresses and further lists, no program and no file",
              "/etc/aliases:4:1: a list may hold addresses and further lists, no program and no file"});
}

TEST_CASE("a name without quotes may hold wildcards") {
    const Parsed parsed = parse("Tod.*: alice\n\"t?m\": bob\nT?m: carol\n*: dave\n");
    CHECK(parsed.errors.empty());
    std::vector<std::string> visited;
    parsed.table->for_each([&](const Alias& alias) {
        visited.push_back(fmt::format("{} {}", alias.wild ? "wild" : "exact", alias.name));
        return true;
    });
    CHECK(visited == std::vector<std::string>{"wild tod.*", "exact t?m", "wild t?m", "wild *"});
    CHECK(parsed.wild_at("tod.x").name == "tod.*");
    CHECK(parsed.wild_at("tim").name == "t?m");
    CHECK(parsed.wild_at("tim").position.line_text() == "/etc/aliases:3");
    CHECK(parsed.wild_at("tom.x").name == "*");
    CHECK(texts_of(parsed.at("t?m").destinations) == std::vector<std::string>{"bob"});
    CHECK_FALSE(parsed.contains("tod.*"));
    CHECK_FALSE(parsed.contains("tim"));
}

TEST_CASE("discard and null are no users") {
    const Parsed parsed = parse("a: discard\nb: null, alice\nc: /dev/null\nd: \\null, null@d.test\n");
    CHECK(parsed.errors.empty());
    for (const char* name : {"a", "b", "c"}) {
        CAPTURE(name);
        CHECK(parsed.at(name).destinations.at(0).kind == Destination::Kind::File);
        CHECK(parsed.at(name).destinations.at(0).text == "/dev/null");
    }
    CHECK(texts_of(parsed.at("d").destinations) == std::vector<std::string>{"\\null", "null@d.test"});
}

TEST_CASE("a large file takes time in proportion to its size") {
    std::string text = "all: u0";
    for (int i = 1; i < 20000; ++i)
        text += ",\n# comment\n\n  u" + std::to_string(i);
    const Parsed parsed = parse(text);
    CHECK(parsed.errors.empty());
    CHECK(parsed.at("all").destinations.size() == 20000);
}

}  // namespace postrider::router
