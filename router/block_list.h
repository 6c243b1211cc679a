#pragma once

#include <optional>
#include <string>
#include <vector>

#include "libcommon/config/network.h"
#include "router/facts.h"
#include "router/policy_item.h"
#include "router/tables.h"

/// Lists of addresses in the DNS (RFC 5782).
namespace postrider::router {

/// What a list says of a client.
struct Listing {
    enum class State {
        NotListed,
        Listed,
        Unclear,  ///< the DNS does not say so in time, or the list answers that it will not answer
    };
    State state = State::NotListed;
    std::string text;  ///< of Listed: why, in words that can stand in a reply
};

/// Looks an address up in a list. It is listed if there is an answer in 127.0.0.0/8 that the mask of the list
/// counts. 127.255.255.0/24 is what lists answer to say that something is wrong with the question. `text` is
/// what the list has as TXT record, as far as it is printable, or names the list.
[[nodiscard]] Listing look_up_listing(const config::IpAddress& client, const DnsList& list,
                                      const Tables& tables, Facts& facts);

/// The listing for which a client is to be refused: the first of the block lists that has it, unless it is
/// on an allow list as well. Nothing if there is none, or where lists do not answer: that they are down must
/// not stop all mail. All lists are asked at the same time.
[[nodiscard]] std::optional<Listing> find_listing(const config::IpAddress& client, const PolicyTuning& tuning,
                                                  const Tables& tables, Facts& facts);

}  // namespace postrider::router
