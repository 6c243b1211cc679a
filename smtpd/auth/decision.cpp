// The part of the service that decides: from what a client said to the outcome, with the counting of failures
// around it.

#include <utility>

#include "smtpd/auth/login_name.h"
#include "smtpd/auth/service.h"

namespace postrider::auth {

namespace {

wire::AuthOutcome decided(wire::AuthOutcome::Result result, std::string reason, std::uint32_t delay_ms = 0) {
    wire::AuthOutcome outcome;
    outcome.set_result(result);
    outcome.set_reason(std::move(reason));
    outcome.set_delay_ms(delay_ms);
    return outcome;
}

}  // namespace

void Service::take_step(Question question, Step step) {
    if (auto* data = std::get_if<Challenge>(&step)) {
        challenge(question, data->data);
    } else if (auto* malformed = std::get_if<Malformed>(&step)) {
        finish(question, decided(wire::AuthOutcome::MALFORMED, std::move(malformed->reason)), {});
    } else if (auto* refused = std::get_if<Refused>(&step)) {
        finish(question, decided(wire::AuthOutcome::REJECTED, std::move(refused->reason)), {});
    } else if (auto* claim = std::get_if<Claim>(&step)) {
        auto credentials = std::make_shared<Credentials>();
        credentials->login = std::move(claim->login);
        credentials->password = std::move(claim->password);
        credentials->client_address = question.running->client_address;
        credentials->tls = question.running->tls;
        question.running->checking = true;
        scope_.spawn(check(std::move(question), std::move(credentials)));
    } else {
        question.running->checking = true;
        scope_.spawn(settle(std::move(question), std::move(step)));
    }
}

async::Task<bool> Service::admitted(Question question, std::string account) {
    const async::Deadline deadline = loop_.after(settings_.timeout);
    while (true) {
        const Admission admission = failures_.admit(question.running->client, account, loop_.now());
        if (admission == Admission::Admitted) co_return true;
        if (admission == Admission::Locked) {
            finish(question, decided(wire::AuthOutcome::LOCKED, "too many failures"), account);
            co_return false;
        }
        bool notified = co_await check_ended_.wait(deadline);
        if (!notified) {
            finish(question, decided(wire::AuthOutcome::UNAVAILABLE, "too many checks at once"), account);
            co_return false;
        }
    }
}

async::Task<CheckResult> Service::ask_methods(std::shared_ptr<const Credentials> credentials,
                                              std::string& method) {
    const async::Deadline deadline = loop_.after(settings_.timeout);
    CheckResult result;
    result.verdict = Verdict::UnknownUser;
    for (const std::unique_ptr<Method>& next : methods_) {
        method = next->name();
        result = co_await next->check(credentials, deadline);
        // What one method cannot tell no other one may decide: a user of the first could be a stranger's in
        // the second.
        if (result.verdict != Verdict::UnknownUser) break;
    }
    co_return result;
}

async::Task<void> Service::check(Question question, std::shared_ptr<const Credentials> credentials) {
    const std::string account = canonical_login(credentials->login);
    bool may_check = co_await admitted(question, account);
    if (!may_check) co_return;
    std::string method;
    CheckResult result = co_await ask_methods(credentials, method);
    wire::AuthOutcome outcome;
    if (result.verdict == Verdict::Accepted) {
        count_success(*question.running, account);
        outcome = decided(wire::AuthOutcome::ACCEPTED, {});
        outcome.set_login(result.login);
    } else if (result.verdict == Verdict::Unavailable) {
        failures_.abandoned(question.running->client, account);
        check_ended_.notify_all();
        outcome = decided(wire::AuthOutcome::UNAVAILABLE, std::move(result.reason));
    } else {
        const std::uint32_t delay = count_failure(*question.running, account);
        outcome = decided(wire::AuthOutcome::REJECTED, std::move(result.reason), delay);
    }
    finish(question, std::move(outcome), credentials->login, method);
}

async::Task<void> Service::settle(Question question, Step step) {
    const auto* proven = std::get_if<Proven>(&step);
    const auto* disproven = std::get_if<Disproven>(&step);
    const std::string account = proven != nullptr ? proven->login : canonical_login(disproven->login);
    // Asked only now that the result is known, but before it is told.
    bool may_tell = co_await admitted(question, account);
    if (!may_tell) co_return;
    if (proven == nullptr) {
        const std::uint32_t delay = count_failure(*question.running, account);
        finish(question, decided(wire::AuthOutcome::REJECTED, disproven->reason, delay), account);
        co_return;
    }
    count_success(*question.running, account);
    question.running->proven_login = account;
    if (proven->final_data.empty()) {
        take_acknowledgement(question, {});
    } else {
        challenge(question, proven->final_data);
    }
}

void Service::take_acknowledgement(const Question& question, std::string_view data) {
    const std::string login = question.running->proven_login;
    if (!data.empty()) {
        finish(question, decided(wire::AuthOutcome::MALFORMED, "an answer to the last message"), login);
        return;
    }
    wire::AuthOutcome outcome = decided(wire::AuthOutcome::ACCEPTED, {});
    outcome.set_login(login);
    finish(question, std::move(outcome), login, "passwd_file");
}

void Service::count_success(const Running& running, const std::string& account) {
    failures_.succeeded(running.client, account);
    check_ended_.notify_all();
}

std::uint32_t Service::count_failure(const Running& running, const std::string& account) {
    const Milliseconds delay = failures_.failed(running.client, account, loop_.now());
    check_ended_.notify_all();
    return static_cast<std::uint32_t>(delay.count());
}

}  // namespace postrider::auth
