#pragma once

#include <array>
#include <bitset>
#include <compare>
#include <cstdint>
#include <list>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "libcommon/base/clock.h"
#include "libcommon/ipc/queue.pb.h"
#include "queue-manager/health.h"
#include "queue-manager/ready_list.h"
#include "queue-manager/send_rate.h"

namespace postrider::queue_manager {

/// Where deliveries go that wait for each other: a transport and its next hop.
struct DestinationKey {
    wire::Transport transport = wire::TRANSPORT_NONE;
    std::string next_hop;

    friend auto operator<=>(const DestinationKey&, const DestinationKey&) = default;
};

/// What the route of a destination says about it; 0 stands for the general settings, or no bound.
struct RouteLimits {
    std::uint32_t connections = 0;  ///< deliveries at once
    std::uint32_t recipients = 0;   ///< of one job
    std::uint32_t messages = 0;     ///< for one connection; for the agent to obey
    std::uint32_t rate = 0;         ///< messages in each `rate_period`
    Milliseconds rate_period{0};

    friend bool operator==(const RouteLimits&, const RouteLimits&) = default;
};

/// The transports an agent takes, by number.
using TransportSet = std::bitset<16>;

/// Deliveries of one message to one destination that could go now.
struct Offer {
    QueueId message;
    DestinationKey destination;
    std::string sender;  ///< who takes turns with others
    bool report = false;
    RouteLimits limits;
    std::vector<ReadyDelivery> deliveries;
    bool deferred_before = false;  ///< the message, at whichever destination
};

/// Why an offer was not taken.
struct Refusal {
    /// When to come again; kWhenCalled: finished() tells when there is room.
    UnixMillis until = 0;
    static constexpr UnixMillis kWhenCalled = ~UnixMillis{0};
    bool probing = false;  ///< another delivery finds out just now whether the destination is up again

    [[nodiscard]] bool full() const { return until == kWhenCalled; }
    friend bool operator==(const Refusal&, const Refusal&) = default;
};

/// Several deliveries of one message to one destination, for one agent.
struct Job {
    std::uint64_t number = 0;
    QueueId message;
    DestinationKey destination;
    std::string sender;
    bool report = false;
    Trust trust = Trust::Untested;  ///< of the destination, when the job was made
    RouteLimits limits;             ///< of the destination
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
    std::size_t ready_messages = 5000;  ///< in memory for one destination
};

/// Who is served next. Pure: no I/O, and the time is an argument.
///
/// A destination has a list of what is ready for it (ready_list.h), a window (health.h) and perhaps a rate
/// (send_rate.h). Destinations with something ready, room in the window and in the rate take turns, one job a
/// turn, so that a slow one delays nobody: it only fills its own window. So do the transports, and within a
/// transport the destinations of each degree of trust (health.h). Of D such destinations of a transport and
/// degree each one starts a job after at most D - 1 jobs of the others, while each other degree and transport
/// gets at most D; within a destination the bound of the ready list holds.
///
/// Many destinations that do not answer could hold all places of the agents. So whoever asks for a job may
/// leave out those that are not trusted enough (dispatcher.h). A local destination always is.
///
/// A destination that only mail which was deferred before speaks for is suspected to be down until a probe of
/// it succeeds, or new mail for it comes. While a destination is down nothing for it stays in memory: the
/// deliveries are handed back and wait on disk; the first to come back after the dead time is the probe. Nor
/// does more than a bounded number of messages for one destination, so that one which takes mail slowly
/// leaves room for the others.
///
/// Every function is O(log n) in the number of destinations, apart from what it hands over.
class Scheduler {
  public:
    Scheduler(SchedulerSettings settings, JitterSource jitter)
        : settings_(settings), jitter_(std::move(jitter)) {}

    /// Makes deliveries ready. The limits of the newest message hold for the destination. Returns nullopt
    /// when they were taken, or why not.
    [[nodiscard]] std::optional<Refusal> add(Offer offer, UnixMillis now);

    /// The next job for an agent that takes `transports`, for a destination trusted at least like `least`,
    /// which is in flight from now on; nullopt if there is none now.
    [[nodiscard]] std::optional<Job> next(TransportSet transports, UnixMillis now,
                                          Trust least = Trust::Suspect);
    /// When a destination that has used up its rate may go on; nullopt if there is none. next() is asked
    /// then.
    [[nodiscard]] std::optional<UnixMillis> next_wake() const;

    /// What a finished job changed for others.
    struct Effect {
        bool recovered = false;  ///< the destination was down and is up: what waits for it can go now
        std::vector<ReadyMessage> parked;  ///< the destination went down: these wait until `parked_until`
        UnixMillis parked_until = 0;
        std::vector<QueueId> called;  ///< there is room for these, which were refused with kWhenCalled
    };
    /// Job number `job` has ended. `retry_in`: when its message comes back if it has to.
    [[nodiscard]] Effect finished(std::uint64_t job, JobOutcome outcome, UnixMillis now,
                                  Milliseconds retry_in);

