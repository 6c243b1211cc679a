#include "router/client_history.h"

#include <catch2/catch.hpp>

#include <algorithm>
#include <string>
#include <vector>

#include "tests/unit/router/table_fixture.h"

namespace postrider::router {

namespace {

constexpr const char* kConfig =
    "local_domain local.test\n"
    "net 10.0.0.0/8 relay\n"
    "net 192.0.2.0/24 accept\n"
    "account_message_rate 2/1m\n"
    "client_connection_rate 2/1m\n"
    "client_message_rate 2/1m\n"
    "client_recipient_rate 2/1m\n";

SteadyTime at(int seconds) {
    return SteadyTime(Seconds(1'000'000 + seconds));
}

Client from(const std::string& address, const std::string& login = {}) {
    Client client;
    client.address = config::IpAddress::parse(address).value();
    client.login = login;
    return client;
}

Client local_user() {
    Client client;
    client.local = true;
    client.login = "uid:1000";
    return client;
}

}  // namespace

TEST_CASE("who is counted as whom") {
    struct Case {
        std::string what;
        Client first;
        Client then;
        bool same;
    };
    const Case cases[] = {
        {"one address", from("203.0.113.9"), from("203.0.113.9"), true},
        {"its neighbour", from("203.0.113.9"), from("203.0.113.10"), false},
        {"one IPv6 network", from("2001:db8::1"), from("2001:db8::2:3"), true},
        {"another IPv6 network", from("2001:db8::1"), from("2001:db8:0:1::1"), false},
        {"an account, wherever it is", from("203.0.113.9", "fred"), from("203.0.113.10", "fred"), true},
        {"two accounts behind one address", from("203.0.113.9", "fred"), from("203.0.113.9", "john"), false},
        {"an account and its address", from("203.0.113.9", "fred"), from("203.0.113.9"), false},
        {"a network that is accepted", from("192.0.2.9"), from("192.0.2.9"), false},
        {"a network that may relay", from("10.0.0.5"), from("10.0.0.5"), false},
        {"users of this host", local_user(), local_user(), false},
    };
    const auto tables = test::tables_of(kConfig);
    for (const Case& test : cases) {
        INFO(test.what);
        ClientHistory history;
        history.use_tables(*tables);
        CHECK_FALSE(history.count_message(test.first, "x@out.test", *tables, at(0)).has_value());
        CHECK_FALSE(history.count_message(test.first, "x@out.test", *tables, at(1)).has_value());
        CHECK(history.count_message(test.then, "x@out.test", *tables, at(2)).has_value() == test.same);
        CHECK_FALSE(history.count_message(test.then, "x@out.test", *tables, at(70)).has_value());
    }
}

TEST_CASE("what a client hears that has had its share") {
    const auto tables = test::tables_of(kConfig);
    ClientHistory history;
    history.use_tables(*tables);
    const Client client = from("203.0.113.9");
    for (int i = 0; i < 2; ++i) {
        CHECK_FALSE(history.count_connection(client, *tables, at(i)).has_value());
        CHECK_FALSE(history.count_message(client, "x@out.test", *tables, at(i)).has_value());
        CHECK_FALSE(history.count_recipient(client, "x@out.test", *tables, at(i)).has_value());
    }
    const auto connection = history.count_connection(client, *tables, at(3));
    REQUIRE(connection.has_value());
    CHECK(connection->action == Verdict::Action::Defer);
    CHECK(connection->code == 421);
    CHECK(connection->enhanced == "4.7.0");
    CHECK(connection->text == "too many connections from 203.0.113.9, try again later");
    CHECK(connection->rule == "client_connection_rate");
    const auto message = history.count_message(client, "x@out.test", *tables, at(3));
    REQUIRE(message.has_value());
    CHECK(message->code == 452);
    CHECK(message->rule == "client_message_rate");
    const auto recipient = history.count_recipient(client, "x@out.test", *tables, at(3));
    REQUIRE(recipient.has_value());
    CHECK(recipient->code == 452);
    CHECK(recipient->rule == "client_recipient_rate");
    Client submission = client;
    submission.submission = true;
    CHECK_FALSE(history.count_connection(submission, *tables, at(3)).has_value());
}

TEST_CASE("a client is known for a week after it has sent") {
    const auto tables = test::tables_of(kConfig);
    ClientHistory history;
    history.use_tables(*tables);
    const Client client = from("2001:db8::1");
    constexpr int kDay = 24 * 60 * 60;
    CHECK(history.is_new(client, *tables, at(0)));
    CHECK_FALSE(history.count_connection(client, *tables, at(0)).has_value());
    CHECK(history.is_new(client, *tables, at(1)));
    CHECK_FALSE(history.count_message(client, "x@out.test", *tables, at(1)).has_value());
    CHECK(history.is_new(client, *tables, at(1)));
    CHECK_FALSE(history.count_recipient(client, "x@out.test", *tables, at(1)).has_value());
    CHECK_FALSE(history.is_new(client, *tables, at(2)));
    CHECK_FALSE(history.is_new(from("2001:db8::99"), *tables, at(2)));
    CHECK_FALSE(history.is_new(client, *tables, at(6 * kDay)));
    CHECK(history.is_new(client, *tables, at(8 * kDay)));
    CHECK_FALSE(history.is_new(from("10.0.0.5"), *tables, at(2)));
    CHECK_FALSE(history.is_new(local_user(), *tables, at(2)));
}

TEST_CASE("lines have rates of their own, in place of the general ones", "[client_history]") {
    const auto tables = test::tables_of(std::string(kConfig) +
                                        "net 198.51.100.0/24 rate=1/1h over=reject connrate=1/1m\n"
                                        "net 198.18.0.0/15 relay rcptrate=1/1h\n"
                                        "login fred rate=3/1h\n"
                                        "sender news@out.test rate=1/1h\n"
                                        "sender *.shop.test rate=1/1h\n"
                                        "default sender rcptrate=2/1h\n");
    ClientHistory history;
    history.use_tables(*tables);
    const auto messages = [&](const Client& client, const std::string& sender, int second) {
        const auto refused = history.count_message(client, sender, *tables, at(second));
        return refused ? std::to_string(refused->code) : "ok";
    };
    // A network's own rate; each client counts for itself.
    CHECK(messages(from("198.51.100.1"), "a@x.test", 0) == "ok");
    CHECK(messages(from("198.51.100.1"), "a@x.test", 1) == "550");
    CHECK(messages(from("198.51.100.2"), "a@x.test", 1) == "ok");
    CHECK_FALSE(history.count_connection(from("198.51.100.1"), *tables, at(1)));
    const auto connection = history.count_connection(from("198.51.100.1"), *tables, at(1));
    REQUIRE(connection);
    CHECK(connection->code == 554);
    CHECK(connection->rule.ends_with("postrider.conf:8"));
    // It counts those, too, whom the general rates spare.
    CHECK_FALSE(history.count_recipient(from("198.18.0.1"), "a@x.test", *tables, at(1)));
    CHECK(history.count_recipient(from("198.18.0.1"), "a@x.test", *tables, at(1)));
    // A login's, instead of account_message_rate.
    for (int i = 0; i < 3; ++i)
        CHECK(messages(from("203.0.113.9", "fred"), "f@x.test", i) == "ok");
    CHECK(messages(from("203.0.113.9", "fred"), "f@x.test", 3) == "452");
    // A sender's, wherever he comes from: by address, or by domain.
    CHECK(messages(from("203.0.113.20"), "news@out.test", 4) == "ok");
    CHECK(messages(from("203.0.113.21"), "News@OUT.test", 4) == "452");
    CHECK(messages(from("203.0.113.22"), "other@out.test", 4) == "ok");
    CHECK(messages(from("203.0.113.23"), "a@shop.test", 4) == "ok");
    CHECK(messages(from("203.0.113.24"), "b@shop.test", 4) == "452");
    CHECK(messages(from("203.0.113.25"), "b@eu.shop.test", 4) == "ok");
    CHECK(messages(local_user(), "b@shop.test", 4) == "452");
    // What one rate refuses is not counted for the others.
    CHECK(history.count_recipient(from("198.18.0.1"), "once@x.test", *tables, at(5)));
    CHECK_FALSE(history.count_recipient(from("203.0.113.26"), "once@x.test", *tables, at(5)));
    CHECK_FALSE(history.count_recipient(from("203.0.113.26"), "once@x.test", *tables, at(5)));
    CHECK(history.count_recipient(from("203.0.113.27"), "once@x.test", *tables, at(5)));

    const auto near = history.uses(100, *tables, at(6));
    std::vector<std::string> who;
    for (const RateUse& use : near) {
        CHECK(use.is_over());
        who.push_back(std::string(counted_kind(use.applied.what)) + " " + use.applied.who);
    }
    for (const char* expected :
         {"client 198.51.100.1", "login fred", "sender news@out.test", "sender @shop.test"})
        CHECK(std::find(who.begin(), who.end(), expected) != who.end());
    CHECK(history.uses(100, *tables, at(100'000)).empty());
}

TEST_CASE("as many names are remembered as rate_names says", "[client_history]") {
    const auto tables =
        test::tables_of("local_domain local.test\nrate_names 100\ndefault sender rate=5/1h\n");
    ClientHistory history;
    history.use_tables(*tables);
    for (int i = 0; i < 1000; ++i) {
        CHECK_FALSE(history.count_message(local_user(), "u" + std::to_string(i) + "@x.test", *tables, at(0)));
    }
    CHECK(history.uses(0, *tables, at(0)).size() == 100);
}

}  // namespace postrider::router
