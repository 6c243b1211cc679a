#include "libcommon/mail/path.h"

#include <catch2/catch.hpp>

using namespace postrider::mail;

namespace {

constexpr PathOptions kForward = {.strict = false, .is_reverse = false};
constexpr PathOptions kReverse = {.strict = false, .is_reverse = true};
constexpr PathOptions kStrictForward = {.strict = true, .is_reverse = false};
constexpr PathOptions kStrictReverse = {.strict = true, .is_reverse = true};

struct Accepted {
    std::string argument;
    std::string local;
    std::string domain;  // Empty for a path without one.
    std::string rest = {};
};

void check_accepted(const std::vector<Accepted>& cases, const PathOptions& options) {
    for (const Accepted& c : cases) {
        CAPTURE(c.argument, options.strict, options.is_reverse);
        const auto parsed = parse_path(c.argument, options);
        REQUIRE(parsed.has_value());
        CHECK(parsed->path.local() == c.local);
        CHECK(parsed->path.has_domain() == !c.domain.empty());
        if (parsed->path.has_domain()) CHECK(parsed->path.domain()->name() == c.domain);
        CHECK(parsed->rest == c.rest);
    }
}

void check_refused(const std::vector<std::string>& cases, const PathOptions& options) {
    for (const std::string& argument : cases) {
        CAPTURE(argument, options.strict, options.is_reverse);
        const auto parsed = parse_path(argument, options);
        REQUIRE_FALSE(parsed.has_value());
        CHECK_FALSE(parsed.error().temporary());
        CHECK_FALSE(parsed.error().text.empty());
    }
}

}  // namespace

TEST_CASE("paths in angle brackets are accepted in every mode") {
    const std::vector<Accepted> cases = {
        {"<alice@local.test>", "alice", "local.test"},
        {"<alice@local.test> SIZE=100 BODY=8BITMIME", "alice", "local.test", "SIZE=100 BODY=8BITMIME"},
        {"<x@[192.0.2.10]>", "x", "[192.0.2.10]"},
        {"<x@[IPv6:2001:db8::1]>", "x", "[IPv6:2001:db8::1]"},
        {"<alice>", "alice", ""},
        {"<Postmaster>", "Postmaster", ""},
        {R"(<"a> b"@c.test> X=1)", "a> b", "c.test", "X=1"},
        {"<@x.test,@y.test:alice@local.test>", "alice", "local.test"},
        {"<@x.test:u@remote.test>", "u", "remote.test"},
        {"<@[IPv6:2001:db8::1]:u@remote.test> A=b", "u", "remote.test", "A=b"},
    };
    for (const PathOptions& options : {kForward, kReverse, kStrictForward, kStrictReverse}) {
        check_accepted(cases, options);
    }
}

TEST_CASE("missing brackets and blanks after the colon are accepted unless strict") {
    const std::vector<Accepted> cases = {
        {" admin@anything.other.org", "admin", "anything.other.org"},
        {" john.smith@primary.test", "john.smith", "primary.test"},
        {"john.smith@primary.test", "john.smith", "primary.test"},
        {"\t <john.smith@primary.test>", "john.smith", "primary.test"},
        {"a@b.test SIZE=5", "a", "b.test", "SIZE=5"},
        {"<a@b.test>  SIZE=5", "a", "b.test", "SIZE=5"},
        {"<a@b.test>\tSIZE=5", "a", "b.test", "SIZE=5"},
    };
    for (const PathOptions& options : {kForward, kReverse})
        check_accepted(cases, options);
    for (const PathOptions& options : {kStrictForward, kStrictReverse}) {
        for (const Accepted& c : cases)
            check_refused({c.argument}, options);
    }
}

TEST_CASE("the probes of open relay tests show the domain that decides") {
    // With and without brackets, as the probes come in either form.
    const std::vector<Accepted> cases = {
        {"tomy@hotmail.com", "tomy", "hotmail.com"},
        {"hotmail.com!tomy@local.test", "hotmail.com!tomy", "local.test"},
        {"tomy%hotmail.com@local.test", "tomy%hotmail.com", "local.test"},
        {"@local.test:tomy@hotmail.com", "tomy", "hotmail.com"},
        {R"("tomy@hotmail.com")", "tomy@hotmail.com", ""},
        {R"("tomy@hotmail.com"@local.test)", "tomy@hotmail.com", "local.test"},
        {"tomy@[192.0.2.60]", "tomy", "[192.0.2.60]"},
        {"tomy%hotmail.com", "tomy%hotmail.com", ""},
        {"tomy@HOTMAIL.COM.", "tomy", "hotmail.com"},
    };
    for (const Accepted& c : cases) {
        check_accepted({{c.argument, c.local, c.domain}, {"<" + c.argument + ">", c.local, c.domain}},
                       kForward);
    }
    check_refused({"tomy@hotmail.com@local.test", "<tomy@hotmail.com@local.test>"}, kForward);
}

