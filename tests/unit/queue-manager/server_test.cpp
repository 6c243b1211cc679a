#include "queue-manager/server.h"

#include <catch2/catch.hpp>

using namespace postrider;
using namespace postrider::queue_manager;

TEST_CASE("every frame belongs to one kind of peer") {
    using Request = wire::QueueRequest;
    struct Case {
        Request::BodyCase frame;
        bool smtpd, agent, admin;
        bool reader = false;
    };
    for (const auto& test :
         {Case{Request::kOpen, true, false, false}, Case{Request::kMoreRecipients, true, false, false},
          Case{Request::kCommit, true, false, false}, Case{Request::kAbort, true, false, false},
          Case{Request::kAgentReady, false, true, false}, Case{Request::kReport, false, true, false},
          Case{Request::kList, false, false, true, true}, Case{Request::kOpenFile, false, false, true},
          Case{Request::kFlush, false, false, true}, Case{Request::kStatus, false, false, true, true},
          Case{Request::kQuarantine, false, false, true}, Case{Request::kSteer, false, false, true},
          Case{Request::kDestinations, false, false, true, true},
          Case{Request::kShape, false, false, true, true}, Case{Request::kTrace, false, false, true, true},
          Case{Request::kSuspend, false, false, true}, Case{Request::kSuspended, false, false, true, true},
          Case{Request::kHello, false, false, false}, Case{Request::BODY_NOT_SET, false, false, false}}) {
        CHECK(may_send(wire::ROLE_SMTPD, test.frame) == test.smtpd);
        CHECK(may_send(wire::ROLE_LOCAL_DELIVERY, test.frame) == test.agent);
        CHECK(may_send(wire::ROLE_REMOTE_DELIVERY, test.frame) == test.agent);
        CHECK(may_send(wire::ROLE_ADMIN, test.frame) == test.admin);
        CHECK(may_send(wire::ROLE_READER, test.frame) == test.reader);
        CHECK_FALSE(may_send(wire::ROLE_NONE, test.frame));
        CHECK_FALSE(may_send(wire::ROLE_QUEUE_MANAGER, test.frame));
    }
}

TEST_CASE("an agent may take the transports of its role") {
    CHECK(transports_of(wire::ROLE_REMOTE_DELIVERY) == TransportSet().set(wire::TRANSPORT_SMTP));
    CHECK(transports_of(wire::ROLE_LOCAL_DELIVERY).count() == 3);
    CHECK_FALSE(transports_of(wire::ROLE_LOCAL_DELIVERY).test(wire::TRANSPORT_SMTP));
    CHECK(transports_of(wire::ROLE_ADMIN).none());
}

TEST_CASE("an envelope says what smtpd may say, and no more") {
    constexpr UnixMillis kNow = 1'700'000'000'000;
    wire::Envelope good;
    good.add_recipients()->set_address("a@b.test");
    good.set_report(true);
    good.set_double_bounce(true);
    good.set_arrival_ms(1);
    REQUIRE(sanitize_envelope(good, kNow, 10));
    CHECK_FALSE(good.report());
    CHECK_FALSE(good.double_bounce());
    CHECK(good.arrival_ms() == kNow);

    const std::string long_text(5000, 'x');
    std::vector<std::function<void(wire::Envelope&)>> changes = {
        [](wire::Envelope& e) { e.clear_recipients(); },
        [&](wire::Envelope& e) { e.set_sender(long_text); },
        [&](wire::Envelope& e) { e.set_helo(long_text); },
        [&](wire::Envelope& e) { e.set_envid(long_text); },
        [&](wire::Envelope& e) { e.set_quarantine_rule(long_text); },
        [&](wire::Envelope& e) { e.set_quarantine_reason(long_text); },
        [&](wire::Envelope& e) { e.mutable_recipients(0)->set_address(long_text); },
        [](wire::Envelope& e) { e.mutable_recipients(0)->clear_address(); },
        [](wire::Envelope& e) { e.mutable_recipients(0)->set_notify(16); },
        [&](wire::Envelope& e) { e.mutable_recipients(0)->set_orcpt(long_text); },
        [](wire::Envelope& e) {
            for (int i = 0; i < 10; ++i)
                e.add_recipients()->set_address("a@b.test");
        }};
    for (const auto& change : changes) {
        wire::Envelope bad = good;
        change(bad);
        CHECK_FALSE(sanitize_envelope(bad, kNow, 10));
    }
}

TEST_CASE("a free floor is a share, a number, or both") {
    CHECK_FALSE(FreeFloor{}.undercut(0, 1000));
    CHECK(FreeFloor{5, 0}.undercut(49, 1000));
    CHECK_FALSE(FreeFloor{5, 0}.undercut(50, 1000));
    CHECK(FreeFloor{5, 100}.undercut(99, 1000));
    CHECK_FALSE(FreeFloor{5, 100}.undercut(0, 0));  // a file system without a fixed number of inodes
}
