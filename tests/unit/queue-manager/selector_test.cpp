#include "queue-manager/selector.h"

#include <catch2/catch.hpp>

#include <functional>

using namespace postrider;
using namespace postrider::queue_manager;

namespace {

constexpr UnixMillis kNow = 1'700'000'000'000;
constexpr UnixMillis kHour = 3'600'000;
constexpr const char* kId = "01HF7YAT00AB3DE5";
constexpr const char* kOther = "01HF7YAT00AB3DE6";

/// One that arrived two hours ago, has been delivered to a@done.test, and waits for the others.
wire::QueueEntry sample() {
    wire::QueueEntry entry;
    entry.set_queue_id(kId);
    entry.set_sender("s@Example.org");
    entry.set_arrival_ms(kNow - 2 * kHour);
    entry.set_state("waiting");
    const auto add = [&](const char* address, const char* state, const char* hop, const char* reply) {
        auto* recipient = entry.add_recipients();
        recipient->set_address(address);
        recipient->set_state(state);
        recipient->set_next_hop(hop);
        recipient->set_last_reply(reply);
    };
    add("a@done.test", "delivered", "done.test", "2.0.0 250 queued");
    add("b@Open.test", "waiting", "relay.test:25", "4.2.2 452 Mailbox full");
    add("c@sub.deep.test", "new", "", "");
    return entry;
}

struct Case {
    std::function<void(wire::Selector&)> set;
    bool matches;
};

}  // namespace

TEST_CASE("a selector matches a message if all that it says holds") {
    const Case cases[] = {
        {[](auto&) {}, true},
        {[](auto& s) { s.add_queue_ids(kId); }, true},
        {[](auto& s) { s.add_queue_ids(kOther); }, false},
        {[](auto& s) {
             s.add_queue_ids(kOther);
             s.add_queue_ids(kId);
         },
         true},
        {[](auto& s) { s.set_sender("S@example.org"); }, true},
        {[](auto& s) { s.set_sender("x@example.org"); }, false},
        {[](auto& s) { s.set_sender("@example.ORG"); }, true},
        {[](auto& s) { s.set_sender("@org"); }, false},
        {[](auto& s) { s.set_null_sender(true); }, false},
        {[](auto& s) { s.set_recipient("A@done.test"); }, true},
        {[](auto& s) { s.set_recipient("@done.test"); }, true},
        {[](auto& s) { s.set_recipient("z@done.test"); }, false},
        {[](auto& s) { s.set_domain("open.test"); }, true},
        {[](auto& s) { s.set_domain("relay.test:25"); }, true},
        {[](auto& s) { s.set_domain("done.test"); }, false},
        {[](auto& s) { s.set_domain("deep.test"); }, false},
        {[](auto& s) {
             s.set_domain("deep.test");
             s.set_subdomains(true);
         },
         true},
        {[](auto& s) {
             s.set_domain("eep.test");
             s.set_subdomains(true);
         },
         false},
        {[](auto& s) { s.set_older_ms(kHour); }, true},
        {[](auto& s) { s.set_older_ms(2 * kHour); }, false},
        {[](auto& s) { s.set_younger_ms(3 * kHour); }, true},
        {[](auto& s) { s.set_younger_ms(2 * kHour); }, false},
        {[](auto& s) { s.add_states("waiting"); }, true},
        {[](auto& s) { s.add_states("held"); }, false},
        {[](auto& s) {
             s.add_states("held");
             s.add_states("waiting");
         },
         true},
        {[](auto& s) { s.set_last_reply("mailbox FULL"); }, true},
        {[](auto& s) { s.set_last_reply("452"); }, true},
        {[](auto& s) { s.set_last_reply("250 queued"); }, false},
        {[](auto& s) {
             s.set_last_reply("full");
             s.set_sender("x@example.org");
         },
         false},
    };
    for (const auto& test : cases) {
        wire::Selector selector;
        test.set(selector);
        CAPTURE(selector_text(selector));
        CHECK(matches(sample(), selector, kNow) == test.matches);
    }
    wire::QueueEntry bounce = sample();
    bounce.clear_sender();
    wire::Selector from_null;
    from_null.set_null_sender(true);
    CHECK(matches(bounce, from_null, kNow));
    from_null.Clear();
    from_null.set_sender("@example.org");
    CHECK_FALSE(matches(bounce, from_null, kNow));
    // A clock that was put back makes nothing old.
    wire::Selector old;
    old.set_older_ms(1);
    CHECK_FALSE(matches(sample(), old, kNow - 5 * kHour));
}

TEST_CASE("a listing is looked at only for what it says") {
    wire::Selector selector;
    CHECK_FALSE(needs_listing(selector));
    selector.add_queue_ids(kId);
    CHECK_FALSE(needs_listing(selector));
    selector.set_older_ms(1);
    CHECK(needs_listing(selector));
}

TEST_CASE("ids of a selector are in their order, each once, and nothing else is one") {
    wire::Selector selector;
    for (const char* id : {kOther, kId, kOther, "", "nonsense", "../../etc/passwd"})
        selector.add_queue_ids(id);
    const auto ids = ids_of(selector);
    REQUIRE(ids.size() == 2);
    CHECK(ids[0].text() == kId);
    CHECK(ids[1].text() == kOther);
}

TEST_CASE("the log shows a selector as it was typed") {
    wire::Selector selector;
    CHECK(selector_text(selector) == "--all");
    selector.set_null_sender(true);
    selector.set_recipient("a@b.test");
    selector.set_domain("c.test");
    selector.set_subdomains(true);
    selector.set_older_ms(7'200'000);
    selector.set_younger_ms(600'000);
    selector.add_states("held");
    selector.set_last_reply("full");
    CHECK(selector_text(selector) ==
          "--from <> --to a@b.test --domain .c.test --age >7200s --age <600s --state held --last-reply full");
    for (int i = 0; i < 25; ++i)
        selector.add_queue_ids(kId);
    CHECK_THAT(selector_text(selector), Catch::Contains("and 5 more"));
}
