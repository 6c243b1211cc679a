#include "queue-manager/message.h"

#include <catch2/catch.hpp>

using namespace postrider;
using namespace postrider::queue_manager;

namespace {

ActiveDelivery delivery(std::uint32_t number, const std::string& recipient, const std::string& next_hop) {
    ActiveDelivery made;
    made.delivery.set_number(number);
    made.delivery.set_recipient(recipient);
    made.delivery.set_next_hop(next_hop);
    return made;
}

Message message_to(std::initializer_list<const char*> recipients) {
    wire::Envelope envelope;
    envelope.set_sender("s@example.org");
    for (const char* address : recipients)
        envelope.add_recipients()->set_address(address);
    return {queue_file::Header(), std::move(envelope), Fd()};
}

}  // namespace

TEST_CASE("a new message has its recipients to resolve") {
    auto message = message_to({"a@example.org", "b@example.org"});
    CHECK(message.unresolved == std::vector<std::uint32_t>{0, 1});
    CHECK_FALSE(message.finished());
    CHECK_FALSE(message.busy());
    CHECK(message.next_due() == 0);
    message.resolving = true;
    CHECK(message.next_due() == kNever);
    CHECK(message.busy());
}

TEST_CASE("a message is finished when every delivery has ended and everyone was told") {
    auto message = message_to({"a@example.org"});
    message.unresolved.clear();
    message.add_delivery(delivery(1, "a@example.org", "x"));
    message.add_delivery(delivery(4, "b@example.org", "y"));
    CHECK(message.find(2) == nullptr);
    CHECK(message.find(5) == nullptr);
    REQUIRE(message.find(4) != nullptr);
    message.set_phase(*message.find(1), Phase::InFlight);
    CHECK(message.busy());
    message.set_phase(*message.find(1), Phase::Delivered);
    message.set_phase(*message.find(4), Phase::FailedUnsaid);
    CHECK_FALSE(message.busy());
    CHECK_FALSE(message.finished());
    CHECK(message.unsaid(false) == std::vector<std::uint32_t>{4});
    message.set_phase(*message.find(4), Phase::Failed);
    CHECK(message.finished());
    message.set_success_unsaid(*message.find(1), true);
    CHECK_FALSE(message.finished());
    CHECK(message.unsaid(true) == std::vector<std::uint32_t>{1});
}

TEST_CASE("a message read from its file continues where its journal ends") {
    queue_file::QueueFile file;
    file.envelope.set_sender("s@example.org");
    for (int i = 0; i < 3; ++i)
        file.envelope.add_recipients()->set_address("r@example.org");
    file.journal = queue_file::JournalState(3);
    wire::JournalRecord record;
    record.mutable_resolved()->set_recipient(1);
    for (std::uint32_t number : {1U, 2U, 3U})
        record.mutable_resolved()->add_deliveries()->set_number(number);
    file.journal.apply(record);
    record.Clear();
    record.mutable_attempt()->set_next_attempt_ms(5000);
    auto* done = record.mutable_attempt()->add_results();
    done->set_number(1);
    done->set_outcome(wire::DeliveryResult::DELIVERED);
    record.mutable_attempt()->add_results()->set_number(2);
    file.journal.apply(record);

    Message message(std::move(file), Folder::Cur, Fd());
    CHECK(message.unresolved == std::vector<std::uint32_t>{0, 2});
    CHECK(message.find(1)->phase == Phase::Delivered);
    CHECK(message.find(2)->phase == Phase::Waiting);
    CHECK(message.find(2)->due == 5000);
    CHECK(message.find(2)->attempts == 1);
    CHECK(message.find(3)->due == 0);
    CHECK(message.next_number == 4);
    CHECK(message.count(Phase::Waiting) == 2);
}

TEST_CASE("a failure of which nobody could be told keeps the file") {
    for (bool reported : {false, true}) {
        queue_file::QueueFile file;
        file.envelope.add_recipients()->set_address("r@example.org");
        file.journal = queue_file::JournalState(1);
        wire::JournalRecord record;
        record.mutable_resolved()->add_deliveries()->set_number(1);
        file.journal.apply(record);
        record.mutable_attempt()->add_results()->set_number(1);
        record.mutable_attempt()->mutable_results(0)->set_outcome(wire::DeliveryResult::FAILED);
        file.journal.apply(record);
        record.mutable_report()->add_deliveries(1);
        if (reported) file.journal.apply(record);
        Message message(std::move(file), Folder::Cur, Fd());
        CHECK(message.finished());
        CHECK(message.keep_as_failed == !reported);
    }
}

