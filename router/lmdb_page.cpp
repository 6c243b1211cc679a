#include "router/lmdb_page.h"

#include <bit>
#include <cstring>

namespace postrider::router {

namespace {

// Offsets in a page of a tree. A branch and a leaf go on with the offsets of their nodes, in the order of the
// keys; an overflow page, and those behind it, with a value.
constexpr std::size_t kFlagsAt = 10;
constexpr std::size_t kLowerAt = 12;  // the end of the offsets

// In a node: the lower and the upper half of the size of its value, flags, the size of its key, the key, the
// value. A branch has the number of a page in the place of size and flags.
constexpr std::size_t kNodeFlagsAt = 4;
constexpr std::size_t kKeySizeAt = 6;
constexpr std::size_t kNodeHeaderSize = 8;

// In a meta page, behind a header like that of all pages: magic, version, an address, the size of the map;
// the descriptions of the tree of free pages, whose first field is the size of a page, and of the main
// database; the last page and the number of the transaction.
constexpr std::size_t kMagicAt = 16;
constexpr std::size_t kVersionAt = 20;
constexpr std::size_t kPageSizeAt = 40;
constexpr std::size_t kMainAt = 88;
constexpr std::size_t kLastPageAt = 136;
constexpr std::size_t kTransactionAt = 144;

// In the description of a database.
constexpr std::size_t kOrderAt = 4;
constexpr std::size_t kDepthAt = 6;
constexpr std::size_t kRootAt = 40;

constexpr std::uint32_t kMagic = 0xBEEFC0DE;
constexpr std::uint32_t kVersion = 1;

enum PageFlags : std::uint16_t { kBranch = 1, kLeaf = 2, kOverflow = 4, kMeta = 8, kFixedKeys = 0x20 };
enum NodeFlags : std::uint16_t { kBigValue = 1, kDatabase = 2, kManyValues = 4 };

/// As LMDB itself has it (CURSOR_STACK).
constexpr unsigned kDeepest = 32;

template <typename Number>
Number number_at(std::string_view octets, std::size_t place) {
    Number number = 0;
    std::memcpy(&number, octets.data() + place, sizeof number);
    return number;
}

}  // namespace

std::optional<LmdbCommit> LmdbCommit::parse(std::string_view meta) {
    if (meta.size() < kLmdbMetaSize || (number_at<std::uint16_t>(meta, kFlagsAt) & kMeta) == 0 ||
        number_at<std::uint32_t>(meta, kMagicAt) != kMagic ||
        number_at<std::uint32_t>(meta, kVersionAt) != kVersion) {
        return std::nullopt;
    }
    LmdbCommit commit;
    commit.transaction = number_at<std::uint64_t>(meta, kTransactionAt);
    commit.page_size = number_at<std::uint32_t>(meta, kPageSizeAt);
    commit.root = number_at<std::uint64_t>(meta, kMainAt + kRootAt);
    commit.depth = number_at<std::uint16_t>(meta, kMainAt + kDepthAt);
    commit.last_page = number_at<std::uint64_t>(meta, kLastPageAt);
    commit.plain = number_at<std::uint16_t>(meta, kMainAt + kOrderAt) == 0;
    const bool good_size = commit.page_size >= kSmallestLmdbPage && commit.page_size <= kLargestLmdbPage &&
                           std::has_single_bit(commit.page_size);
    if (!good_size || commit.depth > kDeepest) return std::nullopt;
    return commit;
}

std::uint64_t LmdbPage::number() const {
    return number_at<std::uint64_t>(octets_, 0);
}

bool LmdbPage::is_branch() const {
    return (number_at<std::uint16_t>(octets_, kFlagsAt) & kBranch) != 0;
}

bool LmdbPage::is_leaf() const {
    return (number_at<std::uint16_t>(octets_, kFlagsAt) & (kLeaf | kFixedKeys)) == kLeaf;
}

bool LmdbPage::is_overflow() const {
    return (number_at<std::uint16_t>(octets_, kFlagsAt) & kOverflow) != 0;
}

std::size_t LmdbPage::nodes() const {
    const std::size_t lower = number_at<std::uint16_t>(octets_, kLowerAt);
    if (lower < kHeaderSize || lower > octets_.size()) return 0;
    return (lower - kHeaderSize) / sizeof(std::uint16_t);
}

std::optional<LmdbPage::Node> LmdbPage::node(std::size_t place) const {
    const std::size_t offset = number_at<std::uint16_t>(octets_, kHeaderSize + place * sizeof(std::uint16_t));
    if (offset < kHeaderSize || offset + kNodeHeaderSize > octets_.size()) return std::nullopt;
    const std::string_view written = octets_.substr(offset);
    const std::size_t key_size = number_at<std::uint16_t>(written, kKeySizeAt);
    if (kNodeHeaderSize + key_size > written.size()) return std::nullopt;
    Node node;
    node.key = written.substr(kNodeHeaderSize, key_size);
    node.size = number_at<std::uint32_t>(written, 0);
    node.flags = number_at<std::uint16_t>(written, kNodeFlagsAt);
    node.number = node.size | std::uint64_t{node.flags} << 32U;
    node.rest = written.substr(kNodeHeaderSize + key_size);
    return node;
}

/// The place of the first node, from `from` on, whose key does not come before `key`; nothing if a node is
/// damaged.
std::optional<std::size_t> LmdbPage::first_not_below(std::string_view key, std::size_t from) const {
    std::size_t end = nodes();
    while (from < end) {
        const std::size_t middle = from + (end - from) / 2;
        const std::optional<Node> looked_at = node(middle);
        if (!looked_at) return std::nullopt;
        if (looked_at->key < key) {
            from = middle + 1;
        } else {
            end = middle;
        }
    }
    return from;
}

LmdbPage::Found<std::uint64_t> LmdbPage::child(std::string_view key) const {
    // The first node has no key: it is for all that come before the second.
    const std::optional<std::size_t> place = nodes() == 0 ? std::nullopt : first_not_below(key, 1);
    if (!place) return {std::nullopt, true};
    if (*place < nodes()) {
        const std::optional<Node> at = node(*place);
        if (!at) return {std::nullopt, true};
        if (at->key == key) return {at->number, false};
    }
    const std::optional<Node> before = node(*place - 1);
    if (!before) return {std::nullopt, true};
    return {before->number, false};
}

LmdbPage::Found<LmdbValue> LmdbPage::find(std::string_view key) const {
    const std::optional<std::size_t> place = first_not_below(key, 0);
    if (!place) return {std::nullopt, true};
    if (*place == nodes()) return {};
    const std::optional<Node> at = node(*place);
    if (!at) return {std::nullopt, true};
    if (at->key != key) return {};
    LmdbValue value;
    value.size = at->size;
    value.is_database = (at->flags & (kDatabase | kManyValues)) != 0;
    if ((at->flags & kBigValue) != 0) {
        if (at->rest.size() < sizeof value.overflow_page) return {std::nullopt, true};
        value.overflow_page = number_at<std::uint64_t>(at->rest, 0);
        return {value, value.overflow_page == 0};
    }
    if (at->size > at->rest.size()) return {std::nullopt, true};
    value.octets = at->rest.substr(0, at->size);
    return {value, false};
}

}  // namespace postrider::router
