#include "smtpd/auth/failure_counter.h"

#include <algorithm>
#include <utility>

namespace postrider::auth {

namespace {

/// `first` doubled `times` times, but not above `most`.
Milliseconds doubled(Milliseconds first, std::size_t times, Milliseconds most) {
    Milliseconds value = std::min(first, most);
    for (std::size_t i = 0; i < times && value < most; ++i)
        value = std::min(value * 2, most);
    return value;
}

}  // namespace

FailureRecords::Record* FailureRecords::find(const std::string& name) {
    const auto found = by_name_.find(name);
    return found == by_name_.end() ? nullptr : &*found->second;
}

FailureRecords::Record& FailureRecords::get(const std::string& name) {
    const auto found = by_name_.find(name);
    if (found != by_name_.end()) {
        records_.splice(records_.begin(), records_, found->second);
        return records_.front();
    }
    if (records_.size() >= limit_) {
        by_name_.erase(records_.back().name);
        records_.pop_back();
    }
    records_.emplace_front();
    records_.front().name = name;
    by_name_.emplace(name, records_.begin());
    return records_.front();
}

void FailureRecords::drop_if_empty(const std::string& name) {
    const auto found = by_name_.find(name);
    if (found == by_name_.end() || found->second->checks > 0 || !found->second->failures.empty()) return;
    records_.erase(found->second);
    by_name_.erase(found);
}

FailureCounter::FailureCounter(FailureLimits limits)
    : limits_(limits), clients_(limits.tracked), accounts_(limits.tracked) {}

void FailureCounter::forget_old(Record& record, const config::Rate& rate, SteadyTime now) {
    std::erase_if(record.failures, [&](SteadyTime at) { return at + rate.period <= now; });
    if (record.failures.empty()) record.locks = 0;
}

void FailureCounter::add_failure(Record& record, const config::Rate& rate, SteadyTime now) {
    forget_old(record, rate, now);
    // The oldest makes room: for the question whether there are too many, the latest ones are enough.
    if (record.failures.size() >= rate.count) record.failures.erase(record.failures.begin());
    record.failures.push_back(now);
}

Admission FailureCounter::client_admission(const std::string& client, SteadyTime now) {
    Record* record = clients_.find(client);
    if (record == nullptr) return Admission::Admitted;
    forget_old(*record, limits_.client, now);
    if (record->failures.size() >= limits_.client.count) return Admission::Locked;
    const bool full = record->failures.size() + record->checks >= limits_.client.count;
    return full ? Admission::Wait : Admission::Admitted;
}

Admission FailureCounter::account_admission(const std::string& account, SteadyTime now) {
    Record* record = account.empty() ? nullptr : accounts_.find(account);
    if (record == nullptr) return Admission::Admitted;
    if (now < record->locked_until) return Admission::Locked;
    forget_old(*record, limits_.account, now);
    // After a lock there is one attempt at a time, the next failure locks again.
    const std::size_t most = std::max<std::size_t>(
        limits_.account.count - std::min<std::size_t>(limits_.account.count, record->failures.size()), 1);
    return record->checks >= most ? Admission::Wait : Admission::Admitted;
}

Admission FailureCounter::admit(const std::string& client, const std::string& account, SteadyTime now) {
    const Admission for_client = client_admission(client, now);
    const Admission for_account = account_admission(account, now);
    if (for_client == Admission::Locked || for_account == Admission::Locked) return Admission::Locked;
    if (for_client == Admission::Wait || for_account == Admission::Wait) return Admission::Wait;
    ++clients_.get(client).checks;
    if (!account.empty()) ++accounts_.get(account).checks;
    return Admission::Admitted;
}

bool FailureCounter::is_client_locked(const std::string& client, SteadyTime now) {
    return client_admission(client, now) == Admission::Locked;
}

void FailureCounter::end_check(const std::string& client, const std::string& account) {
    for (auto [records, name] : {std::pair(&clients_, &client), std::pair(&accounts_, &account)}) {
        Record* record = records->find(*name);
        // It may have been forgotten meanwhile, and be a new one.
        if (record != nullptr && record->checks > 0) --record->checks;
        records->drop_if_empty(*name);
    }
}

void FailureCounter::succeeded(const std::string& client, const std::string& account) {
    if (Record* record = accounts_.find(account)) {
        record->failures.clear();
        record->locks = 0;
        record->locked_until = SteadyTime{};
    }
    end_check(client, account);
}

void FailureCounter::abandoned(const std::string& client, const std::string& account) {
    end_check(client, account);
}

Milliseconds FailureCounter::failed(const std::string& client, const std::string& account, SteadyTime now) {
    end_check(client, account);
    Record& by_client = clients_.get(client);
    add_failure(by_client, limits_.client, now);
    const std::size_t failures = by_client.failures.size();
    if (!account.empty()) {
        Record& by_account = accounts_.get(account);
        add_failure(by_account, limits_.account, now);
        if (by_account.failures.size() >= limits_.account.count) lock_account(by_account, now);
    }
    return doubled(limits_.delay, failures - 1, limits_.delay_max);
}

void FailureCounter::lock_account(Record& record, SteadyTime now) const {
    record.locked_until = now + doubled(limits_.lock, record.locks, limits_.lock_max);
    ++record.locks;
}

}  // namespace postrider::auth