TEST_CASE("a success of which the sender has not heard is told after a restart, once") {
    struct Case {
        const char* sender;
        std::uint32_t notify;
        wire::Transport transport;
        wire::DeliveryResult::Outcome outcome;
        bool passed_on, reported, unsaid, expansion;
    };
    constexpr auto kDelivered = wire::DeliveryResult::DELIVERED;
    constexpr auto kRelayed = wire::DeliveryResult::RELAYED;
    constexpr auto kSmtp = wire::TRANSPORT_SMTP;
    for (const auto& test :
         {Case{"s@a.test", kNotifySuccess, kSmtp, kDelivered, false, false, true, false},
          Case{"s@a.test", kNotifySuccess, kSmtp, kDelivered, false, true, false, false},
          Case{"s@a.test", kNotifySuccess, kSmtp, kRelayed, false, false, true, false},
          Case{"s@a.test", kNotifySuccess, kSmtp, kRelayed, true, false, false, false},
          Case{"s@a.test", kNotifyFailure, kSmtp, kDelivered, false, false, false, false},
          Case{"", kNotifySuccess, kSmtp, kDelivered, false, false, false, false},
          // The forward file's destinations tell of themselves, or of him by TRANSPORT_ALIAS.
          Case{"s@a.test", kNotifySuccess, wire::TRANSPORT_MAILDIR, wire::DeliveryResult::EXPANDED, false,
               false, false, false},
          Case{"s@a.test", kNotifySuccess, wire::TRANSPORT_ALIAS, kDelivered, false, false, true, true},
          Case{"s@a.test", kNotifySuccess, wire::TRANSPORT_ALIAS, kDelivered, false, true, false, false},
          Case{"s@a.test", kNotifySuccess, wire::TRANSPORT_LIST, kDelivered, false, false, true, true}}) {
        CAPTURE(test.sender, test.notify, test.transport, test.outcome, test.passed_on, test.reported);
        queue_file::QueueFile file;
        file.envelope.set_sender(test.sender);
        file.envelope.add_recipients()->set_address("r@example.org");
        file.journal = queue_file::JournalState(1);
        wire::JournalRecord record;
        auto* resolved = record.mutable_resolved()->add_deliveries();
        resolved->set_number(1);
        resolved->set_transport(test.transport);
        resolved->set_notify(test.notify);
        file.journal.apply(record);
        auto* ended = record.mutable_attempt()->add_results();
        ended->set_number(1);
        ended->set_outcome(test.outcome);
        ended->set_dsn_passed_on(test.passed_on);
        file.journal.apply(record);
        if (test.outcome == wire::DeliveryResult::EXPANDED) {
            record.mutable_resolved()->set_delivery(1);
            file.journal.apply(record);
        }
        record.mutable_report()->add_deliveries(1);
        if (test.reported) file.journal.apply(record);
        Message message(std::move(file), Folder::New, Fd());
        CHECK(message.find(1)->phase == Phase::Delivered);
        CHECK(message.has_unsaid_success() == test.unsaid);
        CHECK(message.has_unsaid_expansion() == test.expansion);
        CHECK(message.finished() == !test.unsaid);
        if (!test.unsaid) continue;
        message.set_success_unsaid(*message.find(1), false);
        CHECK_FALSE(message.has_unsaid_expansion());
        CHECK(message.finished());
    }
}

TEST_CASE("who is told of what follows NOTIFY") {
    struct Case {
        std::uint32_t notify;
        bool failure, delay, success;
    };
    for (const auto& test :
         {Case{0, true, true, false}, Case{kNotifyNever, false, false, false},
          Case{kNotifyFailure, true, false, false}, Case{kNotifyDelay, false, true, false},
          Case{kNotifySuccess, false, false, true}, Case{kNotifyFailure | kNotifyDelay, true, true, false},
          Case{kNotifySuccess | kNotifyFailure | kNotifyDelay, true, true, true},
          Case{kNotifyNever | kNotifyFailure, false, false, false}}) {
        CHECK(wants_failure_report(test.notify) == test.failure);
        CHECK(wants_delay_report(test.notify) == test.delay);
        CHECK(wants_success_report(test.notify) == test.success);
    }
}

TEST_CASE("a sender is told once of what is late, if he wants to know, and it is") {
    auto message = message_to({"a@example.org", "b@example.org", "c@example.org"});
    message.unresolved = {1, 2};
    message.envelope.mutable_recipients(1)->set_notify(kNotifyDelay);
    message.envelope.mutable_recipients(2)->set_notify(kNotifyFailure);
    for (std::uint32_t number = 1; number <= 7; ++number)
        message.add_delivery(delivery(number, "a@example.org", "x"));
    message.find(2)->delivery.set_notify(kNotifyFailure);
    message.find(3)->delivery.set_has_sender(true);
    message.find(4)->held = true;
    message.find(5)->delay_told = true;
    message.set_phase(*message.find(6), Phase::Delivered);
    message.find(7)->delivery.set_notify(kNotifyDelay | kNotifySuccess);
    CHECK(message.untold_delays() == std::vector<std::uint32_t>{1, 7});
    CHECK(message.untold_unresolved() == std::vector<std::uint32_t>{1});
    message.delayed_recipients.insert(1);
    CHECK(message.untold_unresolved().empty());
}

TEST_CASE("a message is about the domains and next hops of what is still open") {
    auto message = message_to({"A@Example.ORG", "nodomain"});
    message.add_delivery(delivery(1, "x@done.example", "done.example"));
    message.add_delivery(delivery(2, "y@open.example", "relay.example:25"));
    message.set_phase(*message.find(1), Phase::Delivered);
    CHECK(topics_of(message) == std::vector<std::string>{"example.org", "open.example", "relay.example:25"});
    CHECK_FALSE(only_next_hop(message));
    message.unresolved.clear();
    CHECK(only_next_hop(message) == "relay.example:25");
    message.add_delivery(delivery(3, "z@open.example", "elsewhere"));
    CHECK_FALSE(only_next_hop(message));
}
