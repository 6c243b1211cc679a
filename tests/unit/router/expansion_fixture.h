#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "tests/unit/router/table_fixture.h"

namespace postrider::router::test {

/// A leaf in a form that reads well in a table of cases: the Maildir, the address that leaves, `|command`,
/// `file PATH`, `discard`, or the address and its failure.
inline std::string leaf_text(const Leaf& leaf) {
    switch (leaf.kind) {
        case Leaf::Kind::Mailbox:
            return leaf.path;
        case Leaf::Kind::Remote:
            return leaf.address.text();
        case Leaf::Kind::Program:
            return "|" + leaf.path;
        case Leaf::Kind::File:
            return "file " + leaf.path;
        case Leaf::Kind::Discard:
            return "discard";
        case Leaf::Kind::Failure:
            return leaf.address.text() + " " + leaf.failure;
    }
    return {};
}

inline std::vector<std::string> leaf_texts(const Expansion& expansion) {
    std::vector<std::string> texts;
    texts.reserve(expansion.leaves.size());
    for (const Leaf& leaf : expansion.leaves)
        texts.push_back(leaf_text(leaf));
    return texts;
}

/// Expands an address, with the users of FakeFacts.
inline Expansion expand_text(const Tables& tables, std::string_view address) {
    FakeFacts facts;
    facts.add("unknown", 3000);
    return expand(tables.qualified(parse_address(address).value()), tables, facts);
}

/// The same in one line: the leaves with blanks and commas between them, or the refusal.
inline std::string outcome_text(const Tables& tables, std::string_view address) {
    const Expansion expansion = expand_text(tables, address);
    if (expansion.outcome != Expansion::Outcome::Delivered) return expansion.enhanced;
    std::string text;
    for (const std::string& leaf : leaf_texts(expansion))
        text += (text.empty() ? "" : ", ") + leaf;
    return text;
}

}  // namespace postrider::router::test
