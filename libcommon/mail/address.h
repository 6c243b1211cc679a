#pragma once

#include <string>
#include <string_view>
#include <utility>

#include "libcommon/base/result.h"
#include "libcommon/mail/domain.h"
#include "libcommon/mail/local_part.h"

namespace postrider::mail {

/// A complete mail address: a local part and a domain (RFC 5321 4.1.2 `Mailbox`). Always valid, a plain
/// value.
class Mailbox {
  public:
    /// The value of the local part, without the quotes it may need when written. It can contain an @.
    [[nodiscard]] const std::string& local() const { return local_; }
    [[nodiscard]] const Domain& domain() const { return domain_; }

    /// The written form, quoted where needed, with the domain in A-labels: `"john doe"@example.org`.
    [[nodiscard]] std::string to_string() const;

    /// As to_string, with the domain in UTF-8 if it was written so; for peers that offer SMTPUTF8.
    [[nodiscard]] std::string to_utf8_string() const;

    /// Whether the local part is beyond US-ASCII. Such an address cannot be sent without SMTPUTF8.
    [[nodiscard]] bool needs_smtputf8() const;

    /// The text by which addresses are compared and found in tables: local part (its case folded if asked
    /// for),
    /// @, canonical domain. Without quotes; the last @ divides, since a domain contains none.
    [[nodiscard]] std::string key(LocalCase local_case) const;

    /// Exact comparison of the local parts; use key() for anything else.
    friend bool operator==(const Mailbox& a, const Mailbox& b) = default;

  private:
    friend class Path;
    friend Result<Mailbox> make_mailbox(std::string local, Domain domain);

    Mailbox(std::string local, Domain domain) : local_(std::move(local)), domain_(std::move(domain)) {}

    std::string local_;
    Domain domain_;
};

/// Parses `local@domain` and nothing around it: no angle brackets, blanks, comments or display name.
/// Error: Permanent, says what is wrong; among others when there is more than one @ outside quotes.
[[nodiscard]] Result<Mailbox> parse_mailbox(std::string_view text);

/// Puts a mailbox together from the value of a local part and a domain. Error: Permanent, if `local` is
/// empty, too long, or has control characters or invalid UTF-8.
[[nodiscard]] Result<Mailbox> make_mailbox(std::string local, Domain domain);

}  // namespace postrider::mail
