#include "queue-manager/flush_scope.h"

#include <catch2/catch.hpp>

#include <string>
#include <vector>

#include "queue-manager/etrn_rate.h"
#include "queue-manager/mailbox_news.h"

using namespace postrider;
using namespace postrider::queue_manager;

namespace {

wire::Delivery delivery_to(const std::string& recipient, const std::string& next_hop) {
    wire::Delivery delivery;
    delivery.set_recipient(recipient);
    delivery.set_next_hop(next_hop);
    return delivery;
}

}  // namespace

TEST_CASE("what belongs to a domain") {
    struct Row {
        std::string name;
        std::string domain;
        bool below;
        bool belongs;
    };
    const std::vector<Row> rows = {
        {"a.test", "a.test", false, true},       {"b.a.test", "a.test", false, false},
        {"b.a.test", "a.test", true, true},      {"ba.test", "a.test", true, false},
        {"a.test", "a.test", true, true},        {"gw.test:25", "gw.test", false, true},
        {"gw.test:26", "gw.test", false, false}, {"gw.test:26", "gw.test:26", false, true},
        {"x.gw.test:25", "gw.test", true, true}, {"[192.0.2.1]:25", "[192.0.2.1]", false, true},
        {"test", "a.test", true, false},         {"", "a.test", true, false},
    };
    for (const Row& row : rows) {
        CAPTURE(row.name, row.domain, row.below);
        CHECK(belongs_to(row.name, row.domain, row.below) == row.belongs);
    }
}

TEST_CASE("T91_a flush is about the deliveries of its domain and no others") {
    const auto mine = delivery_to("u@A.test", "a.test");
    const auto via = delivery_to("u@other.test", "a.test:25");
    const auto below = delivery_to("u@x.a.test", "x.a.test");
    const auto foreign = delivery_to("u@b.test", "b.test");
    const FlushScope domain("a.test", false);
    CHECK(domain.covers(mine));
    CHECK(domain.covers(via));
    CHECK_FALSE(domain.covers(below));
    CHECK_FALSE(domain.covers(foreign));
    CHECK(FlushScope("a.test", true).covers(below));

    FlushScope both;
    CHECK(both.empty());
    CHECK_FALSE(both.covers(mine));
    both.add(domain);
    both.add(FlushScope("b.test", false));
    CHECK_FALSE(both.empty());
    CHECK(both.covers(mine));
    CHECK(both.covers(foreign));
    CHECK_FALSE(both.covers(below));
    both.add(FlushScope("", false));
    CHECK(both.covers(below));

    FlushScope many;
    for (int i = 0; i < 16; ++i)
        many.add(FlushScope("d" + std::to_string(i) + ".test", false));
    many.add(FlushScope("d1.test", false));
    CHECK_FALSE(many.covers(mine));
    many.add(FlushScope("d16.test", false));
    CHECK(many.covers(mine));
}

TEST_CASE("a domain has its turn once in an interval") {
    EtrnRate rate(Milliseconds(60'000));
    CHECK(rate.wait("a.test", 1'000) == 0);
    CHECK(rate.wait("a.test", 1'000) == 60'000);
    CHECK(rate.wait("b.test", 31'000) == 0);
    CHECK(rate.wait("@a.test", 31'000) == 0);
    CHECK(rate.wait("a.test", 60'999) == 1);
    CHECK(rate.wait("a.test", 61'000) == 0);
    CHECK(rate.size() == 3);
    CHECK(rate.wait("c.test", 200'000) == 0);
    CHECK(rate.size() == 1);

    EtrnRate unlimited(Milliseconds(0));
    CHECK(unlimited.wait("a.test", 1) == 0);
    CHECK(unlimited.wait("a.test", 1) == 0);
    CHECK(unlimited.size() == 0);

    EtrnRate crowded(Milliseconds(60'000));
    for (std::size_t i = 0; i < EtrnRate::kMaxDomains + 5; ++i)
        CHECK(crowded.wait(std::to_string(i), 1'000) == 0);
    CHECK(crowded.size() == EtrnRate::kMaxDomains);
    CHECK(crowded.wait("0", 1'000) == 0);
    CHECK(crowded.wait("100", 1'000) > 0);
}

TEST_CASE("T86_what the router hears of mailboxes") {
    MailboxNews news(Milliseconds(1'000));
    wire::Delivery delivery;
    delivery.set_transport(wire::TRANSPORT_MAILDIR);
    delivery.mutable_local()->set_path("/mail/alice");
    wire::DeliveryResult full;
    full.set_status("4.2.2");
    wire::DeliveryResult done;
    done.set_outcome(wire::DeliveryResult::DELIVERED);
    done.set_status("2.0.0");
    using News = MailboxNews::News;
    CHECK(news.after(delivery, done, 1) == News::None);
    CHECK(news.after(delivery, full, 1) == News::Full);
    CHECK(news.after(delivery, done, 2) == News::Room);
    CHECK(news.after(delivery, done, 3) == News::None);
    full.set_outcome(wire::DeliveryResult::FAILED);
    full.set_status("5.2.2");
    CHECK(news.after(delivery, full, 4) == News::Full);
    full.set_status("4.3.0");
    CHECK(news.after(delivery, full, 4) == News::None);
    full.set_status("4.2.2");
    delivery.set_transport(wire::TRANSPORT_SMTP);
    CHECK(news.after(delivery, full, 4) == News::None);
    delivery.set_transport(wire::TRANSPORT_MAILDIR);
    for (std::size_t i = 0; i < MailboxNews::kMaxMailboxes + 5; ++i) {
        delivery.mutable_local()->set_path("/mail/" + std::to_string(i));
        CHECK(news.after(delivery, full, 5) == News::Full);
    }
    CHECK(news.size() == MailboxNews::kMaxMailboxes);
    CHECK(news.after(delivery, full, 5'000) == News::Full);
    CHECK(news.size() == 1);
    MailboxNews silent(Milliseconds(0));
    CHECK(silent.after(delivery, full, 1) == News::None);
}
