#pragma once

#include <string>
#include <vector>

/// The command `postrider etrn HOST DOMAIN…`; it talks to another host alone, so the suite need not run.
namespace postrider::admin {

/// What it was called with.
struct EtrnArguments {
    std::string config_file;
    bool json = false;
    std::string host;
    std::vector<std::string> names;
    unsigned port = 25;
    bool tls = false;
    std::string ca_file;
    std::string helo;            ///< empty: the configured hostname
    std::string timeout = "1m";  ///< a duration
};

/// Asks, and prints which name got which reply; what went wrong goes to standard error. The exit status: as
/// etrn_status() says, 64 for words that make no sense, 78 if the configuration has errors.
[[nodiscard]] int etrn(const EtrnArguments& arguments);

}  // namespace postrider::admin
