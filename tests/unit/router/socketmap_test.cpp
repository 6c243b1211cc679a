#include "router/socketmap.h"

#include <catch2/catch.hpp>
#include <stdlib.h>

#include <filesystem>

#include "tests/unit/async/run.h"
#include "tests/unit/router/socketmap_server.h"

using namespace postrider;
using namespace postrider::router;
using postrider::router::test::SocketmapServer;

namespace {

using Answer = Result<std::optional<std::string>>;

struct Folder {
    Folder() {
        std::string pattern = (std::filesystem::temp_directory_path() / "socketmap-XXXXXX").string();
        path = ::mkdtemp(pattern.data());
    }
    ~Folder() { std::filesystem::remove_all(path); }
    Folder(const Folder&) = delete;
    Folder& operator=(const Folder&) = delete;
    std::string path;
};

async::Task<void> ask(SocketmapClient& client, std::string key, Answer& answer) {
    auto found = co_await client.look_up("users", std::move(key));
    answer = std::move(found);
}

Answer look_up(async::Loop& loop, SocketmapClient& client, std::string key) {
    Answer answer = std::optional<std::string>();
    async::run_to_end(loop, ask(client, std::move(key), answer));
    return answer;
}

SocketmapLimits quick() {
    SocketmapLimits limits;
    limits.timeout = Milliseconds(200);
    limits.connections = 2;
    limits.waiting = 4;
    limits.reply_size = 100;
    return limits;
}

}  // namespace

TEST_CASE("socketmap: questions", "[socketmap]") {
    CHECK(socketmap_question("users", "ann@v.test") == "16:users ann@v.test,");
    CHECK(socketmap_question("users", "") == "6:users ,");
}

TEST_CASE("socketmap: replies", "[socketmap]") {
    using Kind = SocketmapReply::Kind;
    struct Case {
        std::string input;
        Kind kind;
        std::string text;
        std::size_t rest;
    };
    const std::vector<Case> cases{
        {"7:OK /h=1,", Kind::Found, "/h=1", 0},
        {"3:OK ,", Kind::Found, "", 0},
        {"2:OK,", Kind::Found, "", 0},
        {"9:NOTFOUND ,", Kind::NotFound, "", 0},
        {"8:NOTFOUND,", Kind::NotFound, "", 0},
        {"13:TEMP sql away,", Kind::Unavailable, "sql away", 0},
        {"12:TIMEOUT slow,", Kind::Unavailable, "slow", 0},
        {"8:PERM bad,", Kind::Unavailable, "bad", 0},
        {"6:OK a,b,", Kind::Found, "a,b", 0},
        {"4:OK a,3:OK ,", Kind::Found, "a", 6},
    };
    for (const Case& expected : cases) {
        INFO(expected.input);
        const auto reply = parse_socketmap_reply(expected.input, 100);
        REQUIRE(reply);
        REQUIRE(*reply);
        CHECK((*reply)->kind == expected.kind);
        CHECK((*reply)->text == expected.text);
        CHECK((*reply)->size == expected.input.size() - expected.rest);
        // Each beginning of it is incomplete.
        const std::size_t whole = (*reply)->size;
        for (std::size_t size = 0; size < whole; ++size) {
            const auto part = parse_socketmap_reply(std::string_view(expected.input).substr(0, size), 100);
            REQUIRE(part);
            CHECK_FALSE(part->has_value());
        }
    }
    for (const std::string bad : {":OK ,", "x", "OK ann\n", "07:OK ann,", "6:OK ann;", "3:FOO,", "0:,",
                                  "101:OK", "1000000:", "99999999999999999999", "-3:OK ,", "okay:"}) {
        INFO(bad);
        CHECK_FALSE(parse_socketmap_reply(bad, 100).has_value());
    }
}

