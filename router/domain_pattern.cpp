#include <utility>

#include "libcommon/mail/domain.h"
#include "router/domain_table.h"

namespace postrider::router {

Result<DomainPattern> DomainPattern::parse(std::string_view text) {
    DomainPattern pattern;
    if (text == "*") {
        pattern.kind = Kind::Any;
        return pattern;
    }
    if (text.starts_with("*.")) {
        pattern.kind = Kind::Tree;
        text.remove_prefix(2);
    } else if (text.starts_with('.')) {
        pattern.kind = Kind::SubDomains;
        text.remove_prefix(1);
    }
    Result<mail::Domain> domain = mail::parse_domain(text);
    if (!domain) return failure(std::move(domain).error());
    if (domain->is_literal()) return permanent("an address literal is no domain");
    pattern.domain = domain->name();
    return pattern;
}

bool DomainPattern::matches(std::string_view name) const {
    const bool below =
        name.size() > domain.size() && name.ends_with(domain) && name[name.size() - domain.size() - 1] == '.';
    switch (kind) {
        case Kind::Exact:
            return name == domain;
        case Kind::SubDomains:
            return below;
        case Kind::Tree:
            return below || name == domain;
        case Kind::Any:
            break;
    }
    return true;
}

std::string DomainPattern::text() const {
    switch (kind) {
        case Kind::SubDomains:
            return "." + domain;
        case Kind::Tree:
            return "*." + domain;
        case Kind::Any:
            return "*";
        case Kind::Exact:
            break;
    }
    return domain;
}

}  // namespace postrider::router
