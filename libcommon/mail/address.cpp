#include "libcommon/mail/address.h"

#include "libcommon/mail/ascii.h"

namespace postrider::mail {

std::string Mailbox::to_string() const {
    return write_local_part(local_) + "@" + domain_.name();
}

std::string Mailbox::to_utf8_string() const {
    return write_local_part(local_) + "@" + domain_.utf8_name();
}

bool Mailbox::needs_smtputf8() const {
    return !is_ascii(local_);
}

std::string Mailbox::key(LocalCase local_case) const {
    std::string key = compare_form(local_, local_case);
    key += '@';
    key += domain_.name();
    return key;
}

Result<Mailbox> parse_mailbox(std::string_view text) {
    auto local = take_local_part(text);
    if (!local) return failure(std::move(local.error()));
    if (text.empty()) return permanent("address without domain");
    if (text.front() != '@') return permanent("character not allowed in local part");
    text.remove_prefix(1);
    if (text.find('@') != std::string_view::npos) return permanent("more than one @ in address");
    auto domain = parse_domain(text);
    if (!domain) return failure(std::move(domain.error()));
    return make_mailbox(std::move(*local), std::move(*domain));
}

Result<Mailbox> make_mailbox(std::string local, Domain domain) {
    if (!is_local_part_value(local)) return permanent("invalid local part");
    return Mailbox(std::move(local), std::move(domain));
}

}  // namespace postrider::mail
