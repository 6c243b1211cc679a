#pragma once

#include <functional>
#include <memory>
#include <string>

#include "smtpd/auth/exchange.h"
#include "smtpd/auth/password_hash.h"

struct Gsasl;
struct Gsasl_session;

namespace postrider::auth {

/// libgsasl, initialised once for the process. Used on the loop's thread only. It sees no password: SCRAM
/// does not carry one.
class SaslLibrary {
  public:
    /// Throws std::runtime_error if the library cannot be initialised.
    SaslLibrary();
    ~SaslLibrary();
    SaslLibrary(const SaslLibrary&) = delete;
    SaslLibrary& operator=(const SaslLibrary&) = delete;

    [[nodiscard]] Gsasl* context() const { return context_; }

  private:
    Gsasl* context_ = nullptr;
};

/// Gives the verifier of a login. For a login that is unknown it gives one that nobody has the password of,
/// always the same for the same login: the salt must not tell who is known (RFC 5802, 9).
using FindVerifier = std::function<ScramVerifier(const std::string& login)>;

/// SCRAM-SHA-256 and SCRAM-SHA-256-PLUS (RFC 5802, RFC 7677), done by libgsasl.
class ScramExchange : public Exchange {
  public:
    /// `channel_binding` is that of tls-exporter (RFC 9266), empty without one. It is given also without
    /// `plus`: a client that could have bound the channel, and was kept from seeing that the server can, is
    /// refused (RFC 5802, 6). `library` outlives the exchange.
    ScramExchange(SaslLibrary& library, bool plus, std::string channel_binding, FindVerifier find);
    ~ScramExchange() override;

    [[nodiscard]] Step start(std::optional<std::string_view> initial) override;
    [[nodiscard]] Step respond(std::string_view data) override;

  private:
    friend class SaslLibrary;
    static int supply(Gsasl* context, Gsasl_session* session, int property);
    int supply_verifier();

    bool plus_;
    std::string channel_binding_;
    FindVerifier find_;
    std::string login_;
    Gsasl_session* session_ = nullptr;
};

/// The verifier that an unknown login seems to have; see FindVerifier. `key` is a secret of this process,
/// `example` the verifier of a user, whose form it takes.
[[nodiscard]] ScramVerifier made_up_verifier(std::string_view login, std::string_view key,
                                             const ScramVerifier& example);

}  // namespace postrider::auth
