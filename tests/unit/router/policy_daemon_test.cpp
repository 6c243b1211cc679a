#include <catch2/catch.hpp>

#include <algorithm>
#include <string>
#include <vector>

#include "tests/unit/router/explained.h"
#include "tests/unit/router/router_process.h"

// What smtpd asks about sessions, accounts and addresses, over router.sock.
namespace postrider::router {

using test::RouterPeer;
using test::RouterProcess;

namespace {

constexpr const char* kPolicy =
    "local_domain local.test\n"
    "alias_file * aliases\n"
    "account_message_rate 2/1h\n"
    "account_recipient_rate 3/1h\n"
    "default net tarpit=1s+100%<4s\n"
    "helo friend reject \"go away, %i\"\n"
    "port 587 authreq tls=require maxsize=1M conns=5\n";

/// conns= is not for ports, so the file as it stands has an error.
std::string good_policy() {
    std::string text = kPolicy;
    text.resize(text.find(" conns="));
    return text + "\n";
}

wire::Client client_of(const std::string& address, const std::string& kind, const std::string& login = {}) {
    wire::Client client;
    client.set_address(address);
    client.set_kind(kind);
    client.set_port(kind == "submission" ? 587 : 25);
    client.set_login(login);
    return client;
}

wire::Verdict sender_verdict(RouterPeer& smtpd, const wire::Client& client, const std::string& sender) {
    wire::RouterRequest request;
    *request.mutable_sender()->mutable_client() = client;
    request.mutable_sender()->set_sender(sender);
    const auto reply = smtpd.ask(request);
    return reply ? reply->verdict() : wire::Verdict();
}

wire::Verdict recipient_verdict(RouterPeer& smtpd, const wire::Client& client, const std::string& recipient) {
    wire::RouterRequest request;
    *request.mutable_recipient()->mutable_client() = client;
    request.mutable_recipient()->set_recipient(recipient);
    const auto reply = smtpd.ask(request);
    return reply ? reply->verdict() : wire::Verdict();
}

}  // namespace

TEST_CASE("a session's policy, again with its greeting") {
    RouterProcess router;
    router.write("postrider.conf", good_policy());
    router.write("aliases", "postmaster: daemon\n");
    router.start();
    RouterPeer smtpd(router, wire::ROLE_SMTPD);
    wire::RouterRequest connect;
    *connect.mutable_connect()->mutable_client() = client_of("203.0.113.9", "submission");
    const auto first = smtpd.ask(connect);
    REQUIRE(first.has_value());
    CHECK(first->connect().verdict().action() == wire::Verdict::ACCEPT);
    CHECK(first->connect().ask_again_with_helo());
    const wire::SessionPolicy& policy = first->connect().policy();
    CHECK_FALSE(policy.relay());
    CHECK(policy.require_auth());
    CHECK(policy.require_tls());
    CHECK(policy.max_message_size() == 1U << 20U);
    CHECK(policy.tarpit().most_ms() == 4000);
    connect.mutable_connect()->mutable_client()->set_helo("FRIEND");
    const auto again = smtpd.ask(connect);
    REQUIRE(again.has_value());
    CHECK(again->connect().verdict().action() == wire::Verdict::REJECT);
    CHECK(again->connect().verdict().code() == 550);
    CHECK(again->connect().verdict().text() == "go away, 203.0.113.9");
    CHECK(again->connect().verdict().rule().ends_with("postrider.conf:15"));

    RouterPeer admin(router, wire::ROLE_ADMIN);
    wire::RouterRequest explain;
    *explain.mutable_explain()->mutable_client() = connect.connect().client();
    const auto explained = admin.ask(explain);
    REQUIRE(explained.has_value());
    const auto items = explained->explanation().items();
    const std::string conf = router.path("etc/postrider.conf");
    using Lines = std::vector<std::string>;
    const std::string banner = test::item_texts(items, "connect").at(0);
    CHECK(banner.ends_with(" ESMTP Postrider @" + conf + ":16 +port " + conf + ":16 +default net " + conf +
                           ":14"));
    CHECK(test::item_texts(items, "helo") ==
          Lines{"helo 550 5.7.1 go away, 203.0.113.9 @" + conf + ":15 +helo " + conf + ":15"});
    const Lines limits = test::item_texts(items, "limit");
    for (const std::string& limit :
         {"limit max_message_size 1M @" + conf + ":16", "limit tls require @" + conf + ":16",
          "limit authreq  @" + conf + ":16", "limit tarpit 1s+100%<4s @" + conf + ":14",
          std::string("limit max_recipients 1000 @default")}) {
        CAPTURE(limit);
        CHECK(std::count(limits.begin(), limits.end(), limit) == 1);
    }
    router.signal(SIGTERM);
    CHECK(router.wait() == 0);
}

TEST_CASE("an account sends no more than its rates allow") {
    RouterProcess router;
    router.write("postrider.conf", good_policy());
    router.write("aliases", "postmaster: daemon\n");
    router.start();
    RouterPeer smtpd(router, wire::ROLE_SMTPD);
    const wire::Client fred = client_of("203.0.113.9", "submission", "daemon");
    const wire::Client john = client_of("203.0.113.9", "submission", "bin");
    CHECK(sender_verdict(smtpd, fred, "bin@local.test").code() == 553);  // counts for nothing
    CHECK(sender_verdict(smtpd, fred, "daemon@local.test").code() == 0);
    CHECK(sender_verdict(smtpd, fred, "").code() == 0);
    const wire::Verdict refused = sender_verdict(smtpd, fred, "daemon@local.test");
    CHECK(refused.action() == wire::Verdict::DEFER);
    CHECK(refused.code() == 452);
    CHECK(refused.enhanced() == "4.7.1");
    CHECK(refused.rule() == "account_message_rate");
    CHECK(sender_verdict(smtpd, john, "bin@local.test").code() == 0);
    for (int i = 0; i < 5; ++i)
        CHECK(sender_verdict(smtpd, client_of("203.0.113.9", "smtp"), "a@b.test").code() == 0);
    for (int i = 0; i < 3; ++i)
        CHECK(recipient_verdict(smtpd, fred, "u@remote.test").code() == 0);
    CHECK(recipient_verdict(smtpd, fred, "u@remote.test").code() == 452);
    CHECK(recipient_verdict(smtpd, fred, "nobody-at-all@local.test").code() == 550);
    CHECK(recipient_verdict(smtpd, john, "u@remote.test").code() == 0);

    // The rates are read again with everything else, and what was counted stays.
    std::string more = good_policy();
    more.replace(more.find("2/1h"), 4, "3/1h");
    router.write("postrider.conf", more);
    router.signal(SIGHUP);
    bool passed = false;
    for (int i = 0; i < 100 && !passed; ++i) {
        ::usleep(50'000);
        passed = sender_verdict(smtpd, fred, "daemon@local.test").code() == 0;
    }
    CHECK(passed);
    CHECK(sender_verdict(smtpd, fred, "daemon@local.test").code() == 452);
    router.signal(SIGTERM);
    CHECK(router.wait() == 0);
}

TEST_CASE("connections that the tables refuse count for no rate") {
    RouterProcess router;
    const std::string line = "net 203.0.113.9 connrate=2/1h";
    router.write("postrider.conf", good_policy() + line + " reject\n");
    router.write("aliases", "postmaster: daemon\n");
    router.start();
    RouterPeer smtpd(router, wire::ROLE_SMTPD);
    const auto connect = [&smtpd] {
        wire::RouterRequest request;
        *request.mutable_connect()->mutable_client() = client_of("203.0.113.9", "smtp");
        request.mutable_connect()->set_begins_session(true);
        const auto reply = smtpd.ask(request);
        return reply ? reply->connect().verdict().code() : 0;
    };
    for (int i = 0; i < 5; ++i)
        CHECK(connect() == 554);
    router.write("postrider.conf", good_policy() + line + "\n");
    router.signal(SIGHUP);
    std::uint32_t code = 554;
    for (int i = 0; i < 100 && code == 554; ++i) {
        ::usleep(50'000);
        code = connect();
    }
    CHECK(code == 0);
    CHECK(connect() == 0);
    CHECK(connect() == 421);
    CHECK(connect() == 421);
    router.signal(SIGTERM);
    CHECK(router.wait() == 0);
}

TEST_CASE("addresses are verified, and large lists come in several frames") {
    RouterProcess router;
    router.write("postrider.conf",
                 good_policy() + "max_expanded_recipients 100000\nalias_expansion 100000\n");
    std::string list;
    for (int i = 0; i < 5000; ++i)
        list += "member-" + std::to_string(i) + "@remote.test\n";
    router.write("aliases", "postmaster: daemon\nlist: :include:" + router.path("etc/list") + "\n");
    router.write("list", list);
    router.start();
    RouterPeer smtpd(router, wire::ROLE_SMTPD);
    wire::RouterRequest verify;
    *verify.mutable_verify()->mutable_client() = client_of("203.0.113.9", "smtp");
    verify.mutable_verify()->set_address("<daemon@LOCAL.test>");
    const auto known = smtpd.ask(verify);
    REQUIRE(known.has_value());
    CHECK(known->verified().verdict().action() == wire::Verdict::ACCEPT);
    REQUIRE(known->verified().addresses_size() == 1);
    CHECK(known->verified().addresses(0) == "daemon@local.test");
    verify.mutable_verify()->set_address("no-such-user");
    CHECK(smtpd.ask(verify)->verified().verdict().code() == 550);
    verify.mutable_verify()->set_address("list");
    verify.mutable_verify()->set_expand(true);
    int members = 0;
    int frames = 0;
    for (auto reply = smtpd.ask(verify); reply; reply = smtpd.receive()) {
        ++frames;
        members += reply->verified().addresses_size();
        CHECK(reply->verified().verdict().action() == wire::Verdict::ACCEPT);
        if (!reply->more()) break;
    }
    CHECK(members == 5000);
    CHECK(frames > 1);
    router.signal(SIGTERM);
    CHECK(router.wait() == 0);
}

TEST_CASE("--check names the lines of the policy that are wrong") {
    RouterProcess router;
    router.write("postrider.conf", kPolicy);
    router.write("aliases", "postmaster: daemon\n");
    CHECK(router.run({"--check"}) == 78);
    CHECK(router.log() == router.path("etc/postrider.conf") + ":16:41: port has no option \"conns\"\n");
}

}  // namespace postrider::router
