#include "smtpd/auth/password_table.h"

#include <fmt/format.h>

#include <algorithm>

#include "smtpd/auth/login_name.h"

namespace postrider::auth {

PasswordTable PasswordTable::parse(std::string_view text, const std::string& path,
                                   std::vector<std::string>& errors) {
    PasswordTable table;
    std::size_t number = 0;
    while (!text.empty()) {
        ++number;
        std::string_view line = text.substr(0, text.find('\n'));
        text.remove_prefix(std::min(line.size() + 1, text.size()));
        if (line.ends_with('\r')) line.remove_suffix(1);
        if (line.empty() || line.starts_with('#')) continue;
        const Problem problem = table.add_line(line);
        if (problem.column != 0) {
            errors.push_back(fmt::format("{}:{}:{}: {}", path, number, problem.column, problem.text));
        }
    }
    return table;
}

PasswordTable::Problem PasswordTable::add_line(std::string_view line) {
    const std::size_t colon = line.find(':');
    if (colon == std::string_view::npos) return {1, "not a line LOGIN:HASH"};
    const std::string_view login = line.substr(0, colon);
    if (!is_login(login)) return {1, "not a login name"};
    std::string_view field = line.substr(colon + 1);
    field = field.substr(0, field.find(':'));
    auto hash = parse_password_hash(field);
    if (!hash) return {colon + 2, hash.error().text};
    const bool is_scram = std::holds_alternative<ScramVerifier>(*hash);
    const bool checks_something = !std::holds_alternative<NoPassword>(*hash);
    const auto [user, added] = users_.emplace(canonical_login(login), std::move(*hash));
    if (!added) return {1, fmt::format("{} is given twice", user->first)};
    if (is_scram && scram_login_.empty()) scram_login_ = user->first;
    if (checks_something && dummy_login_.empty()) dummy_login_ = user->first;
    return {};
}

const PasswordHash* PasswordTable::find(std::string_view login) const {
    const auto found = users_.find(canonical_login(login));
    return found == users_.end() ? nullptr : &found->second;
}

const ScramVerifier* PasswordTable::find_scram(std::string_view login) const {
    const PasswordHash* hash = find(login);
    return hash == nullptr ? nullptr : std::get_if<ScramVerifier>(hash);
}

const ScramVerifier* PasswordTable::scram_example() const {
    return scram_login_.empty() ? nullptr : find_scram(scram_login_);
}

const PasswordHash* PasswordTable::dummy() const {
    return dummy_login_.empty() ? nullptr : find(dummy_login_);
}

}  // namespace postrider::auth
