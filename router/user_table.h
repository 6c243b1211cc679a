#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "libcommon/base/result.h"
#include "libcommon/config/language.h"
#include "router/alias_file.h"
#include "router/table.h"

namespace postrider::router {

/// A user of a virtual domain.
struct VirtualUser {
    std::string name;                    ///< folded
    std::string home;                    ///< absolute; empty if there is none
    std::vector<Destination> forward;    ///< where mail goes instead; empty: to the mailbox
    std::optional<std::uint64_t> quota;  ///< octets of the mailbox, 0: any; empty: as the domain says
    config::Position position;
};

/// What a look-up of a user gives: the user, nothing if there is none, or a Temporary error if nobody can
/// tell now.
using VirtualUserAnswer = Result<std::optional<VirtualUser>>;

/// The users of a virtual domain: its `users=`, whatever kind of table that is.
class UserTable {
  public:
    /// `table` has values as they stand behind the name in a users file. `needs_home`: mailboxes are below
    /// `~`, so that a user without home= is an error. `includes`: the lists that `forward=` names.
    UserTable(std::unique_ptr<const Table> table, bool needs_home, std::vector<Destination> includes)
        : table_(std::move(table)), needs_home_(needs_home), includes_(std::move(includes)) {}

    /// The user of a folded name.
    [[nodiscard]] VirtualUserAnswer find(std::string_view name) const;

    [[nodiscard]] const std::vector<Destination>& includes() const { return includes_; }
    [[nodiscard]] std::size_t memory() const { return table_->memory(); }

  private:
    std::unique_ptr<const Table> table_;
    bool needs_home_;
    std::vector<Destination> includes_;
};

/// What is wrong with a value of a database of users.
[[nodiscard]] Result<void> check_user_value(std::string_view value, bool needs_home);

/// The lists that `value`, at `position`, forwards to; errors go to `errors`.
[[nodiscard]] std::vector<Destination> includes_of_user(std::string_view value,
                                                        const config::Position& position, bool needs_home,
                                                        config::Errors& errors);

/// The user whose value the server of a `users=socket:` said; `named_at` is the line that names it. Temporary
/// error: the value is none, or it includes a list, or, unless `may_pipe`, names a program or a file.
[[nodiscard]] VirtualUserAnswer user_of_server(std::string_view name, std::string_view value,
                                               const config::Position& named_at, bool needs_home,
                                               bool may_pipe);

/// The users of a users file, one a line, in the language of the configuration: `NAME [forward=ADDRESS,…]
/// [home=DIR] [quota=SIZE]`. Of a faulty file, those of its faultless lines, with the errors in `errors`.
[[nodiscard]] std::shared_ptr<const UserTable> parse_user_table(
    std::string text, const std::shared_ptr<const std::string>& file, bool needs_home,
    config::Errors& errors);

}  // namespace postrider::router
