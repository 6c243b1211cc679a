#include <catch2/catch.hpp>

#include <vector>

#include "smtpd/queue_link.h"
#include "smtpd/router_link.h"

namespace postrider::smtpd {

namespace {

wire::Verdict verdict(wire::Verdict::Action action, std::uint32_t code, std::string enhanced) {
    wire::Verdict verdict;
    verdict.set_action(action);
    verdict.set_code(code);
    verdict.set_enhanced(std::move(enhanced));
    verdict.set_text("text");
    verdict.set_rule("policy:7");
    return verdict;
}

}  // namespace

TEST_CASE("a router's verdict becomes a reply only if it makes sense") {
    struct Case {
        wire::Verdict verdict;
        std::string expected;  // "" for accepted
    };
    using V = wire::Verdict;
    const std::vector<Case> cases = {
        {verdict(V::ACCEPT, 0, ""), ""},
        {verdict(V::REJECT, 550, "5.7.1"), "550 5.7.1 text"},
        {verdict(V::DEFER, 450, "4.7.1"), "450 4.7.1 text"},
        {verdict(V::REJECT, 553, ""), "553 text"},
        {verdict(V::REJECT, 550, "4.7.1"), "550 text"},
        {verdict(V::REJECT, 250, "2.0.0"), "451 4.3.0"},
        {verdict(V::REJECT, 450, "4.0.0"), "451 4.3.0"},
        {verdict(V::DEFER, 550, "5.0.0"), "451 4.3.0"},
        {verdict(V::REJECT, 0, ""), "451 4.3.0"},
        {verdict(V::REJECT, 4000000000, ""), "451 4.3.0"},
    };
    for (const Case& test : cases) {
        const Verdict result = verdict_from_wire(test.verdict);
        INFO(test.expected);
        if (test.expected.empty()) {
            CHECK(result.accepted());
        } else {
            REQUIRE_FALSE(result.accepted());
            CHECK(mail::summary(*result.refusal).starts_with(test.expected));
        }
    }
    CHECK(verdict_from_wire(verdict(V::REJECT, 550, "")).rule == "policy:7");
}

TEST_CASE("an envelope of any size goes in frames that fit") {
    for (const int count : {0, 1, 100, 1000, 5000}) {
        wire::Envelope envelope;
        envelope.set_sender("a@b.test");
        envelope.set_helo(std::string(255, 'h'));
        for (int number = 0; number < count; ++number) {
            envelope.add_recipients()->set_address(std::to_string(number) + std::string(200, 'x') +
                                                   "@local.test");
        }
        const std::vector<wire::QueueRequest> requests = open_requests(envelope, 77);
        INFO(count << " recipients in " << requests.size() << " frames");
        REQUIRE(requests.front().has_open());
        CHECK(requests.front().open().expected_size() == 77);
        wire::Envelope joined = requests.front().open().envelope();
        for (std::size_t at = 0; at < requests.size(); ++at) {
            const bool last = at + 1 == requests.size();
            CHECK(requests[at].ByteSizeLong() <= ipc::kFrameTarget + 64);
            CHECK((at == 0 ? requests[at].open().more() : requests[at].more_recipients().more()) == !last);
            if (at > 0) joined.mutable_recipients()->MergeFrom(requests[at].more_recipients().recipients());
        }
        CHECK(joined.SerializeAsString() == envelope.SerializeAsString());
    }
}

}  // namespace postrider::smtpd
