#include <algorithm>
#include <numeric>

#include "libcommon/config/language.h"

namespace postrider::config {

namespace {

/// Longer words are no slips of the hand, and comparing them would cost time for nothing.
constexpr std::size_t kLongestCompared = 64;

/// The optimal string alignment distance: insertions, deletions, substitutions and swaps of neighbours, each
/// counted as one. Three rows of the usual matrix are enough.
std::size_t edit_distance(std::string_view a, std::string_view b) {
    std::vector<std::size_t> before;
    std::vector<std::size_t> above(b.size() + 1);
    std::vector<std::size_t> row(b.size() + 1);
    std::iota(above.begin(), above.end(), std::size_t{0});
    for (std::size_t i = 1; i <= a.size(); ++i) {
        row[0] = i;
        for (std::size_t j = 1; j <= b.size(); ++j) {
            std::size_t substitution = above[j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1);
            row[j] = std::min({above[j] + 1, row[j - 1] + 1, substitution});
            bool swapped = i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1];
            if (swapped) row[j] = std::min(row[j], before[j - 2] + 1);
        }
        before = above;
        above = row;
    }
    return above[b.size()];
}

}  // namespace

std::string_view nearest(std::string_view word, const std::vector<std::string_view>& candidates) {
    if (word.size() > kLongestCompared) return {};
    std::string_view best;
    std::size_t fewest = std::max<std::size_t>(1, word.size() / 3) + 1;
    for (std::string_view candidate : candidates) {
        // Each letter more or less is an edit, so most candidates need no closer look.
        std::size_t longer = std::max(word.size(), candidate.size());
        std::size_t shorter = std::min(word.size(), candidate.size());
        if (longer - shorter >= fewest) continue;
        std::size_t edits = edit_distance(word, candidate);
        if (edits < fewest) {
            fewest = edits;
            best = candidate;
        }
    }
    return best;
}

}  // namespace postrider::config
