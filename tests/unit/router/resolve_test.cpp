#include "router/resolve.h"

#include <catch2/catch.hpp>

#include <string>
#include <vector>

#include "libcommon/ipc/channel.h"
#include "tests/unit/router/table_fixture.h"

namespace postrider::router {

using test::FakeFacts;
using test::tables_of;

namespace {

const std::string kConfiguration =
    "hostname mx2.test\n"
    "local_domain local.test\n"
    "alias_file * aliases\n"
    "virtual_domain v.test maildir:/var/v/%d/%u owner=vmail users=users\n"
    "virtual_domain s.test maildir:/var/s/%u owner=vmail\n"
    "route dial.test via [192.0.2.40]\n"
    "route partner.test via mail.partner.test:2525 retry=5m,30m lifetime=3d\n"
    "route gone.test error \"550 5.1.2 no such domain\"\n"
    "route later.test error \"451 4.7.1 not now\"\n"
    "route hole.test discard\n"
    "route shut.test none\n";

const std::string kAliases =
    "both: alice, x@remote.test\nlist: alice, x@remote.test\nowner-list: bob\n"
    "single: x@remote.test\nmixed: bob, list\ntolist: list\nsmall: y@remote.test\nowner-small: bob\n"
    "run: \"|/bin/run a b\"\nkeep: /var/log/keep\nnull: /dev/null\npart: alice, nobody\nsoon: alice, "
    "x@later.test\n";

std::shared_ptr<const Tables> tables() {
    return tables_of(kConfiguration, {{"aliases", kAliases}, {"users", "bob\n"}});
}

wire::Recipient recipient_of(const std::string& address, std::uint32_t notify = 0) {
    wire::Recipient recipient;
    recipient.set_address(address);
    recipient.set_notify(notify);
    recipient.set_orcpt("rfc822;orig@x.test");
    return recipient;
}

wire::ResolvedRecipient resolve(const std::string& address, std::uint32_t notify = 0,
                                const std::string& sender = "s@o.test") {
    FakeFacts facts;
    return resolve_recipient(7, recipient_of(address, notify), sender, *tables(), facts);
}

}  // namespace

TEST_CASE("the next hop of remote recipients") {
    struct Case {
        std::string address;
        wire::Transport transport;
        std::string next_hop;
    };
    const std::vector<Case> cases = {
        {"u@remote.test", wire::TRANSPORT_SMTP, "remote.test"},
        {"u@dial.test", wire::TRANSPORT_SMTP, "[192.0.2.40]:25"},
        {"u@partner.test", wire::TRANSPORT_SMTP, "mail.partner.test:2525"},
        {"u@[192.0.2.60]", wire::TRANSPORT_SMTP, "[192.0.2.60]"},
        {"u@[IPv6:2001:db8::1]", wire::TRANSPORT_SMTP, "[2001:db8::1]"},
        {"u@hole.test", wire::TRANSPORT_DISCARD, "discard"},
        {"u@shut.test", wire::TRANSPORT_ERROR, "error"},
        {"u@gone.test", wire::TRANSPORT_ERROR, "error"},
    };
    for (const Case& one : cases) {
        CAPTURE(one.address);
        const wire::ResolvedRecipient resolved = resolve(one.address);
        CHECK(resolved.index() == 7);
        CHECK_FALSE(resolved.has_failure());
        REQUIRE(resolved.deliveries_size() == 1);
        const wire::Delivery& delivery = resolved.deliveries(0);
        CHECK(delivery.transport() == one.transport);
        CHECK(delivery.next_hop() == one.next_hop);
        CHECK(delivery.recipient() == one.address);
        CHECK(delivery.original_recipient() == one.address);
        CHECK(delivery.number() == 0);
    }
    CHECK(resolve("u@gone.test").deliveries(0).error_text() == "5.1.2 no such domain");
    CHECK(resolve("u@shut.test").deliveries(0).error_text() == "5.7.1 no mail is sent to this domain");
    const wire::Delivery partner = resolve("u@partner.test").deliveries(0);
    CHECK(partner.retry_seconds_size() == 2);
    CHECK(partner.retry_seconds(1) == 1800);
    CHECK(partner.lifetime_seconds() == 259200);
    CHECK(partner.rule() == "/etc/postrider/postrider.conf:7");
}

TEST_CASE("what a local delivery may touch") {
    const wire::Delivery alice = resolve("alice+x@local.test").deliveries(0);
    CHECK(alice.transport() == wire::TRANSPORT_MAILDIR);
    CHECK(alice.next_hop() == "alice");
    CHECK(alice.recipient() == "alice+x@local.test");
    CHECK(alice.local().user() == "alice");
    CHECK(alice.local().uid() == 1001);
    CHECK(alice.local().gid() == 1001);
    CHECK(alice.local().home() == "/home/alice");
    CHECK(alice.local().path() == "/home/alice/Maildir");
    CHECK(alice.local().system_user());

    const wire::Delivery bob = resolve("bob@v.test").deliveries(0);
    CHECK(bob.next_hop() == "bob@v.test");
    CHECK(bob.local().user() == "vmail");
    CHECK(bob.local().uid() == 500);
    CHECK(bob.local().path() == "/var/v/v.test/bob");
    CHECK_FALSE(bob.local().system_user());

    // Users of the system in a virtual domain with an owner: his rights, their names.
    const wire::Delivery carol = resolve("carol@s.test").deliveries(0);
    CHECK(carol.local().uid() == 500);
    CHECK(carol.local().path() == "/var/s/carol");
    CHECK_FALSE(carol.local().system_user());

    const wire::Delivery run = resolve("run@local.test").deliveries(0);
    CHECK(run.transport() == wire::TRANSPORT_PROGRAM);
    CHECK(run.local().path() == "/bin/run a b");
    CHECK(run.local().uid() == 65534);
    CHECK(run.local().user() == "nobody");
    CHECK(resolve("keep@local.test").deliveries(0).transport() == wire::TRANSPORT_FILE);
    CHECK(resolve("null@local.test").deliveries(0).transport() == wire::TRANSPORT_DISCARD);
}

TEST_CASE("failures say whether to ask again") {
    struct Case {
        std::string address;
        bool temporary;
        std::string text;
    };
    const std::vector<Case> cases = {
        {"nobody@local.test", false, "5.1.1 no such user here"},
        {"postmaster@local.test", true, "4.3.0 nobody reads postmaster@local.test: it needs an alias"},
        {"u@later.test", true, "4.7.1 not now"},
        {"soon@local.test", true, "4.7.1 not now"},
        {"a b@c", false, "5.1.3 character not allowed in an address"},
    };
    for (const Case& one : cases) {
        CAPTURE(one.address);
        const wire::ResolvedRecipient resolved = resolve(one.address);
        CHECK(resolved.deliveries_size() == 0);
        REQUIRE(resolved.has_failure());
        CHECK(resolved.failure().temporary() == one.temporary);
        CHECK(resolved.failure().text() == one.text);
    }
    const wire::ResolvedRecipient part = resolve("part@local.test");
    REQUIRE(part.deliveries_size() == 2);
    CHECK(part.deliveries(1).transport() == wire::TRANSPORT_ERROR);
    CHECK(part.deliveries(1).error_text() == "5.1.1 no such user here");
}

TEST_CASE("notifications reach one delivery as asked, and several without SUCCESS") {
    constexpr std::uint32_t kNever = 1;
    constexpr std::uint32_t kSuccess = 2;
    constexpr std::uint32_t kFailure = 4;
    CHECK(resolve("x@remote.test", kSuccess | kFailure).deliveries(0).notify() == (kSuccess | kFailure));
    CHECK(resolve("x@remote.test").deliveries(0).orcpt() == "rfc822;orig@x.test");
    for (int i = 0; i < 2; ++i) {
        CHECK(resolve("both@local.test", kSuccess | kFailure).deliveries(i).notify() == kFailure);
        CHECK(resolve("both@local.test", kSuccess).deliveries(i).notify() == kNever);
        CHECK(resolve("both@local.test", 0).deliveries(i).notify() == 0);
        const wire::Delivery member = resolve("list@local.test", kSuccess | kFailure).deliveries(i);
        CHECK(member.has_sender());
        CHECK(member.sender() == "owner-list@local.test");
        CHECK(member.notify() == 0);
        CHECK(member.orcpt().empty());
        // A report sent to a list stays a report.
        CHECK_FALSE(resolve("list@local.test", 0, "").deliveries(i).has_sender());
    }
}

TEST_CASE("who is told of success when a recipient became others") {
    constexpr std::uint32_t kSuccess = 2;
    constexpr std::uint32_t kFailure = 4;
    struct Case {
        std::string address;
        std::uint32_t notify;
        std::string sender;
        int deliveries;
        wire::Transport last;  // its transport
        bool told;             // by the last one, which stands for the recipient
    };
    for (const Case& one : std::vector<Case>{
             {"x@remote.test", kSuccess, "s@o.test", 1, wire::TRANSPORT_SMTP, false},
             {"single@local.test", kSuccess, "s@o.test", 1, wire::TRANSPORT_SMTP, false},
             {"run@local.test", kSuccess, "s@o.test", 1, wire::TRANSPORT_PROGRAM, false},
             {"both@local.test", 0, "s@o.test", 2, wire::TRANSPORT_SMTP, false},
             {"both@local.test", kFailure, "s@o.test", 2, wire::TRANSPORT_SMTP, false},
             {"both@local.test", kSuccess, "s@o.test", 3, wire::TRANSPORT_ALIAS, true},
             {"BOTH@local.test", kSuccess | kFailure, "s@o.test", 3, wire::TRANSPORT_ALIAS, true},
             {"both@local.test", kSuccess, "", 2, wire::TRANSPORT_SMTP, false},
             {"mixed@local.test", kSuccess, "s@o.test", 4, wire::TRANSPORT_ALIAS, true},
             {"part@local.test", kSuccess, "s@o.test", 3, wire::TRANSPORT_ALIAS, true},
             {"list@local.test", kSuccess, "s@o.test", 3, wire::TRANSPORT_LIST, true},
             {"list@local.test", kFailure, "s@o.test", 2, wire::TRANSPORT_SMTP, false},
             {"small@local.test", kSuccess, "s@o.test", 2, wire::TRANSPORT_LIST, true},
             {"tolist@local.test", kSuccess, "s@o.test", 3, wire::TRANSPORT_LIST, true},
             {"list@local.test", kSuccess, "", 2, wire::TRANSPORT_SMTP, false}}) {
        CAPTURE(one.address, one.notify, one.sender);
        const wire::ResolvedRecipient resolved = resolve(one.address, one.notify, one.sender);
        REQUIRE(resolved.deliveries_size() == one.deliveries);
        const wire::Delivery& last = resolved.deliveries(one.deliveries - 1);
        CHECK(last.transport() == one.last);
        if (!one.told) continue;
        CHECK(last.recipient() == one.address);
        CHECK(last.original_recipient() == one.address);
        CHECK(last.notify() == one.notify);
        CHECK(last.orcpt() == "rfc822;orig@x.test");
        CHECK_FALSE(last.has_sender());
        CHECK_THAT(last.rule(), Catch::Contains("aliases:"));
        for (int i = 0; i + 1 < one.deliveries; ++i)
            CHECK((resolved.deliveries(i).notify() & kSuccess) == 0);
    }
    CHECK(resolve("soon@local.test", kSuccess).deliveries_size() == 0);
}

TEST_CASE("what a forward file holds is told of in the same way") {
    constexpr std::uint32_t kSuccess = 2;
    wire::ForwardQuestion question;
    question.set_sender("s@o.test");
    question.set_forward_file("/home/alice/.forward");
    wire::Delivery& replaced = *question.mutable_delivery();
    replaced = resolve("alice@local.test", kSuccess).deliveries(0);
    replaced.set_original_recipient("single@local.test");
    question.add_forwarded()->set_text("x@remote.test");
    FakeFacts facts;
    wire::ResolvedRecipient resolved = resolve_forward_file(question, *tables(), facts);
    REQUIRE(resolved.deliveries_size() == 1);
    CHECK(resolved.deliveries(0).notify() == kSuccess);
    question.add_forwarded()->set_text("y@remote.test");
    resolved = resolve_forward_file(question, *tables(), facts);
    REQUIRE(resolved.deliveries_size() == 3);
    CHECK(resolved.deliveries(0).notify() == 1);
    const wire::Delivery& told = resolved.deliveries(2);
    CHECK(told.transport() == wire::TRANSPORT_ALIAS);
    CHECK(told.recipient() == "alice@local.test");
    CHECK(told.original_recipient() == "single@local.test");
    CHECK(told.notify() == kSuccess);
    // A member of a list promised nothing.
    replaced.set_notify(0);
    replaced.set_sender("owner-list@local.test");
    replaced.set_has_sender(true);
    CHECK(resolve_forward_file(question, *tables(), facts).deliveries_size() == 2);
}

TEST_CASE("many deliveries take several frames, none of them too large") {
    std::string aliases = "all: u0@remote.test";
    for (int i = 1; i < 1000; ++i)
        aliases += ", " + std::string(100, 'x') + std::to_string(i) + "@remote.test";
    const auto large = tables_of("hostname mx2.test\nlocal_domain local.test\nalias_file * aliases\n",
                                 {{"aliases", aliases}});
    FakeFacts facts;
    std::vector<wire::ResolvedRecipient> recipients;
    for (std::uint32_t i = 0; i < 3; ++i) {
        const std::string address = i == 1 ? "nobody@local.test" : "all@local.test";
        recipients.push_back(resolve_recipient(i, recipient_of(address), "", *large, facts));
    }
    const std::vector<wire::Resolved> frames = split_into_frames(recipients);
    CHECK(frames.size() > 3);
    std::vector<int> deliveries(3);
    int failures = 0;
    for (const wire::Resolved& frame : frames) {
        CHECK(frame.ByteSizeLong() < ipc::kMaxFrame - 1024);
        CHECK(frame.recipients_size() > 0);
        for (const wire::ResolvedRecipient& part : frame.recipients()) {
            deliveries.at(part.index()) += part.deliveries_size();
            failures += part.has_failure() ? 1 : 0;
        }
    }
    CHECK(deliveries == std::vector<int>{1000, 0, 1000});
    CHECK(failures == 1);
    CHECK(split_into_frames({}).size() == 1);
}

}  // namespace postrider::router
