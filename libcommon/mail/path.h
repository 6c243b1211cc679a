#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "libcommon/base/result.h"
#include "libcommon/mail/address.h"

namespace postrider::mail {

/// What MAIL and RCPT name: a mailbox, a local part alone (`<postmaster>`), or nothing (`<>`, the sender of
/// notifications). A source route is not kept (RFC 5321 appendix C).
class Path {
  public:
    /// The null path `<>`.
    Path() = default;

    /// The path to `mailbox`.
    explicit Path(Mailbox mailbox) : local_(std::move(mailbox.local_)), domain_(std::move(mailbox.domain_)) {}

    [[nodiscard]] bool is_null() const { return local_.empty(); }
    [[nodiscard]] bool has_domain() const { return domain_.has_value(); }

    /// Whether this is the `<postmaster>` without domain that every host has to accept (RFC 5321 4.5.1).
    [[nodiscard]] bool is_bare_postmaster() const;

    /// Whether the path takes SMTPUTF8, as it was written (local part or domain).
    [[nodiscard]] bool was_utf8() const;

    /// The value of the local part, unquoted; empty for the null path.
    [[nodiscard]] const std::string& local() const { return local_; }
    [[nodiscard]] const std::optional<Domain>& domain() const { return domain_; }

    /// The mailbox, if the path is one.
    [[nodiscard]] std::optional<Mailbox> mailbox() const;

    /// The mailbox, with `default_domain` when the path names none. Nothing for the null path.
    [[nodiscard]] std::optional<Mailbox> mailbox_in(const Domain& default_domain) const;

    /// The written form without angle brackets, the domain in A-labels; empty for the null path.
    [[nodiscard]] std::string to_string() const;

    friend bool operator==(const Path& a, const Path& b) = default;

  private:
    friend class PathParser;

    std::string local_;
    std::optional<Domain> domain_;
};

struct PathOptions {
    /// As RFC 5321 writes it: angle brackets, no blank before them, one space before the parameters.
    bool strict = false;
    /// The sender's path of MAIL, which alone may be null.
    bool is_reverse = false;
};

struct ParsedPath {
    Path path;
    /// What stands behind the path, without leading blanks: the parameters for parse_parameters.
    std::string rest;
};

/// Parses the argument of MAIL or RCPT from behind the colon. Unless strict, blanks before the path and a
/// missing pair of angle brackets are accepted. A source route `<@a,@b:user@dom>` is checked and dropped.
/// An address without domain is accepted as such: whether it will do is for the caller to decide, and so is
/// what `user%other.host` and `host!user` mean, which are ordinary local parts here.
/// Error: Permanent, says what is wrong (RFC 5321 4.1.1.2, 4.1.1.3: 501, or 553 for the address itself).
[[nodiscard]] Result<ParsedPath> parse_path(std::string_view argument, const PathOptions& options);

}  // namespace postrider::mail
