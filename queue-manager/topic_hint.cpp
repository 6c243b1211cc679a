#include "queue-manager/topic_hint.h"

#include <fmt/format.h>
#include <xxhash.h>

#include <algorithm>
#include <utility>

namespace postrider::queue_manager {

namespace {

// Each half of a millisecond has so many numbers that do not end with 000; those of two topics are pairs.
constexpr std::uint32_t kHalf = 500'000;
constexpr std::uint32_t kSingles = kHalf / 1000 * 999;
constexpr std::uint32_t kOfPair = 706;
static_assert(kOfPair * kOfPair <= kSingles);

std::uint32_t hash_of(std::string_view topic, std::uint32_t values) {
    return static_cast<std::uint32_t>(XXH3_64bits(topic.data(), topic.size()) % values);
}

/// The numbers below kSingles, spread over those that do not end with 000; and back.
std::uint32_t spread(std::uint32_t value) {
    return value / 999 * 1000 + value % 999 + 1;
}
std::uint32_t gathered(std::uint32_t hint) {
    return hint / 1000 * 999 + hint % 1000 - 1;
}

std::string single_name(std::uint32_t hash) {
    return fmt::format("\n{}", hash);
}
std::string pair_name(std::uint32_t hash) {
    return fmt::format("\n\n{}", hash);
}

}  // namespace

std::uint32_t hint_of(const std::vector<std::string>& topics) {
    if (topics.size() == 1) return spread(hash_of(topics[0], kSingles));
    if (topics.size() != 2) return 0;
    return kHalf + spread(hash_of(topics[0], kOfPair) * kOfPair + hash_of(topics[1], kOfPair));
}

std::vector<std::string> names_of_hint(std::uint32_t hint) {
    if (hint % 1000 == 0 || hint >= 2 * kHalf) return {};
    if (hint < kHalf) return {single_name(gathered(hint))};
    const std::uint32_t pair = gathered(hint - kHalf);
    if (pair >= kOfPair * kOfPair) return {};
    std::vector<std::string> names = {pair_name(pair / kOfPair), pair_name(pair % kOfPair)};
    names.erase(std::unique(names.begin(), names.end()), names.end());
    return names;
}

std::vector<std::string> hinted_names(std::string_view topic) {
    return {single_name(hash_of(topic, kSingles)), pair_name(hash_of(topic, kOfPair))};
}

}  // namespace postrider::queue_manager
