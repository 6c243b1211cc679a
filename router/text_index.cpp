#include "router/text_index.h"

#include <sys/random.h>
#include <xxhash.h>

#include <algorithm>
#include <bit>
#include <utility>

namespace postrider::router {

namespace {

/// Between two places whose line number is kept. Counting the line ends of half of that takes less time than
/// a look-up spends waiting for the memory.
constexpr std::size_t kLineBlock = 512;

std::uint32_t count_line_ends(std::string_view text) {
    return static_cast<std::uint32_t>(std::count(text.begin(), text.end(), '\n'));
}

std::uint64_t random_seed() {
    std::uint64_t seed = 0;
    // What comes of it is a matter of speed only, so zero is as good where the kernel has none.
    static_cast<void>(::getrandom(&seed, sizeof seed, GRND_NONBLOCK) < 0);
    return seed;
}

}  // namespace

TextIndex::TextIndex(std::string text) : text_(std::move(text)), seed_(random_seed()) {
    const std::string_view all = text_;
    lines_.reserve(all.size() / kLineBlock + 1);
    std::uint32_t lines = 0;
    for (std::size_t at = 0; at < all.size(); at += kLineBlock) {
        lines_.push_back(lines);
        lines += count_line_ends(all.substr(at, kLineBlock));
    }
    // The last line may have no end.
    const std::size_t most_entries = std::size_t{lines} + 1;
    slots_.resize(std::bit_ceil(most_entries + most_entries / 3 + 1));
}

std::uint64_t TextIndex::hash_of(std::string_view name) const {
    return XXH3_64bits_withSeed(name.data(), name.size(), seed_);
}

void TextIndex::add(std::string_view name, std::size_t offset) {
    const std::uint64_t hash = hash_of(name);
    std::size_t at = first_slot(hash);
    while (slots_[at].used())
        at = next_slot(at);
    slots_[at] = Slot{tag_of(hash), static_cast<std::uint32_t>(offset + 1)};
    ++entries_;
}

std::uint32_t TextIndex::line_at(std::size_t offset) const {
    if (lines_.empty()) return 1;
    const std::size_t block = std::min(offset / kLineBlock, lines_.size() - 1);
    const std::size_t start = block * kLineBlock;
    return lines_[block] + count_line_ends(std::string_view(text_).substr(start, offset - start)) + 1;
}

std::size_t TextIndex::memory() const {
    return sizeof *this + text_.capacity() + slots_.capacity() * sizeof(Slot) +
           lines_.capacity() * sizeof(std::uint32_t);
}

}  // namespace postrider::router
