// What follows from the orders of an administrator: for a message that is read, and for its recipients.

#include <catch2/catch.hpp>

#include <string>
#include <utility>
#include <vector>

#include "queue-manager/message.h"
#include "queue-manager/outcome.h"

using namespace postrider;
using namespace postrider::queue_manager;

namespace {

constexpr UnixMillis kThen = 1'700'000'000'000;

wire::Delivery order_delivery(std::uint32_t number, const std::string& recipient,
                              wire::Transport transport = wire::TRANSPORT_SMTP,
                              const std::string& hop = "old") {
    wire::Delivery delivery;
    delivery.set_number(number);
    delivery.set_recipient(recipient);
    delivery.set_transport(transport);
    delivery.set_next_hop(hop);
    return delivery;
}

/// Collects the records of a journal.
class History {
  public:
    void resolve(std::uint32_t recipient, std::vector<wire::Delivery> deliveries) {
        auto& record = *records_.emplace_back().mutable_resolved();
        record.set_recipient(recipient);
        for (auto& delivery : deliveries)
            *record.add_deliveries() = std::move(delivery);
    }
    void expand(std::uint32_t number, wire::Delivery delivery) {
        attempt(number, wire::DeliveryResult::EXPANDED);
        auto& record = *records_.emplace_back().mutable_resolved();
        record.set_delivery(number);
        *record.add_deliveries() = std::move(delivery);
    }
    void attempt(std::uint32_t number, wire::DeliveryResult::Outcome outcome) {
        auto& result = *records_.emplace_back().mutable_attempt()->add_results();
        result.set_number(number);
        result.set_outcome(outcome);
    }
    void order(wire::OrderRecord::Action action, bool silent = false) {
        auto& record = *records_.emplace_back().mutable_order();
        record.set_action(action);
        record.set_time_ms(kThen + 1000);
        record.set_silent(silent);
    }
    /// The message that a restart would make of it.
    [[nodiscard]] Message read(const std::string& sender, int recipients) const {
        queue_file::QueueFile file;
        file.envelope.set_sender(sender);
        file.envelope.set_arrival_ms(kThen);
        for (int i = 0; i < recipients; ++i)
            file.envelope.add_recipients()->set_address("r" + std::to_string(i) + "@x.test");
        file.journal = queue_file::JournalState(static_cast<std::size_t>(recipients));
        for (const auto& record : records_)
            file.journal.apply(record);
        return {std::move(file), Folder::Cur, Fd()};
    }

  private:
    std::vector<wire::JournalRecord> records_;
};

std::vector<std::string> recipients_of(const ResolutionPlan& plan) {
    std::vector<std::string> recipients;
    for (const auto& delivery : plan.deliveries)
        recipients.push_back(delivery.recipient());
    return recipients;
}

}  // namespace

TEST_CASE("a message that is read knows what was ordered") {
    History history;
    history.order(wire::OrderRecord::HOLD);
    CHECK(history.read("s@x.test", 1).hold_order);
    history.order(wire::OrderRecord::RELEASE);
    CHECK_FALSE(history.read("s@x.test", 1).hold_order);
    history.order(wire::OrderRecord::REQUEUE);
    const Message requeued = history.read("s@x.test", 1);
    CHECK(requeued.arrived == kThen);
    CHECK(requeued.envelope.arrival_ms() == kThen + 1000);
}

TEST_CASE("a failure by order is told, unless it shall not be") {
    const Settings settings;
    wire::DeliveryResult failed;
    failed.set_outcome(wire::DeliveryResult::FAILED);
    for (const bool silent : {false, true}) {
        for (const char* sender : {"s@x.test", ""}) {
            History history;
            history.resolve(0, {order_delivery(1, "a@y.test")});
            history.order(wire::OrderRecord::FAIL, silent);
            const Message message = history.read(sender, 1);
            REQUIRE(message.fail_order);
            const auto judgement =
                judge(settings, message, message.deliveries.front(), failed, kThen, [] { return 0.0; });
            CHECK(judgement.phase == (silent ? Phase::Failed : Phase::FailedUnsaid));
            // A restart between the failure and the end of the file: nobody is to be told even then.
            history.attempt(1, wire::DeliveryResult::FAILED);
            const Message again = history.read(sender, 1);
            CHECK(again.keep_as_failed == (!silent && *sender == '\0'));
        }
    }
}

