#pragma once

#include "smtpd/auth/exchange.h"

namespace postrider::auth {

/// PLAIN (RFC 4616): `[authorization identity] NUL login NUL password` in one message. Not by a library, so
/// that the password is in no memory but ours, where it is wiped.
class PlainExchange : public Exchange {
  public:
    [[nodiscard]] Step start(std::optional<std::string_view> initial) override;
    [[nodiscard]] Step respond(std::string_view data) override;
};

/// LOGIN (draft-murchison-sasl-login): login and password in two messages, asked for with "Username:" and
/// "Password:", which some clients compare. An initial response is the login.
class LoginExchange : public Exchange {
  public:
    [[nodiscard]] Step start(std::optional<std::string_view> initial) override;
    [[nodiscard]] Step respond(std::string_view data) override;

  private:
    bool has_login_ = false;
    std::string login_;
};

}  // namespace postrider::auth
