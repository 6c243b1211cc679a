#include <catch2/catch.hpp>

#include <fstream>
#include <string>
#include <vector>

#include "tests/unit/router/explained.h"
#include "tests/unit/router/router_process.h"

// The router as a process, driven over router.sock as smtpd, the queue-manager and the administrator drive
// it.
namespace postrider::router {

using test::RouterPeer;
using test::RouterProcess;

namespace {

constexpr const char* kConfiguration =
    "local_domain local.test\n"
    "alias_file * aliases\n"
    "relay_domain *.primary.test\n"
    "net 10.0.0.0/8 relay\n"
    "route * via smart.test:587\n";

wire::RouterRequest recipient_question(const std::string& recipient,
                                       const std::string& client = "203.0.113.9") {
    wire::RouterRequest request;
    request.mutable_recipient()->mutable_client()->set_address(client);
    request.mutable_recipient()->mutable_client()->set_kind("smtp");
    request.mutable_recipient()->set_recipient(recipient);
    return request;
}

/// "250" or "550 5.1.1"; "none" without an answer.
std::string verdict_on(RouterPeer& smtpd, const std::string& recipient,
                       const std::string& client = "203.0.113.9") {
    const auto reply = smtpd.ask(recipient_question(recipient, client));
    if (!reply || !reply->has_verdict()) return "none";
    if (reply->verdict().action() == wire::Verdict::ACCEPT) return "250";
    return std::to_string(reply->verdict().code()) + " " + reply->verdict().enhanced();
}

wire::RouterRequest resolve_question(const std::vector<std::string>& recipients) {
    wire::RouterRequest request;
    request.mutable_resolve()->set_sender("s@o.test");
    for (const std::string& recipient : recipients)
        request.mutable_resolve()->add_recipients()->set_address(recipient);
    return request;
}

}  // namespace

TEST_CASE("questions of all roles are answered") {
    RouterProcess router;
    router.write("postrider.conf", kConfiguration);
    router.write("aliases", "postmaster: daemon\nsales: daemon, x@remote.test\n");
    router.start();

    RouterPeer smtpd(router, wire::ROLE_SMTPD);
    wire::RouterRequest connect;
    connect.mutable_connect()->mutable_client()->set_address("10.0.0.5");
    const auto connected = smtpd.ask(connect);
    REQUIRE(connected.has_value());
    CHECK(connected->connect().policy().relay());
    CHECK(connected->connect().verdict().rule() == router.path("etc/postrider.conf") + ":13");
    wire::RouterRequest sender;
    sender.mutable_sender()->mutable_client()->set_address("10.0.0.5");
    CHECK(smtpd.ask(sender)->verdict().action() == wire::Verdict::ACCEPT);
    CHECK(verdict_on(smtpd, "daemon@local.test") == "250");
    CHECK(verdict_on(smtpd, "Postmaster") == "250");
    CHECK(verdict_on(smtpd, "abuse@local.test") == "250");
    CHECK(verdict_on(smtpd, "no-such-user@local.test") == "550 5.1.1");
    CHECK(verdict_on(smtpd, "u@a.primary.test") == "250");
    CHECK(verdict_on(smtpd, "u@remote.test") == "550 5.7.1");
    CHECK(verdict_on(smtpd, "u@remote.test", "10.1.2.3") == "250");
    CHECK(verdict_on(smtpd, "u@remote.test", "no address") == "451 4.3.0");
    CHECK(smtpd.ask(recipient_question("sales@local.test"))->verdict().deliveries() == 2);

    RouterPeer queue_manager(router, wire::ROLE_QUEUE_MANAGER);
    const auto resolved =
        queue_manager.ask(resolve_question({"sales@local.test", "no-such-user@local.test"}));
    REQUIRE(resolved.has_value());
    CHECK_FALSE(resolved->more());
    REQUIRE(resolved->resolved().recipients_size() == 2);
    REQUIRE(resolved->resolved().recipients(0).deliveries_size() == 2);
    CHECK(resolved->resolved().recipients(0).deliveries(0).local().path() == "/usr/sbin/Maildir");
    CHECK(resolved->resolved().recipients(0).deliveries(1).next_hop() == "smart.test:587");
    CHECK(resolved->resolved().recipients(1).failure().text() == "5.1.1 no such user here");

    RouterPeer admin(router, wire::ROLE_ADMIN);
    wire::RouterRequest explain;
    explain.mutable_explain()->mutable_client()->set_address("203.0.113.9");
    explain.mutable_explain()->set_has_sender(true);
    explain.mutable_explain()->set_recipient("sales@local.test");
    const auto explained = admin.ask(explain);
    REQUIRE(explained.has_value());
    const std::string aliases = router.path("etc/aliases");
    const std::string conf = router.path("etc/postrider.conf");
    const auto items = explained->explanation().items();
    using Lines = std::vector<std::string>;
    CHECK(test::item_texts(items, "connect").at(0).ends_with(" ESMTP Postrider @default"));
    CHECK(test::item_texts(items, "mail") == Lines{"mail 250 2.1.0 Sender OK @default"});
    CHECK(test::item_texts(items, "rcpt") == Lines{"rcpt 250 2.1.5 Recipient OK @" + aliases + ":2"});
    CHECK(test::item_texts(items, "step") ==
          Lines{"step 0 sales@local.test alias sales @" + aliases + ":2",
                "step 1 daemon@local.test mailbox /usr/sbin/Maildir of daemon (uid 1) @" + aliases + ":2",
                "step 1 x@remote.test remote  @" + aliases + ":2"});
    CHECK(test::item_texts(items, "delivery") ==
          Lines{"delivery daemon@local.test daemon @" + aliases + ":2",
                "delivery x@remote.test smart.test:587 @" + conf + ":14"});
    wire::RouterRequest status;
    status.mutable_status();
    CHECK(admin.ask(status)->state().counters_size() > 5);

    router.signal(SIGTERM);
    CHECK(router.wait() == 0);
    CHECK(router.log().find(" stopped") != std::string::npos);
}

TEST_CASE("the queue-manager learns which domains are held now, and nobody else") {
    RouterProcess router;
    router.write("postrider.conf", std::string(kConfiguration) +
                                       "route dial.test via [192.0.2.40] hold\nroute free.dial.test mx\n"
                                       "route *.all.test via [192.0.2.41] hold\nroute local.test mx hold\n");
    router.write("aliases", "sales: root\n");
    router.start();
    RouterPeer queue_manager(router, wire::ROLE_QUEUE_MANAGER);
    wire::RouterRequest question;
    question.set_id(3);
    for (const char* domain : {"dial.test", "free.dial.test", "x.all.test", "local.test", "other.test", ""})
        question.mutable_hold()->add_domains(domain);
    const auto answer = queue_manager.ask(question);
    REQUIRE(answer.has_value());
    REQUIRE(answer->held().domains_size() == 2);
    CHECK(answer->held().domains(0) == "dial.test");
    CHECK(answer->held().domains(1) == "x.all.test");
    RouterPeer smtpd(router, wire::ROLE_SMTPD);
    CHECK_FALSE(smtpd.ask(question).has_value());
}

TEST_CASE("peers that break the rules are disconnected, and nobody else notices") {
    RouterProcess router;
    router.write("postrider.conf", kConfiguration);
    router.write("aliases", "postmaster: daemon\n");
    router.start();
    RouterPeer smtpd(router, wire::ROLE_SMTPD);
    CHECK(verdict_on(smtpd, "daemon@local.test") == "250");

    RouterPeer resolving(router, wire::ROLE_SMTPD);
    CHECK_FALSE(resolving.ask(resolve_question({"daemon@local.test"})).has_value());
    RouterPeer asking(router, wire::ROLE_QUEUE_MANAGER);
    CHECK_FALSE(asking.ask(recipient_question("daemon@local.test")).has_value());
    RouterPeer explaining(router, wire::ROLE_SMTPD);
    wire::RouterRequest explain;
    explain.mutable_explain();
    CHECK_FALSE(explaining.ask(explain).has_value());
    RouterPeer local_delivery(router, wire::ROLE_LOCAL_DELIVERY);
    CHECK_FALSE(local_delivery.ask(recipient_question("daemon@local.test")).has_value());
    RouterPeer hasty(router);
    CHECK_FALSE(hasty.ask(recipient_question("daemon@local.test")).has_value());
    RouterPeer greeting_twice(router, wire::ROLE_SMTPD);
    wire::RouterRequest hello;
    hello.mutable_hello()->set_role(wire::ROLE_ADMIN);
    CHECK_FALSE(greeting_twice.ask(hello).has_value());
    RouterPeer mumbling(router, wire::ROLE_SMTPD);
    mumbling.send_raw("\xff\xff\xff\xff garbage");
    CHECK(mumbling.ended());
    RouterPeer silent(router, wire::ROLE_SMTPD);
    silent.send(wire::RouterRequest());
    CHECK(silent.ended());
    RouterPeer shouting(router, wire::ROLE_SMTPD);
    shouting.send_raw(std::string(70'000, 'x'));
    CHECK(shouting.ended());
    RouterPeer giving(router, wire::ROLE_SMTPD);
    giving.send_descriptor(recipient_question("daemon@local.test"));
    CHECK(giving.ended());

    CHECK(verdict_on(smtpd, "daemon@local.test") == "250");
    router.signal(SIGTERM);
    CHECK(router.wait() == 0);
}

TEST_CASE("tables are read again when they change, and not when they are broken") {
    RouterProcess router;
    router.write("postrider.conf", kConfiguration);
    router.write("aliases", "postmaster: daemon\n");
    router.start();
    RouterPeer smtpd(router, wire::ROLE_SMTPD);
    CHECK(verdict_on(smtpd, "sales@local.test") == "550 5.1.1");

    router.write("aliases", "postmaster: daemon\nsales: daemon\n");
    CHECK(RouterProcess::eventually([&] { return verdict_on(smtpd, "sales@local.test") == "250"; }));

    router.write("aliases", "postmaster: daemon\nsales\n");
    CHECK(router.logs("aliases:2:1: expected NAME: DESTINATION"));
    CHECK(verdict_on(smtpd, "sales@local.test") == "250");

    std::filesystem::remove(router.path("etc/aliases"));
    CHECK(router.logs("No such file"));
    CHECK(verdict_on(smtpd, "sales@local.test") == "250");

    router.write("aliases", "postmaster: daemon\n");
    router.signal(SIGHUP);
    CHECK(RouterProcess::eventually([&] { return verdict_on(smtpd, "sales@local.test") == "550 5.1.1"; }));

    CHECK(verdict_on(smtpd, "u@new.test") == "550 5.7.1");
    router.write("postrider.conf", std::string(kConfiguration) + "relay_domain new.test\n");
    CHECK(RouterProcess::eventually([&] { return verdict_on(smtpd, "u@new.test") == "250"; }));

    std::filesystem::create_directory(router.path("etc/more"));
    router.write("postrider.conf",
                 std::string(kConfiguration) + "relay_domain new.test\ninclude more/*.conf\n");
    router.signal(SIGHUP);
    router.write("more/a.conf", "relay_domain more.test\n");
    CHECK(RouterProcess::eventually([&] { return verdict_on(smtpd, "u@more.test") == "250"; }));

    router.write("postrider.conf", std::string(kConfiguration) + "relay_domian other.test\n");
    CHECK(router.logs("postrider.conf:15:1:"));
    CHECK(verdict_on(smtpd, "u@new.test") == "250");
    router.signal(SIGTERM);
    CHECK(router.wait() == 0);
}

TEST_CASE("many questions at once are all answered") {
    RouterProcess router;
    router.write("postrider.conf", kConfiguration);
    std::string aliases = "postmaster: daemon\nall: u0@remote.test";
    for (int i = 1; i < 1000; ++i)
        aliases += ", someone-with-a-long-name" + std::to_string(i) + "@remote.test";
    router.write("aliases", aliases + "\n");
    router.start();
    RouterPeer smtpd(router, wire::ROLE_SMTPD);
    constexpr int kQuestions = 200;
    for (int i = 0; i < kQuestions; ++i) {
        wire::RouterRequest request = recipient_question("stranger" + std::to_string(i) + "@local.test");
        request.set_id(static_cast<std::uint64_t>(i) + 1);
        smtpd.send(request);
    }
    int refused = 0;
    for (int i = 0; i < kQuestions; ++i) {
        const auto reply = smtpd.receive();
        if (reply && reply->verdict().code() == 550) ++refused;
    }
    CHECK(refused == kQuestions);

    RouterPeer queue_manager(router, wire::ROLE_QUEUE_MANAGER);
    auto reply = queue_manager.ask(resolve_question({"all@local.test", "daemon@local.test"}));
    int deliveries = 0;
    int frames = 1;
    while (reply) {
        for (const wire::ResolvedRecipient& part : reply->resolved().recipients())
            deliveries += part.deliveries_size();
        if (!reply->more()) break;
        reply = queue_manager.receive();
        ++frames;
    }
    CHECK(deliveries == 1001);
    CHECK(frames > 1);

    // Nobody can make the router answer without end: what is too much has to be asked for again.
    std::vector<std::string> lists;
    lists.reserve(30);
    for (int i = 0; i < 30; ++i)
        lists.push_back("all+" + std::to_string(i) + "@local.test");
    int postponed = 0;
    deliveries = 0;
    for (reply = queue_manager.ask(resolve_question(lists)); reply; reply = queue_manager.receive()) {
        for (const wire::ResolvedRecipient& part : reply->resolved().recipients()) {
            deliveries += part.deliveries_size();
            if (part.has_failure() && part.failure().temporary()) ++postponed;
        }
        if (!reply->more()) break;
    }
    CHECK(deliveries == 20'000);
    CHECK(postponed == 10);
    router.signal(SIGTERM);
    CHECK(router.wait() == 0);
}

TEST_CASE("a broken table prevents the start, and --check says what is wrong") {
    RouterProcess router;
    router.write("postrider.conf", std::string(kConfiguration) + "net 0.0.0.0/1 relay\n");
    router.write("aliases", "postmaster: daemon\nx: nobody-at-all\n");
    CHECK(router.run({"--check"}) == 1);
    CHECK(router.log().find("warning: " + router.path("etc/postrider.conf") +
                            ":15: 0.0.0.0/1 may send mail anywhere: an open relay") != std::string::npos);
    CHECK(router.log().find("etc/aliases:2: alias x: 5.1.1 no such user here") != std::string::npos);
    router.write("aliases", "postmaster: daemon\n\n\nbroken line\n");
    for (const std::vector<std::string>& arguments : {std::vector<std::string>{"--check"}, {}}) {
        std::filesystem::remove(router.path("log"));
        CHECK(router.run(arguments) == 78);
        CHECK(router.log() == router.path("etc/aliases") + ":4:1: expected NAME: DESTINATION, …\n" +
                                  "warning: " + router.path("etc/postrider.conf") +
                                  ":15: 0.0.0.0/1 may send mail anywhere: an open relay\n");
    }
    CHECK(router.run({"--nonsense"}) == 64);
}

}  // namespace postrider::router
