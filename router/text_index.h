#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace postrider::router {

/// A text, and where in it the entry of a name begins: what makes a table of a million lines small. It keeps
/// the text as it was read, eight octets for each place of a hash table, and the number of every hundredth or
/// so line; whoever looks an entry up parses its line again.
///
/// Filled once, then only asked, by any number of threads.
class TextIndex {
  public:
    TextIndex() = default;

    /// `text` is at most kLargestText octets. Makes room for as many entries as it has lines.
    explicit TextIndex(std::string text);

    /// What 32 bits can point into.
    static constexpr std::size_t kLargestText = 0xffff'ffff;

    [[nodiscard]] const std::string& text() const { return text_; }
    [[nodiscard]] std::size_t entries() const { return entries_; }

    /// Adds an entry; at most one for each line. That its name is not there yet is the caller's to know.
    void add(std::string_view name, std::size_t offset);

    /// The offset of the entry of `name`. `is_it` is called with the offset of each entry that may be it,
    /// hardly ever more than one, and says whether it is.
    template <typename IsIt>
    [[nodiscard]] std::optional<std::size_t> find(std::string_view name, const IsIt& is_it) const {
        if (slots_.empty()) return std::nullopt;
        const std::uint64_t hash = hash_of(name);
        for (std::size_t at = first_slot(hash); slots_[at].used(); at = next_slot(at)) {
            if (slots_[at].tag == tag_of(hash) && is_it(slots_[at].offset())) return slots_[at].offset();
        }
        return std::nullopt;
    }

    /// The number of the line at `offset`, counted from 1.
    [[nodiscard]] std::uint32_t line_at(std::size_t offset) const;

    /// Calls `visit` with the offset of each entry, in no order.
    template <typename Visit>
    void for_each(const Visit& visit) const {
        for (const Slot& slot : slots_) {
            if (slot.used()) visit(slot.offset());
        }
    }

    /// Octets of memory it takes.
    [[nodiscard]] std::size_t memory() const;

  private:
    struct Slot {
        std::uint32_t tag = 0;        // of the hash, so that other names are not looked at
        std::uint32_t offset_of = 0;  // plus one; 0: nothing is here
        [[nodiscard]] bool used() const { return offset_of != 0; }
        [[nodiscard]] std::size_t offset() const { return offset_of - 1; }
    };

    [[nodiscard]] std::uint64_t hash_of(std::string_view name) const;
    [[nodiscard]] static std::uint32_t tag_of(std::uint64_t hash) {
        return static_cast<std::uint32_t>(hash >> 32U);
    }
    [[nodiscard]] std::size_t first_slot(std::uint64_t hash) const { return hash & (slots_.size() - 1); }
    [[nodiscard]] std::size_t next_slot(std::size_t at) const { return (at + 1) & (slots_.size() - 1); }

    std::string text_;
    std::vector<Slot> slots_;           // a power of two, never more than three quarters of it used
    std::vector<std::uint32_t> lines_;  // line ends in front of each block of the text
    std::size_t entries_ = 0;
    std::uint64_t seed_ = 0;  // users may choose their names, but not that all of them meet in one place
};

}  // namespace postrider::router
