#include "router/way_out.h"

#include <optional>

#include "router/dns_policy.h"
#include "router/mail_domain.h"

namespace postrider::router {

const Route* default_route(const Tables& tables) {
    DomainPattern any;
    any.kind = DomainPattern::Kind::Any;
    return tables.routes.at(any);
}

WayOut find_way_out(const Address& recipient, const Tables& tables, Facts& facts) {
    WayOut way;
    way.route = tables.routes.find(recipient.domain);
    if (const Backup* listed = tables.backups.find(recipient.domain)) {
        way.backup = &listed->position;
        return way;
    }
    const PolicyRule* line = mx_line(tables.policy.recipient(recipient, std::nullopt), tables);
    if (line == nullptr || recipient.domain.starts_with('[')) return way;
    // Not what the line says: an exchanger that mx=any admits may be the best one, and then there is no
    // primary to which the mail could be passed on.
    switch (check_admission(recipient.domain, MxRule::Backup, tables, facts)) {
        case Admission::Admitted:
            way.backup = &line->position;
            if (way.route == default_route(tables)) way.route = nullptr;
            break;
        case Admission::Unclear:
            way.unclear = true;
            break;
        case Admission::NotExchanger:
        case Admission::NoSuchDomain:
        case Admission::NullMx:
        case Admission::PrivateHost:
            break;
    }
    return way;
}

}  // namespace postrider::router
