#include "admin/explain.h"

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>
#include <unistd.h>

#include "admin/explain_text.h"
#include "admin/json_output.h"

namespace postrider::admin {

namespace {

using Words = std::vector<std::string>;

config::Listener listener(std::uint16_t port, config::ListenerKind kind, config::ListenerTls tls) {
    config::Listener listener;
    listener.port = port;
    listener.kind = kind;
    listener.tls = tls;
    return listener;
}

wire::Client client_of(const config::Settings& settings, const Words& words) {
    const auto what = parse_explain_words("a@b", words);
    REQUIRE(what.has_value());
    const auto question = explain_question(settings, *what);
    REQUIRE(question.has_value());
    return question->client();
}

/// One item of each kind, as the router sends them.
Explanation sample() {
    Explanation explanation;
    const auto add = [&explanation]() -> wire::ExplainedItem& { return explanation.items.emplace_back(); };
    wire::Client& client = *add().mutable_client();
    client.set_address("192.0.2.1");
    client.set_name("c.test");
    client.add_unconfirmed_names("evil\x1b.test");
    client.set_port(25);
    client.set_kind("smtp");
    wire::ExplainedStage& connect = *add().mutable_stage();
    connect.set_name("connect");
    connect.set_reached(true);
    connect.mutable_verdict()->set_code(220);
    connect.mutable_verdict()->set_text("mx.test ESMTP Postrider");
    connect.mutable_verdict()->set_rule("default");
    wire::ExplainedLine& line = *connect.add_lines();
    line.set_kind("net");
    line.set_is_default(true);
    line.set_position("f:3");
    wire::ExplainedListing& listing = *connect.add_listings();
    listing.set_zone("rbl.test");
    listing.set_state(wire::ExplainedListing::LISTED);
    listing.set_text("because");
    wire::ExplainedStage& rcpt = *add().mutable_stage();
    rcpt.set_name("rcpt");
    rcpt.mutable_verdict()->set_code(250);
    rcpt.mutable_verdict()->set_enhanced("2.1.5");
    rcpt.mutable_verdict()->set_text("Recipient OK");
    rcpt.mutable_verdict()->set_rule("f:4");
    rcpt.mutable_verdict()->set_fate(wire::Verdict::QUARANTINE);
    rcpt.mutable_verdict()->set_fate_rule("f:5");
    rcpt.mutable_verdict()->set_fate_reason("odd");
    wire::ExplainedLimit& limit = *add().mutable_limit();
    limit.set_name("max_recipients");
    limit.set_value("7");
    limit.set_rule("f:6");
    wire::ExplainedLimit& flag = *add().mutable_limit();
    flag.set_name("authreq");
    flag.set_rule("f:7");
    wire::ExplainedRate& rate = *add().mutable_rate();
    rate.set_kind("client");
    rate.set_who("192.0.2.1/32");
    rate.set_things("messages");
    rate.set_count(120);
    rate.set_period_ms(60'000);
    rate.set_used(3);
    rate.set_rule("client_message_rate");
    const auto add_step = [&add](std::uint32_t depth, const char* address, const char* step,
                                 const char* detail) {
        wire::ExpansionStep& one = *add().mutable_step();
        one.set_depth(depth);
        one.set_address(address);
        one.set_step(step);
        one.set_detail(detail);
        one.set_rule("a:1");
    };
    add_step(0, "t@l.test", "alias", "t");
    add_step(1, "u@l.test", "alias", "u");
    add_step(2, "x@far.test", "remote", "");
    add_step(1, "t@l.test", "circle", "");
    wire::ExplainedDelivery& remote = *add().mutable_delivery();
    remote.set_route("mx");
    wire::Delivery& delivery = *remote.mutable_delivery();
    delivery.set_recipient("x@far.test");
    delivery.set_transport(wire::TRANSPORT_SMTP);
    delivery.set_next_hop("far.test");
    delivery.set_rule("a:1");
    delivery.set_lifetime_seconds(604'800);
    delivery.set_backup(true);
    delivery.mutable_schedule()->set_kind(wire::RouteSchedule::DAILY);
    delivery.mutable_schedule()->set_seconds(7200);
    delivery.mutable_limits()->set_connections(2);
    delivery.mutable_limits()->set_rate(300);
    delivery.mutable_limits()->set_rate_seconds(3600);
    wire::ExplainedExchanger& best = *remote.add_exchangers();
    best.set_preference(10);
    best.set_host("p.test");
    best.add_addresses("192.0.2.20");
    wire::ExplainedExchanger& own = *remote.add_exchangers();
    own.set_preference(20);
    own.set_host("us.test");
    own.set_is_us(true);
    wire::ExplainedDelivery& failed = *add().mutable_delivery();
    failed.mutable_failure()->set_temporary(true);
    failed.mutable_failure()->set_text("4.3.0 later");
    return explanation;
}

config::Settings settings_with_listeners() {
    using config::ListenerKind;
    using config::ListenerTls;
    config::Settings settings;
    settings.listeners = {listener(25, ListenerKind::Smtp, ListenerTls::Offer),
                          listener(2525, ListenerKind::Submission, ListenerTls::Offer),
                          listener(4650, ListenerKind::Submission, ListenerTls::Implicit)};
    settings.retry = {Seconds(300)};
    return settings;
}

ExplainCase sample_case() {
    ExplainCase what;
    what.recipient = "t@l.test";
    what.client = "192.0.2.1";
    return what;
}

}  // namespace

TEST_CASE("the words of explain", "[explain]") {
    auto what = parse_explain_words(
        "a@b", {"client=[192.0.2.1]", "helo=h", "from=<>", "login=l", "port=587", "tls=no", "size=30M"});
    REQUIRE(what.has_value());
    CHECK(what->client == "192.0.2.1");
    CHECK(what->has_sender);
    CHECK(what->sender.empty());
    CHECK(what->port == 587);
    CHECK(what->encrypted == false);
    CHECK(what->size == std::uint64_t{30} << 20U);
    for (const Words& wrong : {Words{"client"}, Words{"to=x"}, Words{"port=0"}, Words{"port=66000"},
                               Words{"tls=maybe"}, Words{"size=big"}, Words{"helo=a", "helo=b"}}) {
        CAPTURE(wrong.front());
        CHECK_FALSE(parse_explain_words("a@b", wrong).has_value());
    }
}

TEST_CASE("the listener with the port says what is spoken there", "[explain]") {
    const config::Settings settings = settings_with_listeners();
    struct Case {
        std::string port;
        std::string login;
        std::string kind;
        bool tls;
    };
    const std::vector<Case> cases = {
        {"25", "", "smtp", false},
        {"2525", "", "submission", false},
        {"2525", "fred", "submission", true},
        {"4650", "", "submission", true},
        {"587", "", "submission", false},
        {"465", "", "submission", true},
        {"26", "", "smtp", false},
    };
    for (const Case& one : cases) {
        CAPTURE(one.port, one.login);
        const wire::Client client =
            client_of(settings, {"client=192.0.2.1", "port=" + one.port, "login=" + one.login});
        CHECK(client.kind() == one.kind);
        CHECK(client.tls() == one.tls);
    }
    CHECK_FALSE(client_of(settings, {"client=192.0.2.1", "login=fred", "tls=no"}).tls());
}

TEST_CASE("a local user is named as the kernel does", "[explain]") {
    const config::Settings settings;
    CHECK(client_of(settings, {}).kind() == "local");
    CHECK(client_of(settings, {}).login() == "uid:" + std::to_string(::getuid()));
    CHECK(client_of(settings, {"login=root"}).login() == "uid:0");
    CHECK(client_of(settings, {"login=uid:77"}).login() == "uid:77");
    ExplainCase nobody;
    nobody.login = "there-is-no-such-user";
    CHECK_FALSE(explain_question(settings, nobody).has_value());
}

TEST_CASE("an explanation for people", "[explain]") {
    const config::Settings settings = settings_with_listeners();
    CHECK(explain_text(sample(), sample_case(), settings) ==
          "client: 192.0.2.1 (c.test) (evil?.test, unconfirmed) at port 25 for smtp\n"
          "connect: 220 mx.test ESMTP Postrider (default)\n"
          "  default net line: f:3\n"
          "  block list rbl.test: listed: because\n"
          "rcpt <t@l.test>: 250 2.1.5 Recipient OK (f:4), if it came that far\n"
          "  then kept back: odd (f:5)\n"
          "limits:\n"
          "  max_recipients 7 (f:6)\n"
          "  authreq (f:7)\n"
          "rates:\n"
          "  client 192.0.2.1/32: 3 of 120 messages in 1m used, more is deferred (client_message_rate)\n"
          "expansion:\n"
          "  t@l.test: alias t (a:1)\n"
          "    u@l.test: alias u (a:1)\n"
          "      x@far.test: leaves this host (a:1)\n"
          "    t@l.test: leads back to itself, dropped (a:1)\n"
          "deliveries:\n"
          "  x@far.test: smtp by the MX of far.test retry=5m lifetime=7d schedule=daily:02:00 maxconn=2 "
          "rate=300/1h, as its backup (a:1)\n"
          "    10 p.test 192.0.2.20\n"
          "    20 us.test (no address) = this host\n"
          "    this host is number 2 of them: the mail goes to better ones only\n"
          "  none, for now: 4.3.0 later\n");
}

TEST_CASE("an explanation for programs", "[explain]") {
    const auto json = nlohmann::json::parse(explain_json(sample(), sample_case(), settings_with_listeners()));
    CHECK(json["client"]["address"] == "192.0.2.1");
    CHECK(json["sender"].is_null());
    REQUIRE(json["stages"].size() == 2);
    CHECK(json["stages"][0]["code"] == 220);
    CHECK(json["stages"][0]["lines"][0]["position"] == "f:3");
    CHECK(json["stages"][0]["lists"][0]["state"] == "listed");
    CHECK(json["stages"][1]["reached"] == false);
    CHECK(json["stages"][1]["fate"] == "quarantine");
    CHECK(json["limits"][0]["value"] == "7");
    CHECK(json["limits"][1]["value"] == true);
    CHECK(json["rates"][0]["used"] == 3);
    CHECK(json["rates"][0]["period_seconds"] == 60);
    REQUIRE(json["expansion"].size() == 1);
    REQUIRE(json["expansion"][0]["leads_to"].size() == 2);
    CHECK(json["expansion"][0]["leads_to"][0]["leads_to"][0]["step"] == "remote");
    CHECK(json["expansion"][0]["leads_to"][1]["step"] == "circle");
    const auto& route = json["deliveries"][0]["route"];
    CHECK(route["lifetime_seconds"] == 604'800);
    CHECK(route["retry_seconds"][0] == 300);
    CHECK(route["schedule"] == "daily:02:00");
    CHECK(route["connections"] == 2);
    CHECK(route["recipients"].is_null());
    CHECK(route["rate"] == 300);
    CHECK(route["exchangers"][1]["is_us"] == true);
    CHECK(route["own_position"]["rank"] == 2);
    CHECK(json["deliveries"][1]["temporary"] == true);
}

}  // namespace postrider::admin
