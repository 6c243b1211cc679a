#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "libcommon/base/clock.h"
#include "queue-manager/delivery_schedule.h"
#include "queue-manager/retry.h"
#include "queue-manager/scheduler.h"
#include "queue-manager/settings.h"
#include "queue-manager/waiting_index.h"

namespace postrider::queue_manager {

/// What decides when a delivery is tried.
struct DeliveryTimes {
    RetrySchedule retry;
    DeliverySchedule schedule;  ///< of its route
    UnixMillis arrival = 0;
    std::uint32_t attempts = 0;  ///< made so far

    /// When it is given up; kNever if it is not.
    [[nodiscard]] UnixMillis end() const { return retry.expires(arrival); }
    /// When it is tried again after an attempt was deferred at `now`: by its retry schedule, at the next time
    /// of its route, or, if that has none, at its end. nullopt when its time is over.
    [[nodiscard]] std::optional<UnixMillis> after_deferral(UnixMillis now, const JitterSource& jitter) const;
};

/// When every message of the queue is looked at, and every delivery tried. It composes the scheduler, with
/// the health, rate and ready list of each destination, the index of what waits on disk, the timers of what
/// is in memory, and the bound of that.
///
/// Pure: no file, no clock; the Queue drives it with the time of the system, the simulation in its tests with
/// a time of its own. Each step is O(log n) in the number of messages and destinations, apart from what it
/// hands over.
class Agenda {
  public:
    /// `settings` outlives the agenda. `jitter` gives numbers from -1 to 1.
    Agenda(const Settings& settings, JitterSource jitter);

    /// The time when the work begins.
    void start(UnixMillis now) { started_ = now; }

    // ---- messages in memory ----

    /// Whether a message with so many recipients may be in memory, too. One always may.
    [[nodiscard]] bool room_for(std::size_t recipients) const;
    /// `read`: it was read from disk.
    void enter(std::size_t recipients, bool read = false);
    /// New mail came: what waits on disk and is due is read slowly for a moment.
    void arrived() { ++arrivals_; }
    /// `timer`: as set_timer() left it; the others as in enter().
    void leave(QueueId id, UnixMillis& timer, std::size_t recipients, bool read = false);
    /// The message is looked at again at `when`; 0 and kNever: not. `timer` belongs to the message and says
    /// what it was before.
    void set_timer(QueueId id, UnixMillis& timer, UnixMillis when);
    /// The first messages whose time has come, at most kStep. Each stays so until its timer is set.
    [[nodiscard]] std::vector<QueueId> timers_due(UnixMillis now) const;
    /// What becomes due at the same time is worked off in steps of so many, and between them all else goes
    /// on.
    static constexpr std::size_t kStep = 500;

    // ---- messages on disk ----

    [[nodiscard]] WaitingIndex& waiting() { return waiting_; }
    [[nodiscard]] const WaitingIndex& waiting() const { return waiting_; }

    /// The destination that all deliveries of a message are for, which may go as soon as it is up, and when
    /// the message has to be looked at even if it is not, because it is given up or its sender is told of the
    /// delay; kNever if it need not be.
    struct Only {
        std::string next_hop;
        UnixMillis own_due = kNever;
    };
    /// Until when a message that is due at `due` waits for nothing but its destination, which is down;
    /// nullopt if it does not.
    [[nodiscard]] std::optional<UnixMillis> parked_until(const std::optional<Only>& only, UnixMillis due,
                                                         UnixMillis now) const;
    /// A message waits on disk, due at entry.due. If its destination is down it is parked for it, with all
    /// others that are: until the time that parked_until() gives, or else until it is due, and in any case
    /// only as long as the destination is down.
    void wait(QueueId id, WaitingIndex::Entry entry, const std::optional<Only>& only, UnixMillis now);

    /// The next message to read from disk, which is being read from now on; nullopt if none is due, or there
    /// is no room: a part of it is left to new mail, which never waits behind what is read again.
    struct Loading {
        QueueId id;
        WaitingIndex::Entry entry;
    };
    [[nodiscard]] std::optional<Loading> next_to_load(UnixMillis now);
    /// A thread works on the file of a message that is neither in memory nor in the index.
    void load_begun(QueueId id, Folder folder) { loading_.emplace(id, folder); }
    /// It was read, or could not be.
    void load_ended(QueueId id) { loading_.erase(id); }
    [[nodiscard]] const std::unordered_map<QueueId, Folder>& loading() const { return loading_; }

    // ---- deliveries ----

    [[nodiscard]] Scheduler& scheduler() { return scheduler_; }
    [[nodiscard]] const Scheduler& scheduler() const { return scheduler_; }

    /// What becomes of a delivery that the scheduler refused.
    struct Postponement {
        bool given_up = false;  ///< its time is over
        UnixMillis due = 0;
    };
    [[nodiscard]] Postponement postpone(const Refusal& refusal, const DeliveryTimes& times,
                                        const DestinationKey& destination, UnixMillis now) const;

    /// When a delivery is given up though it was never tried: lifetime2 after its end, or after the start if
    /// that was later.
    [[nodiscard]] UnixMillis hard_end(UnixMillis end) const;

    /// As Scheduler::finished(); what waits on disk for what this changed is due now.
    struct Ended {
        bool recovered = false;            ///< the destination is up again
        std::size_t released = 0;          ///< messages on disk that waited for it
        std::vector<ReadyMessage> parked;  ///< it went down: these wait until `parked_until`
        UnixMillis parked_until = 0;
        std::vector<QueueId> called;  ///< of messages in memory: may be offered to it again
    };
    [[nodiscard]] Ended finished(const Job& job, JobOutcome outcome, UnixMillis now, Milliseconds retry_in);

    // ---- time ----

    /// When something has to be done next that no job or message brings about: timers_due(), next_to_load()
    /// or Scheduler::next(). nullopt: nothing.
    [[nodiscard]] std::optional<UnixMillis> next_event() const;

  private:
    void let_groups_probe(UnixMillis now);
    [[nodiscard]] bool parked_again(QueueId id, UnixMillis now);
    [[nodiscard]] bool may_load() const;
    void pace(UnixMillis now);

    const Settings& settings_;
    Scheduler scheduler_;
    WaitingIndex waiting_;
    std::set<std::pair<UnixMillis, QueueId>> timers_;  // of messages in memory
    std::unordered_map<QueueId, Folder> loading_;
    // How fast messages are read, see pace().
    std::uint64_t arrivals_ = 0;
    std::uint64_t arrivals_before_ = 0;  // when the slice began
    std::size_t slice_ = 0;              // begun to read in it
    UnixMillis slice_begun_ = 0;
    UnixMillis pause_until_ = 0;
    std::size_t messages_ = 0;
    std::size_t read_messages_ = 0;  // of them, those that were read from disk
    std::size_t recipients_ = 0;
    UnixMillis started_ = 0;
};

}  // namespace postrider::queue_manager
