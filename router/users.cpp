#include "router/users.h"

#include <fmt/format.h>
#include <pwd.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "router/path_template.h"

namespace postrider::router {

namespace {

SystemUser user_of(const passwd& entry) {
    SystemUser user;
    user.name = entry.pw_name;
    user.uid = entry.pw_uid;
    user.gid = entry.pw_gid;
    user.home = entry.pw_dir == nullptr ? "" : entry.pw_dir;
    return user;
}

UserAnswer answer_of(Result<std::optional<SystemUser>> found) {
    UserAnswer answer;
    if (!found) {
        answer.state = FactState::Unavailable;
    } else if (!*found) {
        answer.state = FactState::Unknown;
    } else {
        answer.state = FactState::Known;
        answer.user = std::make_shared<const SystemUser>(std::move(**found));
    }
    return answer;
}

}  // namespace

bool can_be_user_name(std::string_view name) {
    // Longer than any name that useradd(8) takes.
    constexpr std::size_t kLongest = 255;
    return is_safe_path_part(name) && name.size() <= kLongest && name.find(':') == std::string_view::npos &&
           !name.starts_with('-');
}

Result<std::optional<SystemUser>> find_system_user(const std::string& name) {
    constexpr std::size_t kFirstTry = 4096;
    constexpr std::size_t kLargest = std::size_t{1024} * 1024;
    for (std::vector<char> buffer(kFirstTry); buffer.size() <= kLargest; buffer.resize(buffer.size() * 2)) {
        passwd entry{};
        passwd* found = nullptr;
        const int error = ::getpwnam_r(name.c_str(), &entry, buffer.data(), buffer.size(), &found);
        if (error == ERANGE) continue;
        if (found != nullptr) return user_of(entry);
        // getpwnam(3) lists what "not found" looks like. Of these only the first three can be believed: a
        // sandbox or a full descriptor table shows as EPERM or EBADF, and a user must not be unknown for
        // that.
        if (error == 0 || error == ENOENT || error == ESRCH) return std::optional<SystemUser>();
        return system_failure(fmt::format("user {}", name), error);
    }
    return temporary(fmt::format("user {}: the entry is too large", name));
}

UserAnswer BlockingFacts::answer_user(const std::string& name) {
    const auto known = answers_.find(name);
    if (known != answers_.end()) return known->second;
    return answers_.emplace(name, answer_of(find_system_user(name))).first->second;
}

DnsAnswer BlockingFacts::answer_dns(const DnsQuestion& /*question*/) {
    DnsAnswer answer;
    answer.state = FactState::Unavailable;
    return answer;
}

ExternalAnswer BlockingFacts::answer_external(const ExternalQuestion& /*question*/) {
    ExternalAnswer answer;
    answer.state = FactState::Unavailable;
    return answer;
}

UserCache::UserCache(async::Loop& loop, async::ThreadPool& pool, UserCacheLimits limits, Find find)
    : loop_(loop),
      pool_(pool),
      limits_(limits),
      find_(std::move(find)),
      answers_(limits.entries),
      fetched_(loop),
      scope_(loop) {}

UserAnswer UserCache::find(const std::string& name) {
    const UserAnswer* known = answers_.find(name, loop_.now());
    return known == nullptr ? UserAnswer() : *known;
}

async::Task<void> UserCache::look_up(std::vector<std::string> names) {
    Batch batch;
    for (const std::string& name : names) {
        if (!in_flight_.insert(name).second) continue;
        batch.push_back(name);
        if (batch.size() == limits_.names_per_job) scope_.spawn(fetch(std::exchange(batch, {})));
    }
    if (!batch.empty()) scope_.spawn(fetch(std::move(batch)));
    while (any_in_flight(names)) {
        co_await fetched_.wait();
    }
}

async::Task<void> UserCache::fetch(Batch names) {
    // The thread gets copies: it may still run when this cache is gone.
    std::function<Answers()> work = [names, find = find_] {
        Answers answers;
        answers.reserve(names.size());
        for (const std::string& name : names)
            answers.push_back(answer_of(find(name)));
        return answers;
    };
    auto answers = co_await pool_.run(std::move(work));
    for (std::size_t i = 0; i < names.size(); ++i) {
        UserAnswer answer;
        answer.state = FactState::Unavailable;
        if (answers) answer = std::move((*answers)[i]);
        in_flight_.erase(names[i]);
        const SteadyTime expires = loop_.now() + lifetime(answer.state);
        answers_.store(names[i], std::move(answer), expires);
    }
    fetched_.notify_all();
}

bool UserCache::any_in_flight(const Batch& names) const {
    return std::any_of(names.begin(), names.end(),
                       [&](const std::string& name) { return in_flight_.contains(name); });
}

void UserCache::clear() {
    answers_.clear();
}

Milliseconds UserCache::lifetime(FactState state) const {
    if (state == FactState::Known) return limits_.known;
    if (state == FactState::Unknown) return limits_.unknown;
    return limits_.unavailable;
}

}  // namespace postrider::router
