#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "libcommon/base/fd.h"
#include "libcommon/config/settings.h"

namespace postrider::keyd {

/// A certificate as a peer gets it.
struct SealedPair {
    std::string name;              ///< for clients that ask for it; empty: the names in the certificate
    std::uint32_t chain_size = 0;  ///< octets of the chain
    Fd memory;                     ///< sealed: the chain in PEM, and behind it the key
};

/// Everything that the files say, checked.
struct KeyFiles {
    std::vector<SealedPair> pairs;  ///< in the order of the configuration
    Fd authorities;                 ///< sealed, PEM; empty if none are configured
};

/// Key files, or every error that prevents them.
struct LoadOutcome {
    std::optional<KeyFiles> files;      ///< set exactly when `errors` is empty
    std::vector<std::string> errors;    ///< each "file:line:column: message"
    std::vector<std::string> warnings;  ///< the same: certificates that have expired, keys that all may read
};

/// Reads and checks the files of all `tls_certificate` lines and of `tls_client_ca`, and `tls_ciphers` along
/// with them. Private keys are in no memory afterwards but the sealed one.
[[nodiscard]] LoadOutcome load_key_files(const config::Settings& settings);

/// The files that load_key_files() reads.
[[nodiscard]] std::vector<std::string> files_of(const config::Settings& settings);

/// The folders of these files, and those in which they are if they are symbolic links: what must stay
/// readable.
[[nodiscard]] std::vector<std::string> folders_of(const config::Settings& settings);

}  // namespace postrider::keyd
