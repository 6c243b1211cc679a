#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "libcommon/config/language.h"
#include "router/alias_file.h"
#include "router/table.h"

namespace postrider::router {

/// What a look-up of an alias gives: the alias, nullptr if there is none, or a Temporary error if nobody can
/// tell now.
using AliasAnswer = Result<std::shared_ptr<const Alias>>;

/// The aliases of one `alias_file`, whatever kind of table that is.
class AliasTable {
  public:
    /// `table` has values as they stand behind the colon of an alias file. `includes` are the lists that they
    /// name; of a database none is known, and none may be named.
    AliasTable(std::unique_ptr<const Table> table, std::vector<Destination> includes)
        : table_(std::move(table)), includes_(std::move(includes)) {}

    /// The alias of exactly this folded name, or that of the first pattern of a table of patterns.
    [[nodiscard]] AliasAnswer find(std::string_view name) const { return answer_of(table_->find(name)); }

    /// The first alias in an alias file whose name has wildcards and matches.
    [[nodiscard]] AliasAnswer find_wild(std::string_view name) const {
        return answer_of(table_->find_wild(name));
    }

    /// Whether find() has one.
    [[nodiscard]] Result<bool> contains(std::string_view name) const { return table_->contains(name); }

    /// Calls `visit` with the aliases in the order of their file until it returns false; with none of a
    /// database.
    void for_each(const std::function<bool(const Alias&)>& visit) const;

    [[nodiscard]] const std::vector<Destination>& includes() const { return includes_; }
    [[nodiscard]] std::size_t memory() const { return table_->memory(); }

  private:
    [[nodiscard]] static AliasAnswer answer_of(const TableAnswer& entry);

    std::unique_ptr<const Table> table_;
    std::vector<Destination> includes_;
};

/// Puts what the groups of a regular expression matched in the place of `$1` to `$9` in the local parts of
/// addresses, and nowhere else. False if something comes out that is none.
[[nodiscard]] bool fill_captures(std::vector<Destination>& destinations,
                                 const std::vector<std::string>& captures);

/// What is wrong with a value of a database of aliases.
[[nodiscard]] Result<void> check_alias_value(std::string_view value);

/// The lists among what `value`, at `position`, leads to; errors go to `errors`.
[[nodiscard]] std::vector<Destination> includes_of_alias(std::string_view value,
                                                         const config::Position& position,
                                                         config::Errors& errors);

/// The aliases of an alias file (see read_alias_file()); of a faulty one, those of its faultless lines, with
/// the errors in `errors`.
[[nodiscard]] std::shared_ptr<const AliasTable> parse_alias_table(
    std::string text, const std::shared_ptr<const std::string>& file, config::Errors& errors);

}  // namespace postrider::router
