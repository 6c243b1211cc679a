#include "router/block_list.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "router/client_name.h"

namespace postrider::router {

namespace {

constexpr unsigned kLoopback = 127;
constexpr unsigned kNoAnswer = 255;  // 127.255.255.x

unsigned octet_of(const config::IpAddress& address, std::size_t index) {
    return static_cast<unsigned char>(address.bytes()[index]);
}

bool is_in_loopback(const config::IpAddress& answer) {
    return answer.is_v4() && octet_of(answer, 0) == kLoopback;
}

bool is_error(const config::IpAddress& answer) {
    return octet_of(answer, 1) == kNoAnswer && octet_of(answer, 2) == kNoAnswer;
}

/// What a list says, in a form that can stand in a reply of ours.
std::string printable(std::string_view text) {
    constexpr std::size_t kLongest = 200;
    std::string clean(text.substr(0, kLongest));
    std::replace_if(
        clean.begin(), clean.end(), [](char c) { return c < ' ' || c > '~'; }, '?');
    return clean;
}

std::string reason_of(const std::string& name, const DnsList& list, const Tables& tables, Facts& facts) {
    // Other lists may have used up the time by now; the text may take as long again.
    const DnsAnswer answer = facts.dns({name, dns::Type::Txt, 2 * tables.limits.dnsbl_timeout});
    const std::vector<std::string>& texts = answer.answer.records.texts;
    if (!texts.empty() && !texts.front().empty()) return printable(texts.front());
    return fmt::format("the client is listed in {}", list.zone);
}

}  // namespace

Listing look_up_listing(const config::IpAddress& client, const DnsList& list, const Tables& tables,
                        Facts& facts) {
    Listing listing;
    const std::string name = fmt::format("{}.{}", reversed_labels(client), list.zone);
    const DnsAnswer answer = facts.dns({name, dns::Type::A, tables.limits.dnsbl_timeout});
    if (answer.state == FactState::Unknown) return listing;
    if (answer.state != FactState::Known) {
        listing.state = Listing::State::Unclear;
        return listing;
    }
    for (const config::IpAddress& code : answer.answer.records.addresses) {
        if (!is_in_loopback(code)) continue;
        if (is_error(code)) {
            listing.state = Listing::State::Unclear;
        } else if (list.mask == 0 || (octet_of(code, 3) & list.mask) != 0) {
            listing.state = Listing::State::Listed;
            listing.text = reason_of(name, list, tables, facts);
            return listing;
        }
    }
    return listing;
}

std::optional<Listing> find_listing(const config::IpAddress& client, const PolicyTuning& tuning,
                                    const Tables& tables, Facts& facts) {
    if (!tuning.block_lists) return std::nullopt;
    std::optional<Listing> blocked;
    for (const DnsList& list : *tuning.block_lists) {
        Listing found = look_up_listing(client, list, tables, facts);
        if (found.state == Listing::State::Listed && !blocked) blocked = std::move(found);
    }
    for (const DnsList& list : tuning.allow_lists.value_or(std::vector<DnsList>())) {
        const Listing found = look_up_listing(client, list, tables, facts);
        if (found.state == Listing::State::Listed) blocked.reset();
    }
    return blocked;
}

}  // namespace postrider::router
