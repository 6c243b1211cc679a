#include "router/sender_login.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <utility>

#include "libcommon/mail/domain.h"
#include "router/facts.h"
#include "router/tables.h"
#include "router/users.h"

namespace postrider::router {

namespace {

std::string login_key(std::string_view local, std::string_view domain) {
    std::string key(local);
    key += '@';
    key += domain;
    return key;
}

/// The key of `ADDRESS`, `@DOMAIN` or `DOMAIN`.
Result<std::string> parse_login_key(std::string_view text) {
    const std::size_t at = text.rfind('@');
    if (at != std::string_view::npos && at > 0) {
        const Result<Address> address = parse_address(text);
        if (!address) return failure(address.error());
        if (address->domain.empty()) return permanent("expected ADDRESS, @DOMAIN or DOMAIN");
        return login_key(folded(address->local), address->domain);
    }
    if (at == 0) text.remove_prefix(1);
    const Result<mail::Domain> domain = mail::parse_domain(text);
    if (!domain) return failure(domain.error());
    return login_key({}, domain->name());
}

}  // namespace

void SenderLogins::add(const config::Directive& line, config::Errors& errors) {
    const config::Word& word = line.words.front();
    Result<std::string> key = parse_login_key(word.text);
    if (!key) {
        errors.add(word.position, key.error().text);
        return;
    }
    const auto [place, added] = entries_.try_emplace(std::move(*key));
    Entry& entry = place->second;
    if (added) entry.position = line.position;
    for (auto login = line.words.begin() + 1; login != line.words.end(); ++login)
        entry.logins.push_back(login->text);
}

const SenderLogins::Entry* SenderLogins::find(std::string_view local, std::string_view domain,
                                              std::string_view login) const {
    if (entries_.empty()) return nullptr;
    for (const std::string& key : {login_key(local, domain), login_key({}, domain)}) {
        const auto found = entries_.find(key);
        if (found == entries_.end()) continue;
        const std::vector<std::string>& logins = found->second.logins;
        if (std::find(logins.begin(), logins.end(), login) != logins.end()) return &found->second;
    }
    return nullptr;
}

std::vector<std::string> SenderLogins::of(std::string_view local, std::string_view domain) const {
    std::vector<std::string> logins;
    if (entries_.empty()) return logins;
    for (const std::string& key : {login_key(local, domain), login_key({}, domain)}) {
        const auto found = entries_.find(key);
        if (found == entries_.end()) continue;
        logins.insert(logins.end(), found->second.logins.begin(), found->second.logins.end());
    }
    return logins;
}

namespace {

/// The local part as written and, in a local domain, without its detail. All folded.
std::vector<std::string> user_names(const Address& sender, const LocalDomain* domain, const Tables& tables) {
    std::vector<std::string> names{folded(sender.local)};
    if (domain == nullptr) return names;
    std::optional<std::string> user = without_detail(tables, names.front());
    if (user) names.push_back(std::move(*user));
    return names;
}

std::string kernel_login(uid_t uid) {
    return fmt::format("uid:{}", uid);
}

}  // namespace

bool belongs_to_login(const Address& sender, std::string_view login, const Tables& tables) {
    const std::string own = folded(login);
    const LocalDomain* domain = tables.local_domain(sender.domain);
    const std::vector<std::string> names = user_names(sender, domain, tables);
    const bool system_users = domain != nullptr && !domain->is_virtual;
    return std::any_of(names.begin(), names.end(), [&](const std::string& name) {
        if (tables.sender_logins.find(name, sender.domain, login) != nullptr) return true;
        return login_key(name, sender.domain) == own || (system_users && name == own);
    });
}

LocalClaim local_claim(const Address& sender, std::string_view login, const Tables& tables, Facts& facts) {
    const LocalDomain* domain = tables.local_domain(sender.domain);
    const std::vector<std::string> names = user_names(sender, domain, tables);
    std::vector<std::string> logins;
    for (const std::string& name : names) {
        const std::vector<std::string> more = tables.sender_logins.of(name, sender.domain);
        logins.insert(logins.end(), more.begin(), more.end());
    }
    if (logins.empty() || login == kernel_login(0)) return LocalClaim::Good;
    const bool system_users = domain != nullptr && !domain->is_virtual;
    if (system_users) logins.insert(logins.end(), names.begin(), names.end());
    LocalClaim claim = LocalClaim::Bad;
    for (const std::string& name : logins) {
        if (name == login) return LocalClaim::Good;
        if (!can_be_user_name(name)) continue;
        const UserAnswer answer = facts.system_user(name);
        const bool known = answer.state == FactState::Known;
        if (known && kernel_login(answer.user->uid) == login) return LocalClaim::Good;
        if (!known && answer.state != FactState::Unknown) claim = LocalClaim::Unclear;
    }
    return claim;
}

}  // namespace postrider::router
