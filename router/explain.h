#pragma once

#include <vector>

#include "libcommon/ipc/router.pb.h"
#include "router/client_history.h"
#include "router/policy.h"
#include "router/tables.h"

namespace postrider::router {

struct ExplainedAnswer {
    std::vector<wire::ExplainedItem> items;
    bool refused = false;   ///< the mail would be refused, or a recipient would not get it
    bool deferred = false;  ///< the same, but for now only
};

/// What an explanation is made from; nothing of it is changed.
struct ExplainInputs {
    const Tables& tables;
    const ClientHistory& history;
    SteadyTime now;
};

/// Why things are decided as they are: the verdict of each stage that the question mentions, with the line of
/// the table that decided and what the client would read; what bounds the session; then each step of the
/// recipient's expansion, and his deliveries. `client` is nullptr when the question names none; then nobody
/// but local users is assumed to be trusted.
[[nodiscard]] ExplainedAnswer explain(const wire::ExplainQuestion& question, const Client* client,
                                      const ExplainInputs& inputs, Facts& facts);

/// Packs items into frames of about ipc::kFrameTarget bytes. At least one frame.
[[nodiscard]] std::vector<wire::Explanation> split_into_frames(std::vector<wire::ExplainedItem> items);

/// The same for lines; one that is too long for a frame is cut.
[[nodiscard]] std::vector<wire::Explanation> split_into_frames(std::vector<std::string> lines);

}  // namespace postrider::router
