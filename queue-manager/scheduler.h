#pragma once

#include <array>
#include <bitset>
#include <compare>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "libcommon/base/clock.h"
#include "libcommon/ipc/queue.pb.h"
#include "libcommon/queue_file/queue_id.h"
#include "queue-manager/health.h"

namespace postrider::queue_manager {

using queue_file::QueueId;

/// Where deliveries go that wait for each other: a transport and its next hop.
struct DestinationKey {
    wire::Transport transport = wire::TRANSPORT_NONE;
    std::string next_hop;

    friend auto operator<=>(const DestinationKey&, const DestinationKey&) = default;
};

/// The transports an agent takes, by number.
using TransportSet = std::bitset<16>;

/// A delivery that can be offered now.
struct ReadyDelivery {
    std::uint32_t number = 0;
    std::uint32_t frame_bytes = 0;  ///< what it adds to the frame of its job
};

/// Several deliveries of one message to one destination, for one agent.
struct Job {
    std::uint64_t number = 0;
    QueueId message;
    DestinationKey destination;
    std::vector<ReadyDelivery> deliveries;
};

/// Deliveries taken off the ready lists because their destination is down.
struct Parked {
    QueueId message;
    std::vector<ReadyDelivery> deliveries;
};

/// What a job told about its destination.
enum class JobOutcome {
    Reached,     ///< the destination answered, whatever it said to the message
    NotReached,  ///< no connection could be made
    Unknown      ///< the agent never got that far
};

struct SchedulerSettings {
    HealthSettings health;
    unsigned local_window = 2;  ///< deliveries at once to one local user
    std::size_t recipients_per_job = 50;
    std::size_t frame_bytes_per_job = std::size_t{48} << 10;
};

/// Who is served next. Pure: no I/O, and the time is an argument.
///
/// A destination has a ready list and a window (health.h). Destinations whose list is not empty and whose
/// window has room take turns, one job a turn, so that a slow one delays nobody: it only fills its own
/// window. Within a destination messages take turns, too: after a job of at most recipients_per_job
/// deliveries the next message is served, so that one with 50,000 recipients does not block one with a single
/// recipient. Reports of our own are served when nothing else is ready. While a destination is down nothing
/// for it stays in memory: the deliveries are handed back and wait on disk; the first to come back after the
/// dead time is the probe.
class Scheduler {
  public:
    Scheduler(SchedulerSettings settings, JitterSource jitter)
        : settings_(settings), jitter_(std::move(jitter)) {}

    /// Makes deliveries of `message` ready; a `report` comes last. Returns nullopt when they were taken; else
    /// the destination is down, and the time when to try again.
    [[nodiscard]] std::optional<UnixMillis> add(QueueId message, const DestinationKey& destination,
                                                bool report, std::vector<ReadyDelivery> deliveries,
                                                UnixMillis now);

    /// The next job for an agent that takes `transports`, which is in flight from now on; nullopt if there is
    /// none now.
    [[nodiscard]] std::optional<Job> next(TransportSet transports, UnixMillis now);

    /// What a finished job changed for others.
    struct Effect {
        bool recovered = false;      ///< the destination was down and is up: what waits for it can go now
        std::vector<Parked> parked;  ///< the destination went down: these wait until `parked_until`
        UnixMillis parked_until = 0;
    };
    /// Job number `job` has ended. `retry_in`: when its message comes back if it has to.
    [[nodiscard]] Effect finished(std::uint64_t job, JobOutcome outcome, UnixMillis now,
                                  Milliseconds retry_in);

    /// The agent of job number `job` is gone: its deliveries go to the front of their list. As with add(), a
    /// time is returned instead when the destination went down in the meantime.
    [[nodiscard]] std::optional<UnixMillis> give_back(std::uint64_t job, bool report, UnixMillis now);

    /// Takes everything of `message` that is ready (not in flight) off the lists.
    void forget(QueueId message, const std::vector<DestinationKey>& destinations);

    /// Until when deliveries to `destination` would be refused by add(); nullopt if they would be taken.
    [[nodiscard]] std::optional<UnixMillis> refused_until(const DestinationKey& destination,
                                                          UnixMillis now) const;

    /// When a connection to `destination` last failed; 0 if that is not known.
    [[nodiscard]] UnixMillis last_failure(const DestinationKey& destination) const;

    /// Tries a destination again at once, though it is down.
    void forgive(const DestinationKey& destination);
    /// The same for each destination with this next hop.
    void forgive_next_hop(const std::string& next_hop);

    /// Forgets what is known of destinations that have not been used since `before`.
    void prune(UnixMillis before);

    /// One destination, for the eye.
    struct State {
        DestinationKey key;
        bool down = false;
        UnixMillis down_until = 0;  ///< of one that is down; in the past, it is being probed
        unsigned window = 0;
        unsigned in_flight = 0;
        std::size_t ready = 0;  ///< deliveries
        UnixMillis last_failure = 0;
    };
    /// All destinations that are known, or those with this next hop (scheduler_states.cpp).
    [[nodiscard]] std::vector<State> states(const std::string& next_hop, UnixMillis now) const;
    /// Whether this destination is known.
    [[nodiscard]] bool knows(const DestinationKey& key) const { return destinations_.count(key) > 0; }

    [[nodiscard]] std::size_t ready() const { return ready_; }
    [[nodiscard]] std::size_t in_flight() const { return jobs_.size(); }
    [[nodiscard]] std::size_t destinations() const { return destinations_.size(); }
    [[nodiscard]] std::size_t destinations_down() const;

  private:
    struct Entry {
        QueueId message;
        std::deque<ReadyDelivery> deliveries;
    };
    struct Destination {
        Destination(DestinationKey key_in, const HealthSettings& settings)
            : key(std::move(key_in)), health(settings) {}
        DestinationKey key;
        Health health;
        std::deque<Entry> messages;
        std::deque<Entry> reports;
        unsigned in_flight = 0;
        bool in_turn = false;  // stands in turns_
        [[nodiscard]] bool has_ready() const { return !messages.empty() || !reports.empty(); }
    };

    Destination& destination_for(const DestinationKey& key);
    [[nodiscard]] static bool may_start(const Destination& destination, UnixMillis now);
    void queue_turn(Destination& destination);
    [[nodiscard]] Job take_job(Destination& destination);
    [[nodiscard]] std::vector<Parked> take_ready(Destination& destination);
    void drop_if_idle(const DestinationKey& key);

    SchedulerSettings settings_;
    JitterSource jitter_;
    std::map<DestinationKey, std::unique_ptr<Destination>> destinations_;
    // Destinations with something ready, by transport, in the order of their turns. One whose window is full
    // is taken out when its turn comes and put back when a job of it ends.
    std::array<std::deque<Destination*>, TransportSet().size()> turns_;
    std::size_t next_transport_ = 0;
    std::unordered_map<std::uint64_t, Job> jobs_;
    std::uint64_t next_job_ = 1;
    std::size_t ready_ = 0;
};

}  // namespace postrider::queue_manager
