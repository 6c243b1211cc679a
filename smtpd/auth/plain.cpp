#include "smtpd/auth/plain.h"

#include "smtpd/auth/login_name.h"

namespace postrider::auth {

namespace {

/// A claim worth checking. What can be nobody's login or password is answered like a wrong password: a client
/// learns nothing from it.
Step claim_of(std::string_view login, std::string_view password) {
    if (!is_login(login)) return Disproven{std::string(), "not a login name"};
    if (!is_password(password)) return Disproven{std::string(login), "not a password"};
    return Claim{std::string(login), Secret(password)};
}

}  // namespace

Step PlainExchange::start(std::optional<std::string_view> initial) {
    if (!initial) return Challenge{};
    return respond(*initial);
}

Step PlainExchange::respond(std::string_view data) {
    const std::size_t first = data.find('\0');
    if (first == std::string_view::npos) return Malformed{"PLAIN without NUL"};
    const std::size_t second = data.find('\0', first + 1);
    if (second == std::string_view::npos) return Malformed{"PLAIN with one NUL"};
    const std::string_view identity = data.substr(0, first);
    const std::string_view login = data.substr(first + 1, second - first - 1);
    const std::string_view password = data.substr(second + 1);
    if (login.empty() || password.empty()) return Malformed{"PLAIN without login or password"};
    if (password.find('\0') != std::string_view::npos) return Malformed{"PLAIN with more than two NULs"};
    // Nobody acts for others here (RFC 4616, 2).
    if (!identity.empty() && identity != login) {
        return Disproven{is_login(login) ? std::string(login) : std::string(),
                         "wants to act as somebody else"};
    }
    return claim_of(login, password);
}

Step LoginExchange::start(std::optional<std::string_view> initial) {
    if (!initial) return Challenge{"Username:"};
    return respond(*initial);
}

Step LoginExchange::respond(std::string_view data) {
    if (has_login_) return claim_of(login_, data);
    has_login_ = true;
    login_ = data;
    return Challenge{"Password:"};
}

}  // namespace postrider::auth
