// Ten days of a queue in virtual time: the Agenda, which decides all of it in the daemon, too, drives a model
// of a million messages, of the disk they wait on, and of hosts that answer, fail, recover, refuse for a
// while, or are slow. Every attempt is checked against the schedule of its message.
//
// By default a small one runs. All of it, optimised and with its figures, by
//
//     cmake --preset release -DPOSTRIDER_TESTS=ON && cmake --build --preset release --target
//     unit_queue_manager build/release/bin/unit_queue_manager "[.full]"

#include <catch2/catch.hpp>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <map>
#include <queue>
#include <random>
#include <string>
#include <vector>

#include "queue-manager/agenda.h"

using namespace postrider;
using namespace postrider::queue_manager;

namespace {

constexpr UnixMillis kSecond = 1000;
constexpr UnixMillis kMinute = 60 * kSecond;
constexpr UnixMillis kSimHour = 60 * kMinute;
constexpr UnixMillis kSimDay = 24 * kSimHour;
constexpr UnixMillis kBegin = 1'700'000'000'000 - 1'700'000'000'000 % kSimHour;
constexpr UnixMillis kArrivals = 4 * kSimDay;  // how long messages come in
constexpr UnixMillis kLastDay = 10 * kSimDay;
constexpr std::size_t kAgents = 2000;  // jobs in flight at most

// How late an attempt may be where nothing but the order of events stands in its way.
constexpr UnixMillis kPrompt = 5 * kMinute;
// Connections to a host that is down, in any hour: those of the first window, and one probe for each dead
// time, which is no longer than the first retry of a fresh message, 5 minutes less the jitter.
constexpr std::size_t kDeadPerHour = 5 + 14;

enum class Host { Well, Grey, Dead, Flapping, Busy, Tarpit, Rated, Hourly, Shared };

struct Destination {
    Host kind = Host::Well;
    std::string name;
    UnixMillis phase = 0;      // of what comes and goes
    UnixMillis recovered = 0;  // when it last was up again
    std::uint64_t jobs = 0;    // begun
    std::uint64_t jobs_of_hour = 0;
    UnixMillis hour = 0;
    std::uint64_t taken_of_minute = 0;
    UnixMillis minute = 0;
    std::vector<UnixMillis> recent;  // of Rated: when jobs began
};

struct SimMessage {
    UnixMillis arrival = 0;
    UnixMillis due = 0;   // by its own schedule
    UnixMillis last = 0;  // when its last attempt began
    UnixMillis timer = 0;
    std::uint64_t behind = 0;  // jobs of its destination when it became ready
    std::uint32_t host = 0;
    std::uint32_t sender = 0;
    std::uint32_t attempts = 0;
    enum class State : std::uint8_t { Waiting, Ready, InFlight, Delivered, Expired } state = State::Waiting;
};

struct Figures {
    std::uint64_t attempts = 0;
    std::uint64_t delivered = 0;
    std::uint64_t expired = 0;
    std::uint64_t untried = 0;  // expired without an attempt of their own
    std::uint64_t early = 0;
    std::uint64_t late = 0;
    std::uint64_t off_hour = 0;
    std::uint64_t too_soon_expired = 0;
    std::uint64_t rate_broken = 0;
    std::uint64_t dead_most = 0;    // connections to one host that is down in an hour
    std::uint64_t single_most = 0;  // jobs before the one message of a sender
    std::uint64_t loads = 0;
};

class Simulation {
  public:
    explicit Simulation(std::uint32_t messages) : random_(7), agenda_(settings_, jitter()) {
        make_hosts();
        make_messages(messages);
        agenda_.start(kBegin);
    }

    const Figures& run() {
        for (std::size_t next = 0; step(next);) {
        }
        return figures_;
    }
    [[nodiscard]] UnixMillis now() const { return now_; }
    [[nodiscard]] std::size_t messages() const { return messages_.size(); }
    [[nodiscard]] const Agenda& agenda() const { return agenda_; }

  private:
    struct JobEnd {
        UnixMillis at;
        std::uint64_t number;
        friend bool operator>(const JobEnd& a, const JobEnd& b) { return a.at > b.at; }
    };

    JitterSource jitter() {
        return [this] { return std::uniform_real_distribution<double>(-1, 1)(random_); };
    }
    std::uint64_t pick(std::uint64_t below) { return random_() % below; }

