#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "libcommon/base/result.h"
#include "libcommon/config/settings.h"
#include "libcommon/ipc/router.pb.h"

namespace postrider::admin {

/// A case to explain: an address, and who would send to it.
struct ExplainCase {
    std::string recipient;
    std::string client;  ///< address; empty means a local user
    std::string helo;
    std::string login;  ///< of a local user: his name, or `uid:NUMBER`
    std::uint16_t port = 25;
    std::optional<bool> encrypted;  ///< empty: as the listener and the login make likely
    std::uint64_t size = 0;         ///< that the client declares; 0: none
    std::string sender;
    bool has_sender = false;
};

/// Reads "client=192.0.2.1", "helo=", "from=", "login=", "port=", "tls=" and "size=" words. Error
/// (Permanent): a word that is none of them, and one that is there twice.
[[nodiscard]] Result<ExplainCase> parse_explain_words(const std::string& recipient,
                                                      const std::vector<std::string>& words);

/// What is to be asked about a case. The listener that has its port says what is spoken there; ports 587 and
/// 465 without a listener are for submission (RFC 8314). Error: a local user who does not exist.
[[nodiscard]] Result<wire::ExplainQuestion> explain_question(const config::Settings& settings,
                                                             const ExplainCase& what);

/// What the router says to a case.
struct Explanation {
    std::vector<wire::ExplainedItem> items;
    bool refused = false;   ///< the mail would be refused, or a recipient would not get it
    bool deferred = false;  ///< the same, but for now only
};

/// Asks the running router what it would decide and why. The working directory must be run_dir.
[[nodiscard]] Result<Explanation> explain(const config::Settings& settings, const ExplainCase& what);

/// What the router says of the exchangers of a domain.
struct MxFindings {
    std::vector<std::string> lines;  ///< readable
    bool wrong = false;              ///< something is wrong with them
    bool unclear = false;            ///< the DNS does not answer now
};

/// Asks the running router about the exchangers of a domain. The working directory must be run_dir.
[[nodiscard]] Result<MxFindings> check_mx(const config::Settings& settings, const std::string& domain);

}  // namespace postrider::admin
