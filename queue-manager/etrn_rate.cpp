#include "queue-manager/etrn_rate.h"

namespace postrider::queue_manager {

UnixMillis EtrnRate::wait(const std::string& domain, UnixMillis now) {
    if (interval_ == 0) return 0;
    while (!order_.empty() && now >= asked_.at(order_.front()) + interval_)
        forget_oldest();
    const auto found = asked_.find(domain);
    if (found != asked_.end()) return found->second + interval_ - now;
    if (asked_.size() >= kMaxDomains) forget_oldest();
    asked_.emplace(domain, now);
    order_.push_back(domain);
    return 0;
}

void EtrnRate::forget_oldest() {
    asked_.erase(order_.front());
    order_.pop_front();
}

}  // namespace postrider::queue_manager
