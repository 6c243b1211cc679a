#include "libcommon/config/language.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <utility>

namespace postrider::config {

std::string Position::text() const {
    if (file && line == 0) return *file;
    return file ? fmt::format("{}:{}:{}", *file, line, column) : "default";
}

std::string Position::line_text() const {
    if (file && line == 0) return *file;
    return file ? fmt::format("{}:{}", *file, line) : "default";
}

std::string Position::directory() const {
    std::size_t slash = file ? file->rfind('/') : std::string::npos;
    if (slash == std::string::npos) return ".";
    return slash == 0 ? "/" : file->substr(0, slash);
}

const Option* Directive::option(std::string_view key) const {
    auto found = std::find_if(options.begin(), options.end(), [&](const Option& o) { return o.key == key; });
    return found == options.end() ? nullptr : &*found;
}

bool Directive::has_flag(std::string_view flag, std::size_t from) const {
    for (std::size_t i = from; i < words.size(); ++i) {
        if (!words[i].quoted && words[i].text == flag) return true;
    }
    return false;
}

void Errors::add(const Position& position, std::string_view message) {
    if (!full()) {
        list_.push_back(fmt::format("{}: {}", position.text(), message));
    } else {
        ++dropped_;
    }
}

void Errors::add(const std::string& file, std::string_view message) {
    add(Position{std::make_shared<const std::string>(file), 1, 1}, message);
}

std::vector<std::string> Errors::take() {
    if (dropped_ > 0)
        list_.push_back(fmt::format("{} more {}", dropped_, dropped_ == 1 ? "error" : "errors"));
    dropped_ = 0;
    return std::exchange(list_, {});
}

namespace {

bool is_key_character(char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_';
}

bool is_key(std::string_view text) {
    return !text.empty() && text.front() >= 'a' && std::all_of(text.begin(), text.end(), is_key_character);
}

bool is_control(char c) {
    auto byte = static_cast<unsigned char>(c);
    return byte < 0x20 || byte == 0x7f;
}

/// Cuts a text into directives. It goes over the text once and keeps the place it has reached; each
/// function begins where the one before left off.
class Scanner {
  public:
    Scanner(std::string_view text, TextPlace start, std::shared_ptr<const std::string> file, Errors& errors)
        : text_(text),
          file_(std::move(file)),
          errors_(errors),
          place_(start.offset),
          line_start_(start.offset),
          line_(start.line) {}

    std::vector<Directive> run() {
        std::vector<Directive> directives;
        while (place_ < text_.size()) {
            auto directive = read_line();
            if (directive) directives.push_back(std::move(*directive));
        }
        return directives;
    }

    [[nodiscard]] TextPlace place() const { return {place_, line_}; }

    std::optional<Directive> read_line() {
        Directive directive;
        bool valid = true;
        for (skip_blanks(); valid && !is_line_end(place_); skip_blanks()) {
            auto token = read_word();
            valid = token && accept(directive, std::move(*token));
        }
        if (!valid) skip_line();
        next_line();
        if (!valid || directive.name.empty()) return std::nullopt;
        return directive;
    }

  private:
    /// A word, and for an option where its `=` stands.
    struct Token {
        Word word;
        std::optional<std::size_t> equals;
    };

    [[nodiscard]] Position here() const {
        return {file_, line_, static_cast<std::uint32_t>(place_ - line_start_ + 1)};
    }

    /// Whether a line ends at `place`, with LF or CRLF. The end of the text ends a line, too.
    [[nodiscard]] bool is_line_end(std::size_t place) const {
        if (place >= text_.size() || text_[place] == '\n') return true;
        return text_[place] == '\r' && place + 1 < text_.size() && text_[place + 1] == '\n';
    }

    [[nodiscard]] bool is_blank(std::size_t place) const {
        return place < text_.size() && (text_[place] == ' ' || text_[place] == '\t');
    }

    [[nodiscard]] bool is_continuation(std::size_t place) const {
        return place < text_.size() && text_[place] == '\\' && is_line_end(place + 1);
    }

    [[nodiscard]] bool is_word_end(std::size_t place) const {
        return is_line_end(place) || is_blank(place) || is_continuation(place);
    }

    /// Goes behind the line end that begins here.
    void next_line() {
        if (place_ < text_.size() && text_[place_] == '\r') ++place_;
        if (place_ < text_.size()) ++place_;
        ++line_;
        line_start_ = place_;
    }

