#include "router/external_users.h"

#include <utility>

namespace postrider::router {

namespace {

/// The map that servers are asked for.
constexpr const char* kMap = "users";

/// What a question is known by: neither part has a NUL.
std::string name_of(const ExternalQuestion& question) {
    return question.socket + '\0' + question.address;
}

ExternalAnswer answer_of(Result<std::optional<std::string>> found) {
    ExternalAnswer answer;
    if (!found) {
        answer.state = FactState::Unavailable;
        answer.reason = std::move(found).error().text;
    } else if (!*found) {
        answer.state = FactState::Unknown;
    } else {
        answer.state = FactState::Known;
        answer.value = std::make_shared<const std::string>(std::move(**found));
    }
    return answer;
}

/// Takes a question out of those in flight, however its look-up ends.
struct InFlight {
    InFlight(std::set<std::string>& all_in, const std::string& name_in, async::Condition& ended_in)
        : all(all_in), name(name_in), ended(ended_in) {
        all.insert(name);
    }
    ~InFlight() {
        all.erase(name);
        ended.notify_all();
    }
    InFlight(const InFlight&) = delete;
    InFlight& operator=(const InFlight&) = delete;

    std::set<std::string>& all;
    const std::string& name;
    async::Condition& ended;
};

}  // namespace

ExternalUserLimits ExternalUserLimits::from(const config::Limits& limits) {
    using config::Limit;
    ExternalUserLimits external;
    external.socketmap.timeout = limits.time(Limit::LookupTimeout);
    external.socketmap.connections = limits.size(Limit::LookupConnections);
    external.socketmap.waiting = limits.size(Limit::LookupsWaiting);
    external.socketmap.reply_size = limits.size(Limit::TableValue);
    external.entries = limits.size(Limit::LookupCache);
    external.known = limits.time(Limit::LookupCacheTtl);
    external.unknown = limits.time(Limit::LookupNegativeTtl);
    return external;
}

ExternalUsers::ExternalUsers(async::Loop& loop, const ExternalUserLimits& limits)
    : loop_(loop), limits_(limits), answers_(limits.entries), answered_(loop) {}

ExternalAnswer ExternalUsers::find(const ExternalQuestion& question) const {
    const ExternalAnswer* known = answers_.find(name_of(question), loop_.now());
    return known == nullptr ? ExternalAnswer() : *known;
}

async::Task<ExternalAnswer> ExternalUsers::look_up(ExternalQuestion question) {
    const std::string name = name_of(question);
    while (in_flight_.contains(name)) {
        co_await answered_.wait();
    }
    const ExternalAnswer* meanwhile = answers_.find(name, loop_.now());
    if (meanwhile != nullptr) co_return *meanwhile;

    const InFlight in_flight(in_flight_, name, answered_);
    auto found = co_await client(question.socket).look_up(kMap, std::move(question.address));
    ExternalAnswer answer = answer_of(std::move(found));
    Milliseconds lifetime = limits_.unavailable;
    if (answer.state == FactState::Known) lifetime = limits_.known;
    if (answer.state == FactState::Unknown) lifetime = limits_.unknown;
    answers_.store(name, answer, loop_.now() + lifetime);
    co_return answer;
}

void ExternalUsers::clear() {
    answers_.clear();
    // Those of the new tables come back with the first look-up; of others no connection shall stay.
    std::erase_if(clients_, [](const auto& client) { return client.second->waiting() == 0; });
}

SocketmapClient& ExternalUsers::client(const std::string& socket) {
    std::unique_ptr<SocketmapClient>& client = clients_[socket];
    if (!client) client = std::make_unique<SocketmapClient>(loop_, socket, limits_.socketmap);
    return *client;
}

}  // namespace postrider::router
