#pragma once

#include <compare>
#include <functional>
#include <string>
#include <string_view>

#include "libcommon/base/result.h"

namespace postrider::mail {

/// The part of an address after the @: a valid domain name, or an address literal such as [192.0.2.1].
///
/// Two domains are equal if their canonical forms are: lower-cased A-labels ("xn--mnchen-3ya.example")
/// without a trailing dot, or the literal with its address in the shortest notation. A plain value: copy it
/// freely.
class Domain {
  public:
    enum class Kind { Name, AddressLiteral };

    [[nodiscard]] Kind kind() const { return name_.starts_with('[') ? Kind::AddressLiteral : Kind::Name; }
    [[nodiscard]] bool is_literal() const { return kind() == Kind::AddressLiteral; }

    /// The canonical form, always US-ASCII; what is looked up, compared, and sent to hosts without SMTPUTF8.
    [[nodiscard]] const std::string& name() const { return name_; }

    /// The normalised UTF-8 form if the domain was written in UTF-8, otherwise the canonical form.
    [[nodiscard]] const std::string& utf8_name() const { return utf8_name_.empty() ? name_ : utf8_name_; }

    /// Whether the domain was written in UTF-8, which takes SMTPUTF8 on the wire.
    [[nodiscard]] bool was_utf8() const { return !utf8_name_.empty(); }

    /// The address in a literal without brackets and tag ("192.0.2.1", "2001:db8::1"); empty for a name.
    [[nodiscard]] std::string address() const;

    /// Whether this is `ancestor` itself or a name below it. "xprimary.test" is not within "primary.test". A
    /// literal is within nothing but itself.
    [[nodiscard]] bool is_within(const Domain& ancestor) const;

    friend bool operator==(const Domain& a, const Domain& b) { return a.name_ == b.name_; }
    friend std::strong_ordering operator<=>(const Domain& a, const Domain& b) { return a.name_ <=> b.name_; }

  private:
    friend Result<Domain> parse_domain(std::string_view text);

    Domain(std::string name, std::string utf8_name)
        : name_(std::move(name)), utf8_name_(std::move(utf8_name)) {}

    std::string name_;
    std::string utf8_name_;  // Empty unless written in UTF-8.
};

/// Parses a domain name (RFC 5321 4.1.2, with the underscores that are in use; UTF-8 labels by IDNA2008 with
/// nontransitional UTS 46 mapping; one trailing dot is dropped) or an address literal (RFC 5321 4.1.3: IPv4,
/// or IPv6 with its tag; an IPv4-mapped IPv6 address becomes the IPv4 literal, so that both spellings meet
/// the same rule). A name whose last label is a number is refused, because resolvers take it for an address.
/// Error: Permanent, says what is wrong.
[[nodiscard]] Result<Domain> parse_domain(std::string_view text);

}  // namespace postrider::mail

template <>
struct std::hash<postrider::mail::Domain> {
    std::size_t operator()(const postrider::mail::Domain& domain) const noexcept {
        return std::hash<std::string>()(domain.name());
    }
};
