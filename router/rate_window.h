#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <list>
#include <optional>
#include <string>
#include <string_view>

#include "libcommon/base/clock.h"
#include "libcommon/config/values.h"
#include "router/domain_table.h"

namespace postrider::router {

/// Counts what each of many names does in a sliding window of time, and says when one has had its share. The
/// window is made of slots, and the oldest one counts until all of it has left the window: so never more than
/// the rate allows passes within one period, and room comes back one slot at a time.
///
/// Its memory is bounded: the name that was seen least recently is forgotten when there are too many. It
/// reads no clock; the time of each call must not be before that of the one before.
class RateWindow {
  public:
    /// `most_names`: how many names are remembered.
    explicit RateWindow(std::size_t most_names) : most_names_(most_names) {}

    /// What is allowed from now on; nothing: everything. Another period forgets what was counted, since it
    /// was counted in slots of another length.
    void set_rate(std::optional<config::Rate> rate);

    /// Whether `name` has anything left now. Counts nothing.
    [[nodiscard]] bool has_room(std::string_view name, SteadyTime now);

    /// Counts one for `name`.
    void count(std::string_view name, SteadyTime now);

    [[nodiscard]] const std::optional<config::Rate>& rate() const { return rate_; }
    [[nodiscard]] std::size_t size() const { return entries_.size(); }

  private:
    /// One more than the period is divided into, for the one that has left the window in part.
    static constexpr std::size_t kSlots = 17;

    struct Entry {
        std::string name;
        std::int64_t newest = 0;  // the number of the newest slot, counted from the clock's beginning
        std::array<std::uint32_t, kSlots> counts{};
    };
    using Entries = std::list<Entry>;

    [[nodiscard]] std::int64_t slot_of(SteadyTime now) const;
    static void advance(Entry& entry, std::int64_t slot);

    std::size_t most_names_;
    std::optional<config::Rate> rate_;
    Entries entries_;  // the most recently counted first
    StringMap<Entries::iterator> by_name_;
};

}  // namespace postrider::router
