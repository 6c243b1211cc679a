#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "libcommon/base/result.h"
#include "libcommon/tls/openssl.h"

namespace postrider::tls {

/// A certificate with its chain and its private key. Never changes; shared by all contexts that offer it.
class Certificate {
  public:
    /// Which of the two texts an error is about.
    enum class Part { Chain, Key };
    struct Fault {
        Part part = Part::Chain;
        std::string text;
    };
    using Parsed = tl::expected<std::shared_ptr<const Certificate>, Fault>;

    /// `chain` is PEM: the certificate first, then those that lead to the root; `key` is PEM, without a
    /// passphrase. The key must be that of the certificate. `name` is the name for which it is offered;
    /// empty: those in the certificate (subjectAltName, or else its common name).
    [[nodiscard]] static Parsed parse(std::string_view chain, std::string_view key, std::string_view name);

    /// The names for which it is offered, in lower case; `*.` at the start stands for one label.
    [[nodiscard]] const std::vector<std::string>& names() const { return names_; }

    /// Whether one of the names is `name`, or with `wildcard` a pattern that it matches. `name` is in lower
    /// case.
    [[nodiscard]] bool is_for(std::string_view name, bool wildcard) const;

    /// The kind of its key: two certificates of one name and different kinds serve different clients.
    [[nodiscard]] int key_type() const { return EVP_PKEY_get_base_id(key_.get()); }

    /// Makes `session` offer it. Returns false when the library refuses it, for example a key that is too
    /// weak.
    [[nodiscard]] bool use_in(SSL* session) const;

    /// When it ends, in seconds since 1970.
    [[nodiscard]] long long expires() const;

  private:
    Certificate() = default;

    CertificateHandle leaf_;
    ChainHandle chain_;
    KeyHandle key_;
    std::vector<std::string> names_;
};

/// All certificates of a PEM text. Error: there is none, or one that does not parse.
[[nodiscard]] Result<std::vector<CertificateHandle>> parse_certificates(std::string_view pem);

/// `name` in lower case.
[[nodiscard]] std::string lower_case(std::string_view name);

}  // namespace postrider::tls
