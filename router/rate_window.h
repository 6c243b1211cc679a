#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <list>
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
/// Each name has the rate that it is asked about with. A higher or lower count holds at once for what was
/// counted before; another period forgets it, since it was counted in slots of another length.
///
/// Its memory is bounded: the name that was counted least recently is forgotten when there are too many. It
/// reads no clock; the time of each call must not be before that of the one before.
class RateWindow {
  public:
    /// `most_names`: how many names are remembered.
    explicit RateWindow(std::size_t most_names) : most_names_(most_names) {}

    /// Changes how many names are remembered; forgets those that are too many.
    void set_most_names(std::size_t most_names);

    /// How much `name` has done in the period that ends now.
    [[nodiscard]] std::uint64_t used(std::string_view name, Milliseconds period, SteadyTime now) const;

    /// Whether `name` has anything left now.
    [[nodiscard]] bool has_room(std::string_view name, const config::Rate& rate, SteadyTime now) const {
        return used(name, rate.period, now) < rate.count;
    }

    /// Counts one for `name`.
    void count(std::string_view name, Milliseconds period, SteadyTime now);

    /// Every name with anything in its window, the most recently counted first.
    void for_each(SteadyTime now,
                  const std::function<void(const std::string& name, std::uint64_t used)>& take) const;

    [[nodiscard]] std::size_t size() const { return entries_.size(); }

  private:
    /// One more than the period is divided into, for the one that has left the window in part.
    static constexpr std::size_t kSlots = 17;

    struct Entry {
        std::string name;
        Milliseconds period{0};
        std::int64_t newest = 0;  // the number of the newest slot, counted from the clock's beginning
        std::array<std::uint32_t, kSlots> counts{};
    };
    using Entries = std::list<Entry>;

    [[nodiscard]] static std::int64_t slot_of(Milliseconds period, SteadyTime now);
    [[nodiscard]] static std::uint64_t sum(const Entry& entry, SteadyTime now);
    static void advance(Entry& entry, std::int64_t slot);
    void forget_oldest();

    std::size_t most_names_;
    Entries entries_;  // the most recently counted first
    StringMap<Entries::iterator> by_name_;
};

}  // namespace postrider::router
