#include "router/path_template.h"

#include <catch2/catch.hpp>

#include <string>
#include <vector>

namespace postrider::router {

TEST_CASE("templates are filled") {
    struct Case {
        const char* text;
        const char* user;
        const char* expected;
    };
    const std::vector<Case> cases = {
        {"maildir:~/Maildir", "alice", "/home/a/Maildir"},
        {"maildir:~", "alice", "/home/a"},
        {"maildir:/var/mail/%d/%u", "alice", "/var/mail/shop.example/alice"},
        {"maildir:/var/mail/%d/%2u/%u", "alice", "/var/mail/shop.example/al/alice"},
        {"maildir:/var/mail/%d/%2u/%u", "a", "/var/mail/shop.example/a/a"},
        {"maildir:/v/%1u/%u", "ärger", "/v/ä/ärger"},
        {"maildir:/v/100%%/%u", "bob", "/v/100%/bob"},
        {"maildir:/v/%u.d", "a%b", "/v/a%b.d"},
        {"maildir:/v/%u", ".hidden", "/v/.hidden"},
    };
    for (const Case& one : cases) {
        CAPTURE(one.text, one.user);
        const Result<PathTemplate> parsed = PathTemplate::parse(one.text);
        REQUIRE(parsed.has_value());
        const Result<std::string> path = parsed->fill({one.user, "shop.example", "/home/a"});
        REQUIRE(path.has_value());
        CHECK(*path == one.expected);
    }
}

TEST_CASE("a local part never leads out of its folder") {
    const std::vector<std::string> users = {
        "",    ".",   "..",   "a/b",   "../../etc/passwd",    "/etc/passwd",
        "..x", ".x.", "a\nb", "a\x7f", std::string("a\0b", 3)};
    for (const std::string& user : users) {
        CAPTURE(user);
        const Result<PathTemplate> parsed = PathTemplate::parse("maildir:/var/mail/%d/%2u/%1u/%u");
        REQUIRE(parsed.has_value());
        CHECK_FALSE(parsed->fill({user, "shop.example", {}}).has_value());
    }
}

TEST_CASE("a home must be there and absolute") {
    const Result<PathTemplate> parsed = PathTemplate::parse("maildir:~/Maildir");
    REQUIRE(parsed.has_value());
    CHECK(parsed->needs_home());
    CHECK_FALSE(parsed->fill({"alice", "d.test", ""}).has_value());
    CHECK_FALSE(parsed->fill({"alice", "d.test", "home"}).has_value());
    CHECK_FALSE(parsed->fill({"alice", "d.test", "/home/../etc"}).has_value());
    CHECK_FALSE(parsed->fill({"alice", "d.test", std::string_view("/home/a\0b", 9)}).has_value());
    CHECK_FALSE(parsed->fill({"alice", "d.test", "/home/a\nb"}).has_value());
    CHECK(parsed->fill({"daemon", "d.test", "/"}).value() == "/Maildir");
    CHECK_FALSE(PathTemplate::parse("maildir:~")->fill({"daemon", "d.test", "/"}).has_value());
}

TEST_CASE("what is no template is refused") {
    for (const char* text :
         {"", "/var/mail/%u", "mbox:/var/mail/%u", "maildir:", "maildir:var/%u", "maildir:/%x", "maildir:/%",
          "maildir:/%0u", "maildir:/%22u", "maildir:/a\nb", "maildir:~bob/Maildir"}) {
        CAPTURE(text);
        CHECK_FALSE(PathTemplate::parse(text).has_value());
    }
}

}  // namespace postrider::router
