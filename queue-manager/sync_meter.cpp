#include "queue-manager/sync_meter.h"

#include <cerrno>
#include <chrono>

namespace postrider::queue_manager {

int SyncMeter::measure(int (*sync)(int), int file) {
    const auto begun = std::chrono::steady_clock::now();
    const int result = sync(file);
    const int error = errno;
    const auto took =
        std::chrono::duration_cast<std::chrono::microseconds>(std::chrono::steady_clock::now() - begun);
    const auto microseconds = static_cast<std::uint64_t>(took.count());
    // Numbers for the eye of an administrator: no order between them is needed.
    total_.fetch_add(1, std::memory_order_relaxed);
    microseconds_.fetch_add(microseconds, std::memory_order_relaxed);
    if (result != 0) errors_.fetch_add(1, std::memory_order_relaxed);
    constexpr std::uint64_t kMicrosecondsPerMillisecond = 1000;
    for (std::size_t i = 0; i < kBounds.size(); ++i) {
        if (microseconds > kBounds[i] * kMicrosecondsPerMillisecond) continue;
        classes_[i].fetch_add(1, std::memory_order_relaxed);
        break;
    }
    errno = error;
    return result;
}

SyncMeter::Counts SyncMeter::counts() const {
    Counts counts;
    counts.total = total_.load(std::memory_order_relaxed);
    counts.errors = errors_.load(std::memory_order_relaxed);
    counts.microseconds = microseconds_.load(std::memory_order_relaxed);
    std::uint64_t so_far = 0;
    for (std::size_t i = 0; i < kBounds.size(); ++i) {
        so_far += classes_[i].load(std::memory_order_relaxed);
        counts.within[i] = so_far;
    }
    return counts;
}

}  // namespace postrider::queue_manager