    /// The agent of job number `job` is gone: its deliveries go to the front of their list. As with add(), a
    /// time is returned instead when the destination went down in the meantime.
    [[nodiscard]] std::optional<UnixMillis> give_back(std::uint64_t job, UnixMillis now);

    /// Until when deliveries to `destination` would be refused by add() because it is down; nullopt if they
    /// would not.
    [[nodiscard]] std::optional<UnixMillis> refused_until(const DestinationKey& destination,
                                                          UnixMillis now) const;

    /// When a connection to `destination` last failed; 0 if that is not known.
    [[nodiscard]] UnixMillis last_failure(const DestinationKey& destination) const;

    /// Whether a destination is down, suspected to be, or being probed.
    [[nodiscard]] bool is_down(const DestinationKey& destination) const;

    /// Tries a destination again at once, though it is down.
    void forgive(const DestinationKey& destination);

    /// Forgets what is known of destinations that have not been used since `before`.
    void prune(UnixMillis before);

    /// One destination, for the eye.
    struct State {
        DestinationKey key;
        bool down = false;
        UnixMillis down_until = 0;  ///< of one that is down; in the past, it is being probed
        unsigned window = 0;
        unsigned in_flight = 0;
        std::size_t ready = 0;                   ///< messages
        std::optional<UnixMillis> paused_until;  ///< it has used up its rate
        UnixMillis last_failure = 0;
    };
    /// All destinations that are known, or those with this next hop (scheduler_states.cpp).
    [[nodiscard]] std::vector<State> states(const std::string& next_hop, UnixMillis now) const;
    /// Whether this destination is known.
    [[nodiscard]] bool knows(const DestinationKey& key) const { return destinations_.count(key) > 0; }

    /// Deliveries that are ready.
    [[nodiscard]] std::size_t ready() const { return ready_; }
    [[nodiscard]] std::size_t in_flight() const { return jobs_.size(); }
    [[nodiscard]] std::size_t destinations() const { return destinations_.size(); }
    [[nodiscard]] std::size_t destinations_down() const { return down_; }
    /// Those that have used up their rate.
    [[nodiscard]] std::size_t destinations_paused() const { return paused_.size(); }

  private:
    struct Destination {
        Destination(DestinationKey key_in, const HealthSettings& settings)
            : key(std::move(key_in)), health(settings) {}
        DestinationKey key;
        Health health;
        ReadyList list;
        SendRate rate;
        RouteLimits limits;
        QueueId limits_of;  // the message that brought them
        unsigned in_flight = 0;
        std::optional<Trust> in_turn;            // stands in turns_, among those trusted like this
        std::list<Destination*>::iterator turn;  // there
        std::optional<UnixMillis> paused_until;  // stands in paused_
        std::optional<UnixMillis> idle_since;    // stands in idle_
    };
    // The destinations of a transport that have something ready, by trust, in the order of their turns. One
    // whose window is full is taken out when its turn comes and put back when a job of it ends, one whose
    // rate is used up when that has room.
    struct Turns {
        std::array<std::list<Destination*>, kTrusts> of;
        std::size_t next = 0;  // the degree of trust whose turn it is
    };

    Destination* find(const DestinationKey& key) const;
    Destination& destination_for(const DestinationKey& key);
    [[nodiscard]] HealthSettings health_settings(const DestinationKey& key, const RouteLimits& limits) const;
    void take_limits(Destination& destination, const RouteLimits& limits, QueueId message);
    [[nodiscard]] static std::optional<UnixMillis> down_until(const Destination& destination, UnixMillis now);
    void queue_turn(Destination& destination);
    [[nodiscard]] std::list<Destination*>& line(const Destination& destination, Trust trust);
    void leave_turns(Destination& destination);
    void take_evidence(Destination& destination, bool deferred_before);
    void pause(Destination& destination, UnixMillis until);
    void wake(UnixMillis now);
    [[nodiscard]] bool may_start(Destination& destination, UnixMillis now);
    [[nodiscard]] Destination* next_turn(Turns& turns, UnixMillis now, Trust least);
    [[nodiscard]] Job take_job(Destination& destination, UnixMillis now);
    void end_job(Destination& destination, const Job& job, JobOutcome outcome, UnixMillis now,
                 Milliseconds retry_in, Effect& effect);
    void settle(Destination& destination, UnixMillis now);
    void in_use(Destination& destination);

    SchedulerSettings settings_;
    JitterSource jitter_;
    std::map<DestinationKey, std::unique_ptr<Destination>> destinations_;
    std::array<Turns, TransportSet().size()> turns_;
    std::size_t next_transport_ = 0;
    std::set<std::pair<UnixMillis, Destination*>> paused_;
    // Those without work, by the time since when, of which something is worth remembering.
    std::set<std::pair<UnixMillis, Destination*>> idle_;
    std::unordered_map<std::uint64_t, Job> jobs_;
    std::uint64_t next_job_ = 1;
    std::size_t ready_ = 0;
    std::size_t down_ = 0;
};

}  // namespace postrider::queue_manager
