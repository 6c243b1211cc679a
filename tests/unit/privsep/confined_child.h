#pragma once

#include <sys/types.h>

#include <functional>
#include <string>

#include "libcommon/privsep/profile.h"

namespace postrider::privsep::test {

/// Directories for one test, usable by the uid that a confined process gets; removed at the end.
class Scratch {
  public:
    Scratch();
    ~Scratch();
    Scratch(const Scratch&) = delete;
    Scratch& operator=(const Scratch&) = delete;

    [[nodiscard]] const std::string& path() const { return path_; }
    /// run/, spool/ and home/ below it, as the paths of any daemon.
    [[nodiscard]] Paths paths() const;

  private:
    std::string path_;
};

/// The uid of tests that start as root: one that no account has.
constexpr uid_t kTestUid = 64101;

[[nodiscard]] inline Identity test_identity() {
    return {.uid = kTestUid, .gid = kTestUid, .groups = {}};
}

/// Who the child is to become: test_identity() for root, otherwise whoever runs the test.
[[nodiscard]] Identity child_identity();

/// How a child ended.
struct Outcome {
    bool killed = false;  ///< By SIGSYS, that is by the filter.
    int code = -1;        ///< Its exit code, if it exited.
};

constexpr int kConfinementFailed = 250;

/// Forks, calls `action` in the child, and returns how it ended: the exit code is what `action` returned.
[[nodiscard]] Outcome run_child(const std::function<int()>& action);

/// The same, with the child confined as `daemon` first.
[[nodiscard]] Outcome run_confined(Daemon daemon, const Paths& paths, const std::function<int()>& action);

/// The text of /proc/PID/status of a process that confined itself as `daemon`.
[[nodiscard]] std::string confined_status(Daemon daemon, const Paths& paths);

/// The value of a line of such a text, or "missing".
[[nodiscard]] std::string status_field(const std::string& status, const std::string& field);

}  // namespace postrider::privsep::test
