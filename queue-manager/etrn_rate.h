#pragma once

#include <cstddef>
#include <deque>
#include <string>
#include <unordered_map>

#include "libcommon/base/clock.h"

namespace postrider::queue_manager {

/// How often the mail of one domain is asked for with ETRN. Each time its messages are looked for and their
/// host is connected to, so a domain has its turn once in an interval, whoever asks. Pure.
class EtrnRate {
  public:
    /// `interval` 0: there is no limit.
    explicit EtrnRate(Milliseconds interval) : interval_(static_cast<UnixMillis>(interval.count())) {}

    /// Asks for a domain, with "@" in front where those below it are meant, at `now`. 0: it may, and this
    /// counts; else how long it has still to wait, and that does not count.
    [[nodiscard]] UnixMillis wait(const std::string& domain, UnixMillis now);

    /// How many domains it remembers. Whoever may ask for every domain can invent names, so there is a bound;
    /// then the oldest is forgotten.
    [[nodiscard]] std::size_t size() const { return asked_.size(); }
    static constexpr std::size_t kMaxDomains = 10'000;

  private:
    void forget_oldest();

    UnixMillis interval_;
    std::unordered_map<std::string, UnixMillis> asked_;  // when each was asked for last
    std::deque<std::string> order_;                      // of these, the oldest first
};

}  // namespace postrider::queue_manager
