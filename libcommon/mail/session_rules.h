#pragma once

#include <tl/expected.hpp>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "libcommon/mail/path.h"
#include "libcommon/mail/reply.h"

/// What an SMTP session answers to a client's words by their form and by what the session is like, before any
/// table is asked; and the replies in which a verdict of the tables is told. smtpd obeys these rules, and the
/// router, when it explains, says what they come to.
namespace postrider::mail {

/// A refusal, and the word for the built-in rule that it comes from.
struct Refusal {
    Reply reply;
    std::string rule;
};

/// What a session is like when the client says MAIL or RCPT.
struct SessionTerms {
    bool strict = false;           ///< refuse what RFC 5321 forbids even where being liberal would do no harm
    bool fully_qualified = false;  ///< addresses without a domain are refused, but <postmaster> and <>
    bool needs_tls = false;        ///< there is no mail without encryption
    bool needs_login = false;      ///< nor without a login
    bool encrypted = false;
    bool logged_in = false;
    std::uint64_t max_message_size = 0;  ///< octets
};

/// The argument of HELO or EHLO: is there a name, and one that can be? `longest` in octets.
[[nodiscard]] std::optional<Refusal> refuse_greeting(std::string_view argument, bool strict,
                                                     std::size_t longest);

/// What has to come before MAIL: encryption, a login.
[[nodiscard]] std::optional<Refusal> refuse_unready(const SessionTerms& terms);

/// Whom MAIL or RCPT names.
enum class PathRole { Sender, Recipient };

/// The path in the argument of MAIL or RCPT, from behind the colon, and the parameters behind it.
[[nodiscard]] tl::expected<ParsedPath, Refusal> read_path(std::string_view argument, PathRole role,
                                                          const SessionTerms& terms);

/// Whether the path does: `smtputf8` is what MAIL said (RFC 6531).
[[nodiscard]] std::optional<Refusal> refuse_path(const Path& path, bool smtputf8, const SessionTerms& terms);

/// The size that the client declared, 0 if none (RFC 1870).
[[nodiscard]] std::optional<Refusal> refuse_size(std::uint64_t declared, const SessionTerms& terms);

/// The same for a recipient with a limit of his own; `limit` 0: none. `rule` is his line.
[[nodiscard]] std::optional<Refusal> refuse_size_for_recipient(std::uint64_t declared, std::uint64_t limit,
                                                               std::string rule);

/// The banner, and the replies to MAIL, RCPT and AUTH where nothing is refused.
[[nodiscard]] Reply banner(const std::string& hostname);
[[nodiscard]] Reply sender_accepted();
[[nodiscard]] Reply recipient_accepted();
[[nodiscard]] Reply login_accepted();

/// A refusal as it is told in place of the banner, which knows two codes (RFC 5321, 3.1 and 3.8), or in reply
/// to AUTH (RFC 4954, 4.7), whatever the table says.
[[nodiscard]] Reply as_banner(Reply refusal);
[[nodiscard]] Reply as_login_refusal(Reply refusal);

}  // namespace postrider::mail
