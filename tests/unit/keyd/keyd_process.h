#pragma once

#include <stdexcept>
#include <string>
#include <utility>

#include "libcommon/config/settings.h"
#include "tests/unit/daemon_process.h"
#include "tests/unit/tls/test_certificates.h"

namespace postrider::keyd::test {

/// keyd as a process of its own.
class KeydProcess : public postrider::test::DaemonProcess {
  public:
    KeydProcess() : DaemonProcess(KEYD_EXECUTABLE, "keyd") {}

    void write_pair(const std::string& name, const tls::test::MadePair& pair) const {
        write(name + ".pem", pair.chain);
        write(name + ".key", pair.key);
    }
    [[nodiscard]] config::Settings settings() const {
        auto loaded = config::load(path("etc/postrider.conf"));
        for (const std::string& error : loaded.errors)
            throw std::runtime_error(error);
        return std::move(*loaded.settings);
    }
};

}  // namespace postrider::keyd::test