    void make_hosts();
    void make_messages(std::uint32_t count);
    bool step(std::size_t& next);
    void offer(std::uint32_t index);
    void rest(std::uint32_t index, UnixMillis due);
    void expire(SimMessage& message, std::uint32_t index);
    void begin(const Job& job);
    void check_start(SimMessage& message, Destination& host, const Job& job);
    void end(std::uint64_t number);
    [[nodiscard]] bool is_up(const Destination& host) const;
    [[nodiscard]] UnixMillis duration(const Destination& host);
    [[nodiscard]] bool accepts(Destination& host, const SimMessage& message) const;
    [[nodiscard]] DeliveryTimes times(const SimMessage& message) const;
    [[nodiscard]] static QueueId id_of(const SimMessage& message, std::uint32_t index) {
        return {message.arrival, index};
    }

    Settings settings_ = [] {
        Settings settings;
        settings.retry = {Milliseconds(5 * kMinute), Milliseconds(15 * kMinute), Milliseconds(30 * kMinute),
                          Milliseconds(kSimHour),    Milliseconds(2 * kSimHour), Milliseconds(4 * kSimHour)};
        return settings;
    }();
    std::mt19937 random_;
    Agenda agenda_;
    std::vector<Destination> hosts_;
    std::map<std::string, std::uint32_t> by_name_;
    std::vector<SimMessage> messages_;
    std::map<std::uint64_t, Job> jobs_;
    std::priority_queue<JobEnd, std::vector<JobEnd>, std::greater<>> ends_;
    UnixMillis now_ = kBegin;
    Figures figures_;
};

constexpr std::uint32_t kSharedSenders = 20;

void Simulation::make_hosts() {
    const auto add = [this](Host kind, std::size_t count) {
        for (std::size_t i = 0; i < count; ++i) {
            Destination host;
            host.kind = kind;
            host.name = "host" + std::to_string(hosts_.size()) + ".test";
            host.phase = pick(12 * kSimHour);
            by_name_[host.name] = static_cast<std::uint32_t>(hosts_.size());
            hosts_.push_back(std::move(host));
        }
    };
    add(Host::Well, 1500);
    add(Host::Grey, 300);
    add(Host::Dead, 40);
    add(Host::Flapping, 60);
    add(Host::Busy, 50);
    add(Host::Tarpit, 10);
    add(Host::Rated, 10);
    add(Host::Hourly, 20);
    add(Host::Shared, 1);
}

void Simulation::make_messages(std::uint32_t count) {
    messages_.reserve(count);
    std::vector<UnixMillis> arrivals(count);
    for (UnixMillis& arrival : arrivals)
        arrival = kBegin + pick(kArrivals);
    std::sort(arrivals.begin(), arrivals.end());
    const auto shared = static_cast<std::uint32_t>(hosts_.size() - 1);
    for (std::uint32_t i = 0; i < count; ++i) {
        SimMessage message;
        message.arrival = arrivals[i];
        message.due = arrivals[i];
        message.host = static_cast<std::uint32_t>(pick(hosts_.size() - 1));
        message.sender = static_cast<std::uint32_t>(pick(1000));
        // Those that are slow would have days of work with more than this.
        const bool slow =
            hosts_[message.host].kind == Host::Tarpit || hosts_[message.host].kind == Host::Rated;
        if (slow && pick(4) != 0) message.host = 0;
        // One in ten is of a sender who floods the host that all share, once a day; twenty others have some
        // for it then, too.
        const std::uint32_t day = i / (count / 4 + 1);
        if (i % 10 == 0) {
            message.host = shared;
            message.sender = i % 1000 == 0 ? 1 + i / 1000 % kSharedSenders : 0;
            message.arrival = arrivals[day * (count / 4)] + (message.sender == 0 ? 0 : pick(10 * kMinute));
            message.due = message.arrival;
        }
        messages_.push_back(message);
    }
    std::stable_sort(messages_.begin(), messages_.end(),
                     [](const SimMessage& a, const SimMessage& b) { return a.arrival < b.arrival; });
}

DeliveryTimes Simulation::times(const SimMessage& message) const {
    DeliverySchedule schedule;
    if (hosts_[message.host].kind == Host::Hourly) schedule = {DeliverySchedule::Kind::Every, 3600};
    return {{settings_.retry, settings_.lifetime, settings_.retry_jitter_percent},
            schedule,
            message.arrival,
            message.attempts};
}

bool Simulation::is_up(const Destination& host) const {
    if (host.kind == Host::Dead) return false;
    if (host.kind != Host::Flapping) return true;
    return (now_ + host.phase) / (6 * kSimHour) % 2 == 0;
}

UnixMillis Simulation::duration(const Destination& host) {
    if (!is_up(host)) return 30 * kSecond;
    if (host.kind == Host::Tarpit) return kMinute + pick(2 * kMinute);
    return 50 + pick(2000);
}

bool Simulation::accepts(Destination& host, const SimMessage& message) const {
    // It refuses what it does not know yet.
    if (host.kind == Host::Grey) return message.attempts >= 2;
    if (host.kind != Host::Busy) return true;
    // It takes few messages a minute, and none in every other hour.
    if (now_ / kMinute != host.minute) host.taken_of_minute = 0;
    host.minute = now_ / kMinute;
    return now_ / kSimHour % 2 == 0 && ++host.taken_of_minute <= 2;
}

void Simulation::offer(std::uint32_t index) {
    SimMessage& message = messages_[index];
    Destination& host = hosts_[message.host];
    Offer offer;
    offer.message = id_of(message, index);
    offer.destination = {wire::TRANSPORT_SMTP, host.name};
    offer.sender = std::to_string(message.sender);
    if (host.kind == Host::Rated) {
        offer.limits.rate = 60;
        offer.limits.rate_period = Milliseconds(kSimHour);
    }
    offer.deliveries = {{1, 100}};
    offer.deferred_before = message.attempts > 0;
    const DestinationKey key = offer.destination;
    const auto refused = agenda_.scheduler().add(std::move(offer), now_);
    if (!refused) {
        message.state = SimMessage::State::Ready;
        message.behind = host.jobs;
        agenda_.set_timer(id_of(message, index), message.timer, agenda_.hard_end(times(message).end()));
        return;
    }
    const auto postponement = agenda_.postpone(*refused, times(message), key, now_);
    postponement.given_up ? expire(message, index) : rest(index, postponement.due);
}

/// The message is in memory, and goes to disk.
void Simulation::rest(std::uint32_t index, UnixMillis due) {
    SimMessage& message = messages_[index];
    message.state = SimMessage::State::Waiting;
    agenda_.leave(id_of(message, index), message.timer, 1);
    const std::string& name = hosts_[message.host].name;
    WaitingIndex::Entry entry;
    entry.due = due;
    entry.known = true;
    entry.topics.push_back(agenda_.waiting().topic(name));
    std::optional<Agenda::Only> only;
    const UnixMillis end = times(message).end();
    const UnixMillis hard_end = agenda_.hard_end(end);
    if (hosts_[message.host].kind != Host::Hourly)
        only = {name, now_ < end ? end : now_ < hard_end ? hard_end : kNever};
    agenda_.wait(id_of(message, index), std::move(entry), only, now_);
}

void Simulation::expire(SimMessage& message, std::uint32_t index) {
    if (now_ < message.arrival + static_cast<UnixMillis>(settings_.lifetime.count()))
        ++figures_.too_soon_expired;
    if (message.attempts == 0) ++figures_.untried;
    ++figures_.expired;
    message.state = SimMessage::State::Expired;
    agenda_.leave(id_of(message, index), message.timer, 1);
}

void Simulation::check_start(SimMessage& message, Destination& host, const Job& job) {
    // Not before its time, but that what waits for a host which was down goes when that is up again.
    const bool released = host.recovered != 0 && host.recovered >= message.last;
    if (now_ < message.due && !released) ++figures_.early;
    const bool prompt = host.kind == Host::Well || host.kind == Host::Grey || host.kind == Host::Busy;
    if (prompt && now_ > message.due + kPrompt) ++figures_.late;
    if (host.kind == Host::Hourly && now_ % kSimHour > kPrompt) ++figures_.off_hour;
    if (host.kind == Host::Shared && message.sender != 0 && message.attempts == 0)
        figures_.single_most = std::max(figures_.single_most, host.jobs - message.behind);
    ++host.jobs;
    if (host.kind == Host::Dead) {
        if (now_ / kSimHour != host.hour) host.jobs_of_hour = 0;
        host.hour = now_ / kSimHour;
        figures_.dead_most = std::max(figures_.dead_most, ++host.jobs_of_hour);
    }
    if (host.kind == Host::Rated) {
        if (host.recent.size() >= job.limits.rate) {
            if (now_ - host.recent[host.recent.size() - job.limits.rate] < kSimHour) ++figures_.rate_broken;
        }
        host.recent.push_back(now_);
    }
}

void Simulation::begin(const Job& job) {
    SimMessage& message = messages_[job.message.random()];
    if (message.state != SimMessage::State::Ready) {  // its time was over
        static_cast<void>(agenda_.finished(job, JobOutcome::Unknown, now_, Milliseconds(0)));
        return;
    }
    Destination& host = hosts_[message.host];
    check_start(message, host, job);
    ++figures_.attempts;
    message.last = now_;
    message.state = SimMessage::State::InFlight;
    agenda_.set_timer(job.message, message.timer, 0);
    ends_.push({now_ + duration(host), job.number});
    jobs_.emplace(job.number, job);
}

void Simulation::end(std::uint64_t number) {
    const Job job = jobs_.at(number);
    jobs_.erase(number);
    const std::uint32_t index = job.message.random();
    SimMessage& message = messages_[index];
    Destination& host = hosts_[message.host];
    const Milliseconds retry_in = times(message).retry.interval(message.attempts + 1);
    const bool reached = is_up(host);
    bool rests = false;
    if (reached && accepts(host, message)) {
        ++figures_.delivered;
        message.state = SimMessage::State::Delivered;
        agenda_.leave(job.message, message.timer, 1);
    } else if (const auto next = times(message).after_deferral(now_, jitter())) {
        message.due = *next;
        rests = true;
    } else {
        ++message.attempts;
        expire(message, index);
    }
    if (rests) ++message.attempts;
    const Agenda::Ended ended =
        agenda_.finished(job, reached ? JobOutcome::Reached : JobOutcome::NotReached, now_, retry_in);
    if (ended.recovered) host.recovered = now_;
    if (rests) rest(index, message.due);
    for (const ReadyMessage& parked : ended.parked) {
        const std::uint32_t other = parked.message.random();
        if (messages_[other].state != SimMessage::State::Ready) continue;
        const auto postponement =
            agenda_.postpone({ended.parked_until}, times(messages_[other]), job.destination, now_);
        postponement.given_up ? expire(messages_[other], other) : rest(other, postponement.due);
    }
}

/// Goes to the next time at which something happens; false when nothing will.
bool Simulation::step(std::size_t& next) {
    std::optional<UnixMillis> at = agenda_.next_event();
    if (next < messages_.size()) at = std::min(at.value_or(kNever), messages_[next].arrival);
    if (!ends_.empty()) at = std::min(at.value_or(kNever), ends_.top().at);
    if (!at) return false;
    now_ = std::max(now_, *at);
    for (; next < messages_.size() && messages_[next].arrival <= now_; ++next) {
        const auto index = static_cast<std::uint32_t>(next);
        SimMessage& message = messages_[next];
        const DeliveryTimes when = times(message);
        if (when.schedule.ticks()) message.due = when.schedule.next(message.arrival);
        agenda_.enter(1);
        if (agenda_.room_for(1) && message.due <= now_) {
            offer(index);
        } else {
            rest(index, message.due);
        }
    }
    while (!ends_.empty() && ends_.top().at <= now_) {
        const std::uint64_t number = ends_.top().number;
        ends_.pop();
        end(number);
    }
    for (auto due = agenda_.timers_due(now_); !due.empty(); due = agenda_.timers_due(now_)) {
        for (QueueId id : due) {
            SimMessage& message = messages_[id.random()];
            if (message.state == SimMessage::State::Ready) expire(message, id.random());
        }
    }
    while (auto loading = agenda_.next_to_load(now_)) {
        agenda_.load_ended(loading->id);
        ++figures_.loads;
        agenda_.enter(1);
        offer(loading->id.random());
    }
    while (jobs_.size() < kAgents) {
        const auto job = agenda_.scheduler().next(TransportSet().set(), now_);
        if (!job) break;
        begin(*job);
    }
    return true;
}

void simulate(std::uint32_t count) {
    const auto begun = std::chrono::steady_clock::now();
    Simulation simulation(count);
    const Figures& figures = simulation.run();
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begun;
    std::printf(
        "simulation: %zu messages, %.1f s; %llu attempts, %llu delivered, %llu expired (%llu without an "
        "attempt "
        "of their own), %llu read from disk; at most %llu connections an hour to a dead host, %llu jobs "
        "before a single message\n",
        simulation.messages(), took.count(), static_cast<unsigned long long>(figures.attempts),
        static_cast<unsigned long long>(figures.delivered), static_cast<unsigned long long>(figures.expired),
        static_cast<unsigned long long>(figures.untried), static_cast<unsigned long long>(figures.loads),
        static_cast<unsigned long long>(figures.dead_most),
        static_cast<unsigned long long>(figures.single_most));
    CHECK(figures.delivered + figures.expired == simulation.messages());
    CHECK(simulation.now() < kBegin + kLastDay);
    CHECK(figures.early == 0);
    CHECK(figures.late == 0);
    CHECK(figures.off_hour == 0);
    CHECK(figures.too_soon_expired == 0);
    CHECK(figures.rate_broken == 0);
    CHECK(figures.dead_most <= kDeadPerHour);
    // At most one job of each sender who has something there, and a report, of which there are none here.
    CHECK(figures.single_most <= kSharedSenders + 1);
    CHECK(simulation.agenda().waiting().size() == 0);
    CHECK(simulation.agenda().loading().empty());
    CHECK(simulation.agenda().scheduler().ready() == 0);
    CHECK(simulation.agenda().scheduler().in_flight() == 0);
}

}  // namespace

TEST_CASE("ten days of a queue") {
    simulate(20'000);
}

TEST_CASE("ten days of a queue of a million messages", "[.full]") {
    simulate(1'000'000);
}
