#include <catch2/catch.hpp>

#include <string>
#include <vector>

#include "router/resolve.h"
#include "tests/unit/router/table_fixture.h"

namespace postrider::router {

using test::FakeFacts;
using test::tables_of;

namespace {

const std::string kForwardTables =
    "hostname mx2.test\nlocal_domain local.test\nalias_file * aliases\n"
    "virtual_domain v.test maildir:/var/v/%u owner=vmail users=users\n";

std::shared_ptr<const Tables> forward_tables(const std::string& more = "") {
    return tables_of(kForwardTables + more,
                     {{"aliases", "self: alice\nown: bob\nbob: $user, x@remote.test\nback: alice\n"},
                      {"users", "erin\nfrank forward=$user,x@y.test\ngrace forward=x@y.test\n"}});
}

wire::Delivery first_delivery(const Tables& tables, const std::string& address) {
    FakeFacts facts;
    wire::Recipient recipient;
    recipient.set_address(address);
    auto resolved = resolve_recipient(0, recipient, "s@o.test", tables, facts);
    REQUIRE(resolved.deliveries_size() > 0);
    return resolved.deliveries(0);
}

std::vector<std::string> files_of(const wire::Delivery& delivery) {
    const auto& files = delivery.local().forward_files();
    return {files.begin(), files.end()};
}

/// What the forward file of `address` with these destinations leads to.
wire::ResolvedRecipient forwarded(const Tables& tables, const wire::Delivery& delivery,
                                  const std::vector<std::pair<wire::Forwarded::Kind, std::string>>& items) {
    wire::ForwardQuestion question;
    question.set_sender("s@o.test");
    *question.mutable_delivery() = delivery;
    question.set_forward_file("/home/alice/.forward");
    for (const auto& [kind, text] : items) {
        auto& item = *question.add_forwarded();
        item.set_kind(kind);
        item.set_text(text);
    }
    FakeFacts facts;
    return resolve_forward_file(question, tables, facts);
}

using Files = std::vector<std::string>;
constexpr auto kAddress = wire::Forwarded::ADDRESS;
constexpr auto kMailbox = wire::Forwarded::MAILBOX;

}  // namespace

TEST_CASE("T28 which forward file is read") {
    const auto tables = forward_tables();
    const auto alice = first_delivery(*tables, "alice@local.test");
    const std::string home = alice.local().home();
    CHECK(files_of(alice) == Files{home + "/.forward"});
    CHECK(files_of(first_delivery(*tables, "alice+Lists@local.test")) ==
          Files{home + "/.forward+lists", home + "/.forward"});
    CHECK(files_of(first_delivery(*tables, "alice+a/b@local.test")) == Files{home + "/.forward"});
    CHECK(files_of(first_delivery(*tables, "erin@v.test")) == Files{"/var/v/erin.fwd"});
    CHECK(files_of(first_delivery(*tables, "frank@v.test")) == Files{"/var/v/frank.fwd"});
    CHECK(files_of(first_delivery(*tables, "grace@v.test")).empty());
    const auto off = forward_tables("forward_file off\n");
    CHECK(files_of(first_delivery(*off, "alice@local.test")) == Files{home + "/Maildir.fwd"});
}

TEST_CASE("T27 a forward file overrides $user, unless the configuration says otherwise") {
    CHECK_FALSE(files_of(first_delivery(*forward_tables(), "bob@local.test")).empty());
    const auto no = forward_tables("forward_file_overrides_self no\n");
    CHECK(files_of(first_delivery(*no, "bob@local.test")).empty());
    CHECK(files_of(first_delivery(*no, "frank@v.test")).empty());
    CHECK_FALSE(files_of(first_delivery(*no, "alice@local.test")).empty());
}

TEST_CASE("the user himself in his forward file is his mailbox, without the file") {
    const auto tables = forward_tables();
    const auto alice = first_delivery(*tables, "alice+x@local.test");
    for (const auto& [kind, text] : {std::pair(kMailbox, ""),
                                     {kMailbox, "alice"},
                                     {kAddress, "alice"},
                                     {kAddress, "Alice@LOCAL.test"}}) {
        auto resolved = forwarded(*tables, alice, {{kind, text}});
        REQUIRE(resolved.deliveries_size() == 1);
        CHECK(resolved.deliveries(0).transport() == wire::TRANSPORT_MAILDIR);
        CHECK(files_of(resolved.deliveries(0)).empty());
        CHECK(resolved.deliveries(0).local().path() == alice.local().path());
    }
}

TEST_CASE("programs and files of a forward file have the rights of its user") {
    const auto tables = forward_tables();
    const auto alice = first_delivery(*tables, "alice+x@local.test");
    auto resolved =
        forwarded(*tables, alice,
                  {{wire::Forwarded::PROGRAM, "/bin/x 'a b'"}, {wire::Forwarded::FILE, "/home/alice/box"}});
    REQUIRE(resolved.deliveries_size() == 2);
    CHECK(resolved.deliveries(0).transport() == wire::TRANSPORT_PROGRAM);
    for (const auto& delivery : resolved.deliveries()) {
        CHECK(delivery.local().uid() == alice.local().uid());
        CHECK(delivery.local().system_user());
        CHECK(delivery.local().extension() == "x");
    }
}

TEST_CASE("what leads back to a forwarder is dropped, and nothing left is a loop") {
    const auto tables = forward_tables();
    auto bob = first_delivery(*tables, "own@local.test");
    bob.add_forwarded_by("alice@local.test");
    auto resolved = forwarded(*tables, bob, {{kAddress, "alice@local.test"}, {kAddress, "y@remote.test"}});
    REQUIRE(resolved.deliveries_size() == 1);
    CHECK(resolved.deliveries(0).recipient() == "y@remote.test");
    CHECK(resolved.deliveries(0).forwarded_by_size() == 2);
    CHECK(resolved.deliveries(0).forwarded_by(1) == bob.recipient());
    resolved = forwarded(*tables, bob, {{kAddress, "back"}, {kMailbox, "alice"}});
    CHECK_FALSE(resolved.failure().temporary());
    CHECK(resolved.failure().text() == "5.4.6 alias loop");
}

TEST_CASE("a forwarder is known by each name of his domain") {
    const auto tables = forward_tables("alias_domain alias.test -> local.test\n");
    const auto alice = first_delivery(*tables, "alice@alias.test");
    auto resolved = forwarded(*tables, alice, {{kAddress, "ALICE@alias.test"}});
    REQUIRE(resolved.deliveries_size() == 1);
    CHECK(resolved.deliveries(0).local().path() == alice.local().path());
    auto bob = first_delivery(*tables, "own@local.test");
    bob.add_forwarded_by("alice@local.test");
    resolved = forwarded(*tables, bob, {{kAddress, "alice@alias.test"}});
    CHECK(resolved.failure().text() == "5.4.6 alias loop");
}

TEST_CASE("the catch-all has a forward file, but what was written to it has no detail") {
    const auto tables = forward_tables("catchall local.test alice\n");
    const auto caught = first_delivery(*tables, "alicex-y@local.test");
    CHECK(files_of(caught) == Files{caught.local().home() + "/.forward"});
    CHECK(caught.local().extension().empty());
    const auto resolved = forwarded(*tables, caught, {{kMailbox, ""}});
    REQUIRE(resolved.deliveries_size() == 1);
    CHECK(files_of(resolved.deliveries(0)).empty());
    CHECK(resolved.deliveries(0).local().path() == caught.local().path());
}

}  // namespace postrider::router
