#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "libcommon/base/result.h"
#include "libcommon/config/settings.h"

namespace postrider::admin {

/// A case to explain: an address, and who would send to it.
struct ExplainCase {
    std::string recipient;
    std::string client;  ///< address; empty means a local user
    std::string helo;
    std::string login;
    std::uint16_t port = 25;  ///< of the listener; 587 and 465 are for submission
    std::string sender;
    bool has_sender = false;
};

/// Reads "client=192.0.2.1", "helo=", "from=", "login=", "port=" words. Error (Permanent): a word that is
/// none of them.
[[nodiscard]] Result<ExplainCase> parse_explain_words(const std::string& recipient,
                                                      const std::vector<std::string>& words);

/// What the router says to a case.
struct Explanation {
    std::vector<std::string> lines;  ///< readable
    bool refused = false;            ///< the mail would be refused, or a recipient would not get it
    bool deferred = false;           ///< the same, but for now only
};

/// Asks the running router about the exchangers of a domain. `refused` means that something is wrong with
/// them, `deferred` that the DNS does not answer now. The working directory must be run_dir.
[[nodiscard]] Result<Explanation> check_mx(const config::Settings& settings, const std::string& domain);

/// Asks the running router what it would decide and why. The working directory must be run_dir.
[[nodiscard]] Result<Explanation> explain(const config::Settings& settings, const ExplainCase& what);

}  // namespace postrider::admin
