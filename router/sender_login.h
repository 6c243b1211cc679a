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
class Facts;

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

    /// The logins of an address and of its domain together.
    [[nodiscard]] std::vector<std::string> of(std::string_view local, std::string_view domain) const;

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

/// What is known of a local user and a sender.
enum class LocalClaim {
    Good,
    Bad,
    Unclear,  ///< the user database does not answer
};

/// Whether a user of this host may use a sender; `login` is `uid:NUMBER`, as the kernel says. Everybody may
/// use an address for which no line is (mailing list programs and scripts do so for others), root every
/// address. Where lines are for the address or its domain, the user must be one of the logins they name, be
/// it by the name of a system user or as `uid:NUMBER`, or the address must be his own in a local_domain.
[[nodiscard]] LocalClaim local_claim(const Address& sender, std::string_view login, const Tables& tables,
                                     Facts& facts);

}  // namespace postrider::router
