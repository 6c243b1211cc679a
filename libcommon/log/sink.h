#pragma once

#include <sys/types.h>

#include <string_view>

#include "libcommon/log/log.h"

namespace postrider::log {

/// What init() said. Set before the first thread and read only from then on.
struct Settings {
    std::string_view daemon = "postrider";  ///< Into storage of the sink's that lives as long as the process.
    Format format = Format::Text;
    Level minimum = Level::Info;
    bool journal = false;  ///< Standard error is the journal: priority prefix instead of a time.
    pid_t pid = 0;         ///< Kept right across fork().
};

[[nodiscard]] const Settings& settings() noexcept;

/// Writes a finished line to standard error, or counts it as lost.
void emit(std::string_view line) noexcept;

}  // namespace postrider::log
