#include "router/question_facts.h"

#include <catch2/catch.hpp>

#include <memory>
#include <string>

#include "tests/unit/dns/scripted_server.h"

namespace postrider::router {

namespace {

/// Runs the loop until the question's missing facts were found out.
void find_out(async::Loop& loop, QuestionFacts& facts) {
    const auto find_out_and_stop = [](async::Loop& running, QuestionFacts& asked) -> async::Task<void> {
        co_await asked.find_out();
        running.stop();
    };
    async::Scope scope(loop);
    scope.spawn(find_out_and_stop(loop, facts));
    loop.run();
}

Result<std::optional<SystemUser>> everybody(const std::string& name) {
    SystemUser user;
    user.name = name;
    return std::optional<SystemUser>(user);
}

dns::ResolverOptions asking(const config::Endpoint& server) {
    dns::ResolverOptions options;
    options.servers = {server};
    options.timeout = Milliseconds(5'000);
    options.chain_timeout = Milliseconds(10'000);
    options.packet = dns::PacketLimits{10, 100};
    options.cache_entries = 100;
    options.cache_ttl = Seconds(3600);
    options.concurrency = 10;
    return options;
}

dns::ResolverOptions nobody_answers() {
    return asking(*config::Endpoint::parse("127.0.0.1:9"));
}

/// Answers A with 192.0.2.1, for 0 seconds; says nothing of names that begin with "slow".
std::vector<std::string> answer_all_but_slow(const dns::Question& question, bool /*over_tcp*/) {
    if (question.name.starts_with("slow")) return {};
    dns::test::PacketWriter writer(question.id, 0x8180);
    writer.question(question.name, question.type);
    return {writer.answer(question.name, 1, 0, std::string("\xc0\x00\x02\x01", 4)).packet()};
}

}  // namespace

TEST_CASE("a question learns what it missed", "[facts]") {
    async::Loop loop;
    async::ThreadPool pool(loop, 2, 100);
    UserCache users(loop, pool, {}, everybody);
    dns::Resolver resolver(loop, nobody_answers());
    ExternalUsers external_users(loop, {});
    FactSources sources{loop, users, resolver, external_users};
    QuestionFacts facts(sources);
    CHECK(facts.complete());
    CHECK(facts.system_user("alice").state == FactState::Pending);
    CHECK(facts.system_user("alice").state == FactState::Pending);
    CHECK_FALSE(facts.complete());
    find_out(loop, facts);
    CHECK(facts.complete());
    CHECK(facts.system_user("alice").state == FactState::Known);
    CHECK(facts.complete());
    QuestionFacts another(sources);
    CHECK(another.system_user("alice").state == FactState::Known);
}

TEST_CASE("a question keeps what it learned, whatever the caches have no room for", "[facts]") {
    async::Loop loop;
    async::ThreadPool pool(loop, 2, 100);
    UserCacheLimits limits;
    limits.entries = 3;
    UserCache users(loop, pool, limits, everybody);
    dns::Resolver resolver(loop, nobody_answers());
    ExternalUsers external_users(loop, {});
    FactSources sources{loop, users, resolver, external_users};
    QuestionFacts facts(sources);
    const auto ask_all = [&facts] {
        int known = 0;
        for (int i = 0; i < 10; ++i)
            known += facts.system_user("user" + std::to_string(i)).state == FactState::Known ? 1 : 0;
        return known;
    };
    int rounds = 0;
    for (int before = ask_all(); before < 10; ++rounds) {
        find_out(loop, facts);
        const int now = ask_all();
        REQUIRE(now > before);
        before = now;
    }
    CHECK(rounds == 4);
    users.clear();
    CHECK(ask_all() == 10);
}

TEST_CASE("a question has answers of the DNS that may not be kept", "[facts]") {
    async::Loop loop;
    async::ThreadPool pool(loop, 2, 100);
    UserCache users(loop, pool, {}, everybody);
    dns::test::ScriptedServer server(loop, answer_all_but_slow);
    dns::Resolver resolver(loop, asking(server.endpoint()));
    ExternalUsers external_users(loop, {});
    FactSources sources{loop, users, resolver, external_users};
    QuestionFacts facts(sources);
    const DnsQuestion question{"a.test", dns::Type::A, Seconds(20)};
    CHECK(facts.dns(question).state == FactState::Pending);
    CHECK(facts.dns(question).state == FactState::Pending);
    CHECK(facts.system_user("alice").state == FactState::Pending);
    find_out(loop, facts);
    CHECK(facts.dns(question).state == FactState::Known);
    CHECK(facts.dns(question).answer.records.addresses.size() == 1);
    CHECK(facts.system_user("alice").state == FactState::Known);
    CHECK(facts.complete());
    CHECK(server.asked() == 1);
    CHECK(facts.dns({"no name", dns::Type::A, Seconds(20)}).state == FactState::Unknown);
    QuestionFacts another(sources);
    CHECK(another.dns(question).state == FactState::Pending);
}

TEST_CASE("a question waits for the DNS as long as its patience lasts", "[facts]") {
    async::Loop loop;
    async::ThreadPool pool(loop, 2, 100);
    UserCache users(loop, pool, {}, everybody);
    dns::test::ScriptedServer server(loop, answer_all_but_slow);
    dns::Resolver resolver(loop, asking(server.endpoint()));
    ExternalUsers external_users(loop, {});
    FactSources sources{loop, users, resolver, external_users};
    QuestionFacts facts(sources);
    const DnsQuestion slow{"slow.test", dns::Type::A, Milliseconds(100)};
    const DnsQuestion quick{"quick.test", dns::Type::A, Milliseconds(100)};
    CHECK(facts.dns(slow).state == FactState::Pending);
    CHECK(facts.dns(quick).state == FactState::Pending);
    const SteadyTime begun = std::chrono::steady_clock::now();
    find_out(loop, facts);
    CHECK(std::chrono::steady_clock::now() - begun < Seconds(2));
    CHECK(facts.dns(slow).state == FactState::Unavailable);
    CHECK(facts.dns(quick).state == FactState::Known);
    CHECK(facts.complete());
    // The time is up for this question, however many rounds it takes; another one has its own.
    const DnsQuestion later{"slower.test", dns::Type::A, Milliseconds(100)};
    CHECK(facts.dns(later).state == FactState::Pending);
    find_out(loop, facts);
    CHECK(facts.dns(later).state == FactState::Unavailable);
    QuestionFacts another(sources);
    CHECK(another.dns(slow).state == FactState::Pending);
}

}  // namespace postrider::router
