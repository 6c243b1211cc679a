#include "router/table_builder.h"

#include <catch2/catch.hpp>

#include <string>
#include <vector>

#include "tests/unit/router/table_fixture.h"

namespace postrider::router {

using test::build;
using test::tables_of;

TEST_CASE("a busy host's tables are built") {
    const auto tables = tables_of(
        "hostname mx2.test\n"
        "local_domain local.test other.test\n"
        "alias_file local.test aliases\n"
        "alias_file * everywhere\n"
        "mailbox local.test maildir:/var/mail/%u\n"
        "virtual_domain v.test maildir:/var/v/%d/%u owner=vmail users=v.users\n"
        "relay_domain .branch.test *.dept.test\n"
        "net 10.0.0.0/8 relay\n"
        "route * via smart.test:587 retry=5m,30m lifetime=3d\n",
        {{"aliases", "sales: alice\n"},
         {"everywhere", "root: bob\n"},
         {"v.users", "bob\nann forward=x@y.test\n"}});
    CHECK(tables->primary_domain == "local.test");
    REQUIRE(tables->local_domain("v.test") != nullptr);
    CHECK(tables->local_domain("v.test")->owner->ids.uid == 500);
    CHECK(tables->local_domain("v.test")->users->find("ann").value().has_value());
    CHECK_FALSE(tables->local_domain("v.test")->users->find("fred").value().has_value());
    CHECK(tables->local_domain("local.test")->aliases->contains("sales").value());
    CHECK(tables->local_domain("other.test")->aliases == nullptr);
    CHECK(tables->common_aliases->contains("root").value());
    const Route* route = tables->routes.find("anywhere.test");
    REQUIRE(route != nullptr);
    CHECK(route->next_hop == "smart.test:587");
    CHECK(route->retry_seconds == std::vector<std::uint32_t>{300, 1800});
    CHECK(route->lifetime_seconds == 3 * 86400);
    CHECK(route->position.line_text() == "/etc/postrider/postrider.conf:9");
    CHECK(tables->relay_domains.find("x.branch.test")->position.line_text() ==
          "/etc/postrider/postrider.conf:7");
}

TEST_CASE("without a local domain the host's name is one") {
    const auto tables = tables_of("hostname mx2.test\nvirtual_domain v.test owner=vmail\n");
    CHECK(tables->primary_domain == "mx2.test");
    CHECK(tables->local_domain("mx2.test") != nullptr);
    CHECK(tables_of("hostname mx2.test\nlocal_domain local.test\n")->local_domain("mx2.test") == nullptr);
    const auto same = tables_of("hostname mx2.test\nvirtual_domain mx2.test owner=vmail\n");
    CHECK(same->local_domain("mx2.test")->is_virtual);
}

TEST_CASE("errors name the line and column of what is wrong") {
    struct Case {
        std::string line;
        std::string error;  // behind "/etc/postrider/"
    };
    const std::vector<Case> cases = {
        {"local_domain local.test local.test",
         "postrider.conf:2:25: local.test is a local domain already, at "
         "/etc/postrider/postrider.conf:2"},
        {"local_domain *.test", "postrider.conf:2:14: character not allowed in domain"},
        {"local_domain [192.0.2.1]", "postrider.conf:2:14: an address literal is no domain"},
        {"relay_domain *",
         "postrider.conf:2:14: accepting mail for every domain from everybody is an open relay"},
        {"relay_domain a.test *.A.test a.test",
         "postrider.conf:2:30: a.test is there already, at /etc/postrider/postrider.conf:2"},
        {"net 10.0.0.0/8", "postrider.conf:2:1: the line says nothing about 10.0.0.0/8"},
        {"alias_file foreign.test ok.aliases",
         "postrider.conf:2:12: foreign.test is neither in a local_domain nor in a virtual_domain line"},
        {"alias_file * missing", "postrider.conf:2:14: /etc/postrider/missing: No such file or directory"},
        {"alias_file * bad.aliases", "bad.aliases:7:1: expected NAME: DESTINATION, …"},
        {"mailbox foreign.test maildir:/x", "postrider.conf:2:9: foreign.test is not in a local_domain line"},
        {"virtual_domain v.test maildir:/v/%u users=ok.users",
         "postrider.conf:2:1: users= needs owner=, whose rights it takes"},
        {"virtual_domain v.test maildir:/v/%u owner=root",
         "postrider.conf:2:37: root cannot own mailboxes of a virtual domain"},
        {"virtual_domain v.test maildir:/v/%u owner=nemo", "postrider.conf:2:37: there is no user \"nemo\""},
        {"virtual_domain v.test maildir:~/Maildir owner=vmail users=ok.users",
         "ok.users:1:1: the mailbox is below ~, so the user needs home="},
        {"virtual_domain v.test maildir:/v/%x owner=vmail",
         "postrider.conf:2:23: after % stands u, d, % or a digit and u"},
        {"virtual_domain v.test maildir:/v/%u owner=vmail users=bad.users",
         "bad.users:2:5: unknown option; there are forward=, home= and quota="},
        {"route a.test mx 5", "postrider.conf:2:14: behind mx stands nothing"},
        {"route a.test via", "postrider.conf:2:14: behind via stands one word"},
        {"route a.test viaa x",
         "postrider.conf:2:14: a route is mx, via, discard, error or none, not \"viaa\"; did you mean via?"},
        {"route a.test via 192.0.2.1", "postrider.conf:2:18: an address is written in brackets"},
        {"route a.test via host:0", "postrider.conf:2:18: the port is a number from 1 to 65535"},
        {"route a.test via host:70000", "postrider.conf:2:18: the port is a number from 1 to 65535"},
        {"route a.test error \"no\"",
         "postrider.conf:2:20: expected a reply such as \"550 5.1.2 no such domain\""},
        {"route a.test error \"550 4.1.2 x\"",
         "postrider.conf:2:20: the reply code and the enhanced code begin with the same digit"},
        {"route a.test error \"250 2.1.2 x\"",
         "postrider.conf:2:20: expected a reply such as \"550 5.1.2 no such domain\""},
    };
    for (const Case& one : cases) {
        CAPTURE(one.line);
        const BuildResult built =
            build("hostname mx2.test\n" + one.line + "\n", {{"ok.aliases", "a: b\n"},
                                                            {"bad.aliases", "a: b\n\n\n\n\n\nbroken\n"},
                                                            {"ok.users", "bob\n"},
                                                            {"bad.users", "bob\nann color=red\n"}});
        CHECK(built.tables == nullptr);
        REQUIRE(built.errors.size() == 1);
        CHECK(built.errors.front() == "/etc/postrider/" + one.error);
    }
}

TEST_CASE("all errors are found at once") {
    const BuildResult built =
        build("hostname mx2.test\nrelay_domain *\nnet 10.0.0.0/8\nalias_file * a\n", {{"a", "x\ny\n"}});
    CHECK(built.errors.size() == 4);
}

TEST_CASE("targets of routes") {
    struct Case {
        std::string target;
        Route::Kind kind;
        std::string next_hop;
    };
    const std::vector<Case> cases = {
        {"mx", Route::Kind::Mx, ""},
        {"none", Route::Kind::None, ""},
        {"discard", Route::Kind::Discard, ""},
        {"via [192.0.2.40]", Route::Kind::Via, "[192.0.2.40]:25"},
        {"via [192.0.2.40]:2525", Route::Kind::Via, "[192.0.2.40]:2525"},
        {"via [2001:db8::1]", Route::Kind::Via, "[2001:db8::1]:25"},
        {"via [2001:db8::1]:26", Route::Kind::Via, "[2001:db8::1]:26"},
        {"via Mail.Partner.Example", Route::Kind::Via, "mail.partner.example:25"},
        {"via smarthost:587", Route::Kind::Via, "smarthost:587"},
    };
    for (const Case& one : cases) {
        CAPTURE(one.target);
        const auto tables = tables_of("hostname mx2.test\nroute d.test " + one.target + "\n");
        const Route* route = tables->routes.find("d.test");
        REQUIRE(route != nullptr);
        CHECK(route->kind == one.kind);
        CHECK(route->next_hop == one.next_hop);
    }
    const auto tables = tables_of("hostname mx2.test\nroute d.test error \"450 4.7.1 try later\"\n");
    CHECK(tables->routes.find("d.test")->code == 450);
    CHECK(tables->routes.find("d.test")->enhanced == "4.7.1");
    CHECK(tables->routes.find("d.test")->text == "try later");
}

TEST_CASE("a list that cannot be read stops its own alias only, and keeps its old members") {
    const std::string configuration = "hostname mx2.test\nlocal_domain local.test\nalias_file * aliases\n";
    const std::string aliases = "list: :include:members\nroot: bob\n";
    const BuildResult missing = build(configuration, {{"aliases", aliases}});
    REQUIRE(missing.tables != nullptr);
    CHECK(missing.list_errors ==
          std::vector<std::string>{
              "/etc/postrider/aliases:1:7: /etc/postrider/members: No such file or directory"});
    CHECK_FALSE(missing.tables->lists.at("/etc/postrider/members").usable);
    CHECK(missing.files.back() == "/etc/postrider/members");

    const BuildResult good = build(configuration, {{"aliases", aliases}, {"members", "alice\nbob\n"}});
    CHECK(good.list_errors.empty());
    const BuildResult broken =
        build(configuration, {{"aliases", aliases}, {"members", "alice\n|sh\n"}}, good.tables.get());
    REQUIRE(broken.tables != nullptr);
    CHECK(broken.list_errors.size() == 1);
    CHECK(broken.tables->lists.at("/etc/postrider/members").usable);
    CHECK(broken.tables->lists.at("/etc/postrider/members").destinations.size() == 2);
}

}  // namespace postrider::router
