#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace postrider::queue_manager {

/// Which recipient domains have a route with `hold`, as far as mail for them is in the queue. A delivery
/// keeps the mark that the router gave it; whether the mark still counts is what the router said last about
/// its domain. Pure.
class Holds {
  public:
    /// Notes that mail for `domain` waits that is marked. True if it has to wait for a flush: until the
    /// router says otherwise it has, because a restart must not send what a customer wants kept.
    bool holds(std::string_view domain);

    [[nodiscard]] bool empty() const { return held_.empty(); }
    /// The domains to ask about, in their order, from the first one behind `after` on and as many as fit into
    /// `bytes` of a frame.
    [[nodiscard]] std::vector<std::string> after(std::string_view after, std::size_t bytes) const;

    /// The router says that of the domains `asked` those in `held` have a route with `hold`. Returns those
    /// that had one before and have none now.
    [[nodiscard]] std::vector<std::string> answered(const std::vector<std::string>& asked,
                                                    const std::vector<std::string>& held);

    /// No mail waits for `domain` any more.
    void forget(const std::string& domain) { held_.erase(domain); }

  private:
    std::map<std::string, bool, std::less<>> held_;
};

}  // namespace postrider::queue_manager
