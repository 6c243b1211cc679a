#pragma once

#include <memory>
#include <string>
#include <utility>

#include "router/table.h"
#include "router/text_index.h"

namespace postrider::router {

/// A table whose entries stand in a text. Who derives from it fills the index, and says how an entry is read.
class TextTable : public Table {
  public:
    TextTable(std::string text, std::shared_ptr<const std::string> file)
        : index_(std::move(text)), file_(std::move(file)) {}

    [[nodiscard]] TableAnswer find(std::string_view name) const override {
        std::optional<TableEntry> entry;
        const std::optional<std::size_t> offset = index_.find(name, [&](std::size_t place) {
            entry = entry_at(place);
            return entry->name == name;
        });
        if (!offset) entry.reset();
        return entry;
    }
    [[nodiscard]] std::size_t memory() const override { return sizeof *this + index_.memory(); }

  protected:
    [[nodiscard]] TextIndex& index() { return index_; }
    [[nodiscard]] const TextIndex& index() const { return index_; }
    /// The name of the text, for positions.
    [[nodiscard]] const std::shared_ptr<const std::string>& file() const { return file_; }

    /// The entry at a place that the index has.
    [[nodiscard]] virtual TableEntry entry_at(std::size_t offset) const = 0;

  private:
    TextIndex index_;
    std::shared_ptr<const std::string> file_;
};

}  // namespace postrider::router
