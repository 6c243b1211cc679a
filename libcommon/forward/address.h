#pragma once

#include <compare>
#include <string>
#include <string_view>

#include "libcommon/base/result.h"

namespace postrider::forward {

/// A recipient as the router works with it. Unlike mail::Mailbox it may lack a domain, because aliases and
/// RCPT may name a user alone, and its parts are plain text, because they are keys of tables.
struct Address {
    std::string local;   ///< the value, unquoted, in the case in which it was written
    std::string domain;  ///< canonical; empty where none was given

    /// The form in which it is written in SMTP: quoted where needed, without @ if there is no domain.
    [[nodiscard]] std::string text() const;

    friend auto operator<=>(const Address&, const Address&) = default;
};

/// Parses `local@domain` or a local part alone. `%` and `!` are ordinary characters of a local part here: no
/// part of an address is ever taken for another address. Permanent error with the reason for anything else.
[[nodiscard]] Result<Address> parse_address(std::string_view text);

/// A local part in the form in which local users and aliases are compared.
[[nodiscard]] std::string folded(std::string_view local);

}  // namespace postrider::forward
