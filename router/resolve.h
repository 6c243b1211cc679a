#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "libcommon/ipc/envelope.pb.h"
#include "libcommon/ipc/router.pb.h"
#include "router/expansion.h"
#include "router/tables.h"

namespace postrider::router {

/// Resolves one recipient into deliveries, each with transport, next hop and, for local ones, what it may
/// touch (their numbers are the queue-manager's to give). Whether the sender was allowed to send to it is not
/// asked again: that was decided at RCPT. The recipient has a failure instead when there is none, or when it
/// cannot be told now. `index` is copied into the result. With `trace`, the steps of the expansion are
/// appended to it.
///
/// NOTIFY and ORCPT follow RFC 3461, 5.2.7: they are passed on to a single delivery; of several, none
/// promises SUCCESS, and a further delivery by TRANSPORT_ALIAS reports that as "expanded"; members of a list
/// with an owner get neither, and one by TRANSPORT_LIST reports it as "delivered".
[[nodiscard]] wire::ResolvedRecipient resolve_recipient(std::uint32_t index, const wire::Recipient& recipient,
                                                        std::string_view sender, const Tables& tables,
                                                        Facts& facts,
                                                        std::vector<TraceLine>* trace = nullptr);

/// Resolves the destinations of a forward file into deliveries, as resolve_recipient() does for the recipient
/// that it belongs to: NOTIFY, ORCPT and a list owner's address are those of the delivery it replaces, and
/// its programs and files are run and written with the rights of that delivery. What leaves it says who
/// forwarded.
[[nodiscard]] wire::ResolvedRecipient resolve_forward_file(const wire::ForwardQuestion& question,
                                                           const Tables& tables, Facts& facts,
                                                           std::vector<TraceLine>* trace = nullptr);

/// Packs resolved recipients into frames of about ipc::kFrameTarget bytes, splitting recipients with many
/// deliveries over several frames. At least one frame.
[[nodiscard]] std::vector<wire::Resolved> split_into_frames(std::vector<wire::ResolvedRecipient> recipients);

}  // namespace postrider::router
