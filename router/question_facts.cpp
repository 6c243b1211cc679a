#include "router/question_facts.h"

#include <utility>

namespace postrider::router {

UserAnswer QuestionFacts::answer_user(const std::string& name) {
    const auto found = users_.find(name);
    return found != users_.end() ? found->second : sources_.users.find(name);
}

DnsAnswer QuestionFacts::answer_dns(const DnsQuestion& /*question*/) {
    DnsAnswer answer;
    answer.state = FactState::Unavailable;
    return answer;
}

async::Task<void> QuestionFacts::find_out() {
    MissingFacts missing = take_missing();
    co_await sources_.users.look_up(missing.users);
    for (std::string& name : missing.users) {
        UserAnswer answer = sources_.users.find(name);
        if (answer.state != FactState::Pending) users_.insert_or_assign(std::move(name), std::move(answer));
    }
}

}  // namespace postrider::router
