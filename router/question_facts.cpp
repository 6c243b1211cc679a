#include "router/question_facts.h"

#include <utility>

namespace postrider::router {

namespace {

DnsAnswer fact_of(Result<dns::Answer> found) {
    DnsAnswer fact;
    fact.state = FactState::Unavailable;
    if (!found) return fact;
    fact.state = found->outcome == dns::Outcome::Found ? FactState::Known : FactState::Unknown;
    fact.answer = std::move(*found);
    return fact;
}

}  // namespace

UserAnswer QuestionFacts::answer_user(const std::string& name) {
    const auto found = users_.find(name);
    return found != users_.end() ? found->second : sources_.users.find(name);
}

DnsAnswer QuestionFacts::answer_dns(const DnsQuestion& question) {
    const auto found = names_.find({question.name, question.type});
    if (found != names_.end()) return found->second;
    std::optional<Result<dns::Answer>> known = sources_.resolver.known(question.name, question.type);
    return known ? fact_of(std::move(*known)) : DnsAnswer();
}

ExternalAnswer QuestionFacts::answer_external(const ExternalQuestion& question) {
    const auto found = external_users_.find({question.socket, question.address});
    return found != external_users_.end() ? found->second : sources_.external_users.find(question);
}

async::Task<void> QuestionFacts::find_out() {
    MissingFacts missing = take_missing();
    async::Scope scope(sources_.loop);
    if (!missing.users.empty()) scope.spawn(find_out_users(std::move(missing.users)));
    for (DnsQuestion& question : missing.names) {
        // Entered before the answer is there, so that what was missed twice is asked once.
        const bool first = names_.try_emplace({question.name, question.type}).second;
        if (first) scope.spawn(find_out_dns(std::move(question)));
    }
    for (ExternalQuestion& question : missing.external_users) {
        const bool first = external_users_.try_emplace({question.socket, question.address}).second;
        if (first) scope.spawn(find_out_external(std::move(question)));
    }
    co_await scope.join();
}

async::Task<void> QuestionFacts::find_out_users(std::vector<std::string> names) {
    co_await sources_.users.look_up(names);
    for (std::string& name : names) {
        UserAnswer answer = sources_.users.find(name);
        if (answer.state != FactState::Pending) users_.insert_or_assign(std::move(name), std::move(answer));
    }
}

async::Task<void> QuestionFacts::find_out_dns(DnsQuestion question) {
    const async::Deadline deadline = begun_ + question.patience;
    auto found = co_await sources_.resolver.lookup(question.name, question.type, deadline);
    names_.insert_or_assign({std::move(question.name), question.type}, fact_of(std::move(found)));
}

async::Task<void> QuestionFacts::find_out_external(ExternalQuestion question) {
    auto answer = co_await sources_.external_users.look_up(question);
    external_users_.insert_or_assign({std::move(question.socket), std::move(question.address)},
                                     std::move(answer));
}

}  // namespace postrider::router
