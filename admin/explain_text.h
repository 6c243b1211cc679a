#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "admin/explain.h"

/// What `postrider explain` prints, and the words that it and its JSON have in common.
namespace postrider::admin {

/// An explanation for people to read. Pure.
[[nodiscard]] std::string explain_text(const Explanation& explanation, const ExplainCase& what,
                                       const config::Settings& settings);

/// "accept", "reject", "defer".
[[nodiscard]] std::string_view action_name(wire::Verdict::Action action);

/// "deliver", "quarantine", "discard".
[[nodiscard]] std::string_view fate_name(wire::Verdict::Fate fate);

/// "smtp", "maildir", "program", "file", "discard", "error".
[[nodiscard]] std::string_view transport_name(wire::Transport transport);

/// When the route of a delivery lets mail be tried, as its option `schedule=` says it.
[[nodiscard]] std::string schedule_text(const wire::Delivery& delivery);

/// The waits between attempts at a delivery, and how long it is tried: its own, or those of the
/// configuration.
[[nodiscard]] std::vector<Milliseconds> retry_of(const wire::Delivery& delivery,
                                                 const config::Settings& settings);
[[nodiscard]] Milliseconds lifetime_of(const wire::Delivery& delivery, const config::Settings& settings);

/// Our own place among the exchangers of a delivery.
struct OwnPosition {
    int rank = 0;  ///< 1 for the best
    std::uint32_t preference = 0;
    bool is_best = false;  ///< nobody is better, so there is no way on
};

/// Nothing if this host is none of those that were looked at.
[[nodiscard]] std::optional<OwnPosition> own_position(const wire::ExplainedDelivery& delivery);

}  // namespace postrider::admin