    /// Skips blanks and continuations; a comment is left out up to the line end.
    void skip_blanks() {
        while (true) {
            if (is_blank(place_)) {
                ++place_;
            } else if (is_continuation(place_)) {
                ++place_;
                next_line();
            } else {
                break;
            }
        }
        if (place_ < text_.size() && text_[place_] == '#') {
            while (!is_line_end(place_))
                ++place_;
        }
    }

    /// After an error: to the end of the line, continuations included, so that one slip is one error.
    void skip_line() {
        while (!is_line_end(place_)) {
            if (is_continuation(place_)) {
                ++place_;
                next_line();
            } else {
                ++place_;
            }
        }
    }

    /// Puts a token where it belongs: name, option or word.
    bool accept(Directive& directive, Token token) {
        Word& word = token.word;
        if (directive.name.empty()) {
            if (word.quoted || token.equals) {
                errors_.add(word.position, "a line begins with the plain name of a directive");
                return false;
            }
            directive.name = std::move(word.text);
            directive.position = std::move(word.position);
        } else if (token.equals) {
            directive.options.push_back({word.text.substr(0, *token.equals),
                                         word.text.substr(*token.equals + 1), std::move(word.position)});
        } else {
            directive.words.push_back(std::move(word));
        }
        return true;
    }

    std::optional<Token> read_word() {
        Token token;
        token.word.position = here();
        if (text_[place_] == '"') {
            token.word.quoted = true;
            if (!read_quoted(token.word.text)) return std::nullopt;
            return token;
        }
        while (!is_word_end(place_)) {
            char c = text_[place_];
            if (is_control(c)) return refuse(fmt::format("control character 0x{:02x}", c));
            bool opens_value = token.equals && *token.equals + 1 == token.word.text.size();
            if (c == '"' && opens_value) {
                if (!read_quoted(token.word.text)) return std::nullopt;
                return token;
            }
            if (c == '"') return refuse("a quote inside a word; quote the whole word");
            if (c == '=' && !token.equals && is_key(token.word.text)) token.equals = token.word.text.size();
            token.word.text += c;
            ++place_;
        }
        if (token.word.text == "\\" && only_blanks_follow()) {
            place_ = line_start_ + token.word.position.column - 1;
            return refuse("blanks after the \\ that should continue the line");
        }
        return token;
    }

    /// Reads from an opening quote to behind the closing one and appends what stands between.
    bool read_quoted(std::string& out) {
        Position opening = here();
        for (++place_; !is_line_end(place_); ++place_) {
            char c = text_[place_];
            if (c == '"') {
                ++place_;
                if (is_word_end(place_)) return true;
                return refuse("a closing quote in the middle of a word; write \\\" for a quote").has_value();
            }
            if (c == '\\') {
                char next = is_line_end(place_ + 1) ? '\0' : text_[place_ + 1];
                if (next != '"' && next != '\\') {
                    return refuse("in quotes only \\\" and \\\\ are known after a \\").has_value();
                }
                c = next;
                ++place_;
            } else if (is_control(c) && c != '\t') {
                return refuse(fmt::format("control character 0x{:02x}", c)).has_value();
            }
            out += c;
        }
        errors_.add(opening, "a quote that is not closed on its line");
        return false;
    }

    [[nodiscard]] bool only_blanks_follow() const {
        std::size_t place = place_;
        while (is_blank(place))
            ++place;
        return is_line_end(place);
    }

    std::optional<Token> refuse(std::string_view message) {
        errors_.add(here(), message);
        return std::nullopt;
    }

    std::string_view text_;
    std::shared_ptr<const std::string> file_;
    Errors& errors_;
    std::size_t place_;
    std::size_t line_start_;
    std::uint32_t line_;
};

}  // namespace

std::vector<Directive> parse_text(std::string_view text, const std::shared_ptr<const std::string>& file,
                                  Errors& errors) {
    return Scanner(text, {}, file, errors).run();
}

std::optional<Directive> parse_line(std::string_view text, TextPlace& place,
                                    const std::shared_ptr<const std::string>& file, Errors& errors) {
    Scanner scanner(text, place, file, errors);
    std::optional<Directive> directive = scanner.read_line();
    place = scanner.place();
    return directive;
}

}  // namespace postrider::config
