#include "router/table_sources.h"

#include <sys/stat.h>

#include <iterator>
#include <utility>
#include <vector>

#include "router/address.h"
#include "router/lmdb_table.h"
#include "router/pattern_table.h"

namespace postrider::router {

namespace {

using config::Errors;
using config::Limit;
using config::Position;

bool is_folder(const std::string& path) {
    struct stat status {};
    return ::stat(path.c_str(), &status) == 0 && S_ISDIR(status.st_mode);
}

PatternLimits pattern_limits(const config::Limits& limits) {
    return {limits.size(Limit::TablePatterns),
            static_cast<std::uint32_t>(limits.size(Limit::TableMatchSteps))};
}

/// A key that no look-up can find is a mistake of whoever made the database.
Result<void> check_key(std::string_view name) {
    if (folded(name) != name) return permanent("the key is not in lower case, so nothing would find it");
    return {};
}

void append(std::vector<Destination>& all, std::vector<Destination> more) {
    all.insert(all.end(), std::make_move_iterator(more.begin()), std::make_move_iterator(more.end()));
}

}  // namespace

Result<std::string> TableSources::text_of(const TableName& name) {
    return files_.read(name.path, limits_.size(Limit::TableSize));
}

std::unique_ptr<const Table> TableSources::database(const TableName& name, const EntryCheck& check,
                                                    const Position& named_at, Errors& errors) {
    if (databases_ == nullptr) {
        errors.add(named_at, "databases cannot be read here");
        return nullptr;
    }
    const std::size_t largest = limits_.size(Limit::TableValue);
    const bool lmdb = name.kind == TableName::Kind::Lmdb;
    const bool folder = lmdb && is_folder(name.path);
    Result<Fd> file = databases_->open_database(folder ? name.path + "/data.mdb" : name.path, lmdb);
    if (!file) {
        errors.add(named_at, file.error().text);
        return nullptr;
    }
    if (lmdb) {
        auto table = LmdbTable::open(std::move(*file), name.path, {limits_.size(Limit::LmdbCache), largest});
        if (table) return std::move(*table);
        errors.add(named_at, table.error().text);
        return nullptr;
    }
    auto table = CdbTable::open(std::move(*file), name.path, largest, check);
    if (table) return std::move(*table);
    errors.add(named_at, table.error().text);
    return nullptr;
}

std::shared_ptr<const AliasTable> TableSources::aliases(const std::string& text, const Position& named_at,
                                                        Errors& errors) {
    const TableName name = TableName::parse(text);
    std::vector<Destination> includes;
    if (name.is_database()) {
        const EntryCheck check = [](std::string_view key, std::string_view value) -> Result<void> {
            const Result<void> good = check_key(key);
            return good ? check_alias_value(value) : good;
        };
        auto table = database(name, check, named_at, errors);
        if (!table) return nullptr;
        return std::make_shared<const AliasTable>(std::move(table), std::move(includes));
    }
    Result<std::string> read = text_of(name);
    if (!read) {
        errors.add(named_at, read.error().text);
        return nullptr;
    }
    const auto file = std::make_shared<const std::string>(name.path);
    if (name.kind == TableName::Kind::Text) return parse_alias_table(std::move(*read), file, errors);
    const bool regex = name.kind == TableName::Kind::Regex;
    const auto lines = read_pattern_file(*read, file, regex, PatternSeparator::Colon, errors);
    for (const PatternLine& line : lines)
        append(includes, includes_of_alias(line.value, line.value_position, errors));
    return std::make_shared<const AliasTable>(
        make_pattern_table(lines, regex, pattern_limits(limits_), errors), std::move(includes));
}

std::shared_ptr<const UserTable> TableSources::users(const std::string& text, bool needs_home,
                                                     const Position& named_at, Errors& errors) {
    const TableName name = TableName::parse(text);
    std::vector<Destination> includes;
    if (name.is_database()) {
        const EntryCheck check = [needs_home](std::string_view key, std::string_view value) -> Result<void> {
            const Result<void> good = check_key(key);
            return good ? check_user_value(value, needs_home) : good;
        };
        auto table = database(name, check, named_at, errors);
        if (!table) return nullptr;
        return std::make_shared<const UserTable>(std::move(table), needs_home, std::move(includes));
    }
    Result<std::string> read = text_of(name);
    if (!read) {
        errors.add(named_at, read.error().text);
        return nullptr;
    }
    const auto file = std::make_shared<const std::string>(name.path);
    if (name.kind == TableName::Kind::Text)
        return parse_user_table(std::move(*read), file, needs_home, errors);
    const bool regex = name.kind == TableName::Kind::Regex;
    const auto lines = read_pattern_file(*read, file, regex, PatternSeparator::Blank, errors);
    for (const PatternLine& line : lines)
        append(includes, includes_of_user(line.value, line.value_position, needs_home, errors));
    return std::make_shared<const UserTable>(
        make_pattern_table(lines, regex, pattern_limits(limits_), errors), needs_home, std::move(includes));
}

}  // namespace postrider::router
