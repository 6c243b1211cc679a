#pragma once

#include <string>
#include <vector>

#include "libcommon/ipc/router.pb.h"
#include "router/expansion.h"
#include "router/policy.h"
#include "router/tables.h"

namespace postrider::router {

struct ExplainedAnswer {
    std::vector<std::string> lines;
    bool refused = false;   ///< the mail would be refused, or a recipient would not get it
    bool deferred = false;  ///< the same, but for now only
};

/// Why things are decided as they are, in readable lines: the verdict of each stage that the question
/// mentions, with the line of the table that decided, then each step of the recipient's expansion, then his
/// deliveries. `client` is nullptr when the question names none; then nobody but local users is assumed to be
/// trusted.
[[nodiscard]] ExplainedAnswer explain(const wire::ExplainQuestion& question, const Client* client,
                                      const Tables& tables, Facts& facts);

/// Packs lines into frames of about ipc::kFrameTarget bytes; a line too long for one is cut. At least one
/// frame.
[[nodiscard]] std::vector<wire::Explanation> split_into_frames(std::vector<std::string> lines);

}  // namespace postrider::router
