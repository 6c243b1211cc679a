#include "tests/unit/queue-manager/frame_maker.h"

#include <array>

namespace postrider::queue_manager::test {

namespace {

constexpr std::size_t kKnownIds = 64;
constexpr std::size_t kMaxFrameOctets = 60'000;

}  // namespace

void FrameMaker::learn(const std::string& id) {
    if (ids_.size() < kKnownIds) return ids_.push_back(id);
    ids_[below(ids_.size())] = id;
}

void FrameMaker::learn_job(std::uint64_t job, const std::string& id) {
    last_job_ = job;
    last_job_id_ = id;
}

std::uint64_t FrameMaker::number() {
    constexpr std::array<std::uint64_t, 10> odd = {0,  1,      2,          3,          15,
                                                   16, 65'536, 0x7FFFFFFF, 0xFFFFFFFF, ~std::uint64_t{0}};
    return one_in(3) ? random_() : odd[below(odd.size())];
}

std::string FrameMaker::text() {
    constexpr std::array<std::size_t, 6> lengths = {0, 1, 5, 20, 300, 5'000};
    std::string made(lengths[below(one_in(50) ? 6 : 4)], '\0');
    const bool readable = !one_in(4);
    for (char& octet : made)
        octet = static_cast<char>(readable ? 'a' + below(26) : below(256));
    return made;
}

std::string FrameMaker::id() {
    return one_in(10) ? text() : ids_[below(ids_.size())];
}

std::string FrameMaker::address() {
    constexpr std::array<const char*, 5> domains = {"a.smtp.test", "b.local.test", "discard.test",
                                                    "error.test", "later.test"};
    return one_in(10) ? text() : text() + "@" + domains[below(domains.size())];
}

void FrameMaker::fill(wire::Selector& selector) {
    if (one_in(2)) selector.add_queue_ids(id());
    if (one_in(3)) selector.set_domain(one_in(2) ? "smtp.test" : text());
    if (one_in(4)) selector.set_sender(address());
    if (one_in(4)) selector.set_recipient(address());
    selector.set_subdomains(one_in(2));
    selector.set_null_sender(one_in(8));
}

void FrameMaker::fill(wire::Envelope& envelope) {
    envelope.set_sender(one_in(5) ? "" : address());
    for (std::uint64_t left = below(4); left > 0; --left) {
        auto* recipient = envelope.add_recipients();
        recipient->set_address(address());
        recipient->set_notify(static_cast<std::uint32_t>(one_in(3) ? number() : below(16)));
        if (one_in(3)) recipient->set_orcpt(text());
    }
    envelope.set_client_address(one_in(2) ? "192.0.2.1" : text());
    envelope.set_helo(text());
    envelope.set_arrival_ms(number());
    envelope.set_report(one_in(3));
    envelope.set_double_bounce(one_in(3));
    if (one_in(5)) envelope.set_quarantine_rule(text());
}

void FrameMaker::fill(wire::DeliveryReport& report) {
    const bool about_own_job = one_in(2);
    report.set_job(about_own_job ? last_job_ : number());
    report.set_queue_id(about_own_job ? last_job_id_ : id());
    report.set_sequence(number());
    for (std::uint64_t left = below(4); left > 0; --left) {
        auto* result = report.add_results();
        result->set_number(static_cast<std::uint32_t>(one_in(4) ? number() : 1 + below(3)));
        result->set_outcome(static_cast<wire::DeliveryResult::Outcome>(below(7)));
        result->set_status(one_in(2) ? "4.0.0" : text());
        result->set_text(text());
        result->set_remote_host(text());
        result->set_destination_down(one_in(3));
        if (one_in(4)) result->add_forwarded()->set_text(address());
    }
}

wire::QueueRequest FrameMaker::request() {
    wire::QueueRequest made;
    made.set_id(number());
    switch (below(14)) {
        case 0:
            if (role_ != wire::ROLE_NONE) made.mutable_hello()->set_role(static_cast<wire::Role>(below(8)));
            break;
        case 1:
            fill(*made.mutable_open()->mutable_envelope());
            made.mutable_open()->set_more(one_in(8));
            made.mutable_open()->set_expected_size(number());
            break;
        case 2:
            made.mutable_more_recipients()->add_recipients()->set_address(address());
            made.mutable_more_recipients()->set_more(one_in(2));
            break;
        case 3:
            made.mutable_commit()->set_queue_id(id());
            made.mutable_commit()->set_content_length(one_in(2) ? 0 : number());
            made.mutable_commit()->set_content_xxh3(one_in(2) ? 0x2D06800538D394C2U : number());
            if (one_in(2)) made.mutable_commit()->set_content(text());
            break;
        case 13:
            made.mutable_open_content()->set_queue_id(id());
            break;
        case 4:
            made.mutable_abort()->set_queue_id(id());
            break;
        case 5:
            for (std::uint64_t left = below(4); left > 0; --left)
                made.mutable_agent_ready()->add_transports(static_cast<wire::Transport>(below(20)));
            made.mutable_agent_ready()->set_capacity(static_cast<std::uint32_t>(number()));
            break;
        case 6:
        case 7:
            fill(*made.mutable_report());
            break;
        case 8:
            fill(*made.mutable_list()->mutable_selector());
            break;
        case 9:
            made.mutable_open_file()->set_queue_id(id());
            break;
        case 10:
            fill(*made.mutable_flush()->mutable_selector());
            break;
        case 11:
            made.mutable_etrn()->set_domain(one_in(2) ? "smtp.test" : text());
            made.mutable_etrn()->set_subdomains(one_in(2));
            break;
        default:
            fill(*made.mutable_quarantine()->mutable_selector());
            made.mutable_quarantine()->set_action(static_cast<wire::Quarantine::Action>(below(4)));
            made.mutable_quarantine()->set_dry_run(one_in(2));
            break;
    }
    return made;
}

void FrameMaker::mutate(std::string& frame) {
    for (std::uint64_t left = 1 + below(4); left > 0 && !frame.empty(); --left) {
        const std::size_t at = below(frame.size());
        switch (below(4)) {
            case 0:
                frame[at] = static_cast<char>(below(256));
                break;
            case 1:
                frame.erase(at, 1 + below(8));
                break;
            case 2:
                frame.insert(at, text());
                break;
            default:
                frame.resize(at);
                break;
        }
    }
}

std::string FrameMaker::next() {
    std::string frame = request().SerializeAsString();
    if (role_ != wire::ROLE_NONE && one_in(4)) mutate(frame);
    if (frame.empty()) frame = "\x7f";
    if (frame.size() > kMaxFrameOctets) frame.resize(kMaxFrameOctets);
    return frame;
}

}  // namespace postrider::queue_manager::test
