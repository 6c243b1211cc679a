// Users whom only a server on a local socket knows.
#include "router/external_users.h"

#include <catch2/catch.hpp>
#include <stdlib.h>

#include <chrono>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "router/policy.h"
#include "tests/unit/async/run.h"
#include "tests/unit/router/expansion_fixture.h"
#include "tests/unit/router/router_process.h"
#include "tests/unit/router/socketmap_server.h"

namespace postrider::router {

using test::build;
using test::FakeFacts;
using test::leaf_texts;
using test::SocketmapServer;
using test::tables_of;

namespace {

const std::string kDomain =
    "hostname mx2.test\n"
    "local_domain local.test\n"
    "virtual_domain v.test maildir:/var/v/%d/%u owner=vmail users=socket:/run/users\n";

std::string outcome(const Tables& tables, FakeFacts& facts, std::string_view address) {
    const Expansion expansion = expand(tables.qualified(parse_address(address).value()), tables, facts);
    if (expansion.outcome != Expansion::Outcome::Delivered) return expansion.enhanced + " " + expansion.text;
    std::string text;
    for (const std::string& leaf : leaf_texts(expansion))
        text += (text.empty() ? "" : ", ") + leaf;
    return text;
}

struct Folder {
    Folder() {
        std::string pattern = (std::filesystem::temp_directory_path() / "external-XXXXXX").string();
        path = ::mkdtemp(pattern.data());
    }
    ~Folder() { std::filesystem::remove_all(path); }
    Folder(const Folder&) = delete;
    Folder& operator=(const Folder&) = delete;
    std::string path;
};

async::Task<void> store(ExternalUsers& users, ExternalQuestion question, ExternalAnswer& answer) {
    auto found = co_await users.look_up(std::move(question));
    answer = std::move(found);
}

ExternalAnswer look_up(async::Loop& loop, ExternalUsers& users, const ExternalQuestion& question) {
    ExternalAnswer answer;
    async::run_to_end(loop, store(users, question, answer));
    return answer;
}

}  // namespace

TEST_CASE("users that a server knows", "[external]") {
    const auto tables = tables_of(kDomain);
    FakeFacts facts;
    facts.add_external("ann@v.test", "");
    facts.add_external("away@v.test", "forward=x@remote.test,bob@local.test");
    facts.add_external("both@v.test", "forward=$user,x@remote.test");
    facts.add_external("home@v.test", "home=/srv/home");
    facts.add_external("plus+own@v.test", "forward=plus@remote.test");
    facts.add_external("robot@v.test", "forward=|/bin/cat");
    facts.add_external("list@v.test", "forward=:include:/etc/passwd");
    facts.add_external("wrong@v.test", "hme=/srv");
    facts.add_external("lines@v.test", "home=/a\nroot home=/b");
    facts.set_external("unclear@v.test", {FactState::Unavailable, nullptr, "/run/users: no answer"});
    const std::string cannot_tell = "4.3.0 a table cannot be read";
    struct Case {
        std::string address;
        std::string outcome;
    };
    const std::vector<Case> cases{
        {"ann@v.test", "/var/v/v.test/ann"},
        {"ANN@V.test", "/var/v/v.test/ann"},
        {"ann+detail@v.test", "/var/v/v.test/ann"},
        {"plus+own@v.test", "plus@remote.test"},
        {"away@v.test", "x@remote.test, /home/bob/Maildir"},
        {"both@v.test", "/var/v/v.test/both, x@remote.test"},
        {"home@v.test", "/var/v/v.test/home"},
        {"nobody@v.test", "5.1.1 no such user here"},
        {"\"../../etc\"@v.test", "5.1.1 no such user here"},
        {"unclear@v.test", "4.3.0 the user database does not answer"},
        {"robot@v.test", cannot_tell},
        {"list@v.test", cannot_tell},
        {"wrong@v.test", cannot_tell},
        {"lines@v.test", cannot_tell},
    };
    for (const Case& expected : cases) {
        INFO(expected.address);
        CHECK(outcome(*tables, facts, expected.address) == expected.outcome);
    }
    for (const std::string& asked : facts.asked_servers)
        CHECK(asked.find("..") == std::string::npos);
    CHECK(facts.asked_servers.front() == "/run/users ann@v.test");
}

TEST_CASE("what a server says runs programs only with lookup_may_pipe", "[external]") {
    const auto tables = tables_of(kDomain + "lookup_may_pipe yes\n");
    FakeFacts facts;
    facts.add_external("robot@v.test", "forward=|/bin/cat,$user");
    facts.add_external("list@v.test", "forward=:include:/etc/passwd");
    CHECK(outcome(*tables, facts, "robot@v.test") == "|/bin/cat, /var/v/v.test/robot");
    CHECK(outcome(*tables, facts, "list@v.test") == "4.3.0 a table cannot be read");
}

TEST_CASE("a mailbox below a home needs one from the server", "[external]") {
    const auto tables =
        tables_of("virtual_domain v.test maildir:~/Maildir owner=vmail users=socket:/run/users\n");
    FakeFacts facts;
    facts.add_external("ann@v.test", "home=/srv/ann");
    facts.add_external("bob@v.test", "");
    CHECK(outcome(*tables, facts, "ann@v.test") == "/srv/ann/Maildir");
    CHECK(outcome(*tables, facts, "bob@v.test") == "4.3.0 a table cannot be read");
}

TEST_CASE("a catch-all whom the server does not know makes mail wait", "[external]") {
    const auto tables = tables_of(kDomain + "catchall v.test rest\n");
    FakeFacts facts;
    CHECK(outcome(*tables, facts, "new@v.test") == "4.3.0 the catch-all has no mailbox");
    facts.add_external("rest@v.test", "");
    CHECK(outcome(*tables, facts, "new@v.test") == "/var/v/v.test/rest");
}

TEST_CASE("a socket is for users", "[external]") {
    const auto result = build("alias_file * socket:/run/aliases\n");
    REQUIRE(result.errors.size() == 1);
    CHECK(result.errors.front().find("socket: is for users= only") != std::string::npos);
}

TEST_CASE("what a server said is remembered, each for its time, and asked once for all who wait",
          "[external]") {
    const Folder folder;
    const ExternalQuestion ann{folder.path + "/socket", "ann@v.test"};
    const ExternalQuestion nobody{folder.path + "/socket", "nobody@v.test"};
    async::Loop loop;
    ExternalUserLimits limits;
    limits.unavailable = Milliseconds(0);
    limits.unknown = Milliseconds(50);
    limits.entries = 2;
    ExternalUsers users(loop, limits);
    CHECK(users.find(ann).state == FactState::Pending);
    CHECK(look_up(loop, users, ann).state == FactState::Unavailable);

    const SocketmapServer server(ann.socket, [](const std::string& question) {
        return SocketmapServer::netstring(question.starts_with("users n") ? "NOTFOUND " : "OK home=/h");
    });
    const auto ask_both = [](async::Loop& on, ExternalUsers& of, ExternalQuestion question,
                             std::vector<ExternalAnswer>& to) -> async::Task<void> {
        async::Scope scope(on);
        for (ExternalAnswer& answer : to)
            scope.spawn(store(of, question, answer));
        co_await scope.join();
    };
    std::vector<ExternalAnswer> answers(3);
    async::run_to_end(loop, ask_both(loop, users, ann, answers));
    for (const ExternalAnswer& answer : answers) {
        REQUIRE(answer.state == FactState::Known);
        CHECK(*answer.value == "home=/h");
    }
    CHECK(server.questions() == std::vector<std::string>{"users ann@v.test"});
    CHECK(users.find(ann).state == FactState::Known);

    CHECK(look_up(loop, users, nobody).state == FactState::Unknown);
    CHECK(users.find(nobody).state == FactState::Unknown);
    std::this_thread::sleep_for(std::chrono::milliseconds(80));
    CHECK(look_up(loop, users, nobody).state == FactState::Unknown);
    CHECK(server.questions().size() == 3);

    static_cast<void>(look_up(loop, users, {ann.socket, "third@v.test"}));
    CHECK(users.size() == 2);
    users.clear();
    CHECK(users.find(ann).state == FactState::Pending);
}

TEST_CASE("the daemon asks the server, while others have their answers", "[daemon][external]") {
    test::RouterProcess router;
    router.write("postrider.conf",
                 "local_domain local.test\n"
                 "virtual_domain v.test maildir:/var/v/%u owner=65533 users=socket:" +
                     router.path("users") + "\nlookup_timeout 1s\n");
    const SocketmapServer server(router.path("users"), [](const std::string& question) {
        if (question == "users slow@v.test") return std::string();
        return SocketmapServer::netstring(question == "users ann@v.test" ? "OK " : "NOTFOUND ");
    });
    router.start();
    const auto question = [](const std::string& address) {
        wire::RouterRequest request;
        request.mutable_recipient()->mutable_client()->set_address("203.0.113.9");
        request.mutable_recipient()->mutable_client()->set_kind("smtp");
        request.mutable_recipient()->set_recipient(address);
        return request;
    };
    test::RouterPeer slow(router, wire::ROLE_SMTPD);
    test::RouterPeer other(router, wire::ROLE_SMTPD);
    slow.send(question("slow@v.test"));
    const auto begun = std::chrono::steady_clock::now();
    auto ann = other.ask(question("ann@v.test"));
    REQUIRE(ann);
    INFO(router.log());
    CHECK(ann->verdict().action() == wire::Verdict::ACCEPT);
    auto bob = other.ask(question("bob@v.test"));
    REQUIRE(bob);
    CHECK(bob->verdict().code() == 550);
    CHECK(bob->verdict().enhanced() == "5.1.1");
    CHECK(std::chrono::steady_clock::now() - begun < std::chrono::milliseconds(900));
    auto unclear = slow.receive();
    REQUIRE(unclear);
    CHECK(unclear->verdict().code() == 451);
    CHECK(unclear->verdict().enhanced() == "4.3.0");
    CHECK(router.log().find("no answer") != std::string::npos);
}

}  // namespace postrider::router
