#include "libcommon/mail/domain.h"

#include <arpa/inet.h>
#include <idn2.h>

#include <algorithm>
#include <array>
#include <memory>

#include "libcommon/mail/ascii.h"
#include "libcommon/mail/limits.h"
#include "libcommon/mail/utf8.h"

namespace postrider::mail {
namespace {

constexpr std::string_view kIpv6Tag = "IPv6:";

struct FreeIdn2 {
    void operator()(char* text) const { idn2_free(text); }
};
using Idn2String = std::unique_ptr<char, FreeIdn2>;

bool is_label_character(char c) {
    return is_letter(c) || is_digit(c) || c == '-' || c == '_';
}

/// The reason why `label` cannot stand in a domain name, or an empty text.
std::string_view fault_of_label(std::string_view label) {
    if (label.empty()) return "empty label in domain";
    if (label.size() > kMaxLabel) return "label of domain longer than 63 octets";
    if (label.front() == '-' || label.back() == '-') return "label of domain begins or ends with a hyphen";
    if (!std::all_of(label.begin(), label.end(), is_label_character))
        return "character not allowed in domain";
    return {};
}

/// The reason why `name`, in A-label form and without a trailing dot, is not a domain name, or an empty text.
std::string_view fault_of_name(std::string_view name) {
    if (name.empty()) return "empty domain";
    if (name.size() > kMaxDomain) return "domain longer than 255 octets";
    std::string_view label;
    for (std::string_view rest = name;;) {
        const std::size_t dot = rest.find('.');
        label = rest.substr(0, dot);
        const std::string_view fault = fault_of_label(label);
        if (!fault.empty()) return fault;
        if (dot == std::string_view::npos) break;
        rest.remove_prefix(dot + 1);
    }
    if (std::all_of(label.begin(), label.end(), is_digit)) {
        return "domain ends in a number (an address is written in brackets)";
    }
    return {};
}

Result<std::string> to_a_labels(std::string_view text) {
    if (text.size() > kMaxUtf8Domain) return permanent("domain too long");
    // libidn2 stops at a NUL, which is_printable_utf8 refuses with all other controls.
    if (!is_printable_utf8(text)) return permanent("domain is not valid UTF-8");
    const std::string terminated(text);
    char* converted = nullptr;
    const int outcome =
        idn2_to_ascii_8z(terminated.c_str(), &converted, IDN2_NONTRANSITIONAL | IDN2_NFC_INPUT);
    const Idn2String owner(converted);
    if (outcome != IDN2_OK) return permanent("domain is not a valid internationalised name");
    return std::string(converted);
}

/// The U-label form of a canonical name; empty if libidn2 refuses it, which leaves the canonical form in use.
std::string to_u_labels(const std::string& name) {
    char* converted = nullptr;
    const int outcome = idn2_to_unicode_8z8z(name.c_str(), &converted, IDN2_NONTRANSITIONAL);
    const Idn2String owner(converted);
    if (outcome != IDN2_OK) return {};
    return std::string(converted);
}

/// `Address` is in_addr or in6_addr; the text form is written as inet_ntop does.
template <typename Address>
std::string address_text(int family, const Address& address) {
    std::array<char, INET6_ADDRSTRLEN> text = {};
    inet_ntop(family, &address, text.data(), text.size());
    return text.data();
}

Result<std::string> canonical_literal(std::string_view text) {
    if (text.size() < 2 || text.back() != ']') return permanent("address literal without closing bracket");
    const std::string_view inner = text.substr(1, text.size() - 2);
    if (!starts_with_ignoring_case(inner, kIpv6Tag)) {
        in_addr address = {};
        if (inet_pton(AF_INET, std::string(inner).c_str(), &address) != 1 || inner.find('\0') != inner.npos) {
            return permanent("address literal is neither [1.2.3.4] nor [IPv6:...]");
        }
        return "[" + address_text(AF_INET, address) + "]";
    }
    const std::string_view digits = inner.substr(kIpv6Tag.size());
    in6_addr address = {};
    if (inet_pton(AF_INET6, std::string(digits).c_str(), &address) != 1 || digits.find('\0') != digits.npos) {
        return permanent("invalid IPv6 address in address literal");
    }
    if (IN6_IS_ADDR_V4MAPPED(&address)) {
        in_addr mapped = {};
        std::copy_n(&address.s6_addr[12], sizeof mapped.s_addr,
                    reinterpret_cast<std::uint8_t*>(&mapped.s_addr));
        return "[" + address_text(AF_INET, mapped) + "]";
    }
    return "[" + std::string(kIpv6Tag) + address_text(AF_INET6, address) + "]";
}

}  // namespace

std::string Domain::address() const {
    if (!is_literal()) return {};
    const std::string_view inner = std::string_view(name_).substr(1, name_.size() - 2);
    return std::string(inner.starts_with(kIpv6Tag) ? inner.substr(kIpv6Tag.size()) : inner);
}

bool Domain::is_within(const Domain& ancestor) const {
    const std::string& suffix = ancestor.name_;
    if (!name_.ends_with(suffix)) return false;
    if (name_.size() == suffix.size()) return true;
    return !ancestor.is_literal() && name_[name_.size() - suffix.size() - 1] == '.';
}

Result<Domain> parse_domain(std::string_view text) {
    if (text.starts_with('[')) {
        auto literal = canonical_literal(text);
        if (!literal) return failure(std::move(literal.error()));
        return Domain(std::move(*literal), {});
    }
    std::string name;
    const bool utf8 = !is_ascii(text);
    if (utf8) {
        auto converted = to_a_labels(text);
        if (!converted) return failure(std::move(converted.error()));
        name = std::move(*converted);
    } else {
        name = to_lower(text);
    }
    // After the conversion, because other scripts have dots of their own that become this one.
    if (name.ends_with('.')) name.pop_back();
    const std::string_view fault = fault_of_name(name);
    if (!fault.empty()) return permanent(std::string(fault));
    std::string utf8_name = utf8 ? to_u_labels(name) : std::string();
    return Domain(std::move(name), std::move(utf8_name));
}

}  // namespace postrider::mail
