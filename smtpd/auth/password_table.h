#pragma once

#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "smtpd/auth/password_hash.h"

namespace postrider::auth {

/// The users of one password file.
class PasswordTable {
  public:
    /// Reads `login:hash[:…]` lines; what follows the second colon is for others (as in passwd(5) and
    /// Dovecot's passwd-file). Empty lines and lines that begin with `#` are skipped. Logins are compared in
    /// lower case. Each error is added to `errors` as "path:line:column: message", and never shows a hash.
    [[nodiscard]] static PasswordTable parse(std::string_view text, const std::string& path,
                                             std::vector<std::string>& errors);

    /// The hash of a user, or nullptr. The pointer lives as long as the table.
    [[nodiscard]] const PasswordHash* find(std::string_view login) const;

    /// The SCRAM verifier of a user, or nullptr for one that has none.
    [[nodiscard]] const ScramVerifier* find_scram(std::string_view login) const;

    /// A hash that costs what those of the file cost, to be checked for users that are not in it: how long an
    /// answer takes must not tell who is. nullptr for an empty file.
    [[nodiscard]] const PasswordHash* dummy() const;

    /// The first SCRAM verifier of the file, or nullptr if no user has one.
    [[nodiscard]] const ScramVerifier* scram_example() const;
    [[nodiscard]] std::size_t size() const { return users_.size(); }

  private:
    struct Problem {
        std::size_t column = 0;  // 0: none
        std::string text;
    };
    Problem add_line(std::string_view line);

    std::unordered_map<std::string, PasswordHash> users_;
    std::string dummy_login_;
    std::string scram_login_;
};

}  // namespace postrider::auth
