#include "router/plain_line.h"

#include <array>
#include <cstdint>

namespace postrider::router {

namespace {

/// More than this long, a local part or domain is left to the parsers, which know the limits.
constexpr std::size_t kLongestPlain = 63;

enum : std::uint8_t { kWord = 1, kDigit = 2, kHyphen = 4, kUnderscore = 8, kUpper = 16 };

/// What may stand in a plain name, by octet: letters and digits, and what is allowed between them.
constexpr std::array<std::uint8_t, 256> kClasses = [] {
    std::array<std::uint8_t, 256> classes{};
    for (char c = 'a'; c <= 'z'; ++c)
        classes[static_cast<unsigned char>(c)] = kWord;
    for (char c = 'A'; c <= 'Z'; ++c)
        classes[static_cast<unsigned char>(c)] = kUpper;
    for (char c = '0'; c <= '9'; ++c)
        classes[static_cast<unsigned char>(c)] = kWord | kDigit;
    classes['-'] = kHyphen;
    classes['_'] = kUnderscore;
    return classes;
}();

std::uint8_t class_of(char octet) {
    return kClasses[static_cast<unsigned char>(octet)];
}

/// Walks over a line.
class PlainScanner {
  public:
    explicit PlainScanner(std::string_view text) : text_(text) {}

    [[nodiscard]] std::size_t place() const { return at_; }
    [[nodiscard]] bool take(char octet) {
        if (!is(octet)) return false;
        ++at_;
        return true;
    }
    [[nodiscard]] bool take(std::string_view word) {
        if (text_.substr(at_, word.size()) != word) return false;
        at_ += word.size();
        return true;
    }
    [[nodiscard]] bool is(char octet) const { return at_ < text_.size() && text_[at_] == octet; }
    bool skip_spaces() {
        const std::size_t start = at_;
        while (is(' '))
            ++at_;
        return at_ > start;
    }

    /// A dot-atom that begins with a letter or digit. `allowed` besides those.
    [[nodiscard]] bool take_local_part(unsigned allowed) {
        const std::size_t start = at_;
        if (!is_class(kWord | (allowed & kUpper))) return false;
        while (at_ < text_.size()) {
            if (text_[at_] == '.') {
                if (at_ + 1 == text_.size() || (class_of(text_[at_ + 1]) & allowed) == 0) return false;
            } else if (!is_class(allowed)) {
                break;
            }
            ++at_;
        }
        return at_ - start <= kLongestPlain;
    }

    /// Labels of letters, digits and inner hyphens; the last one begins with a letter, so that it is none of
    /// the numbers that no domain ends in.
    [[nodiscard]] bool take_domain() {
        const std::size_t start = at_;
        std::size_t label = at_;
        while (true) {
            if (!is_class(kWord | kUpper)) return false;
            label = at_;
            while (is_class(kWord | kUpper | kHyphen))
                ++at_;
            if (text_[at_ - 1] == '-') return false;
            if (!is('.')) break;
            ++at_;
        }
        return (class_of(text_[label]) & kDigit) == 0 && at_ - start <= kLongestPlain;
    }

    [[nodiscard]] bool take_address() {
        if (!take_local_part(kWord | kUpper | kHyphen | kUnderscore)) return false;
        return !is('@') || (take('@') && take_domain());
    }

    /// An absolute path of names that begin with a letter or digit, so that none of them is `..`.
    [[nodiscard]] bool take_path() {
        if (!is('/')) return false;
        while (take('/')) {
            if (!take_local_part(kWord | kUpper | kHyphen | kUnderscore)) return false;
        }
        return true;
    }

    /// The end of the line; 0 if it is not here.
    [[nodiscard]] std::size_t take_end() {
        if (at_ < text_.size() && !take('\n')) return 0;
        return at_;
    }

  private:
    [[nodiscard]] bool is_class(unsigned classes) const {
        return at_ < text_.size() && (class_of(text_[at_]) & classes) != 0;
    }

    std::string_view text_;
    std::size_t at_ = 0;
};

bool take_plain_name(PlainScanner& scanner, std::string_view text, std::string& name) {
    if (!scanner.take_local_part(kWord | kHyphen | kUnderscore)) return false;
    name.assign(text.substr(0, scanner.place()));
    return true;
}

}  // namespace

std::size_t plain_alias_line(std::string_view text, std::string& name) {
    PlainScanner scanner(text);
    if (!take_plain_name(scanner, text, name) || !scanner.take(':')) return 0;
    do {
        scanner.skip_spaces();
        if (!scanner.take_address()) return 0;
    } while (scanner.take(','));
    const std::size_t length = scanner.take_end();
    // What follows must begin a line of its own: blanks would continue this one, even behind comments.
    const bool alone = length == text.size() || (length > 0 && class_of(text[length]) != 0);
    return alone ? length : 0;
}

std::size_t plain_user_line(std::string_view text, std::string& name, bool& has_home) {
    PlainScanner scanner(text);
    has_home = false;
    bool has_forward = false;
    if (!take_plain_name(scanner, text, name)) return 0;
    while (scanner.skip_spaces() && !scanner.is('\n')) {
        if (!has_home && scanner.take("home=")) {
            has_home = true;
            if (!scanner.take_path()) return 0;
        } else if (!has_forward && scanner.take("forward=")) {
            has_forward = true;
            do {
                if (!scanner.take_address()) return 0;
            } while (scanner.take(','));
        } else {
            return 0;
        }
    }
    return scanner.take_end();
}

}  // namespace postrider::router
