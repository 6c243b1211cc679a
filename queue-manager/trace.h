#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "libcommon/base/clock.h"
#include "libcommon/ipc/envelope.pb.h"
#include "libcommon/ipc/journal.pb.h"
#include "libcommon/ipc/queue.pb.h"
#include "libcommon/queue_file/queue_id.h"

/// What became of a message, step by step. Pure.
namespace postrider::queue_manager {

/// The events of a message in their order, from its envelope and the records of its journal. Names of events
/// and fields are those of the log.
[[nodiscard]] std::vector<wire::TraceEvent> trace_of(const wire::Envelope& envelope, std::uint64_t size,
                                                     const std::vector<wire::JournalRecord>& records);

/// Adds one more field to an event.
void add_field(wire::TraceEvent& event, std::string_view name, std::string_view value);

/// What is kept of a message that is gone, as the bytes that stood in its file: nothing is parsed before
/// somebody asks.
struct FinishedMessage {
    queue_file::QueueId id;
    std::string event;  ///< how it ended
    UnixMillis time = 0;
    std::uint64_t size = 0;
    std::string envelope;  ///< serialized
    std::string journal;   ///< records as in the file, perhaps cut
    std::vector<wire::JournalRecord> unwritten;
    bool cut = false;  ///< there was more than is kept
};

/// The last so many messages that ended.
class TraceRing {
  public:
    explicit TraceRing(std::size_t limit) : limit_(limit) {}

    [[nodiscard]] std::size_t limit() const { return limit_; }
    [[nodiscard]] std::size_t size() const { return messages_.size(); }
    /// Adds one, and drops the oldest one if there are too many.
    void add(FinishedMessage message);
    /// The message with this id that ended last; nullptr if none is known.
    [[nodiscard]] const FinishedMessage* find(queue_file::QueueId id) const;

  private:
    std::size_t limit_;
    std::uint64_t first_ = 0;  // number of the oldest one
    std::deque<FinishedMessage> messages_;
    std::unordered_map<queue_file::QueueId, std::uint64_t> numbers_;
};

/// The events of a finished message.
[[nodiscard]] std::vector<wire::TraceEvent> trace_of(const FinishedMessage& message);

/// The domains of senders, as numbers, so that a million messages of one sender do not hold its domain a
/// million times. There are at most kMost of them; what comes later has no number.
class SenderNames {
  public:
    static constexpr std::uint32_t kMost = 100'000;

    /// Of a domain, new or not; 0 if there are too many.
    [[nodiscard]] std::uint32_t number(const std::string& domain);
    [[nodiscard]] const std::string& name(std::uint32_t number) const;

  private:
    std::unordered_map<std::string, std::uint32_t> numbers_;
    std::vector<std::string> names_{"(others)"};
};

}  // namespace postrider::queue_manager
