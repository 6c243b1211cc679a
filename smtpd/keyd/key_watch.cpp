#include "smtpd/keyd/key_watch.h"

#include <utility>

#include "libcommon/log/log.h"

namespace postrider::keyd {

void log_outcome(const LoadOutcome& outcome) {
    for (const std::string& error : outcome.errors)
        log::error("key_error").add("error", error);
    for (const std::string& warning : outcome.warnings)
        log::warning("key_danger").add("warning", warning);
}

KeyWatch::KeyWatch(async::Loop& loop, const config::Settings& settings, config::FileSet state,
                   Service& service)
    : loop_(loop),
      settings_(settings),
      state_(std::move(state)),
      service_(service),
      wanted_(loop),
      scope_(loop) {}

void KeyWatch::start() {
    scope_.spawn(watch_files());
    scope_.spawn(renew_ticket_keys());
}

void KeyWatch::reload() {
    reload_wanted_ = true;
    wanted_.notify_all();
}

async::Task<void> KeyWatch::watch_files() {
    const Milliseconds interval = settings_.limits.time(config::Limit::TablePollInterval);
    while (true) {
        if (!reload_wanted_) co_await wanted_.wait(loop_.after(interval));
        const bool forced = std::exchange(reload_wanted_, false);
        if (!state_.changed().empty() || forced) load();
    }
}

async::Task<void> KeyWatch::renew_ticket_keys() {
    const Milliseconds lifetime = settings_.limits.time(config::Limit::TlsTicketLifetime);
    while (true) {
        co_await async::Sleep(loop_, lifetime);
        service_.renew_ticket_key();
        log::info("ticket_key_renewed");
    }
}

void KeyWatch::load() {
    LoadOutcome outcome = load_key_files(settings_);
    log_outcome(outcome);
    if (!outcome.files) {
        log::error("keys_not_loaded").add("errors", outcome.errors.size()).add("in_force", "the old ones");
        return;
    }
    log::info("keys_loaded").add("certificates", outcome.files->pairs.size());
    service_.use_files(std::move(*outcome.files));
}

}  // namespace postrider::keyd
