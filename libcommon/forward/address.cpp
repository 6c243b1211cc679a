#include "libcommon/forward/address.h"

#include <utility>

#include "libcommon/mail/domain.h"
#include "libcommon/mail/local_part.h"

namespace postrider::forward {

std::string Address::text() const {
    std::string written = mail::write_local_part(local);
    if (!domain.empty()) {
        written += '@';
        written += domain;
    }
    return written;
}

Result<Address> parse_address(std::string_view text) {
    Result<std::string> local = mail::take_local_part(text);
    if (!local) return failure(std::move(local).error());
    if (text.empty()) return Address{std::move(*local), {}};
    if (text.front() != '@') return permanent("character not allowed in an address");
    text.remove_prefix(1);
    Result<mail::Domain> domain = mail::parse_domain(text);
    if (!domain) return failure(std::move(domain).error());
    return Address{std::move(*local), domain->name()};
}

std::string folded(std::string_view local) {
    return mail::compare_form(local, mail::LocalCase::Folded);
}

}  // namespace postrider::forward
