#include "router/explain.h"

#include <catch2/catch.hpp>

#include <algorithm>
#include <string>
#include <vector>

#include "libcommon/ipc/channel.h"
#include "tests/unit/router/explained.h"
#include "tests/unit/router/table_fixture.h"

namespace postrider::router {

using test::FakeFacts;
using test::item_texts;
using test::tables_of;

namespace {

using Lines = std::vector<std::string>;

const std::string kConfiguration =
    "hostname mx2.test\n"
    "listen 192.0.2.10:25 smtp\n"
    "listen 192.0.2.10:587 submission strict tls=require\n"
    "local_domain local.test\n"
    "max_recipients 500\n"
    "class trap quarantine \"trap for %s\"\n"
    "net 10.0.0.0/8 relay maxsize=2M rate=2/1h\n"    // 7
    "net 203.0.113.0/24 reject \"550 5.7.27 no\"\n"  // 8
    "net 198.51.100.0/24 defer\n"                    // 9
    "helo friend reject \"go away\"\n"               // 10
    "helo old quirks=oneline,noehlo\n"               // 11
    "login stolen reject\n"                          // 12
    "sender bad.test reject\n"                       // 13
    "rcpt trap@local.test use trap\n"                // 14
    "rcpt small@local.test maxsize=1k verify=off\n"  // 15
    "default rcpt reject \"550 5.7.1 not here\"\n"   // 16
    "default sender rate=5/1h\n"                     // 17
    "port 587 fqdn maxrcpt=7\n"                      // 18
    "net 192.0.2.128/25 tarpit=1s+100%<4s\n"         // 19
    "tls_certificate chain key\n";

wire::ExplainQuestion question_of(const std::string& sender, const std::string& recipient,
                                  std::uint64_t size = 0) {
    wire::ExplainQuestion question;
    question.set_has_sender(true);
    question.set_sender(sender);
    question.set_recipient(recipient);
    question.set_size(size);
    return question;
}

Client client_at(const std::string& address, std::uint16_t port = 25) {
    Client client;
    client.address = config::IpAddress::parse(address).value();
    client.port = port;
    client.submission = port == 587;
    client.begins_session = true;
    return client;
}

/// The explanations of one router.
class Explained {
  public:
    explicit Explained(const std::string& configuration = kConfiguration)
        : tables_(tables_of(configuration)) {
        history_.use_tables(*tables_);
    }

    ExplainedAnswer ask(const wire::ExplainQuestion& question, const Client& client) {
        return explain(question, &client, {*tables_, history_, now()}, facts_);
    }
    Lines ask(const std::string& kind, const wire::ExplainQuestion& question, const Client& client) {
        Lines lines = item_texts(ask(question, client).items, kind);
        const std::string path = "/etc/postrider/postrider.conf";
        for (std::string& line : lines) {
            for (std::size_t at = line.find(path); at != std::string::npos; at = line.find(path))
                line.replace(at, path.size(), "f");
        }
        return lines;
    }

    static SteadyTime now() { return SteadyTime(Seconds(1'000'000)); }
    [[nodiscard]] const Tables& tables() const { return *tables_; }
    ClientHistory& history() { return history_; }

