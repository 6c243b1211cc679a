#include "queue-manager/dispatcher.h"

#include <algorithm>
#include <utility>

#include "libcommon/log/log.h"

namespace postrider::queue_manager {

namespace {
// More jobs than this wait in an agent's socket instead of in the scheduler, where they would be fair.
constexpr std::size_t kMaxCapacity = 10'000;
}  // namespace

TransportSet transports_of(wire::Role role) {
    TransportSet transports;
    if (role == wire::ROLE_REMOTE_DELIVERY) transports.set(wire::TRANSPORT_SMTP);
    if (role == wire::ROLE_LOCAL_DELIVERY) {
        transports.set(wire::TRANSPORT_MAILDIR).set(wire::TRANSPORT_PROGRAM).set(wire::TRANSPORT_FILE);
    }
    return transports;
}

void Dispatcher::ready(QueuePeer& peer, const wire::AgentReady& ready) {
    auto [found, is_new] = agents_.try_emplace(&peer);
    if (is_new) turns_.push_back(&peer);
    Agent& agent = found->second;
    agent.transports.reset();
    for (int transport : ready.transports()) {
        bool known = transport > 0 && static_cast<std::size_t>(transport) < agent.transports.size();
        if (known) agent.transports.set(static_cast<std::size_t>(transport));
    }
    agent.transports &= transports_of(peer.role());
    agent.capacity = std::min<std::size_t>(ready.capacity(), kMaxCapacity);
    offer();
}

/// How much a destination has to be trusted to get a place of this agent; nullopt if it has none.
std::optional<Trust> Dispatcher::least_trust(const Agent& agent) {
    if (agent.jobs.size() >= agent.capacity) return std::nullopt;
    const std::size_t suspect = agent.in_hand[static_cast<std::size_t>(Trust::Suspect)];
    const std::size_t untested = agent.in_hand[static_cast<std::size_t>(Trust::Untested)];
    if (suspect + untested >= (3 * agent.capacity + 3) / 4) return Trust::Proven;
    return suspect >= (agent.capacity + 1) / 2 ? Trust::Untested : Trust::Suspect;
}

bool Dispatcher::offer_one(QueuePeer& peer, Agent& agent) {
    const auto least = least_trust(agent);
    if (!least) return false;
    auto dispatch = queue_.next_job(agent.transports, *least);
    if (!dispatch) return false;
    ++agent.in_hand[static_cast<std::size_t>(dispatch->job.trust)];
    agent.jobs.emplace(dispatch->job.number, std::move(dispatch->job));
    wire::QueueReply reply;
    *reply.mutable_deliver() = std::move(dispatch->frame);
    reply.mutable_deliver()->set_reports_taken(agent.reports_taken);
    agent.reports_said = agent.reports_taken;
    // If it cannot be sent the agent is disconnected, and gone() gives the job to another.
    peer.reply(reply, std::move(dispatch->descriptor));
    return true;
}

void Dispatcher::offer() {
    // Agents with the same transports take turns, job by job, until nobody can take one.
    std::size_t refused = 0;
    while (refused < turns_.size()) {
        QueuePeer* peer = turns_.front();
        turns_.pop_front();
        turns_.push_back(peer);
        refused = offer_one(*peer, agents_.at(peer)) ? 0 : refused + 1;
    }
}

Result<void> Dispatcher::report(QueuePeer& peer, const wire::DeliveryReport& report) {
    const auto id = QueueId::parse(report.queue_id());
    if (!id) return permanent("reported about what is no queue id");
    std::vector<wire::DeliveryResult> results(report.results().begin(), report.results().end());
    auto agent = agents_.find(&peer);
    const bool known = agent != agents_.end() && agent->second.jobs.count(report.job()) > 0 &&
                       agent->second.jobs.at(report.job()).message == *id;
    if (!known) {
        // Of a job that was given out before our last start.
        queue_.late_report(*id, transports_of(peer.role()), std::move(results));
    } else {
        auto found = agent->second.jobs.find(report.job());
        Job job = std::move(found->second);
        agent->second.jobs.erase(found);
        --agent->second.in_hand[static_cast<std::size_t>(job.trust)];
        queue_.job_done(job, results);
    }
    if (agent != agents_.end()) agent->second.reports_taken = report.sequence();
    offer();
    say_taken(peer, report.sequence());
    return {};
}

// Mostly a job that was offered just now has said so already.
void Dispatcher::say_taken(QueuePeer& peer, std::uint64_t sequence) {
    auto agent = agents_.find(&peer);
    if (agent != agents_.end()) {
        if (agent->second.reports_said >= sequence) return;
        agent->second.reports_said = sequence;
    }
    wire::QueueReply reply;
    reply.mutable_reports_taken()->set_sequence(sequence);
    peer.reply(reply);
}

void Dispatcher::gone(QueuePeer& peer) {
    auto found = agents_.find(&peer);
    if (found == agents_.end()) return;
    Agent agent = std::move(found->second);
    agents_.erase(found);
    std::erase(turns_, &peer);
    if (!agent.jobs.empty()) log::warning("agent_lost").add("jobs", agent.jobs.size());
    for (const auto& [number, job] : agent.jobs)
        queue_.job_lost(job);
    offer();
}

std::size_t Dispatcher::in_flight() const {
    std::size_t jobs = 0;
    for (const auto& [peer, agent] : agents_)
        jobs += agent.jobs.size();
    return jobs;
}

}  // namespace postrider::queue_manager