TEST_CASE("only a reverse path can be null") {
    for (const PathOptions& options : {kReverse, kStrictReverse}) {
        const auto parsed = parse_path("<> RET=HDRS", options);
        REQUIRE(parsed.has_value());
        CHECK(parsed->path.is_null());
        CHECK(parsed->path.to_string().empty());
        CHECK_FALSE(parsed->path.mailbox().has_value());
        CHECK(parsed->rest == "RET=HDRS");
    }
    CHECK(parse_path(" <>", kReverse)->path.is_null());
    check_refused({"<>", " <>"}, kForward);
    check_refused({"<>"}, kStrictForward);
}

TEST_CASE("malformed paths are refused") {
    using namespace std::string_literals;
    const std::vector<std::string> cases = {
        "",
        " ",
        "<",
        ">",
        "<<a@b.test>>",
        "<a@b.test",
        "a@b.test>",
        "<a@b.test>x",
        "<a@b.test>SIZE=5",
        "<a@b.test>>",
        "< a@b.test>",
        "<a@b.test >",
        "<a@>",
        "<@>",
        "<@b.test>",
        "<a@b@c.test>",
        "a@b@c.test",
        R"(<"a@b.test>)",
        R"("a@b.test)",
        R"(<"a\>)",
        R"(<a"b@c.test>)",
        "<a b@c.test>",
        "<a@b test>",
        "<a@b,c.test>",
        "<a\r\n@b.test>",
        "<a@b.test>\r\nDATA",
        "<a@b.test>\nX",
        "<a\0@b.test>"s,
        "<a@b.test\0>"s,
        "<a@b.test>\0"s,
        "<@x.test alice@local.test>",
        "<@x.test:>",
        "<@x.test:alice>",
        "<@x.test,y.test:a@b.test>",
        "<@x.test,:a@b.test>",
        "<@:a@b.test>",
        "<@x.test:@y.test:a@b.test>",
        "<@x..test:a@b.test>",
        "<x:a@b.test>",
        "<a@[1.2.3.4>",
        "<a@[1.2.3.4>]>",
        "<a@1.2.3.4>",
        "<a@b.test>;",
        "<a@b.test:25>",
        "<" + std::string(256, 'a') + "@b.test>",
    };
    for (const PathOptions& options : {kForward, kReverse, kStrictForward, kStrictReverse}) {
        check_refused(cases, options);
    }
}

TEST_CASE("paths have a maximum length, a larger one with UTF-8") {
    const std::string routes_ascii = "@" + std::string(60, 'r') + ".test:";
    // "<" local "@b.test" ">" of 256 octets in all, then one more.
    CHECK(parse_path("<" + std::string(247, 'a') + "@b.test>", kForward).has_value());
    check_refused({"<" + std::string(248, 'a') + "@b.test>", std::string(248, 'a') + "@b.test",
                   "<" + routes_ascii + std::string(200, 'a') + "@b.test>"},
                  kForward);
    CHECK(parse_path("<" + std::string(250, 'a') + "ü@b.test>", kForward).has_value());
    CHECK(parse_path("<" + routes_ascii + std::string(250, 'a') + "ü@b.test>", kForward).has_value());
}

TEST_CASE("what a path says of itself") {
    const Domain domain = *parse_domain("local.test");
    const Path postmaster = parse_path("<PostMaster>", kForward)->path;
    CHECK(postmaster.is_bare_postmaster());
    CHECK_FALSE(postmaster.mailbox().has_value());
    CHECK(postmaster.mailbox_in(domain)->to_string() == "PostMaster@local.test");
    CHECK(postmaster.to_string() == "PostMaster");

    const Path path = parse_path(R"(<"a b"@Remote.test>)", kForward)->path;
    CHECK_FALSE(path.is_bare_postmaster());
    CHECK(path.to_string() == R"("a b"@remote.test)");
    CHECK(path.mailbox()->to_string() == R"("a b"@remote.test)");
    CHECK(path.mailbox_in(domain) == path.mailbox());
    CHECK(Path(*path.mailbox()) == path);
    CHECK_FALSE(path.was_utf8());
    CHECK(parse_path("<jürgen@a.test>", kForward)->path.was_utf8());
    CHECK(parse_path("<a@münchen.example>", kForward)->path.was_utf8());
    CHECK_FALSE(Path().mailbox_in(domain).has_value());
    CHECK_FALSE(parse_path("<postmaster@a.test>", kForward)->path.is_bare_postmaster());
}
