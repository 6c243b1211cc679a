#include "router/glob.h"

#include <utility>

#include "libcommon/mail/ascii.h"

namespace postrider::router {

namespace {

constexpr std::size_t kMostSets = 255;

std::uint8_t folded_index(char octet) {
    return static_cast<unsigned char>(mail::to_lower(octet));
}

}  // namespace

/// Parses what stands behind `[`, the closing bracket included.
Result<Glob::Set> Glob::parse_set(std::string_view& rest) {
    Set set;
    const bool inverted = rest.starts_with('!') || rest.starts_with('^');
    if (inverted) rest.remove_prefix(1);
    bool first = true;
    while (!rest.empty() && (first || rest.front() != ']')) {
        first = false;
        const std::size_t low = folded_index(rest.front());
        std::size_t high = low;
        rest.remove_prefix(1);
        if (rest.size() >= 2 && rest[0] == '-' && rest[1] != ']') {
            high = folded_index(rest[1]);
            rest.remove_prefix(2);
        }
        if (high < low) return permanent("a range in [ ] goes upwards");
        for (std::size_t octet = low; octet <= high; ++octet)
            set.set(octet);
    }
    if (rest.empty()) return permanent("[ without ]; \\[ is the character itself");
    rest.remove_prefix(1);
    if (inverted) set.flip();
    return set;
}

Result<Glob> Glob::parse(std::string_view pattern) {
    if (pattern.empty()) return permanent("an empty pattern");
    Glob glob;
    while (!pattern.empty()) {
        char octet = pattern.front();
        pattern.remove_prefix(1);
        Token token;
        if (octet == '*') {
            token.kind = Token::Kind::Star;
            // Two stars mean what one means.
            if (!glob.tokens_.empty() && glob.is_star(glob.tokens_.size() - 1)) continue;
        } else if (octet == '?') {
            token.kind = Token::Kind::Any;
        } else if (octet == '[') {
            Result<Set> set = parse_set(pattern);
            if (!set) return failure(std::move(set).error());
            if (glob.sets_.size() >= kMostSets) return permanent("too many [ ] in a pattern");
            token.kind = Token::Kind::OneOf;
            token.value = static_cast<std::uint8_t>(glob.sets_.size());
            glob.sets_.push_back(*set);
        } else {
            if (octet == '\\') {
                if (pattern.empty()) return permanent("the pattern ends in \\");
                octet = pattern.front();
                pattern.remove_prefix(1);
            }
            token.value = folded_index(octet);
            ++glob.literals_;
        }
        glob.tokens_.push_back(token);
    }
    return glob;
}

bool Glob::is_star(std::size_t token) const {
    return token < tokens_.size() && tokens_[token].kind == Token::Kind::Star;
}

bool Glob::fits(std::size_t token, char octet) const {
    if (token >= tokens_.size()) return false;
    switch (tokens_[token].kind) {
        case Token::Kind::Octet:
            return tokens_[token].value == folded_index(octet);
        case Token::Kind::Any:
            return true;
        case Token::Kind::OneOf:
            return sets_[tokens_[token].value].test(folded_index(octet));
        case Token::Kind::Star:
            break;
    }
    return false;
}

bool Glob::matches(std::string_view text) const {
    std::size_t token = 0;
    std::size_t place = 0;
    // Where to go on when the text does not fit: behind the last star, which then takes one octet more. Stars
    // before that one need not be tried again, since what is behind them fitted.
    std::size_t star = tokens_.size();
    std::size_t taken = 0;
    while (place < text.size()) {
        if (fits(token, text[place])) {
            ++token;
            ++place;
        } else if (is_star(token)) {
            star = token++;
            taken = place;
        } else if (star < tokens_.size()) {
            token = star + 1;
            place = ++taken;
        } else {
            return false;
        }
    }
    while (is_star(token))
        ++token;
    return token == tokens_.size();
}

}  // namespace postrider::router
