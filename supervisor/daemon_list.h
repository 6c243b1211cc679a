#pragma once

#include <string>
#include <vector>

#include "libcommon/config/settings.h"

namespace postrider::supervisor {

/// When a daemon is told to end: those that take mail in first, those that others report to last, so that
/// what is in flight can be finished and written down.
enum class StopStage { Intake, Delivery, Queue, Router };
inline constexpr StopStage kStopStages[] = {StopStage::Intake, StopStage::Delivery, StopStage::Queue,
                                            StopStage::Router};

/// One process of the suite, as the supervisor starts it.
struct DaemonSpec {
    std::string name;                    ///< unique: "router", "smtpd-worker-0"
    std::string executable;              ///< file name, found beside postriderd
    std::vector<std::string> arguments;  ///< after argv[0]
    StopStage stage = StopStage::Router;
    bool gets_listening_sockets = false;
};

/// All processes, in the order in which they are started. No order is needed, only fewer lines of "not yet
/// there" in the log. `workers` is the number of session workers.
[[nodiscard]] std::vector<DaemonSpec> daemons_of(const config::Settings& settings, unsigned workers);

}  // namespace postrider::supervisor
