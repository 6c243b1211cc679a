#include "queue-manager/outcome.h"

#include <catch2/catch.hpp>

#include "queue-manager/resolver.h"

using namespace postrider;
using namespace postrider::queue_manager;

namespace {

constexpr UnixMillis kArrival = 1'700'000'000'000;
constexpr UnixMillis kDay = 86'400'000;
const JitterSource kNone = [] { return 0.0; };

Message message_from(const std::string& sender, int recipients = 1) {
    wire::Envelope envelope;
    envelope.set_sender(sender);
    envelope.set_arrival_ms(kArrival);
    for (int i = 0; i < recipients; ++i) {
        envelope.add_recipients()->set_address("r" + std::to_string(i) + "@example.org");
    }
    return {queue_file::Header(), std::move(envelope), Fd()};
}

wire::DeliveryResult result(wire::DeliveryResult::Outcome outcome, const std::string& text = "said so") {
    wire::DeliveryResult made;
    made.set_outcome(outcome);
    made.set_status("4.4.1");
    made.set_text(text);
    return made;
}

}  // namespace

TEST_CASE("a result decides what becomes of a delivery") {
    Settings settings;
    auto message = message_from("s@example.org");
    ActiveDelivery delivery;
    using Result = wire::DeliveryResult;
    auto phase = [&](Result::Outcome outcome, UnixMillis now) {
        return judge(settings, message, delivery, result(outcome), now, kNone).phase;
    };
    CHECK(phase(Result::DELIVERED, kArrival) == Phase::Delivered);
    CHECK(phase(Result::RELAYED, kArrival) == Phase::Delivered);
    CHECK(phase(Result::FAILED, kArrival) == Phase::FailedUnsaid);
    CHECK(phase(Result::DEFERRED, kArrival) == Phase::Waiting);
    CHECK(phase(static_cast<Result::Outcome>(99), kArrival) == Phase::Waiting);
    CHECK(phase(Result::DEFERRED, kArrival + 5 * kDay) == Phase::FailedUnsaid);
    auto expired = judge(settings, message, delivery, result(Result::DEFERRED), kArrival + 6 * kDay, kNone);
    CHECK(expired.result.status() == "5.4.7");
    CHECK_THAT(expired.result.text(), Catch::Contains("4.4.1 said so"));
}

