#include "queue-manager/scheduler.h"

namespace postrider::queue_manager {

std::vector<Scheduler::State> Scheduler::states(const std::string& next_hop, UnixMillis now) const {
    std::vector<State> states;
    for (const auto& [key, destination] : destinations_) {
        if (!next_hop.empty() && key.next_hop != next_hop) continue;
        State& state = states.emplace_back();
        state.key = key;
        state.down = destination->health.known_down();
        state.down_until = state.down ? destination->health.down_until() : 0;
        state.window = destination->health.window(now);
        state.in_flight = destination->in_flight;
        state.ready = destination->list.size();
        state.paused_until = destination->paused_until;
        state.last_failure = destination->health.last_failure();
    }
    return states;
}

}  // namespace postrider::queue_manager
