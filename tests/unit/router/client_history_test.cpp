#include "router/client_history.h"

#include <catch2/catch.hpp>

#include <string>

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
        CHECK_FALSE(history.count_message(test.first, *tables, at(0)).has_value());
        CHECK_FALSE(history.count_message(test.first, *tables, at(1)).has_value());
        CHECK(history.count_message(test.then, *tables, at(2)).has_value() == test.same);
        CHECK_FALSE(history.count_message(test.then, *tables, at(70)).has_value());
    }
}

TEST_CASE("what a client hears that has had its share") {
    const auto tables = test::tables_of(kConfig);
    ClientHistory history;
    history.use_tables(*tables);
    const Client client = from("203.0.113.9");
    for (int i = 0; i < 2; ++i) {
        CHECK_FALSE(history.count_connection(client, *tables, at(i)).has_value());
        CHECK_FALSE(history.count_message(client, *tables, at(i)).has_value());
        CHECK_FALSE(history.count_recipient(client, *tables, at(i)).has_value());
    }
    const auto connection = history.count_connection(client, *tables, at(3));
    REQUIRE(connection.has_value());
    CHECK(connection->action == Verdict::Action::Defer);
    CHECK(connection->code == 421);
    CHECK(connection->enhanced == "4.7.0");
    CHECK(connection->text == "too many connections from 203.0.113.9, try again later");
    CHECK(connection->rule == "client_connection_rate");
    const auto message = history.count_message(client, *tables, at(3));
    REQUIRE(message.has_value());
    CHECK(message->code == 452);
    CHECK(message->rule == "client_message_rate");
    const auto recipient = history.count_recipient(client, *tables, at(3));
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
    CHECK_FALSE(history.count_message(client, *tables, at(1)).has_value());
    CHECK(history.is_new(client, *tables, at(1)));
    CHECK_FALSE(history.count_recipient(client, *tables, at(1)).has_value());
    CHECK_FALSE(history.is_new(client, *tables, at(2)));
    CHECK_FALSE(history.is_new(from("2001:db8::99"), *tables, at(2)));
    CHECK_FALSE(history.is_new(client, *tables, at(6 * kDay)));
    CHECK(history.is_new(client, *tables, at(8 * kDay)));
    CHECK_FALSE(history.is_new(from("10.0.0.5"), *tables, at(2)));
    CHECK_FALSE(history.is_new(local_user(), *tables, at(2)));
}

}  // namespace postrider::router
