#pragma once

#include <memory>
#include <string>

#include "libcommon/config/language.h"
#include "libcommon/config/limits.h"
#include "router/alias_table.h"
#include "router/cdb_table.h"
#include "router/table_files.h"
#include "router/user_table.h"

namespace postrider::router {

/// Reads the tables that lines name, of whatever kind they are.
class TableSources {
  public:
    /// References outlive the object. `databases` opens those tables that are no text; nullptr: there are
    /// none of them.
    TableSources(config::FileSource& files, TableFiles* databases, const config::Limits& limits)
        : files_(files), databases_(databases), limits_(limits) {}

    /// The aliases that `text` names, in a line at `named_at`; errors go to `errors`, and make the result
    /// incomplete or nullptr.
    [[nodiscard]] std::shared_ptr<const AliasTable> aliases(const std::string& text,
                                                            const config::Position& named_at,
                                                            config::Errors& errors);
    /// The users; `needs_home` as for UserTable.
    [[nodiscard]] std::shared_ptr<const UserTable> users(const std::string& text, bool needs_home,
                                                         const config::Position& named_at,
                                                         config::Errors& errors);

  private:
    [[nodiscard]] std::unique_ptr<const Table> database(const TableName& name, const EntryCheck& check,
                                                        const config::Position& named_at,
                                                        config::Errors& errors);
    [[nodiscard]] Result<std::string> text_of(const TableName& name);

    config::FileSource& files_;
    TableFiles* databases_;
    const config::Limits& limits_;
};

}  // namespace postrider::router
