#include "router/facts.h"

#include <utility>

namespace postrider::router {

UserAnswer Facts::system_user(const std::string& name) {
    UserAnswer answer = answer_user(name);
    if (answer.state == FactState::Pending) missing_.users.push_back(name);
    return answer;
}

DnsAnswer Facts::dns(const DnsQuestion& question) {
    DnsAnswer answer = answer_dns(question);
    if (answer.state == FactState::Pending) missing_.names.push_back(question);
    return answer;
}

ExternalAnswer Facts::external_user(const ExternalQuestion& question) {
    ExternalAnswer answer = answer_external(question);
    if (answer.state == FactState::Pending) missing_.external_users.push_back(question);
    return answer;
}

MissingFacts Facts::take_missing() {
    return std::exchange(missing_, {});
}

}  // namespace postrider::router