TEST_CASE("a route's own schedule and lifetime count") {
    Settings settings;
    auto message = message_from("s@example.org");
    ActiveDelivery delivery;
    delivery.delivery.add_retry_seconds(60);
    delivery.delivery.add_retry_seconds(0);  // never without a pause
    delivery.delivery.set_lifetime_seconds(3600);
    auto deferred = result(wire::DeliveryResult::DEFERRED);
    CHECK(judge(settings, message, delivery, deferred, kArrival, kNone).due == kArrival + 60'000);
    delivery.attempts = 1;
    CHECK(judge(settings, message, delivery, deferred, kArrival, kNone).due == kArrival + 1'000);
    CHECK(judge(settings, message, delivery, deferred, kArrival + 3'600'000, kNone).phase ==
          Phase::FailedUnsaid);
}

TEST_CASE("what a peer says is bounded") {
    Settings settings;
    auto message = message_from("s@example.org");
    auto judged = judge(settings, message, ActiveDelivery(),
                        result(wire::DeliveryResult::FAILED, std::string(100'000, 'x')), kArrival, kNone);
    CHECK(judged.result.text().size() == 2048);
}

TEST_CASE("a success is reported when it was asked for and nobody else does") {
    Settings settings;
    struct Case {
        const char* sender;
        std::uint32_t notify;
        wire::DeliveryResult::Outcome outcome;
        bool passed_on;
        bool reported;
    };
    for (const auto& test : {Case{"s@a.test", kNotifySuccess, wire::DeliveryResult::DELIVERED, false, true},
                             Case{"s@a.test", kNotifySuccess, wire::DeliveryResult::RELAYED, false, true},
                             Case{"s@a.test", kNotifySuccess, wire::DeliveryResult::RELAYED, true, false},
                             Case{"s@a.test", 0, wire::DeliveryResult::DELIVERED, false, false},
                             Case{"", kNotifySuccess, wire::DeliveryResult::DELIVERED, false, false}}) {
        auto message = message_from(test.sender);
        ActiveDelivery delivery;
        delivery.delivery.set_notify(test.notify);
        auto said = result(test.outcome);
        said.set_dsn_passed_on(test.passed_on);
        CHECK(judge(settings, message, delivery, said, kArrival, kNone).report_success == test.reported);
    }
}

TEST_CASE("a failed report is told to somebody although it says NOTIFY=NEVER") {
    auto message = message_from("");
    ActiveDelivery delivery;
    delivery.delivery.set_notify(kNotifyNever);
    CHECK_FALSE(failure_is_told(message, delivery));
    message.envelope.set_report(true);
    CHECK(failure_is_told(message, delivery));
}

TEST_CASE("failures that are not reported yet are not journalled") {
    std::vector<Judgement> judgements(5);
    judgements[0].phase = Phase::Delivered;
    judgements[1].phase = Phase::FailedUnsaid;
    judgements[2].phase = Phase::Failed;
    judgements[3].due = 5000;
    judgements[4].due = 6000;
    for (std::uint32_t i = 0; i < 5; ++i)
        judgements[i].result.set_number(i + 1);
    auto records = attempt_records(judgements, kArrival);
    REQUIRE(records.size() == 3);
    CHECK(records[0].attempt().results_size() == 2);
    CHECK(records[0].attempt().next_attempt_ms() == 0);
    CHECK(records[1].attempt().next_attempt_ms() == 5000);
    CHECK(records[2].attempt().results(0).number() == 5);
    CHECK(attempt_records({}, kArrival).empty());
}

TEST_CASE("an error of a route is split into status and text") {
    wire::Delivery delivery;
    delivery.set_number(3);
    struct Case {
        const char* error;
        const char* status;
        const char* text;
    };
    for (const auto& test :
         {Case{"5.1.1 no such user", "5.1.1", "no such user"}, Case{"no such user", "5.0.0", "no such user"},
          Case{"", "5.0.0", ""}, Case{"5.7.1", "5.7.1", ""}, Case{"550 5.1.1 x", "5.0.0", "550 5.1.1 x"}}) {
        delivery.set_transport(wire::TRANSPORT_ERROR);
        delivery.set_error_text(test.error);
        auto failed = *result_without_agent(delivery);
        CHECK(failed.number() == 3);
        CHECK(failed.outcome() == wire::DeliveryResult::FAILED);
        CHECK(failed.status() == test.status);
        CHECK(failed.text() == test.text);
    }
}

TEST_CASE("what needs no agent ends by itself") {
    struct Case {
        wire::Transport transport;
        bool is_expansion;
        const char* text;  // nullptr: an agent has to say
    };
    for (const auto& test :
         {Case{wire::TRANSPORT_SMTP, false, nullptr}, Case{wire::TRANSPORT_MAILDIR, false, nullptr},
          Case{wire::TRANSPORT_PROGRAM, false, nullptr}, Case{wire::TRANSPORT_FILE, false, nullptr},
          Case{wire::TRANSPORT_DISCARD, false, "discarded"},
          Case{wire::TRANSPORT_ALIAS, true, "sent on to several addresses"},
          Case{wire::TRANSPORT_LIST, true, "sent to the members of the list"}}) {
        CAPTURE(test.transport);
        wire::Delivery delivery;
        delivery.set_number(5);
        delivery.set_transport(test.transport);
        CHECK(is_expansion(delivery) == test.is_expansion);
        auto ended = result_without_agent(delivery);
        REQUIRE(ended.has_value() == (test.text != nullptr));
        if (!ended) continue;
        CHECK(ended->number() == 5);
        CHECK(ended->outcome() == wire::DeliveryResult::DELIVERED);
        CHECK(ended->status() == "2.0.0");
        CHECK(ended->text() == test.text);
    }
}

TEST_CASE("resolutions become deliveries with numbers, and records before them") {
    Settings settings;
    auto message = message_from("s@example.org", 4);
    message.next_number = 7;
    std::vector<Resolution> resolutions(4);
    resolutions[0].deliveries.resize(2);
    resolutions[0].deliveries[0].set_transport(wire::TRANSPORT_SMTP);
    resolutions[0].deliveries[1].set_transport(static_cast<wire::Transport>(99));
    resolutions[1].error = Error(Severity::Permanent, "5.1.1 no such user");
    resolutions[2].error = Error(Severity::Temporary, "4.4.3 busy");
    resolutions[3].deliveries.resize(1);
    resolutions[3].deliveries[0].set_transport(wire::TRANSPORT_MAILDIR);
    resolutions[3].deliveries[0].mutable_local()->set_path(std::string(100'000, 'x'));
    auto plan = plan_resolution(settings, message, {0, 1, 2, 3}, resolutions, kArrival);
    CHECK(plan.recipients == std::vector<std::uint32_t>{0, 1, 3});
    REQUIRE(plan.deliveries.size() == 4);
    CHECK(plan.deliveries[0].number() == 7);
    CHECK(plan.deliveries[3].number() == 10);
    CHECK(plan.deliveries[0].transport() == wire::TRANSPORT_SMTP);
    CHECK(plan.deliveries[1].transport() == wire::TRANSPORT_ERROR);
    CHECK(plan.deliveries[2].transport() == wire::TRANSPORT_ERROR);
    CHECK(plan.deliveries[3].transport() == wire::TRANSPORT_ERROR);
    CHECK(plan.error == "4.4.3 busy");
    CHECK(plan.records.size() == 3);
    CHECK(message.deliveries.empty());
    apply_resolution(message, plan);
    CHECK(message.unresolved == std::vector<std::uint32_t>{2});
    CHECK(message.next_number == 11);
    CHECK(message.resolve_error == "4.4.3 busy");

    // When its time is over the recipient fails instead of being asked about for ever.
    std::vector<Resolution> again(1);
    again[0].error = Error(Severity::Temporary, "4.4.3 busy");
    plan = plan_resolution(settings, message, {2}, again, kArrival + 5 * kDay);
    REQUIRE(plan.deliveries.size() == 1);
    CHECK_THAT(plan.deliveries[0].error_text(), Catch::StartsWith("5.4.7 "));
}

TEST_CASE("the records of a large expansion are bounded and complete") {
    Settings settings;
    auto message = message_from("s@example.org");
    std::vector<Resolution> resolutions(1);
    resolutions[0].deliveries.resize(5000);
    for (auto& delivery : resolutions[0].deliveries) {
        delivery.set_recipient(std::string(200, 'r'));
        delivery.set_transport(wire::TRANSPORT_SMTP);
    }
    auto plan = plan_resolution(settings, message, {0}, resolutions, kArrival);
    CHECK(plan.records.size() > 1);
    queue_file::JournalState state(1);
    for (std::size_t i = 0; i < plan.records.size(); ++i) {
        CHECK(plan.records[i].ByteSizeLong() < queue_file::kMaxRecordPayload);
        CHECK_FALSE(state.resolved(0));
        state.apply(plan.records[i]);
    }
    CHECK(state.resolved(0));
    CHECK(state.deliveries().size() == 5000);
}

TEST_CASE("a question holds as many recipients as a frame") {
    auto message = message_from("s@example.org", 1200);
    CHECK(question_size(message.envelope, message.unresolved, 0) == 500);
    CHECK(question_size(message.envelope, message.unresolved, 1000) == 200);
    CHECK(question_size(message.envelope, message.unresolved, 1200) == 0);
    for (auto& recipient : *message.envelope.mutable_recipients())
        recipient.set_orcpt(std::string(4000, 'x'));
    std::size_t some = question_size(message.envelope, message.unresolved, 0);
    CHECK(some > 1);
    CHECK(some < 16);
}

TEST_CASE("the frames of an answer are put together, and odd ones do no harm") {
    wire::Resolved first;
    wire::Resolved second;
    auto* one = first.add_recipients();
    one->set_index(1);
    one->add_deliveries()->set_recipient("a");
    first.add_recipients()->set_index(77);
    auto* rest = second.add_recipients();
    rest->set_index(1);
    rest->add_deliveries()->set_recipient("b");
    auto* refused = second.add_recipients();
    refused->set_index(0);
    refused->mutable_failure()->set_text("5.1.1 no");
    auto merged = merge_answers(3, {&first, &second});
    REQUIRE(merged.size() == 3);
    CHECK(merged[1].deliveries.size() == 2);
    CHECK_FALSE(merged[0].error.temporary());
    CHECK(merged[2].deliveries.empty());
    CHECK(merged[2].error.temporary());
}

namespace {

/// A delivery to a mailbox that may have a forward file.
wire::Delivery forwarding_delivery(std::uint32_t number) {
    wire::Delivery delivery;
    delivery.set_number(number);
    delivery.set_recipient("alice@example.org");
    delivery.set_original_recipient("r0@example.org");
    delivery.set_transport(wire::TRANSPORT_MAILDIR);
    delivery.mutable_local()->add_forward_files("/home/alice/.forward");
    return delivery;
}

wire::DeliveryResult expansion(std::uint32_t number) {
    auto made = result(wire::DeliveryResult::EXPANDED, "/home/alice/.forward");
    made.set_number(number);
    made.add_forwarded()->set_text("bob@example.org");
    return made;
}

wire::Delivery to(const std::string& address) {
    wire::Delivery delivery;
    delivery.set_recipient(address);
    delivery.set_transport(wire::TRANSPORT_SMTP);
    delivery.set_next_hop("example.org");
    return delivery;
}

/// The state that a restart finds after these records.
Message restarted(const std::vector<wire::JournalRecord>& records) {
    queue_file::QueueFile file;
    file.envelope.set_sender("s@example.org");
    file.envelope.add_recipients()->set_address("r0@example.org");
    file.journal = queue_file::JournalState(1);
    for (const auto& record : records)
        file.journal.apply(record);
    return {std::move(file), Folder::New, Fd()};
}

}  // namespace

TEST_CASE("only a delivery with a forward file is replaced by one") {
    Settings settings;
    auto message = message_from("s@example.org");
    ActiveDelivery delivery;
    delivery.delivery = forwarding_delivery(1);
    auto phase = [&](wire::DeliveryResult given) {
        return judge(settings, message, delivery, std::move(given), kArrival, kNone).phase;
    };
    CHECK(phase(expansion(1)) == Phase::Expanding);
    auto nothing = expansion(1);
    nothing.clear_forwarded();
    CHECK(phase(nothing) == Phase::Waiting);
    auto huge = expansion(1);
    huge.mutable_forwarded(0)->set_text(std::string(30'000, 'x'));
    CHECK(phase(huge) == Phase::Waiting);
    delivery.delivery.mutable_local()->clear_forward_files();
    CHECK(phase(expansion(1)) == Phase::Waiting);
}

TEST_CASE("a forward file is followed to its end, whatever record a restart finds last") {
    Settings settings;
    std::vector<wire::JournalRecord> records(1);
    *records[0].mutable_resolved()->add_deliveries() = forwarding_delivery(1);
    CHECK(restarted(records).find(1)->phase == Phase::Waiting);

    auto message = restarted(records);
    auto judged = judge(settings, message, *message.find(1), expansion(1), kArrival, kNone);
    records.push_back(attempt_records({judged}, kArrival).front());
    message = restarted(records);
    CHECK_FALSE(message.finished());
    CHECK(message.undecided());
    CHECK(message.next_due() == 0);
    REQUIRE(message.find(1)->phase == Phase::Expanding);
    CHECK(message.find(1)->last_result.forwarded(0).text() == "bob@example.org");

    Resolution nobody;
    nobody.error = Error(Severity::Temporary, "not now");
    auto plan = plan_expansion(settings, message, *message.find(1), nobody, message.envelope.arrival_ms());
    CHECK(plan.records.empty());
    apply_resolution(message, plan);
    CHECK(message.undecided());

    Resolution answer;
    answer.deliveries = {to("bob@example.org"), to("carol@example.org"), to("bob@example.org")};
    plan = plan_expansion(settings, message, *message.find(1), answer, message.envelope.arrival_ms());
    REQUIRE(plan.records.size() == 1);
    // A part of the answer alone is not believed.
    auto part = records;
    part.push_back(plan.records[0]);
    part.back().mutable_resolved()->set_more(true);
    CHECK(restarted(part).undecided());
    records.push_back(plan.records[0]);
    apply_resolution(message, plan);
    for (auto* each : {&message}) {
        CHECK_FALSE(each->undecided());
        CHECK_FALSE(each->finished());
        CHECK(each->deliveries.size() == 3);
    }
    message = restarted(records);
    CHECK(message.find(1)->phase == Phase::Delivered);
    REQUIRE(message.deliveries.size() == 3);
    CHECK(message.find(2)->phase == Phase::Waiting);
    CHECK(message.find(3)->delivery.recipient() == "carol@example.org");
    message.set_phase(*message.find(2), Phase::Delivered);
    CHECK_FALSE(message.finished());
    message.set_phase(*message.find(3), Phase::Delivered);
    CHECK(message.finished());
}

TEST_CASE("what two ways lead to is delivered once, and both are told of") {
    Settings settings;
    auto message = message_from("s@example.org");
    message.unresolved.clear();
    for (std::uint32_t number : {1U, 2U}) {
        ActiveDelivery replaced;
        replaced.delivery = forwarding_delivery(number);
        replaced.phase = Phase::Expanding;
        message.add_delivery(replaced);
    }
    message.next_number = 3;
    Resolution answer;
    answer.deliveries = {to("bob@example.org"), to("carol@example.org"), to("alice@example.org")};
    answer.deliveries[2].set_transport(wire::TRANSPORT_ALIAS);
    apply_resolution(message, plan_expansion(settings, message, *message.find(1), answer, kArrival));
    CHECK(message.deliveries.size() == 5);
    apply_resolution(message, plan_expansion(settings, message, *message.find(2), answer, kArrival));
    REQUIRE(message.deliveries.size() == 8);
    CHECK(message.deliveries[5].delivery.same_as() == 3);
    CHECK(message.deliveries[6].delivery.same_as() == 4);
    CHECK(message.deliveries[7].delivery.same_as() == 0);
    CHECK(message.deliveries[7].delivery.transport() == wire::TRANSPORT_ALIAS);
    CHECK(message.follows(message.deliveries[5]));
    // Whose wishes are others than the next host hears gets his own copy.
    ActiveDelivery third;
    third.delivery = forwarding_delivery(9);
    third.phase = Phase::Expanding;
    message.add_delivery(third);
    message.next_number = 10;
    answer.deliveries[0].set_notify(kNotifyNever);
    answer.deliveries[1].set_orcpt("rfc822;other@example.org");
    auto plan = plan_expansion(settings, message, *message.find(9), answer, kArrival);
    REQUIRE(plan.deliveries.size() == 3);
    CHECK(plan.deliveries[0].same_as() == 0);
    CHECK(plan.deliveries[1].same_as() == 0);
}

TEST_CASE("two recipients of a message with the same mailbox share what becomes of one copy") {
    const Settings settings;
    auto message = message_from("s@example.org");
    message.unresolved.clear();
    for (int i = 0; i < 3; ++i) {
        message.envelope.add_recipients()->set_address("r@example.org");
        message.unresolved.push_back(static_cast<std::uint32_t>(i));
    }
    const auto mailbox = [](std::uint32_t notify) {
        wire::Delivery delivery = forwarding_delivery(0);
        delivery.set_notify(notify);
        return delivery;
    };
    std::vector<Resolution> resolutions(2);
    resolutions[0].deliveries = {mailbox(kNotifySuccess), to("x@example.org")};
    resolutions[1].deliveries = {mailbox(kNotifyFailure), to("x@example.org")};
    resolutions[1].deliveries[1].set_notify(kNotifyFailure);
    apply_resolution(message, plan_resolution(settings, message, {0, 1}, resolutions, kArrival));
    REQUIRE(message.deliveries.size() == 4);
    CHECK(message.find(3)->delivery.same_as() == 1);
    CHECK(message.find(4)->delivery.same_as() == 0);
    CHECK(message.has_followers());

    // One that is resolved later shares it, too, unless it failed or became something else.
    struct Case {
        Phase phase;
        wire::DeliveryResult::Outcome outcome;
        std::uint32_t same_as;
    };
    for (const auto& test : {Case{Phase::Waiting, wire::DeliveryResult::DEFERRED, 1},
                             Case{Phase::InFlight, wire::DeliveryResult::DEFERRED, 1},
                             Case{Phase::Delivered, wire::DeliveryResult::DELIVERED, 1},
                             Case{Phase::Failed, wire::DeliveryResult::FAILED, 0},
                             Case{Phase::FailedUnsaid, wire::DeliveryResult::FAILED, 0},
                             Case{Phase::Expanding, wire::DeliveryResult::EXPANDED, 0},
                             Case{Phase::Delivered, wire::DeliveryResult::EXPANDED, 0}}) {
        message.set_phase(*message.find(1), test.phase);
        message.find(1)->last_result.set_outcome(test.outcome);
        std::vector<Resolution> later(1);
        later[0].deliveries = {mailbox(0)};
        auto plan = plan_resolution(settings, message, {2}, later, kArrival);
        REQUIRE(plan.deliveries.size() == 1);
        CHECK(plan.deliveries[0].same_as() == test.same_as);
        // Who waits for a result gets it, or sees to himself when there will be none.
        const bool open = test.phase == Phase::Waiting || test.phase == Phase::InFlight;
        CHECK(message.follows(*message.find(3)) == open);
        const bool replaced = test.outcome == wire::DeliveryResult::EXPANDED;
        CHECK((message.leader_of(*message.find(3)) == nullptr) == replaced);
    }
}

TEST_CASE("what a recipient of whom the sender knows that he is late becomes is known to be late") {
    const Settings settings;
    auto message = message_from("s@example.org");
    message.unresolved = {0};
    message.envelope.add_recipients()->set_address("r@example.org");
    message.delayed_recipients = {0};
    std::vector<Resolution> resolutions(1);
    resolutions[0].deliveries = {to("x@example.org"), forwarding_delivery(0)};
    apply_resolution(message, plan_resolution(settings, message, {0}, resolutions, kArrival));
    CHECK(message.find(1)->delay_told);
    CHECK(message.untold_delays().empty());
    message.set_phase(*message.find(2), Phase::Expanding);
    Resolution answer;
    answer.deliveries = {to("y@example.org")};
    apply_resolution(message, plan_expansion(settings, message, *message.find(2), answer, kArrival));
    CHECK(message.find(3)->delay_told);
}

TEST_CASE("forward files that lead to each other only are read until somebody hears of the circle") {
    const Settings settings;
    auto message = message_from("s@example.org");
    message.unresolved.clear();
    const auto mailbox_of = [](std::uint32_t number, const std::string& user) {
        wire::Delivery delivery = forwarding_delivery(number);
        delivery.set_recipient(user + "@example.org");
        delivery.mutable_local()->set_user(user);
        return delivery;
    };
    for (const auto& [number, user] : {std::pair(1U, "alice"), std::pair(2U, "carol")}) {
        ActiveDelivery replaced;
        replaced.delivery = mailbox_of(number, user);
        replaced.phase = Phase::Expanding;
        replaced.last_result.set_outcome(wire::DeliveryResult::EXPANDED);
        message.add_delivery(replaced);
    }
    message.next_number = 3;
    Resolution to_carol;
    to_carol.deliveries = {mailbox_of(0, "carol")};
    Resolution to_alice;
    to_alice.deliveries = {mailbox_of(0, "alice")};
    // Carol's file will be read, and say who hears of it.
    apply_resolution(message, plan_expansion(settings, message, *message.find(1), to_carol, kArrival));
    CHECK(message.deliveries.size() == 2);
    // Alice's was: it is read once more behind Carol's, since nobody else is there.
    auto plan = plan_expansion(settings, message, *message.find(2), to_alice, kArrival);
    REQUIRE(plan.deliveries.size() == 1);
    CHECK(plan.deliveries[0].recipient() == "alice@example.org");
    // With somebody else it need not be, and not if somebody has it already.
    to_alice.deliveries.push_back(to("dave@example.org"));
    plan = plan_expansion(settings, message, *message.find(2), to_alice, kArrival);
    REQUIRE(plan.deliveries.size() == 1);
    CHECK(plan.deliveries[0].recipient() == "dave@example.org");
    ActiveDelivery dave;
    dave.delivery = to("dave@example.org");
    dave.delivery.set_number(3);
    dave.phase = Phase::Delivered;
    message.add_delivery(dave);
    plan = plan_expansion(settings, message, *message.find(2), to_alice, kArrival);
    REQUIRE(plan.deliveries.size() == 1);
    CHECK(plan.deliveries[0].same_as() == 3);
}

TEST_CASE("a forward file that leads nowhere is told to the sender") {
    Settings settings;
    auto message = message_from("s@example.org");
    message.unresolved.clear();
    ActiveDelivery replaced;
    replaced.delivery = forwarding_delivery(1);
    replaced.phase = Phase::Expanding;
    message.add_delivery(replaced);
    Resolution loop;
    loop.error = Error(Severity::Permanent, "5.4.6 alias loop");
    auto plan = plan_expansion(settings, message, replaced, loop, kArrival);
    REQUIRE(plan.deliveries.size() == 1);
    CHECK(result_without_agent(plan.deliveries[0])->status() == "5.4.6");
    CHECK(plan.deliveries[0].recipient() == "alice@example.org");
    Resolution silence;
    silence.error = Error(Severity::Temporary, "not now");
    plan = plan_expansion(settings, message, replaced, silence, kArrival + 6 * kDay);
    REQUIRE(plan.deliveries.size() == 1);
    CHECK(result_without_agent(plan.deliveries[0])->status() == "5.4.7");
}
