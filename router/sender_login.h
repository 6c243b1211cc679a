#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "libcommon/config/language.h"
#include "libcommon/config/settings.h"
#include "router/address.h"
#include "router/domain_table.h"

namespace postrider::router {

struct Tables;

/// Which logins may use which sender addresses: the lines `sender_login ADDRESS|@DOMAIN|DOMAIN LOGIN …`.
class SenderLogins {
  public:
    /// Who may use a sender, and the first line that says so.
    struct Entry {
        std::vector<std::string> logins;
        config::Position position;
    };

    /// Adds a line; a key may have several, and all their logins count. Errors go to `errors`.
    void add(const config::Directive& line, config::Errors& errors);

    /// The entry of an address, or of its domain, that names the login; nullptr if none does.
    [[nodiscard]] const Entry* find(std::string_view local, std::string_view domain,
                                    std::string_view login) const;

  private:
    StringMap<Entry> entries_;  // by `local@domain`, folded, or `@domain`
};

/// Whether a sender belongs to a login. It does if
///   * a line for the address or for its domain names the login;
///   * the login is the address itself;
///   * it is an address of a local_domain, whose users are users of the system, and the login is its user.
/// Case and, in local domains, the detail behind the delimiter do not matter. In a virtual domain the name of
/// a user alone is not enough: a user of the system may have the same.
[[nodiscard]] bool belongs_to_login(const Address& sender, std::string_view login, const Tables& tables);

}  // namespace postrider::router
