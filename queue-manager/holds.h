#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "queue-manager/delivery_schedule.h"

namespace postrider::queue_manager {

/// At which times recipient domains let mail be tried whose routes say so, with `hold` or `schedule=`, as far
/// as mail for them is in the queue. A delivery keeps the mark that the router gave it; what counts is what
/// the router said last about its domain. Pure.
class Holds {
  public:
    /// What counts for a domain.
    struct Current {
        DeliverySchedule schedule;
        UnixMillis since = 0;  ///< when that became so; 0: before this process started
        friend bool operator==(const Current&, const Current&) = default;
    };
    /// Notes that mail for `domain` waits that is marked so. The mark counts until the router says otherwise,
    /// because a restart must not send what a customer wants kept.
    Current current(std::string_view domain, DeliverySchedule marked);

    [[nodiscard]] bool empty() const { return domains_.empty(); }
    /// The domains to ask about, in their order, from the first one behind `after` on and as many as the
    /// answer has room for in `bytes` of a frame.
    [[nodiscard]] std::vector<std::string> after(std::string_view after, std::size_t bytes) const;

    using Answer = std::map<std::string, DeliverySchedule, std::less<>>;
    /// The router says at `now` that of the domains `asked` those in `answer` have such a route, and the
    /// others none. Returns those for which that is new.
    [[nodiscard]] std::vector<std::string> answered(const std::vector<std::string>& asked,
                                                    const Answer& answer, UnixMillis now);

    /// No mail waits for `domain` any more.
    void forget(const std::string& domain) { domains_.erase(domain); }

  private:
    std::map<std::string, Current, std::less<>> domains_;
};

}  // namespace postrider::queue_manager
