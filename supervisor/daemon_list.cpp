#include "supervisor/daemon_list.h"

namespace postrider::supervisor {

std::vector<DaemonSpec> daemons_of(const config::Settings& settings, unsigned workers) {
    const std::vector<std::string> arguments = {"--config", settings.config_file};
    std::vector<DaemonSpec> daemons = {
        {"router", "router", arguments, StopStage::Router, false},
        {"queue-manager", "queue-manager", arguments, StopStage::Queue, false},
        {"local-delivery", "local-delivery", arguments, StopStage::Delivery, false},
        {"remote-delivery", "remote-delivery", arguments, StopStage::Delivery, false},
        {"smtpd", "smtpd", arguments, StopStage::Intake, true},
    };
    // Without a certificate there is nothing for it to hold.
    if (!settings.tls_certificates.empty()) {
        daemons.push_back({"keyd", "keyd", arguments, StopStage::Router, false});
    }
    // Without a method nobody logs in, and nobody needs to see a password.
    if (!settings.auth.empty()) {
        daemons.push_back({"authd", "authd", arguments, StopStage::Router, false});
    }
    for (unsigned number = 0; number < workers; ++number) {
        DaemonSpec worker{"smtpd-worker-" + std::to_string(number), "smtpd", arguments, StopStage::Intake,
                          false};
        worker.arguments.emplace_back("--worker");
        worker.arguments.push_back(std::to_string(number));
        daemons.push_back(std::move(worker));
    }
    return daemons;
}

}  // namespace postrider::supervisor