  private:
    std::shared_ptr<const Tables> tables_;
    ClientHistory history_;
    FakeFacts facts_;
};

}  // namespace

TEST_CASE("each stage says what the client reads, and why", "[explain]") {
    Explained explained;
    struct Case {
        std::string kind;
        Client client;
        std::string sender;
        std::string recipient;
        std::string line;
    };
    Client friendly = client_at("10.0.0.5");
    friendly.helo = "friend";
    Client nameless = client_at("10.0.0.5", 587);
    nameless.helo = "not a name";
    Client stolen = client_at("10.0.0.5");
    stolen.login = "stolen";
    const Client in = client_at("10.0.0.5");
    const Client out = client_at("192.0.2.9");
    const std::vector<Case> cases = {
        {"connect", in, "", "", "connect 220  mx2.test ESMTP Postrider @f:7 +net f:7"},
        {"connect", out, "", "", "connect 220  mx2.test ESMTP Postrider @default"},
        // A banner knows two codes, whatever the line says.
        {"connect", client_at("203.0.113.9"), "", "", "connect 554 5.7.27 no @f:8 +net f:8"},
        {"connect", client_at("198.51.100.9"), "", "", "connect 421 4.7.1 access denied @f:9 +net f:9"},
        {"mail", client_at("203.0.113.9"), "a@b.test", "",
         "mail (not reached) 250 2.1.0 Sender OK @default +default sender f:17"},
        {"helo", friendly, "", "", "helo 550 5.7.1 go away @f:10 +helo f:10"},
        {"helo", nameless, "", "", "helo 501 5.5.2 That is not a host name @syntax"},
        {"login", stolen, "", "", "login 535 5.7.1 account refused @f:12 +login f:12"},
        {"mail", in, "a@bad.test", "",
         "mail 550 5.7.1 sender refused @f:13 +sender f:13 +default sender f:17"},
        {"mail", in, "a b", "", "mail 553 5.1.7 unexpected ' ' in address @syntax +default sender f:17"},
        {"mail", client_at("10.0.0.5", 587), "a@b.test", "",
         "mail 530 5.7.0 STARTTLS first @tls-required +default sender f:17"},
        {"rcpt", out, "a@b.test", "alice@local.test", "rcpt 250 2.1.5 Recipient OK @f:4 +default rcpt f:16"},
        {"rcpt", out, "a@b.test", "nobody@local.test",
         "rcpt 550 5.1.1 no such user here @f:4 +default rcpt f:16"},
        {"rcpt", out, "a@b.test", "u@far.test", "rcpt 550 5.7.1 not here @f:16 +default rcpt f:16"},
        {"rcpt", in, "a@b.test", "u@far.test", "rcpt 250 2.1.5 Recipient OK @f:7 +default rcpt f:16"},
        {"rcpt", in, "a@b.test", "u@", "rcpt 553 5.1.3 empty domain @syntax"},
    };
    for (const Case& one : cases) {
        CAPTURE(one.kind, one.client.address->text(), one.sender, one.recipient);
        wire::ExplainQuestion question = question_of(one.sender, one.recipient);
        question.set_has_sender(!one.sender.empty());
        CHECK(explained.ask(one.kind, question, one.client) == Lines{one.line});
    }
}

TEST_CASE("sizes, fates and forms of addresses count as in a session", "[explain]") {
    Explained explained;
    const Client in = client_at("10.0.0.5");
    const Client out = client_at("192.0.2.9");
    CHECK(explained.ask("mail", question_of("a@b.test", "", 3 << 20), in)
              .at(0)
              .starts_with("mail 552 5.3.4 The message is too large @max_message_size"));
    CHECK(explained.ask("rcpt", question_of("a@b.test", "small@local.test", 2000), out)
              .at(0)
              .starts_with("rcpt 552 5.3.4 The message is too large for this recipient @f:15"));
    CHECK(explained.ask("limit max_message_size_of", question_of("a@b.test", "small@local.test"), out) ==
          Lines{"limit max_message_size_of_recipient 1k @f:15"});

    const ExplainedAnswer trapped = explained.ask(question_of("a@b.test", "trap@local.test"), out);
    const auto rcpt = std::find_if(trapped.items.begin(), trapped.items.end(), [](const auto& item) {
        return item.has_stage() && item.stage().name() == "rcpt";
    });
    REQUIRE(rcpt != trapped.items.end());
    CHECK(rcpt->stage().verdict().fate() == wire::Verdict::QUARANTINE);
    CHECK(rcpt->stage().verdict().fate_reason() == "trap for a@b.test");

    Client submitting = client_at("10.0.0.5", 587);
    submitting.encrypted = true;
    submitting.login = "fred";
    CHECK(explained.ask("rcpt", question_of("fred", "alice"), submitting)
              .at(0)
              .starts_with("rcpt (not reached) 501 5.1.7 The address needs a domain @fully-qualified"));
}

TEST_CASE("the limits name their lines", "[explain]") {
    Explained explained;
    const Lines in = explained.ask("limit", question_of("a@b.test", ""), client_at("10.0.0.5"));
    for (const char* limit :
         {"limit relay  @f:7", "limit max_message_size 2M @f:7", "limit max_recipients 500 @f:5",
          "limit max_connections_per_client 20 @default", "limit max_null_recipients 3 @default",
          "limit trusted_session_messages 1000 @default", "limit max_expanded_recipients 1000 @default"}) {
        CAPTURE(limit);
        CHECK(std::count(in.begin(), in.end(), limit) == 1);
    }
    CHECK(std::none_of(in.begin(), in.end(),
                       [](const auto& line) { return line.starts_with("limit greet_wait"); }));

    Client submitting = client_at("192.0.2.129", 587);
    submitting.helo = "old";
    const Lines out = explained.ask("limit", question_of("a@b.test", ""), submitting);
    for (const char* limit : {"limit fqdn  @f:18", "limit max_recipients 7 @f:18", "limit tls require @f:3",
                              "limit authreq  @f:3", "limit strict  @f:3",
                              "limit quirks noehlo,oneline @f:11", "limit tarpit 1s+100%<4s @f:19"}) {
        CAPTURE(limit);
        CHECK(std::count(out.begin(), out.end(), limit) == 1);
    }
    const Lines stranger =
        explained.ask("limit greet_wait", question_of("a@b.test", ""), client_at("192.0.2.9"));
    CHECK(stranger.size() == 1);
}

TEST_CASE("explanations use up no rate, and know what is used", "[explain]") {
    Explained explained;
    const Client in = client_at("10.0.0.5");
    const wire::ExplainQuestion question = question_of("a@b.test", "alice@local.test");
    for (int i = 0; i < 10; ++i) {
        CHECK(explained.ask("rate", question, in) ==
              Lines{"rate client 10.0.0.5 0/2 messages @f:7", "rate sender a@b.test 0/5 messages @f:17"});
    }
    for (int i = 0; i < 2; ++i)
        CHECK_FALSE(explained.history().count_message(in, "a@b.test", explained.tables(), Explained::now()));
    CHECK(explained.ask("rate client", question, in) == Lines{"rate client 10.0.0.5 2/2 messages @f:7"});
    CHECK(explained.ask("mail", question, in).at(0).starts_with("mail 452 4.7.1 too many messages from "));
    const ExplainedAnswer over = explained.ask(question, in);
    CHECK(over.deferred);
    CHECK_FALSE(over.refused);
    // What the tables refuse is told as they say.
    CHECK(explained.ask("mail", question_of("a@bad.test", ""), in).at(0).starts_with("mail 550 5.7.1"));
}

TEST_CASE("a user of the host has no banner of his own, but all the rest", "[explain]") {
    Explained explained;
    Client local;
    local.local = true;
    local.login = "uid:1000";
    CHECK(explained.ask("rcpt", question_of("a@b.test", "u@far.test"), local) ==
          Lines{"rcpt 250 2.1.5 Recipient OK @local +default rcpt f:16"});
    CHECK(explained.ask("login", question_of("a@b.test", ""), local).empty());
    CHECK(explained.ask("limit relay", question_of("a@b.test", ""), local) == Lines{"limit relay  @local"});
}

TEST_CASE("a domain with more exchangers and addresses than a frame can tell", "[explain]") {
    const auto tables = tables_of("local_domain local.test\ndns_mx_hosts 100\n");
    FakeFacts facts;
    std::vector<dns::Mx> records;
    for (std::uint16_t i = 0; i < 100; ++i) {
        const std::string host =
            std::string(60, 'a') + "." + std::string(60, 'b') + ".h" + std::to_string(i) + ".test";
        records.push_back({i, host});
        std::vector<std::string> addresses;
        for (int n = 1; n <= 40; ++n)
            addresses.push_back("2001:db8:1111:2222:3333:4444:5555:" + std::to_string(1000 + n));
        facts.set_addresses(host, addresses);
    }
    facts.set_mx("many.test", records);
    const ClientHistory history;
    wire::ExplainQuestion question;
    question.set_recipient("u@many.test");
    const ExplainedAnswer answer = explain(question, nullptr, {*tables, history, SteadyTime()}, facts);
    const wire::ExplainedItem& item = answer.items.back();
    CHECK(item.ByteSizeLong() < ipc::kFrameTarget);
    CHECK(item.delivery().more_exchangers());
    CHECK(item.delivery().exchangers_size() > 20);
    CHECK(item.delivery().exchangers(0).more_addresses());
    CHECK(item.delivery().exchangers(0).addresses_size() == 16);
}

TEST_CASE("an explanation comes in frames of bounded size", "[explain]") {
    std::vector<wire::ExplainedItem> items(3000);
    for (wire::ExplainedItem& item : items)
        item.mutable_step()->set_detail(std::string(100, 'x'));
    const std::vector<wire::Explanation> frames = split_into_frames(items);
    CHECK(frames.size() > 1);
    int count = 0;
    for (const wire::Explanation& frame : frames) {
        CHECK(frame.ByteSizeLong() < ipc::kFrameTarget + 1000);
        count += frame.items_size();
    }
    CHECK(count == 3000);
    CHECK(split_into_frames(std::vector<wire::ExplainedItem>()).size() == 1);
    CHECK(split_into_frames(std::vector<std::string>{std::string(100'000, 'x')}).at(0).lines(0).size() ==
          8192);
}

}  // namespace postrider::router
