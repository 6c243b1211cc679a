#include "queue-manager/flush_scope.h"

#include <algorithm>

#include "queue-manager/message.h"

namespace postrider::queue_manager {

namespace {
constexpr std::string_view kSmtpPort = ":25";
constexpr std::size_t kMaxDomains = 16;
}  // namespace

bool belongs_to(std::string_view name, std::string_view domain, bool subdomains) {
    if (name == domain) return true;
    if (name.ends_with(kSmtpPort)) name.remove_suffix(kSmtpPort.size());
    if (name == domain) return true;
    return subdomains && name.size() > domain.size() && name.ends_with(domain) &&
           name[name.size() - domain.size() - 1] == '.';
}

FlushScope::FlushScope(std::string_view domain, bool subdomains) : all_(domain.empty()) {
    if (!all_) domains_.push_back({std::string(domain), subdomains});
}

void FlushScope::add(const FlushScope& other) {
    all_ |= other.all_;
    for (const Domain& domain : other.domains_) {
        if (std::find(domains_.begin(), domains_.end(), domain) == domains_.end()) domains_.push_back(domain);
    }
    all_ |= domains_.size() > kMaxDomains;
    if (all_) domains_.clear();
}

bool FlushScope::covers(const wire::Delivery& delivery) const {
    if (all_) return true;
    const std::string recipient_domain = domain_of(delivery.recipient());
    return std::any_of(domains_.begin(), domains_.end(), [&](const Domain& domain) {
        return belongs_to(recipient_domain, domain.name, domain.subdomains) ||
               belongs_to(delivery.next_hop(), domain.name, domain.subdomains);
    });
}

}  // namespace postrider::queue_manager
