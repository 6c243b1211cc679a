#include <numeric>

#include "queue-manager/scheduler.h"

namespace postrider::queue_manager {

std::vector<Scheduler::State> Scheduler::states(const std::string& next_hop, UnixMillis now) const {
    std::vector<State> states;
    for (const auto& [key, destination] : destinations_) {
        if (!next_hop.empty() && key.next_hop != next_hop) continue;
        State& state = states.emplace_back();
        state.key = key;
        state.down = destination->health.down();
        state.down_until = state.down ? destination->health.down_until() : 0;
        state.window = destination->health.window(now);
        state.in_flight = destination->in_flight;
        state.last_failure = destination->health.last_failure();
        for (const auto* list : {&destination->messages, &destination->reports}) {
            state.ready = std::accumulate(
                list->begin(), list->end(), state.ready,
                [](std::size_t sum, const Entry& entry) { return sum + entry.deliveries.size(); });
        }
    }
    return states;
}

}  // namespace postrider::queue_manager
