#pragma once

#include "libcommon/async/loop.h"
#include "libcommon/async/scope.h"
#include "libcommon/async/sync.h"
#include "libcommon/config/file_watch.h"
#include "libcommon/config/settings.h"
#include "smtpd/keyd/service.h"

namespace postrider::keyd {

/// Looks at the key files every table_poll_interval, and gives the service new ones when they changed; and
/// has it renew the ticket key every tls_ticket_lifetime. Files with an error change nothing: the next change
/// of one of them is the next attempt.
class KeyWatch {
  public:
    /// `state` was taken before the files in force were read. References outlive the watch.
    KeyWatch(async::Loop& loop, const config::Settings& settings, config::FileSet state, Service& service);

    /// Begins to watch; returns at once.
    void start();

    /// Reads the files now, changed or not.
    void reload();

  private:
    async::Task<void> watch_files();
    async::Task<void> renew_ticket_keys();
    void load();

    async::Loop& loop_;
    const config::Settings& settings_;
    config::FileSet state_;
    Service& service_;
    bool reload_wanted_ = false;
    async::Condition wanted_;
    async::Scope scope_;
};

/// Logs what a load found, errors first.
void log_outcome(const LoadOutcome& outcome);

}  // namespace postrider::keyd
