#pragma once

#include <string>
#include <vector>

#include "libcommon/async/task.h"
#include "libcommon/async/watch.h"
#include "libcommon/base/fd.h"

namespace postrider::router {

/// Hears from the kernel (inotify) that something happened in a folder, so that nobody has to look often. It
/// is a hint only: file systems of other hosts tell nothing, and a folder that this user may not read cannot
/// be watched, so that whoever waits looks now and then all the same.
class FolderWatch {
  public:
    explicit FolderWatch(async::Loop& loop);

    /// Whether the kernel has it.
    [[nodiscard]] bool usable() const { return static_cast<bool>(inotify_); }

    /// Watches these folders, too, as far as that is possible.
    void add(const std::vector<std::string>& folders);

    /// Resumes when something has happened. Only where it is usable().
    async::Task<void> wait();

  private:
    void drain();

    Fd inotify_;
    async::Watch watch_;
};

}  // namespace postrider::router
