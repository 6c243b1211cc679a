#include <catch2/catch.hpp>

#include <string>
#include <vector>

#include "router/policy.h"
#include "tests/unit/router/table_fixture.h"

namespace postrider::router {

using test::tables_of;

namespace {

Client sender_at(std::string_view address, std::string login = {}, std::string helo = {}) {
    Client client;
    client.address = config::IpAddress::parse(address).value();
    client.login = std::move(login);
    client.helo = std::move(helo);
    return client;
}

Client named(std::string name, std::string unconfirmed) {
    Client client = sender_at("203.0.113.9");
    client.name = std::move(name);
    if (!unconfirmed.empty()) client.unconfirmed_names.push_back(std::move(unconfirmed));
    return client;
}

/// "deliver", "discard LINE", "quarantine LINE REASON", "CODE LINE": what becomes of a message.
std::string fate(const std::string& lines, const Client& client, std::string_view sender,
                 std::string_view recipient) {
    const auto tables = tables_of("hostname mx.test\nlocal_domain local.test\n" + lines);
    test::FakeFacts facts;
    const auto line_of = [](const std::string& rule) {
        const std::size_t colon = rule.rfind(':');
        return colon == std::string::npos ? rule : rule.substr(colon + 1);
    };
    Verdict verdict = decide_sender(client, sender, *tables, facts);
    if (verdict.action == Verdict::Action::Accept)
        verdict = decide_recipient(client, sender, recipient, *tables, facts).verdict;
    if (verdict.action != Verdict::Action::Accept)
        return std::to_string(verdict.code) + " " + line_of(verdict.rule);
    if (verdict.fate == Verdict::Fate::Discard) return "discard " + line_of(verdict.fate_rule);
    if (verdict.fate == Verdict::Fate::Quarantine)
        return "quarantine " + line_of(verdict.fate_rule) + " " + verdict.fate_reason;
    return "deliver";
}

struct FateCase {
    std::string lines;
    Client client;
    std::string sender;
    std::string recipient;
    std::string expected;
};

void check_all(const std::vector<FateCase>& cases) {
    for (const FateCase& one : cases) {
        CAPTURE(one.lines, one.sender, one.recipient);
        CHECK(fate(one.lines, one.client, one.sender, one.recipient) == one.expected);
    }
}

const Client kOut = sender_at("203.0.113.9");

}  // namespace

TEST_CASE("every kind of line can keep back and discard", "[policy_fate]") {
    check_all({
        {"net 203.0.113.9 quarantine\n", kOut, "a@out.test", "alice@local.test",
         "quarantine 3 client 203.0.113.9"},
        {"net 203.0.113.9 quarantine \"odd: %i %s %r\"\n", kOut, "a@out.test", "alice@local.test",
         "quarantine 3 odd: 203.0.113.9 a@out.test alice@local.test"},
        {"net 203.0.113.9 discard\n", kOut, "a@out.test", "alice@local.test", "discard 3"},
        {"helo friend quarantine\n", sender_at("203.0.113.9", "", "friend"), "a@out.test", "alice@local.test",
         "quarantine 3 greeting friend"},
        {"rdns .dyn.test quarantine\n", named("a.dyn.test", ""), "a@out.test", "alice@local.test",
         "quarantine 3 client name a.dyn.test"},
        {"rdns .dyn.test discard\n", named("a.dyn.test", ""), "a@out.test", "alice@local.test", "discard 3"},
        {"login fred quarantine\n", sender_at("203.0.113.9", "fred"), "a@out.test", "alice@local.test",
         "quarantine 3 login fred"},
        {"sender friend@ quarantine\n", kOut, "Friend@any.test", "alice@local.test",
         "quarantine 3 sender Friend@any.test"},
        {"sender <> discard\n", kOut, "", "alice@local.test", "discard 3"},
        {"rcpt spamtrap@ quarantine\n", kOut, "a@out.test", "spamtrap@local.test",
         "quarantine 3 recipient spamtrap@local.test"},
        {"rcpt spamtrap@ discard\n", kOut, "a@out.test", "spamtrap@local.test", "discard 3"},
        {"rcpt spamtrap@ quarantine\n", kOut, "a@out.test", "alice@local.test", "deliver"},
    });
}

TEST_CASE("a name of the client can keep back, whether or not it is confirmed", "[policy_fate]") {
    const std::string lines = "rdns *.dyn.test quarantine \"no %i\"\n";
    check_all({
        {lines, named("dyn.test", "x.test"), "a@out.test", "alice@local.test", "quarantine 3 no 203.0.113.9"},
        {lines, named("x.test", "a.dyn.test"), "a@out.test", "alice@local.test",
         "quarantine 3 no 203.0.113.9"},
        {lines, named("x.test", ""), "a@out.test", "alice@local.test", "deliver"},
        {lines + "net 203.0.113.0/24 accept\n", named("dyn.test", ""), "a@out.test", "alice@local.test",
         "deliver"},
        {lines + "rcpt alice@ accept\n", named("dyn.test", ""), "a@out.test", "alice@local.test", "deliver"},
        {lines + "net 203.0.113.0/24 discard\n", named("dyn.test", ""), "a@out.test", "alice@local.test",
         "quarantine 3 no 203.0.113.9"},
        {"rdns dyn.test discard\n", named("dyn.test", ""), "a@out.test", "u@far.test", "550 default"},
    });
}

TEST_CASE("quarantine and discard open nothing and give way to refusals", "[policy_fate]") {
    check_all({
        {"rcpt spamtrap@ quarantine\n", kOut, "a@out.test", "spamtrap@far.test", "550 3"},
        {"rcpt far.test discard\n", kOut, "a@out.test", "u@far.test", "550 3"},
        {"net 203.0.113.9 quarantine\n", kOut, "a@out.test", "nobody@local.test", "550 2"},
        {"net 203.0.113.9 quarantine\n", kOut, "a@out.test", "u@far.test", "550 default"},
        {"net 203.0.113.9 quarantine\nsender out.test reject\n", kOut, "a@out.test", "alice@local.test",
         "550 4"},
        {"net 203.0.113.9 discard\nsender out.test quarantine\n", kOut, "a@out.test", "alice@local.test",
         "quarantine 4 sender a@out.test"},
        {"net 203.0.113.9 quarantine\nrcpt alice@ discard\n", kOut, "a@out.test", "alice@local.test",
         "quarantine 3 client 203.0.113.9"},
        {"class odd quarantine\nsender out.test discard use odd\n", kOut, "a@out.test", "alice@local.test",
         "quarantine 4 sender a@out.test"},
        // the postmaster is reached
        {"net 203.0.113.9 quarantine\nrcpt postmaster@ accept\n", kOut, "a@out.test", "postmaster@local.test",
         "deliver"},
        {"net 203.0.113.9 discard\nrcpt postmaster@ accept\n", kOut, "a@out.test", "postmaster@far.test",
         "550 4"},
    });
}

TEST_CASE("whom a client that is trusted need not ask", "[policy_fate]") {
    const std::string refusing =
        "sender bad.test reject\nrcpt shut.test reject\nrcpt alice@ reject\nsender odd.test quarantine\nrcpt "
        "bob@ quarantine\n";
    const Client in = sender_at("10.0.0.5");
    check_all({
        {refusing + "net 10.0.0.0/8 relay\n", in, "x@bad.test", "u@far.test", "550 3"},
        {refusing + "net 10.0.0.0/8 relay\n", in, "x@ok.test", "u@shut.test", "550 4"},
        {refusing + "net 10.0.0.0/8 trust=rcpt\n", in, "x@bad.test", "u@far.test", "550 3"},
        {refusing + "net 10.0.0.0/8 trust=rcpt\n", in, "x@ok.test", "u@shut.test", "deliver"},
        {refusing + "net 10.0.0.0/8 trust=rcpt\n", in, "x@ok.test", "alice@local.test", "deliver"},
        {refusing + "net 10.0.0.0/8 trust=rcpt\n", in, "x@ok.test", "nobody@local.test", "550 2"},
        {refusing + "net 10.0.0.0/8 trust=rcpt\n", in, "x@odd.test", "bob@local.test",
         "quarantine 6 sender x@odd.test"},
        {refusing + "net 10.0.0.0/8 trust=all\n", in, "x@bad.test", "u@shut.test", "deliver"},
        {refusing + "net 10.0.0.0/8 trust=all\n", in, "x@odd.test", "bob@local.test", "deliver"},
        {refusing + "login fred trust=all\n", sender_at("203.0.113.9", "fred"), "x@bad.test", "u@shut.test",
         "deliver"},
        {refusing + "net 10.0.0.0/8 trust=all\n", kOut, "x@ok.test", "u@far.test", "550 default"},
        {refusing + "net 10.0.0.0/8 trust=all reject\n", in, "x@ok.test", "u@far.test", "550 8"},
    });
}

TEST_CASE("a sender with norelay reaches what everybody reaches", "[policy_fate]") {
    const std::string lines =
        "relay_domain relayed.test\nnet 10.0.0.0/8 relay\nsender spam.test norelay\nrcpt u@open.test relay\n";
    const Client in = sender_at("10.0.0.5");
    const Client login = sender_at("203.0.113.9", "fred");
    check_all({
        {lines, in, "x@ok.test", "u@far.test", "deliver"},
        {lines, in, "x@spam.test", "u@far.test", "550 5"},
        {lines, login, "x@spam.test", "u@far.test", "550 5"},
        {lines, in, "x@spam.test", "alice@local.test", "deliver"},
        {lines, in, "x@spam.test", "u@relayed.test", "deliver"},
        {lines, in, "x@spam.test", "u@open.test", "deliver"},
        {lines + "default sender norelay\n", in, "x@ok.test", "u@far.test", "550 7"},
        {"net 10.0.0.0/8 trust=all\nsender spam.test norelay\n", in, "x@spam.test", "u@far.test", "deliver"},
    });
}

TEST_CASE("who need not exist", "[policy_fate]") {
    check_all({
        {"rcpt local.test verify=off\n", kOut, "a@out.test", "nobody@local.test", "deliver"},
        {"default rcpt verify=off\n", kOut, "a@out.test", "nobody@local.test", "deliver"},
        {"default rcpt verify=off\nrcpt local.test verify=on\n", kOut, "a@out.test", "nobody@local.test",
         "550 2"},
        {"rcpt far.test verify=off\n", kOut, "a@out.test", "nobody@far.test", "550 3"},
        {"rcpt local.test verify=off\n", kOut, "a@out.test", "nobody@far.test", "550 default"},
    });
    const auto tables = tables_of(
        "hostname mx.test\nlocal_domain local.test\nrcpt alice@ maxsize=1M\ndefault rcpt maxsize=2M\n");
    test::FakeFacts facts;
    CHECK(decide_recipient(kOut, "", "alice@local.test", *tables, facts).verdict.max_message_size ==
          1U << 20U);
    CHECK(decide_recipient(kOut, "", "bob@local.test", *tables, facts).verdict.max_message_size == 2U << 20U);
}

}  // namespace postrider::router
