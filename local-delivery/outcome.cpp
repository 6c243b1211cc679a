#include "local-delivery/outcome.h"

#include <fmt/format.h>

#include <cerrno>
#include <system_error>

namespace postrider::local_delivery {

Outcome delivered(std::string text) {
    return {Ending::Delivered, "2.0.0", std::move(text)};
}

Outcome deferred(std::string_view status, std::string text) {
    return {Ending::Deferred, std::string(status), std::move(text)};
}

Outcome failed(std::string_view status, std::string text) {
    return {Ending::Failed, std::string(status), std::move(text)};
}

Outcome system_trouble(const std::string& what, int errno_value) {
    // RFC 3463: X.2.2 mailbox full, X.3.0 other mail system status. A mailbox on a full disk is full, too, as
    // far as its owner's mail is concerned.
    const bool full = errno_value == EDQUOT || errno_value == ENOSPC;
    const std::string_view status = full ? "4.2.2" : "4.3.0";
    return deferred(status, fmt::format("{}: {}", what, std::generic_category().message(errno_value)));
}

}  // namespace postrider::local_delivery
