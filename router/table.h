#pragma once

#include <cstddef>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "libcommon/base/result.h"
#include "libcommon/config/language.h"

/// Tables of names: where they come from is behind one interface, what their values mean is the business of
/// alias_table.h and user_table.h.
namespace postrider::router {

/// What a table has for a name.
struct TableEntry {
    std::string name;   ///< as the table has it, folded; in a table of patterns, the name that was asked for
    bool wild = false;  ///< it has wildcards
    std::string value;  ///< what stands behind the name
    config::Position position;          ///< of the entry
    config::Position value_position;    ///< of the value
    std::vector<std::string> captures;  ///< what the groups of a regular expression matched
};

/// What a look-up gives: an entry, nothing, or a Temporary error. The last means that nobody can tell now
/// (the file is damaged, a pattern took too long), and never that there is no such name.
using TableAnswer = Result<std::optional<TableEntry>>;

/// A table that is asked for names, folded. It answers at once, by itself or from files of this host; it
/// reports no change of its own content but by those who watch its file. Any number of threads may ask.
class Table {
  public:
    Table() = default;
    Table(const Table&) = delete;
    Table& operator=(const Table&) = delete;
    virtual ~Table() = default;

    [[nodiscard]] virtual TableAnswer find(std::string_view name) const = 0;

    /// The first entry that has wildcards in its name and matches. Here: there are none.
    [[nodiscard]] virtual TableAnswer find_wild(std::string_view name) const;

    /// Whether find() has an entry; cheaper where the value must not be fetched for it.
    [[nodiscard]] virtual Result<bool> contains(std::string_view name) const;

    /// Calls `visit` with every entry, in the order of the table's file, until it returns false. Tables that
    /// are databases have no end that somebody would wait for: of them it visits none.
    using Visit = std::function<bool(const TableEntry&)>;
    virtual void for_each(const Visit& visit) const;

    /// Octets of memory it takes, shared pages of a database not counted.
    [[nodiscard]] virtual std::size_t memory() const = 0;
};

/// What stands in an alias_file line or behind `users=`: the name of a file, and what kind of table it is.
struct TableName {
    enum class Kind {
        Text,   ///< `PATH`: the format of its own that the manual describes
        Regex,  ///< `regex:PATH`: lines of regular expressions and values
        Glob,   ///< `glob:PATH`: lines of shell patterns and values
        Cdb,    ///< `cdb:PATH`: a constant database
        Lmdb,   ///< `lmdb:PATH`: a database of LMDB
    };
    Kind kind = Kind::Text;
    std::string path;

    /// Takes apart what the settings have made absolute.
    [[nodiscard]] static TableName parse(std::string_view text);

    [[nodiscard]] bool is_database() const { return kind == Kind::Cdb || kind == Kind::Lmdb; }
};

}  // namespace postrider::router
