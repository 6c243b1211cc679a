#include "router/address_table.h"

namespace postrider::router {

Result<AddressKey> AddressKey::parse(std::string_view text) {
    AddressKey key;
    if (text == "<>") return key;
    if (text == "*") return permanent("expected an address or a domain; a default line speaks of all others");
    if (text.find('@') == std::string_view::npos) {
        Result<DomainPattern> pattern = DomainPattern::parse(text);
        if (!pattern) return failure(std::move(pattern).error());
        key.kind = Kind::Domain;
        key.pattern = std::move(*pattern);
        return key;
    }
    const bool any_domain = text.ends_with('@');
    if (any_domain) text.remove_suffix(1);
    Result<Address> address = parse_address(text);
    if (!address) return failure(std::move(address).error());
    if (address->domain.empty() != any_domain) return permanent("expected LOCAL@DOMAIN or LOCAL@");
    key.kind = any_domain ? Kind::Local : Kind::Mailbox;
    key.local = folded(address->local);
    key.pattern.domain = std::move(address->domain);
    return key;
}

std::string AddressKey::text() const {
    switch (kind) {
        case Kind::Null:
            return "<>";
        case Kind::Mailbox:
            return Address{local, pattern.domain}.text();
        case Kind::Local:
            return Address{local, {}}.text() + "@";
        case Kind::Domain:
            break;
    }
    return pattern.text();
}

}  // namespace postrider::router