TEST_CASE("socketmap: a client uses its connection again, and makes another when the server closed it",
          "[socketmap]") {
    const Folder folder;
    const std::string path = folder.path + "/socket";
    async::Loop loop;
    SocketmapClient client(loop, path, quick());

    Answer nobody = look_up(loop, client, "ann@v.test");
    REQUIRE_FALSE(nobody.has_value());
    CHECK(nobody.error().severity == Severity::Temporary);
    CHECK(nobody.error().text.find(path) != std::string::npos);

    const auto answer = [](const std::string& question) -> std::optional<std::string> {
        if (question == "users away@v.test") return SocketmapServer::netstring("TEMP the database is away");
        if (question == "users none@v.test") return SocketmapServer::netstring("NOTFOUND ");
        return SocketmapServer::netstring("OK home=/h/" + question.substr(6, 3));
    };
    {
        const SocketmapServer server(path, answer);
        CHECK(*look_up(loop, client, "ann@v.test").value() == "home=/h/ann");
        CHECK_FALSE(look_up(loop, client, "none@v.test").value().has_value());
        const Answer away = look_up(loop, client, "away@v.test");
        REQUIRE_FALSE(away.has_value());
        CHECK(away.error().severity == Severity::Temporary);
        CHECK(away.error().text == path + " says: the database is away");
        CHECK(server.connections() == 1);
        CHECK(server.questions().size() == 3);
    }
    const SocketmapServer server(path, answer);
    CHECK(*look_up(loop, client, "bob@v.test").value() == "home=/h/bob");
    CHECK(server.connections() == 1);
}

TEST_CASE("socketmap: whatever a server does, a look-up ends with a temporary error in its time",
          "[socketmap]") {
    struct Case {
        std::string name;
        std::optional<std::string> reply;
        std::string error;
    };
    const std::vector<Case> cases{
        {"says nothing", "", "no answer"},
        {"closes", std::nullopt, "it closed the connection"},
        {"speaks another protocol", "220 hello\r\n", "no netstring"},
        {"says too much", "5000:OK " + std::string(4000, 'x'), "too long"},
        {"sends half a reply", "20:OK home", "no answer"},
    };
    for (const Case& expected : cases) {
        INFO(expected.name);
        const Folder folder;
        const std::string path = folder.path + "/socket";
        const SocketmapServer server(path, [&](const std::string&) { return expected.reply; });
        async::Loop loop;
        SocketmapClient client(loop, path, quick());
        const Answer answer = look_up(loop, client, "ann@v.test");
        REQUIRE_FALSE(answer.has_value());
        CHECK(answer.error().severity == Severity::Temporary);
        CHECK(answer.error().text.find(expected.error) != std::string::npos);
        CHECK(client.waiting() == 0);
    }
}

TEST_CASE("socketmap: a reply with more behind it is not the reply to the next question", "[socketmap]") {
    const Folder folder;
    const std::string path = folder.path + "/socket";
    const SocketmapServer server(path, [](const std::string& question) {
        return SocketmapServer::netstring("OK " + question) + SocketmapServer::netstring("OK forged");
    });
    async::Loop loop;
    SocketmapClient client(loop, path, quick());
    CHECK(*look_up(loop, client, "a").value() == "users a");
    CHECK(*look_up(loop, client, "b").value() == "users b");
}

TEST_CASE("socketmap: connections and waiting look-ups are bounded", "[socketmap]") {
    const Folder folder;
    const std::string path = folder.path + "/socket";
    const SocketmapServer server(path, [](const std::string&) { return std::string(); });
    async::Loop loop;
    SocketmapClient client(loop, path, quick());
    std::vector<Answer> answers(6, std::optional<std::string>());
    const auto check = [](async::Loop& on, SocketmapClient& of,
                          std::vector<Answer>& to) -> async::Task<void> {
        async::Scope scope(on);
        for (Answer& answer : to)
            scope.spawn(ask(of, "ann@v.test", answer));
        CHECK(of.waiting() == 4);
        co_await scope.join();
    };
    async::run_to_end(loop, check(loop, client, answers));
    unsigned no_answer = 0;
    unsigned in_use = 0;
    unsigned too_many = 0;
    for (const Answer& answer : answers) {
        REQUIRE_FALSE(answer.has_value());
        no_answer += answer.error().text.find("no answer") != std::string::npos ? 1 : 0;
        in_use += answer.error().text.find("in use") != std::string::npos ? 1 : 0;
        too_many += answer.error().text.find("wait already") != std::string::npos ? 1 : 0;
    }
    CHECK(no_answer == 2);
    CHECK(in_use == 2);
    CHECK(too_many == 2);
    CHECK(server.connections() == 2);
    CHECK(client.waiting() == 0);
}
