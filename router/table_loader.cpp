#include "router/table_loader.h"

#include <utility>

#include "libcommon/config/self.h"
#include "router/check.h"
#include "router/check_policy.h"
#include "router/check_routes.h"
#include "router/users.h"

namespace postrider::router {

namespace {
constexpr const char* kResolvConf = "/etc/resolv.conf";
}

TableLoader::TableLoader(std::string config_path, std::string host_name)
    : config_path_(std::move(config_path)), host_name_(std::move(host_name)) {}

LoadOutcome TableLoader::load(const Tables* previous) {
    files_.begin();
    config::Surroundings surroundings;
    surroundings.files = &files_;
    surroundings.host_name = [this] { return host_name_; };
    surroundings.resolv_conf = kResolvConf;
    config::LoadResult read = config::load(config_path_, surroundings);
    LoadOutcome outcome;
    outcome.errors = std::move(read.errors);
    BuildInputs inputs;
    inputs.files = &files_;
    inputs.databases = &files_;
    inputs.find_owner = config::resolve_user;
    inputs.previous = previous;
    Result<std::vector<config::IpAddress>> own = config::interface_addresses();
    if (own) {
        inputs.own_addresses = std::move(*own);
    } else {
        outcome.dangers.push_back(own.error().text);
    }
    BuildResult built = build_tables(read.known(), inputs);
    outcome.errors.insert(outcome.errors.end(), built.errors.begin(), built.errors.end());
    // Tables of which a line is missing never come into force.
    if (read.settings) outcome.tables = std::move(built.tables);
    outcome.settings = std::move(read.settings);
    outcome.list_errors = std::move(built.list_errors);
    outcome.dangers.insert(outcome.dangers.end(), built.dangers.begin(), built.dangers.end());
    if (outcome.tables) {
        const auto add = [&outcome](const std::vector<std::string>& dangers) {
            outcome.dangers.insert(outcome.dangers.end(), dangers.begin(), dangers.end());
        };
        add(find_shadowed_lines(*outcome.settings));
        add(find_doubtful_policy(*outcome.settings));
        add(find_doubtful_routes(*outcome.settings, *outcome.tables));
        outcome.notices = find_bypasses(*outcome.settings, *outcome.tables);
        BlockingFacts facts;
        add(find_unread_postmasters(*outcome.tables, facts));
    }
    return outcome;
}

std::optional<LoadOutcome> TableLoader::poll(bool forced, const Tables* previous) {
    if (forced) {
        files_.reopen();
    } else if (!files_.changed()) {
        return std::nullopt;
    }
    files_.settle();
    return load(previous);
}

}  // namespace postrider::router
