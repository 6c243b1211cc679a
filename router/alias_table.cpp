#include "router/alias_table.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include "router/text_index.h"

namespace postrider::router {

namespace {

using config::Errors;
using config::Position;

/// An alias file in memory.
class AliasFile : public Table {
  public:
    AliasFile(std::string text, std::shared_ptr<const std::string> file)
        : index_(std::move(text)), file_(std::move(file)) {}

    /// Reads the text; returns the lists that are included.
    std::vector<Destination> fill(Errors& errors);

    [[nodiscard]] TableAnswer find(std::string_view name) const override {
        std::optional<TableEntry> entry;
        static_cast<void>(index_.find(name, [&](std::size_t offset) {
            entry = entry_at(offset);
            return entry->name == name;
        }));
        if (entry && entry->name != name) entry.reset();
        return entry;
    }
    [[nodiscard]] Result<bool> contains(std::string_view name) const override {
        return offset_of(name).has_value();
    }
    void for_each(const Visit& visit) const override {
        std::vector<std::size_t> offsets;
        offsets.reserve(index_.entries());
        index_.for_each([&](std::size_t offset) { offsets.push_back(offset); });
        std::sort(offsets.begin(), offsets.end());
        static_cast<void>(std::all_of(offsets.begin(), offsets.end(),
                                      [&](std::size_t offset) { return visit(entry_at(offset)); }));
    }
    [[nodiscard]] std::size_t memory() const override { return sizeof *this + index_.memory(); }

  private:
    [[nodiscard]] Position position_at(std::size_t offset) const {
        return Position{file_, index_.line_at(offset), 1};
    }
    [[nodiscard]] std::optional<std::size_t> offset_of(std::string_view name) const {
        return index_.find(name, [&](std::size_t offset) {
            const std::optional<AliasText> alias = read_alias(index_.text(), offset, Position());
            return alias && alias->name == name;
        });
    }
    [[nodiscard]] TableEntry entry_at(std::size_t offset) const {
        TableEntry entry;
        entry.position = position_at(offset);
        std::optional<AliasText> alias = read_alias(index_.text(), offset, entry.position);
        // What read_alias_file() has passed on once is an alias; an empty name matches nothing.
        if (!alias) return entry;
        entry.name = std::move(alias->name);
        entry.value = alias->destinations;
        entry.value_position = std::move(alias->position);
        return entry;
    }

    TextIndex index_;
    std::shared_ptr<const std::string> file_;
};

std::vector<Destination> AliasFile::fill(Errors& errors) {
    std::vector<Destination> includes;
    read_alias_file(index_.text(), file_, errors, [&](const AliasLine& line) {
        if (const std::optional<std::size_t> earlier = offset_of(line.name)) {
            errors.add(Position{file_, line.line, 1},
                       fmt::format("alias {} is there already, at {}", line.name,
                                   position_at(*earlier).line_text()));
            return;
        }
        index_.add(line.name, line.offset);
        if (line.destinations == nullptr) return;
        std::copy_if(line.destinations->begin(), line.destinations->end(), std::back_inserter(includes),
                     [](const Destination& one) { return one.kind == Destination::Kind::Include; });
    });
    return includes;
}

/// The alias that an entry means; nothing if its value is none, which only a database can have.
std::optional<Alias> alias_of(const TableEntry& entry) {
    Alias alias;
    Errors errors(1);
    alias.destinations = parse_destinations(entry.value, entry.value_position, errors);
    if (!errors.empty() || alias.destinations.empty()) return std::nullopt;
    alias.name = entry.name;
    alias.position = entry.position;
    return alias;
}

}  // namespace

AliasAnswer AliasTable::find(std::string_view name) const {
    const TableAnswer entry = table_->find(name);
    if (!entry) return failure(entry.error());
    if (!*entry) return std::shared_ptr<const Alias>();
    std::optional<Alias> alias = alias_of(**entry);
    if (!alias) {
        return temporary(
            fmt::format("{}: alias {} is no list of destinations", (*entry)->position.line_text(), name));
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