TEST_CASE("who has a message does not get it again when the rest is resolved anew") {
    // team became a, b and c; a has it, b's mailbox was full, c does not exist, which was told.
    History history;
    history.resolve(
        0, {order_delivery(1, "a@y.test"), order_delivery(2, "b@y.test"), order_delivery(3, "c@y.test")});
    history.resolve(1, {order_delivery(4, "a@y.test")});
    history.attempt(1, wire::DeliveryResult::RELAYED);
    history.attempt(3, wire::DeliveryResult::FAILED);
    history.order(wire::OrderRecord::REROUTE);
    const Message message = history.read("s@x.test", 2);
    CHECK(message.unresolved == std::vector<std::uint32_t>{0, 1});
    std::vector<Resolution> answers(2);
    for (const char* recipient : {"a@y.test", "b@y.test", "c@y.test", "d@y.test"})
        answers[0].deliveries.push_back(order_delivery(0, recipient, wire::TRANSPORT_SMTP, "new"));
    answers[1].deliveries.push_back(order_delivery(0, "a@y.test", wire::TRANSPORT_SMTP, "new"));
    const auto plan = plan_resolution(Settings(), message, {0, 1}, answers, kThen);
    // The second recipient is another one, who happens to be a, too, and has nothing yet.
    CHECK(recipients_of(plan) == std::vector<std::string>{"b@y.test", "d@y.test", "a@y.test"});
    CHECK(plan.deliveries.front().number() == 5);
    CHECK(plan.deliveries.front().next_hop() == "new");
}

TEST_CASE("a recipient of whom nothing is left is resolved all the same") {
    History history;
    history.resolve(0, {order_delivery(1, "a@y.test"), order_delivery(2, "b@y.test")});
    history.attempt(1, wire::DeliveryResult::RELAYED);
    history.order(wire::OrderRecord::REROUTE);
    Message message = history.read("s@x.test", 1);
    std::vector<Resolution> answers(1);
    answers[0].deliveries.push_back(order_delivery(0, "a@y.test"));
    auto plan = plan_resolution(Settings(), message, {0}, answers, kThen);
    CHECK(plan.deliveries.empty());
    REQUIRE(plan.records.size() == 1);
    apply_resolution(message, std::move(plan));
    CHECK(message.finished());
}

TEST_CASE("a forward file is read again if what it led to is open") {
    History history;
    history.resolve(0, {order_delivery(1, "u@local.test", wire::TRANSPORT_MAILDIR, "u")});
    history.expand(1, order_delivery(2, "far@away.test"));
    history.order(wire::OrderRecord::REROUTE);
    const Message message = history.read("s@x.test", 1);
    CHECK(message.unresolved.size() == 1);
    std::vector<Resolution> answers(1);
    answers[0].deliveries.push_back(order_delivery(0, "u@local.test", wire::TRANSPORT_MAILDIR, "u"));
    CHECK(plan_resolution(Settings(), message, {0}, answers, kThen).deliveries.size() == 1);
}

TEST_CASE("a message is quiet when nothing of it is under way or unsaid") {
    History history;
    history.resolve(0, {order_delivery(1, "a@y.test")});
    Message message = history.read("s@x.test", 1);
    CHECK(message.quiet());
    for (const Phase phase : {Phase::Ready, Phase::InFlight, Phase::FailedUnsaid}) {
        message.set_phase(message.deliveries.front(), phase);
        CHECK_FALSE(message.quiet());
    }
    message.set_phase(message.deliveries.front(), Phase::Waiting);
    message.unwritten.emplace_back();
    CHECK_FALSE(message.quiet());
}
