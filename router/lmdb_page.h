#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

/// The format of a file of LMDB 0.9 (mdb.c of OpenLDAP), as far as a look-up needs it, on a host of 64 bits
/// with the byte order of this one. Octets in, values out: all of them may be anything, since they may be
/// read while somebody writes them.
///
/// A file is made of pages of one size. The first two are meta pages, of which commits overwrite one in turn.
/// A database is a tree of pages that are never changed once they were committed, but given up and in the end
/// taken again for others. Each page begins with its own number.
namespace postrider::router {

/// What is read of a meta page.
inline constexpr std::size_t kLmdbMetaSize = 152;

/// The larger sizes of a page mean nothing; LMDB takes that of a page of memory.
inline constexpr std::size_t kSmallestLmdbPage = 512;
inline constexpr std::size_t kLargestLmdbPage = 32768;

/// What a commit left: the main database, as its meta page describes it.
struct LmdbCommit {
    std::uint64_t transaction = 0;  ///< its number; meta page 0 holds the even ones, 1 the odd ones
    std::size_t page_size = 0;
    std::uint64_t root = 0;  ///< number of a page
    unsigned depth = 0;      ///< pages from the root to a leaf; 0: there are no entries
    std::uint64_t last_page = 0;
    bool plain = false;  ///< keys are ordered by their octets, and have one value each

    /// What the first kLmdbMetaSize octets of a meta page say; nothing if it is none.
    [[nodiscard]] static std::optional<LmdbCommit> parse(std::string_view meta);
};

/// The value of a leaf.
struct LmdbValue {
    std::string_view octets;          ///< where it stands in the leaf
    std::size_t size = 0;             ///< all of it
    std::uint64_t overflow_page = 0;  ///< where it stands otherwise, behind the header of that page; 0: here
    bool is_database = false;         ///< it is a named database
};

/// A page of a tree, looked into; the octets outlive it.
class LmdbPage {
  public:
    static constexpr std::size_t kHeaderSize = 16;

    explicit LmdbPage(std::string_view octets) : octets_(octets) {}

    [[nodiscard]] std::uint64_t number() const;
    [[nodiscard]] bool is_branch() const;
    [[nodiscard]] bool is_leaf() const;
    [[nodiscard]] bool is_overflow() const;

    /// What a search gives; `damaged` if the page cannot be one.
    template <typename T>
    struct Found {
        std::optional<T> value;
        bool damaged = false;
    };

    /// Of a branch: the page on the way to `key`.
    [[nodiscard]] Found<std::uint64_t> child(std::string_view key) const;

    /// Of a leaf: the value of exactly this key.
    [[nodiscard]] Found<LmdbValue> find(std::string_view key) const;

  private:
    struct Node {
        std::string_view key;
        std::uint64_t number = 0;  // of a branch
        std::size_t size = 0;      // of the value of a leaf
        std::uint16_t flags = 0;
        std::string_view rest;  // what stands behind the key
    };
    [[nodiscard]] std::size_t nodes() const;
    [[nodiscard]] std::optional<Node> node(std::size_t place) const;
    [[nodiscard]] std::optional<std::size_t> first_not_below(std::string_view key, std::size_t from) const;

    std::string_view octets_;
};

}  // namespace postrider::router
