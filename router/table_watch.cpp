#include "router/table_watch.h"

#include <functional>
#include <optional>
#include <utility>

#include "libcommon/config/limits.h"
#include "libcommon/log/log.h"

namespace postrider::router {

namespace {

constexpr Milliseconds kBetweenHints{100};

/// A reload, and old tables that are to be given back.
constexpr std::size_t kWaitingJobs = 100;

}  // namespace

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

TableWatch::TableWatch(async::Loop& loop, std::shared_ptr<TableLoader> loader, Service& service,
                       FactSources& sources, Milliseconds interval)
    : loop_(loop),
      pool_(loop, 1, kWaitingJobs),
      loader_(std::move(loader)),
      service_(service),
      sources_(sources),
      interval_(interval),
      folders_(loop),
      wanted_(loop),
      scope_(loop) {}

void TableWatch::start() {
    folders_.add(loader_->files().folder_names());
    scope_.spawn(watch());
    if (folders_.usable()) scope_.spawn(listen());
}

void TableWatch::reload() {
    reload_wanted_ = true;
    wanted_.notify_all();
}

async::Task<void> TableWatch::listen() {
    while (true) {
        co_await folders_.wait();
        happened_ = true;
        wanted_.notify_all();
        // Others may write into these folders all the time, which must not keep a thread busy.
        co_await async::Sleep(loop_, kBetweenHints);
    }
}

async::Task<void> TableWatch::watch() {
    while (true) {
        if (!reload_wanted_ && !happened_) co_await wanted_.wait(loop_.after(interval_ / 2));
        happened_ = false;
        const bool forced = std::exchange(reload_wanted_, false);
        std::function<std::optional<LoadOutcome>()> work = [loader = loader_, forced,
                                                            previous = service_.tables()] {
            return loader->poll(forced, previous.get());
        };
        auto outcome = co_await pool_.run(std::move(work));
        if (!outcome) {
            // Too much waits; what was asked for is not forgotten.
            reload_wanted_ = forced;
            co_await async::Sleep(loop_, interval_);
        } else if (*outcome) {
            folders_.add(loader_->files().folder_names());
            apply(std::move(**outcome));
        }
    }
}

/// Giving back the memory of a million aliases takes longer than a question may wait for its answer.
void TableWatch::free_later(std::shared_ptr<const Tables> old) {
    scope_.spawn(free_on_thread(std::make_shared<std::shared_ptr<const Tables>>(std::move(old))));
}

async::Task<void> TableWatch::free_on_thread(std::shared_ptr<std::shared_ptr<const Tables>> old) {
    std::function<bool()> work = [old] {
        old->reset();
        return true;
    };
    // If the pool is full it is freed here after all.
    auto done = co_await pool_.run(std::move(work));
    static_cast<void>(done);
}

void TableWatch::apply(LoadOutcome outcome) {
    log_outcome(outcome);
    if (!outcome.tables) {
        ++service_.counters().failed_loads;
        log::error("tables_not_loaded").add("errors", outcome.errors.size()).add("in_force", "the old ones");
        return;
    }
    ++service_.counters().loads;
    std::shared_ptr<const Tables> old = service_.tables();
    service_.use_tables(std::move(outcome.tables));
    // Only now is it nobody else's.
    free_later(std::move(old));
    sources_.users.clear();
    sources_.external_users.clear();
    if (outcome.settings) interval_ = outcome.settings->limits.time(config::Limit::TablePollInterval);
    log::info("tables_loaded");
}

}  // namespace postrider::router
