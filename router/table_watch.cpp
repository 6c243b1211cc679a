#include "router/table_watch.h"

#include <functional>
#include <optional>
#include <utility>

#include "libcommon/config/limits.h"
#include "libcommon/log/log.h"

namespace postrider::router {

void log_outcome(const LoadOutcome& outcome) {
    for (const std::string& error : outcome.errors)
        log::error("table_error").add("error", error);
    for (const std::string& error : outcome.list_errors)
        log::error("list_error").add("error", error);
    for (const std::string& danger : outcome.dangers)
        log::warning("table_danger").add("warning", danger);
    for (const std::string& notice : outcome.notices)
        log::info("table_notice").add("notice", notice);
}

TableWatch::TableWatch(async::Loop& loop, async::ThreadPool& pool, std::shared_ptr<TableLoader> loader,
                       Service& service, UserCache& users, Milliseconds interval)
    : loop_(loop),
      pool_(pool),
      loader_(std::move(loader)),
      service_(service),
      users_(users),
      interval_(interval),
      wanted_(loop),
      scope_(loop) {}

void TableWatch::start() {
    scope_.spawn(watch());
}

void TableWatch::reload() {
    reload_wanted_ = true;
    wanted_.notify_all();
}

async::Task<void> TableWatch::watch() {
    while (true) {
        if (!reload_wanted_) co_await wanted_.wait(loop_.after(interval_ / 2));
        const bool forced = std::exchange(reload_wanted_, false);
        std::function<std::optional<LoadOutcome>()> work = [loader = loader_, forced,
                                                            previous = service_.tables()] {
            return loader->poll(forced, previous.get());
        };
        auto outcome = co_await pool_.run(std::move(work));
        if (!outcome) {
            // Look-ups of users fill the pool; what was asked for is not forgotten.
            reload_wanted_ = forced;
            co_await async::Sleep(loop_, interval_);
        } else if (*outcome) {
            apply(std::move(**outcome));
        }
    }
}

void TableWatch::apply(LoadOutcome outcome) {
    log_outcome(outcome);
    if (!outcome.tables) {
        ++service_.counters().failed_loads;
        log::error("tables_not_loaded").add("errors", outcome.errors.size()).add("in_force", "the old ones");
        return;
    }
    ++service_.counters().loads;
    service_.use_tables(std::move(outcome.tables));
    users_.clear();
    if (outcome.settings) interval_ = outcome.settings->limits.time(config::Limit::TablePollInterval);
    log::info("tables_loaded");
}

}  // namespace postrider::router
