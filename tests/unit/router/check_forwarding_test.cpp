#include "router/check_forwarding.h"

#include <catch2/catch.hpp>

#include <map>
#include <string>
#include <vector>

#include "tests/unit/router/table_fixture.h"

namespace postrider::router {

namespace {

const std::string kChecked =
    "hostname mx2.test\n"
    "local_domain local.test\n"
    "alias_domain d2.test -> local.test\n"
    "alias_file local.test aliases\n";

std::vector<std::string> dangers_of(const std::string& lines, const std::string& aliases = "sales: alice\n") {
    const auto tables = test::tables_of(kChecked + lines, {{"aliases", aliases}});
    test::FakeFacts facts;
    return find_bad_forwarding(*tables, facts);
}

}  // namespace

TEST_CASE("what is hardly meant in forwarding is warned of, with its line") {
    struct Case {
        std::string lines;
        std::string aliases;
        std::string danger;  // behind "postrider.conf:5: "; empty: none
    };
    const std::string sales = "sales: alice\n";
    const std::vector<Case> cases = {
        {"redirect bob@local.test alice", sales, ""},
        {"redirect bob@d2.test alice", sales, ""},
        {"redirect sales@d2.test bob", sales, ""},
        {"redirect *@.test alice", "x: alice\n",
         "redirect *@.test: the alias x at /etc/postrider/aliases:1 is never asked"},
        {"redirect+copy *@* alice", sales, ""},
        {"redirect sales@local.test bob", sales,
         "redirect sales@local.test: the alias sales at /etc/postrider/aliases:1 is never asked"},
        {"redirect s*@* bob", "x: bob\n" + sales,
         "redirect s*@*: the alias sales at /etc/postrider/aliases:2 is never asked"},
        {"redirect bob@local.test nobody", sales, "redirect bob@local.test: 5.1.1 no such user here"},
        {"redirect bob@local.test alice nobody", sales,
         "redirect bob@local.test: it leads to nobody@local.test: 5.1.1 no such user here"},
        {"redirect bob@local.test x\nredirect x@local.test bob@local.test", sales,
         "redirect bob@local.test: 5.4.6 alias loop"},
        {"redirect bob@remote.test alice", sales,
         "redirect bob@remote.test: there is no such local domain, so the line has no effect without "
         "scope=any"},
        {"redirect bob@remote.test alice scope=any", sales, ""},
        {"redirect bob@* alice scope=any", sales,
         "redirect bob@*: scope=any also takes what is sent from here to other hosts"},
        {"catchall local.test bob", sales, ""},
        {"catchall local.test unknown", sales,
         "catchall local.test: unknown has no mailbox, so the mail waits"},
    };
    for (const Case& one : cases) {
        CAPTURE(one.lines);
        const std::vector<std::string> dangers = dangers_of(one.lines + "\n", one.aliases);
        if (one.danger.empty()) {
            CHECK(dangers == std::vector<std::string>{});
        } else {
            REQUIRE_FALSE(dangers.empty());
            CHECK(dangers[0] == "/etc/postrider/postrider.conf:5: " + one.danger);
        }
    }
    CHECK(
        dangers_of("redirect_all_matches no\nredirect b*@local.test alice\nredirect bob@local.test dave\n") ==
        std::vector<std::string>{
            "/etc/postrider/postrider.conf:7: redirect bob@local.test: the line at "
            "/etc/postrider/postrider.conf:6 comes first, and redirect_all_matches is no"});
}

TEST_CASE("names with wildcards that take too much, or nothing") {
    CHECK(
        dangers_of("", "t?m: alice\nt*m: bob\n*: bob\ntod*: bob\n") ==
        std::vector<std::string>{
            "/etc/postrider/aliases:3: alias *: it takes the mail of every user; catchall is for names that "
            "nobody has",
            "/etc/postrider/aliases:4: alias tod*: * at /etc/postrider/aliases:3 comes first, so the line "
            "has "
            "no effect"});
    CHECK(dangers_of("", "a*: alice\nab*: bob\n").size() == 1);
    CHECK(dangers_of("", "ab*: alice\na*: bob\n").empty());
    CHECK(dangers_of("", "ab?: alice\nab?: bob\n").size() == 1);
}

}  // namespace postrider::router
