#include "router/alias_table.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include "libcommon/mail/ascii.h"
#include "libcommon/mail/local_part.h"
#include "router/name_patterns.h"
#include "router/text_table.h"

namespace postrider::router {

namespace {

using config::Errors;
using config::Position;

/// An alias file in memory.
class AliasFile : public TextTable {
  public:
    using TextTable::TextTable;

    /// Reads the text; returns the lists that are included.
    std::vector<Destination> fill(Errors& errors);

    [[nodiscard]] TableAnswer find_wild(std::string_view name) const override {
        const std::optional<std::uint32_t> offset = wild_.find_first(name);
        if (!offset) return std::nullopt;
        return entry_at(*offset);
    }
    [[nodiscard]] Result<bool> contains(std::string_view name) const override {
        return offset_of(name).has_value();
    }
    void for_each(const Visit& visit) const override {
        std::vector<std::size_t> offsets(wild_offsets_.begin(), wild_offsets_.end());
        offsets.reserve(offsets.size() + index().entries());
        index().for_each([&](std::size_t offset) { offsets.push_back(offset); });
        std::sort(offsets.begin(), offsets.end());
        static_cast<void>(std::all_of(offsets.begin(), offsets.end(),
                                      [&](std::size_t offset) { return visit(entry_at(offset)); }));
    }

  private:
    void add(const AliasLine& line, Errors& errors);
    [[nodiscard]] Position position_at(std::size_t offset) const {
        return Position{file(), index().line_at(offset), 1};
    }
    [[nodiscard]] std::optional<std::size_t> offset_of(std::string_view name) const {
        return index().find(name, [&](std::size_t offset) {
            const std::optional<AliasText> alias = read_alias(index().text(), offset, Position());
            return alias && alias->name == name;
        });
    }
    [[nodiscard]] TableEntry entry_at(std::size_t offset) const override {
        TableEntry entry;
        entry.position = position_at(offset);
        std::optional<AliasText> alias = read_alias(index().text(), offset, entry.position);
        // What read_alias_file() has passed on once is an alias; an empty name matches nothing.
        if (!alias) return entry;
        entry.name = std::move(alias->name);
        entry.wild = alias->wild;
        entry.value = alias->destinations;
        entry.value_position = std::move(alias->position);
        return entry;
    }

    NamePatterns wild_;                        // names with wildcards, numbered by the offsets of their lines
    std::vector<std::uint32_t> wild_offsets_;  // these
};

void AliasFile::add(const AliasLine& line, Errors& errors) {
    const Position position{file(), line.line, 1};
    if (line.wild) {
        Result<NamePattern> pattern = NamePattern::parse(line.name);
        if (!pattern) {
            errors.add(position, fmt::format("the name of an alias: {}", pattern.error().text));
            return;
        }
        wild_offsets_.push_back(static_cast<std::uint32_t>(line.offset));
        wild_.add(std::move(*pattern), wild_offsets_.back());
    } else if (const std::optional<std::size_t> earlier = offset_of(line.name)) {
        errors.add(position, fmt::format("alias {} is there already, at {}", line.name,
                                         position_at(*earlier).line_text()));
    } else {
        index().add(line.name, line.offset);
    }
}

std::vector<Destination> AliasFile::fill(Errors& errors) {
    std::vector<Destination> includes;
    read_alias_file(index().text(), file(), errors, [&](const AliasLine& line) {
        add(line, errors);
        if (line.destinations == nullptr) return;
        std::copy_if(line.destinations->begin(), line.destinations->end(), std::back_inserter(includes),
                     [](const Destination& one) { return one.kind == Destination::Kind::Include; });
    });
    return includes;
}

/// Puts what the groups of a regular expression matched into a local part: `$1` to `$9`.
std::string with_captures(std::string_view local, const std::vector<std::string>& captures) {
    std::string filled;
    for (std::size_t at = 0; at < local.size(); ++at) {
        const bool named = local[at] == '$' && at + 1 < local.size() && mail::is_digit(local[at + 1]);
        if (!named) {
            filled += local[at];
            continue;
        }
        const auto group = static_cast<std::size_t>(local[++at] - '0');
        if (group < captures.size()) filled += captures[group];
    }
    return filled;
}

/// The alias that an entry means; nothing if its value is none.
std::optional<Alias> alias_of(const TableEntry& entry) {
    Alias alias;
    Errors errors(1);
    alias.destinations = parse_destinations(entry.value, entry.value_position, errors);
    if (!errors.empty() || alias.destinations.empty()) return std::nullopt;
    if (!fill_captures(alias.destinations, entry.captures)) return std::nullopt;
    alias.name = entry.name;
    alias.wild = entry.wild;
    alias.position = entry.position;
    return alias;
}

}  // namespace

bool fill_captures(std::vector<Destination>& destinations, const std::vector<std::string>& captures) {
    if (captures.empty()) return true;
    for (Destination& one : destinations) {
        // Never into a command or a path: what was captured is a stranger's text.
        if (one.kind != Destination::Kind::Mail && one.kind != Destination::Kind::User) continue;
        if (one.is_own_user()) continue;
        one.address.local = with_captures(one.address.local, captures);
        if (!mail::is_local_part_value(one.address.local)) return false;
    }
    return true;
}

std::vector<Destination> includes_of_alias(std::string_view value, const Position& position, Errors& errors) {
    std::vector<Destination> all = parse_destinations(value, position, errors);
    std::string_view written = value;
    mail::skip_blanks(written);
    if (written.empty() || written.front() == '#') errors.add(position, "the alias has no destination");
    std::erase_if(all, [](const Destination& one) { return one.kind != Destination::Kind::Include; });
    return all;
}

Result<void> check_alias_value(std::string_view value) {
    Errors errors(1);
    const Position nowhere{std::make_shared<const std::string>("value"), 1, 1};
    const std::vector<Destination> includes = includes_of_alias(value, nowhere, errors);
    if (!includes.empty()) return permanent("a database includes no lists");
    if (!errors.empty()) return permanent(errors.take().front());
    return {};
}

AliasAnswer AliasTable::answer_of(const TableAnswer& entry) {
    if (!entry) return failure(entry.error());
    if (!*entry) return std::shared_ptr<const Alias>();
    std::optional<Alias> alias = alias_of(**entry);
    if (!alias) {
        return temporary(fmt::format("{}: alias {} is no list of destinations",
                                     (*entry)->position.line_text(), (*entry)->name));
    }
    return std::make_shared<const Alias>(std::move(*alias));
}

void AliasTable::for_each(const std::function<bool(const Alias&)>& visit) const {
    table_->for_each([&](const TableEntry& entry) {
        const std::optional<Alias> alias = alias_of(entry);
        return !alias || visit(*alias);
    });
}

std::shared_ptr<const AliasTable> parse_alias_table(std::string text,
                                                    const std::shared_ptr<const std::string>& file,
                                                    Errors& errors) {
    auto table = std::make_unique<AliasFile>(std::move(text), file);
    std::vector<Destination> includes = table->fill(errors);
    return std::make_shared<const AliasTable>(std::move(table), std::move(includes));
}

}  // namespace postrider::router
