#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <variant>

#include "smtpd/auth/secret.h"

/// The server's side of SASL mechanisms (RFC 4422) as dialogues without input and output: what the client
/// says goes in, what follows from it comes out. Base64 is the business of whoever speaks with the client.
namespace postrider::auth {

/// To be sent; respond() gets the answer.
struct Challenge {
    std::string data;
};
/// What the client says of itself, to be checked.
struct Claim {
    std::string login;
    Secret password;
};
/// The client has proved that it knows the password of `login`. `final_data`, if there is any, proves to the
/// client that the server knows it, too: it is sent as one more challenge, to be answered by nothing.
struct Proven {
    std::string login;
    std::string final_data;
};
/// The client does not know the password, or there is no such login; the same for both to the client.
struct Disproven {
    std::string login;  ///< may be anything, also nothing
    std::string reason;
};
/// Nothing was tried: it could not have succeeded, whatever the password.
struct Refused {
    std::string reason;
};
/// Not what the mechanism's grammar allows.
struct Malformed {
    std::string reason;
};
using Step = std::variant<Challenge, Claim, Proven, Disproven, Refused, Malformed>;

/// One exchange of one client. After any step but a Challenge it is over.
class Exchange {
  public:
    Exchange() = default;
    Exchange(const Exchange&) = delete;
    Exchange& operator=(const Exchange&) = delete;
    virtual ~Exchange() = default;

    /// Begins, with the initial response if the client sent one (which may be empty).
    [[nodiscard]] virtual Step start(std::optional<std::string_view> initial) = 0;
    /// Takes the client's answer to the last challenge.
    [[nodiscard]] virtual Step respond(std::string_view data) = 0;
};

}  // namespace postrider::auth
