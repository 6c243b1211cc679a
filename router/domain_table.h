#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>

#include "libcommon/base/result.h"

namespace postrider::router {

/// Hash that lets maps with string keys be asked with a view, so that a look-up allocates nothing.
struct StringHash {
    using is_transparent = void;
    [[nodiscard]] std::size_t operator()(std::string_view text) const {
        return std::hash<std::string_view>{}(text);
    }
};

template <typename T>
using StringMap = std::unordered_map<std::string, T, StringHash, std::equal_to<>>;

/// The left side of a line that is about domains:
///   * `d`     that domain only,
///   * `.d`    its sub-domains, without itself,
///   * `*.d`   the domain and all its sub-domains,
///   * `*`     every domain.
struct DomainPattern {
    enum class Kind { Exact, SubDomains, Tree, Any };
    Kind kind = Kind::Exact;
    std::string domain;  ///< lower case, in its ASCII form; empty for Any

    /// Permanent error for anything that is none of the four forms.
    [[nodiscard]] static Result<DomainPattern> parse(std::string_view text);

    /// Whether it is about the domain of that name, canonical.
    [[nodiscard]] bool matches(std::string_view name) const;

    /// As it is written in a table.
    [[nodiscard]] std::string text() const;
};

/// What a table says about domains: the most specific pattern wins. One hash look-up a label, no matter how
/// many lines there are. Domains are compared as they are: canonical, lower case.
template <typename T>
class DomainTable {
  public:
    /// Adds a line. Returns nullptr, or the value of the line that has the same pattern already, in which
    /// case nothing is added. The pointer is valid until the next add().
    const T* add(const DomainPattern& pattern, T value) {
        std::optional<T>& place =
            pattern.kind == DomainPattern::Kind::Any ? any_ : place_in(nodes_[pattern.domain], pattern.kind);
        if (place) return &*place;
        place = std::move(value);
        return nullptr;
    }

    /// The value for `domain`, or nullptr. In this order: `d`, `*.d`, then for each parent from the nearest
    /// on
    /// `.parent` and `*.parent`, then `*`. The pointer lives as long as the table.
    [[nodiscard]] const T* find(std::string_view domain) const {
        if (const Node* node = this->node(domain)) {
            if (node->exact) return &*node->exact;
            if (node->tree) return &*node->tree;
        }
        std::size_t dot = domain.find('.');
        while (dot != std::string_view::npos) {
            domain.remove_prefix(dot + 1);
            if (const Node* node = this->node(domain)) {
                if (node->sub_domains) return &*node->sub_domains;
                if (node->tree) return &*node->tree;
            }
            dot = domain.find('.');
        }
        return any_ ? &*any_ : nullptr;
    }

    /// The value of the line with just this pattern, or nullptr. The pointer lives as long as the table.
    [[nodiscard]] const T* at(const DomainPattern& pattern) const {
        if (pattern.kind == DomainPattern::Kind::Any) return any_ ? &*any_ : nullptr;
        const Node* node = this->node(pattern.domain);
        if (node == nullptr) return nullptr;
        const std::optional<T>& place = place_in(*node, pattern.kind);
        return place ? &*place : nullptr;
    }

    [[nodiscard]] bool empty() const { return nodes_.empty() && !any_; }

  private:
    struct Node {
        std::optional<T> exact;
        std::optional<T> sub_domains;
        std::optional<T> tree;
    };

    /// `N` is Node or const Node.
    template <typename N>
    static auto& place_in(N& node, DomainPattern::Kind kind) {
        if (kind == DomainPattern::Kind::SubDomains) return node.sub_domains;
        if (kind == DomainPattern::Kind::Tree) return node.tree;
        return node.exact;
    }

    [[nodiscard]] const Node* node(std::string_view domain) const {
        auto found = nodes_.find(domain);
        return found == nodes_.end() ? nullptr : &found->second;
    }

    StringMap<Node> nodes_;
    std::optional<T> any_;
};

}  // namespace postrider::router
