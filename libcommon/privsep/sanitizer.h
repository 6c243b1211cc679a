#pragma once

#include <string>
#include <vector>

/// What sanitizer builds need to keep working in a confined process. In other builds nothing of it exists.
namespace postrider::privsep {

/// Paths that the run time of the sanitizers reads: reports and the leak checker look at /proc/self.
[[nodiscard]] std::vector<std::string> sanitizer_files();

/// Called when /proc is out of reach after a chroot: the leak checker could not list the threads, and would
/// turn every clean end of the process into a failure. It is switched off for this process; started as an
/// ordinary user, without chroot, the same daemon is checked.
void lose_leak_check();

}  // namespace postrider::privsep
