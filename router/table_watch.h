#pragma once

#include <memory>

#include "libcommon/async/loop.h"
#include "libcommon/async/scope.h"
#include "libcommon/async/sync.h"
#include "libcommon/async/thread_pool.h"
#include "router/folder_watch.h"
#include "router/service.h"
#include "router/table_loader.h"

namespace postrider::router {

/// Looks at the table files when the system tells that something happened in their folders, twice within the
/// interval besides, so that there is time left to read them, and when asked to, and gives the service new
/// tables when they changed. Reading and building happen on a thread of their own, so that look-ups of users
/// that hang do not keep them. What has an error is logged with its line and changes nothing.
class TableWatch {
  public:
    /// References outlive it.
    TableWatch(async::Loop& loop, std::shared_ptr<TableLoader> loader, Service& service, FactSources& sources,
               Milliseconds interval);

    /// Begins to watch; returns at once.
    void start();

    /// Reads everything now, changed or not.
    void reload();

  private:
    async::Task<void> watch();
    async::Task<void> listen();
    void apply(LoadOutcome outcome);
    void free_later(std::shared_ptr<const Tables> old);
    async::Task<void> free_on_thread(std::shared_ptr<std::shared_ptr<const Tables>> old);

    async::Loop& loop_;
    async::ThreadPool pool_;
    std::shared_ptr<TableLoader> loader_;
    Service& service_;
    FactSources& sources_;
    Milliseconds interval_;
    FolderWatch folders_;
    bool happened_ = false;  // in a folder, since the last look
    bool reload_wanted_ = false;
    async::Condition wanted_;
    async::Scope scope_;
};

/// Logs what a load found, errors first.
void log_outcome(const LoadOutcome& outcome);

}  // namespace postrider::router
