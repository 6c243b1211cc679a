#pragma once

#include <unistd.h>

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>

namespace postrider::queue_manager {

/// Makes files durable and counts it: how often, how long it took, how often the disk reported an error.
/// Several threads may use one meter at the same time.
class SyncMeter {
  public:
    /// Upper bounds of the classes of latency, in milliseconds; what took longer is in none but the total.
    static constexpr std::array<std::uint32_t, 8> kBounds = {1, 2, 5, 10, 25, 100, 500, 2000};

    /// fsync(2) of an open file or folder: its result, and errno of an error. Called again after an error it
    /// may report success for data that is lost (the kernel tells of each error once), so nobody does that.
    [[nodiscard]] int sync(int file) { return measure(&::fsync, file); }
    /// fdatasync(2), likewise.
    [[nodiscard]] int sync_data(int file) { return measure(&::fdatasync, file); }

    struct Counts {
        std::uint64_t total = 0;  ///< with those that failed
        std::uint64_t errors = 0;
        std::uint64_t microseconds = 0;                      ///< of all together
        std::array<std::uint64_t, kBounds.size()> within{};  ///< those that took at most kBounds[i] ms
    };
    /// What was counted so far. Taken while threads count, it may have one of them in one number only.
    [[nodiscard]] Counts counts() const;

  private:
    int measure(int (*sync)(int), int file);

    std::atomic<std::uint64_t> total_{0};
    std::atomic<std::uint64_t> errors_{0};
    std::atomic<std::uint64_t> microseconds_{0};
    std::array<std::atomic<std::uint64_t>, kBounds.size()> classes_{};
};

}  // namespace postrider::queue_manager
