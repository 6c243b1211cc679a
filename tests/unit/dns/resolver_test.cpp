#include "libcommon/dns/resolver.h"

#include <catch2/catch.hpp>

#include "tests/unit/async/run.h"
#include "tests/unit/dns/scripted_server.h"

namespace postrider::dns {
namespace {

using test::PacketWriter;
using test::ScriptedServer;
using Packets = std::vector<std::string>;

constexpr std::uint16_t kA = 1;
constexpr std::uint16_t kCname = 5;
const std::string kAddress("\xc0\x00\x02\x01", 4);

ResolverOptions options_for(std::vector<config::Endpoint> servers) {
    ResolverOptions options;
    options.servers = std::move(servers);
    options.timeout = Milliseconds(100);
    options.chain_timeout = Milliseconds(1000);
    options.packet = PacketLimits{10, 100};
    options.cache_entries = 100;
    options.cache_ttl = Seconds(3600);
    options.concurrency = 10;
    return options;
}

PacketWriter response_to(const Question& question, std::uint16_t flags = 0x8180) {
    PacketWriter writer(question.id, flags);
    writer.question(question.name, question.type);
    return writer;
}

std::string with_address(const Question& question) {
    return response_to(question).answer(question.name, kA, 60, kAddress).packet();
}

async::Task<void> store_lookup(Resolver& resolver, std::string name, Type type,
                               std::optional<Result<Answer>>& result) {
    result = co_await resolver.lookup(std::move(name), type);
}

/// Looks one name up and runs the loop until the answer is there.
Result<Answer> look_up(async::Loop& loop, Resolver& resolver, std::string name, Type type = Type::A) {
    std::optional<Result<Answer>> result;
    async::run_to_end(loop, store_lookup(resolver, std::move(name), type, result));
    return *result;
}

TEST_CASE("an answer is found, and then cached") {
    async::Loop loop;
    ScriptedServer server(loop,
                          [](const Question& question, bool) { return Packets{with_address(question)}; });
    Resolver resolver(loop, options_for({server.endpoint()}));
    auto answer = look_up(loop, resolver, "A.test.");
    REQUIRE(answer);
    CHECK(answer->outcome == Outcome::Found);
    REQUIRE(answer->records.addresses.size() == 1);
    CHECK(answer->records.addresses[0].text() == "192.0.2.1");
    CHECK(look_up(loop, resolver, "a.test"));
    CHECK(server.asked() == 1);
}

TEST_CASE("the names that do not exist are told from those without records") {
    async::Loop loop;
    ScriptedServer server(loop, [](const Question& question, bool) {
        std::uint16_t flags = question.name == "nx.test" ? 0x8183 : 0x8180;
        return Packets{response_to(question, flags).authority("test", 6, 60, PacketWriter::soa(60)).packet()};
    });
    Resolver resolver(loop, options_for({server.endpoint()}));
    CHECK(look_up(loop, resolver, "nx.test")->outcome == Outcome::NoSuchName);
    CHECK(look_up(loop, resolver, "nothing.test")->outcome == Outcome::NoData);
    CHECK(look_up(loop, resolver, "nx.test")->outcome == Outcome::NoSuchName);
    CHECK(server.asked() == 2);
    CHECK(look_up(loop, resolver, "no name at all")->outcome == Outcome::NoSuchName);
    CHECK(server.asked() == 2);
}

TEST_CASE("forged answers are passed over") {
    async::Loop loop;
    ScriptedServer server(loop, [](const Question& question, bool) {
        Question other_id = question;
        ++other_id.id;
        Question other_name = question;
        other_name.name = "b.test";
        const std::string bad("\xc0\x00\x02\x63", 4);
        return Packets{response_to(other_id).answer("a.test", kA, 60, bad).packet(),
                       response_to(other_name).answer("a.test", kA, 60, bad).packet(), "rubbish",
                       with_address(question)};
    });
    Resolver resolver(loop, options_for({server.endpoint()}));
    auto answer = look_up(loop, resolver, "a.test");
    REQUIRE(answer);
    CHECK(answer->records.addresses.at(0).text() == "192.0.2.1");
}

TEST_CASE("a truncated answer is asked for again over TCP") {
    async::Loop loop;
    ScriptedServer server(loop, [](const Question& question, bool over_tcp) {
        return Packets{over_tcp ? with_address(question) : response_to(question, 0x8380).packet()};
    });
    Resolver resolver(loop, options_for({server.endpoint()}));
    auto answer = look_up(loop, resolver, "a.test");
    REQUIRE(answer);
    CHECK(answer->outcome == Outcome::Found);
    CHECK(server.asked() == 2);
}

TEST_CASE("another server is asked when one fails") {
    std::uint16_t flags = GENERATE(as<std::uint16_t>(), 0, 0x8182, 0x8185);  // 0: silence
    async::Loop loop;
    ScriptedServer broken(loop, [flags](const Question& question, bool) {
        return flags == 0 ? Packets() : Packets{response_to(question, flags).packet()};
    });
    ScriptedServer good(loop, [](const Question& question, bool) { return Packets{with_address(question)}; });
    Resolver resolver(loop, options_for({broken.endpoint(), good.endpoint()}));
    REQUIRE(look_up(loop, resolver, "a.test"));
    CHECK(broken.asked() == 1);
    // The one that works stays the first to be asked.
    REQUIRE(look_up(loop, resolver, "b.test"));
    CHECK(broken.asked() == 1);
    CHECK(good.asked() == 2);
}

TEST_CASE("a question that is lost is sent again, to the same server") {
    async::Loop loop;
    std::vector<std::uint16_t> ids;
    ScriptedServer server(loop, [&ids](const Question& question, bool) {
        ids.push_back(question.id);
        return ids.size() < 2 ? Packets() : Packets{with_address(question)};
    });
    ResolverOptions options = options_for({server.endpoint()});
    options.timeout = Milliseconds(10'000);
    options.chain_timeout = Milliseconds(20'000);
    Resolver resolver(loop, options);
    const SteadyTime start = loop.now();
    REQUIRE(look_up(loop, resolver, "a.test"));
    CHECK(loop.now() - start < Seconds(5));
    // An answer to either would have done.
    CHECK(ids == std::vector<std::uint16_t>(2, ids.front()));
    CHECK(resolver.questions_sent() == 1);
}

TEST_CASE("a closed port is a failed server") {
    async::Loop loop;
    ScriptedServer good(loop, [](const Question& question, bool) { return Packets{with_address(question)}; });
    Resolver resolver(loop, options_for({*config::Endpoint::parse("127.0.0.1:1"), good.endpoint()}));
    CHECK(look_up(loop, resolver, "a.test"));
}

TEST_CASE("without a usable answer the error is temporary, and not cached") {
    std::uint16_t flags = GENERATE(as<std::uint16_t>(), 0, 0x8182);
    async::Loop loop;
    ScriptedServer server(loop, [flags](const Question& question, bool) {
        return flags == 0 ? Packets() : Packets{response_to(question, flags).packet()};
    });
    Resolver resolver(loop, options_for({server.endpoint()}));
    SteadyTime start = loop.now();
    auto answer = look_up(loop, resolver, "a.test");
    REQUIRE_FALSE(answer);
    CHECK(answer.error().temporary());
    CHECK(loop.now() - start < Seconds(5));
    CHECK(server.asked() == 2);
    CHECK_FALSE(look_up(loop, resolver, "a.test"));
    CHECK(server.asked() == 4);
}

TEST_CASE("CNAMEs that end elsewhere are followed with new questions") {
    async::Loop loop;
    ScriptedServer server(loop, [](const Question& question, bool) {
        if (question.name == "c.test") return Packets{with_address(question)};
        std::string next = question.name == "a.test" ? "b.test" : "c.test";
        return Packets{
            response_to(question).answer(question.name, kCname, 30, PacketWriter::wire_name(next)).packet()};
    });
    Resolver resolver(loop, options_for({server.endpoint()}));
    auto answer = look_up(loop, resolver, "a.test");
    REQUIRE(answer);
    CHECK(answer->outcome == Outcome::Found);
    CHECK(answer->records.owner == "c.test");
    CHECK(answer->records.ttl == 30);
}

TEST_CASE("an endless chain of CNAMEs ends") {
    async::Loop loop;
    ScriptedServer server(loop, [](const Question& question, bool) {
        return Packets{response_to(question)
                           .answer(question.name, kCname, 30, PacketWriter::wire_name("x" + question.name))
                           .packet()};
    });
    Resolver resolver(loop, options_for({server.endpoint()}));
    CHECK_FALSE(look_up(loop, resolver, "a.test"));
    CHECK(server.asked() == 11);
}

async::Task<void> look_up_many(async::Loop& loop, Resolver& resolver, int same, int different, int& found) {
    std::vector<std::optional<Result<Answer>>> results(static_cast<std::size_t>(same + different));
    async::Scope scope(loop);
    for (std::size_t i = 0; i < results.size(); ++i) {
        std::string name = static_cast<int>(i) < same ? "same.test" : "n" + std::to_string(i) + ".test";
        scope.spawn(store_lookup(resolver, std::move(name), Type::A, results[i]));
    }
    co_await scope.join();
    for (const auto& result : results)
        found += result->has_value() ? 1 : 0;
}

TEST_CASE("the same question is asked once for all who wait, and more questions than places wait") {
    async::Loop loop;
    ScriptedServer server(loop,
                          [](const Question& question, bool) { return Packets{with_address(question)}; });
    Resolver resolver(loop, options_for({server.endpoint()}));
    int found = 0;
    async::run_to_end(loop, look_up_many(loop, resolver, 20, 50, found));
    CHECK(found == 70);
    CHECK(server.asked() == 51);
}

async::Task<void> give_up_soon(async::Loop& loop, Resolver& resolver, bool& found) {
    std::optional<Result<Answer>> kept;
    async::Scope patient(loop);
    {
        std::optional<Result<Answer>> given_up;
        async::Scope impatient(loop);
        impatient.spawn(store_lookup(resolver, "a.test", Type::A, given_up));
        patient.spawn(store_lookup(resolver, "a.test", Type::A, kept));
    }
    co_await patient.join();
    found = kept && kept->has_value();
}

TEST_CASE("who gives up does not fail the others") {
    async::Loop loop;
    ScriptedServer server(loop,
                          [](const Question& question, bool) { return Packets{with_address(question)}; });
    Resolver resolver(loop, options_for({server.endpoint()}));
    bool found = false;
    async::run_to_end(loop, give_up_soon(loop, resolver, found));
    CHECK(found);
}

TEST_CASE("a failure is remembered for a time") {
    async::Loop loop;
    ScriptedServer server(loop, [](const Question& question, bool) {
        return Packets{response_to(question, 0x8182).packet()};  // SERVFAIL
    });
    ResolverOptions options = options_for({server.endpoint()});
    options.failure_ttl = Seconds(1);
    Resolver resolver(loop, options);
    CHECK_FALSE(resolver.known("a.test", Type::A));
    CHECK_FALSE(look_up(loop, resolver, "a.test"));
    const std::uint64_t sent = resolver.questions_sent();
    const auto known = resolver.known("A.test.", Type::A);
    REQUIRE(known);
    CHECK_FALSE(known->has_value());
    CHECK_FALSE(look_up(loop, resolver, "a.test"));
    CHECK(resolver.questions_sent() == sent);
    CHECK_FALSE(resolver.known("a.test", Type::Mx));
    CHECK_FALSE(look_up(loop, resolver, "a.test", Type::Mx));
    CHECK(resolver.questions_sent() > sent);
}

TEST_CASE("that a name does not exist is remembered for a time, also where no SOA says so") {
    async::Loop loop;
    ScriptedServer server(loop, [](const Question& question, bool) {
        return Packets{response_to(question, 0x8183).packet()};  // NXDOMAIN
    });
    ResolverOptions options = options_for({server.endpoint()});
    options.failure_ttl = Seconds(1);
    Resolver resolver(loop, options);
    for (int i = 0; i < 3; ++i) {
        auto answer = look_up(loop, resolver, "nx.test");
        REQUIRE(answer);
        CHECK(answer->outcome == Outcome::NoSuchName);
    }
    CHECK(server.asked() == 1);
}

TEST_CASE("whoever has no more time leaves, and the look-up goes on") {
    async::Loop loop;
    bool answering = false;
    ScriptedServer server(loop, [&answering](const Question& question, bool) {
        return answering ? Packets{with_address(question)} : Packets{};
    });
    ResolverOptions options = options_for({server.endpoint()});
    options.failure_ttl = Seconds(60);
    Resolver resolver(loop, options);
    std::optional<Result<Answer>> result;
    const auto look_up_shortly = [](async::Loop& running, Resolver& asked,
                                    std::optional<Result<Answer>>& out) -> async::Task<void> {
        const async::Deadline soon = running.after(Milliseconds(20));
        out = co_await asked.lookup("a.test", Type::A, soon);
    };
    const SteadyTime begun = std::chrono::steady_clock::now();
    async::run_to_end(loop, look_up_shortly(loop, resolver, result));
    REQUIRE(result);
    CHECK_FALSE(result->has_value());
    CHECK(std::chrono::steady_clock::now() - begun < Milliseconds(90));
    // The next one need not wait as long, until there is an answer after all.
    const auto slow = resolver.known("a.test", Type::A);
    REQUIRE(slow);
    CHECK_FALSE(slow->has_value());
    answering = true;
    const auto wait = [](async::Loop& running) -> async::Task<void> {
        co_await async::Sleep(running, Milliseconds(300));
    };
    async::run_to_end(loop, wait(loop));
    const auto found = resolver.known("a.test", Type::A);
    REQUIRE(found);
    CHECK(found->has_value());
    CHECK(resolver.questions_sent() == 2);
}

TEST_CASE("look-ups that wait for a place are bounded") {
    async::Loop loop;
    ScriptedServer server(loop, [](const Question&, bool) { return Packets{}; });
    ResolverOptions options = options_for({server.endpoint()});
    options.concurrency = 2;
    Resolver resolver(loop, options);
    std::vector<std::optional<Result<Answer>>> results(25);
    async::Scope scope(loop);
    for (std::size_t i = 0; i < results.size(); ++i)
        scope.spawn(store_lookup(resolver, "name" + std::to_string(i) + ".test", Type::A, results[i]));
    for (std::size_t i = 0; i < results.size(); ++i) {
        CAPTURE(i);
        CHECK(results[i].has_value() == (i >= 20));
    }
}

}  // namespace
}  // namespace postrider::dns
