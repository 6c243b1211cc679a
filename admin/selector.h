#pragma once

#include <string>
#include <vector>

#include "libcommon/base/result.h"
#include "libcommon/ipc/queue.pb.h"

namespace postrider::admin {

/// The words of a selection, as they stand on the command line. It is the same for all verbs.
struct SelectorWords {
    std::vector<std::string> ids;     ///< positional, or of --id
    std::string from;                 ///< ADDRESS, <>, @DOMAIN
    std::string to;                   ///< ADDRESS, @DOMAIN
    std::string domain;               ///< DOMAIN, or .DOMAIN for it and all below it
    std::vector<std::string> ages;    ///< ">2h", "<10m"
    std::vector<std::string> states;  ///< "held", or several with commas between
    std::string last_reply;           ///< part of a reply

    [[nodiscard]] bool empty() const {
        return ids.empty() && from.empty() && to.empty() && domain.empty() && ages.empty() &&
               states.empty() && last_reply.empty();
    }
};

/// What the words select. Error (Permanent): one of them makes no sense, and which. Pure.
[[nodiscard]] Result<wire::Selector> parse_selector(const SelectorWords& words);

}  // namespace postrider::admin
