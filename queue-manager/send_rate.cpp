#include "queue-manager/send_rate.h"

#include <algorithm>

namespace postrider::queue_manager {

std::uint64_t SendRate::slot_length() const {
    // Rounded up: slots that are too short would let the window end too early.
    return std::max<std::uint64_t>(1, (period_ + kSlots - 2) / (kSlots - 1));
}

void SendRate::set(std::uint32_t count, Milliseconds period) {
    const auto length = static_cast<std::uint64_t>(std::max<std::int64_t>(period.count(), 1));
    if (length != period_) {
        slots_.fill(0);
        newest_ = 0;
    }
    count_ = count;
    period_ = length;
}

std::uint64_t SendRate::used(std::uint64_t slot) const {
    std::uint64_t sum = 0;
    for (std::uint64_t back = 0; back < kSlots; ++back) {
        // What is older than the slots there are, or newer than all that was counted, is nothing.
        if (slot < back || slot - back > newest_ || slot - back + kSlots <= newest_) continue;
        sum += slots_[(slot - back) % kSlots];
    }
    return sum;
}

void SendRate::count(UnixMillis now) {
    if (count_ == 0) return;
    const std::uint64_t slot = std::max(slot_at(now), newest_);
    const std::uint64_t passed = std::min<std::uint64_t>(slot - newest_, kSlots);
    for (std::uint64_t i = 0; i < passed; ++i)
        slots_[(slot - i) % kSlots] = 0;
    newest_ = slot;
    ++slots_[slot % kSlots];
}

UnixMillis SendRate::next_room(UnixMillis now) const {
    if (count_ == 0) return now;
    std::uint64_t slot = slot_at(now);
    if (used(slot) < count_) return now;
    for (std::size_t i = 0; i < kSlots && used(slot) >= count_; ++i)
        ++slot;
    return slot * slot_length();
}

}  // namespace postrider::queue_manager
