#include "router/alias_file.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "libcommon/mail/ascii.h"
#include "router/plain_line.h"

namespace postrider::router {

namespace {

using config::Errors;
using config::Position;

constexpr std::string_view kIncludeTag = ":include:";

/// As long as a path may be; a command has to fit into a frame with everything else about its delivery.
constexpr std::size_t kLongestCommand = 4096;

/// Whether programs and files are allowed, and what separates destinations.
enum class Dialect { AliasFile, List };

bool is_space(char octet) {
    return mail::is_blank(octet) || octet == '\n' || octet == '\r';
}

/// Walks through a text and knows at which line and column it is.
class Cursor {
  public:
    Cursor(std::string_view text, Position start) : text_(text), position_(std::move(start)) {}

    [[nodiscard]] bool at_end() const { return at_ == text_.size(); }
    [[nodiscard]] char peek() const { return text_[at_]; }
    [[nodiscard]] std::size_t offset() const { return at_; }
    [[nodiscard]] const Position& position() const { return position_; }
    [[nodiscard]] std::string_view since(std::size_t start) const { return text_.substr(start, at_ - start); }
    /// What is left of the present line, without its end.
    [[nodiscard]] std::string_view rest_of_line() const {
        std::string_view line = text_.substr(at_);
        return line.substr(0, line.find('\n'));
    }
    /// Whether the character before is a blank or a line end, or there is none.
    [[nodiscard]] bool after_space() const { return at_ == 0 || is_space(text_[at_ - 1]); }

    void advance() {
        if (text_[at_++] == '\n') {
            ++position_.line;
            position_.column = 1;
        } else {
            ++position_.column;
        }
    }
    void advance(std::size_t octets) {
        while (octets-- > 0)
            advance();
    }
    /// Everything from here on.
    [[nodiscard]] std::string_view rest() const { return text_.substr(at_); }
    /// Over a line of `length` octets with its end, which begins here.
    void skip_whole_line(std::size_t length) {
        at_ += length;
        ++position_.line;
        position_.column = 1;
    }
    /// To the beginning of the next line.
    void skip_line() {
        advance(rest_of_line().size());
        if (!at_end()) advance();
    }
    /// The part of the text from here up to `end`, as a text of its own with the same positions.
    [[nodiscard]] Cursor slice(std::size_t end) const { return {text_.substr(at_, end - at_), position_}; }

    /// Where the logical line that begins here ends: behind the last line that continues it.
    [[nodiscard]] std::size_t logical_line_end() const;

  private:
    std::string_view text_;
    std::size_t at_ = 0;
    Position position_;
};

/// The first visible character of a line, or `\0`.
char first_visible(std::string_view line) {
    auto place = std::find_if_not(line.begin(), line.end(), is_space);
    return place == line.end() ? '\0' : *place;
}

bool is_empty_or_comment(std::string_view line) {
    const char first = first_visible(line);
    return first == '\0' || first == '#';
}

std::size_t Cursor::logical_line_end() const {
    std::size_t end = at_ + rest_of_line().size();
    for (std::size_t next = end + 1; next < text_.size();) {
        std::string_view line = text_.substr(next);
        line = line.substr(0, line.find('\n'));
        const std::size_t line_end = next + line.size();
        if (!is_empty_or_comment(line)) {
            if (!mail::is_blank(line.front())) break;
            end = line_end;
        }
        next = line_end + 1;
    }
    return end;
}

/// Reads destinations up to the end of the cursor's text.
class DestinationParser {
  public:
    DestinationParser(Cursor cursor, Dialect dialect, Errors& errors)
        : cursor_(std::move(cursor)), dialect_(dialect), errors_(errors) {}

    std::vector<Destination> parse() {
        std::vector<Destination> destinations;
        for (skip_separators(); !cursor_.at_end(); skip_separators()) {
            const Position position = cursor_.position();
            const std::optional<std::string_view> item = take_item();
            if (!item) {
                errors_.add(position, "a quote is not closed on its line");
                cursor_.skip_line();
                faulty_ = true;
                continue;
            }
            std::optional<Destination> destination = interpret(*item, position);
            if (destination) destinations.push_back(std::move(*destination));
            faulty_ = faulty_ || !destination;
        }
        return destinations;
    }

    /// Whether an error was reported.
    [[nodiscard]] bool faulty() const { return faulty_; }

  private:
    [[nodiscard]] bool at_comment() const { return cursor_.peek() == '#' && cursor_.after_space(); }

    void skip_separators() {
        while (!cursor_.at_end()) {
            if (at_comment()) {
                cursor_.skip_line();
            } else if (is_space(cursor_.peek()) || cursor_.peek() == ',') {
                cursor_.advance();
            } else {
                break;
            }
        }
    }

    /// One destination as written, quotes included, without blanks around it; nothing if a quote stays open.
    std::optional<std::string_view> take_item() {
        const std::size_t start = cursor_.offset();
        bool quoted = false;
        while (!cursor_.at_end()) {
            const char octet = cursor_.peek();
            if (octet == '\n' && quoted) return std::nullopt;
            if (!quoted && ends_item(octet)) break;
            if (octet == '"') quoted = !quoted;
            cursor_.advance();
            if (quoted && octet == '\\' && !cursor_.at_end() && cursor_.peek() != '\n') cursor_.advance();
        }
        if (quoted) return std::nullopt;
        std::string_view item = cursor_.since(start);
        while (is_space(item.back()))
            item.remove_suffix(1);
        return item;
    }

    [[nodiscard]] bool ends_item(char octet) const {
        return octet == ',' || at_comment() || (octet == '\n' && dialect_ == Dialect::List);
    }

    std::optional<Destination> interpret(std::string_view item, const Position& position);
    std::optional<Destination> special(std::string_view text, const Position& position);
    std::optional<Destination> checked(Destination::Kind kind, std::string_view text,
                                       const Position& position);
    std::optional<Destination> address(std::string_view item, const Position& position);

    Cursor cursor_;
    Dialect dialect_;
    Errors& errors_;
    bool faulty_ = false;
};

/// The text between the quotes if `item` is one quoted string from end to end.
std::optional<std::string> unquoted(std::string_view item) {
    if (item.size() < 2 || item.front() != '"') return std::nullopt;
    std::string text;
    std::size_t at = 1;
    for (; at < item.size() && item[at] != '"'; ++at) {
        if (item[at] == '\\' && at + 1 < item.size()) ++at;
        text.push_back(item[at]);
    }
    if (at + 1 != item.size()) return std::nullopt;
    return text;
}

bool is_special(std::string_view text) {
    return text.starts_with('|') || text.starts_with('/') || text.starts_with('\\') ||
           mail::starts_with_ignoring_case(text, kIncludeTag) || text == "$user";
}

std::optional<Destination> DestinationParser::interpret(std::string_view item, const Position& position) {
    const std::optional<std::string> inner = unquoted(item);
    const std::string_view text = inner ? std::string_view(*inner) : item;
    if (is_special(text)) return special(text, position);
    // "fred@example.org" in quotes is the address within; "john doe" is a local part that needs its quotes.
    if (inner && parse_address(text)) return address(text, position);
    return address(item, position);
}

std::optional<Destination> DestinationParser::special(std::string_view text, const Position& position) {
    if (text == "$user") return Destination{Destination::Kind::User, {}, {}, position};
    if (text.starts_with('\\')) {
        Result<Address> user = parse_address(text.substr(1));
        if (user && user->domain.empty()) {
            return Destination{Destination::Kind::User, {}, std::move(*user), position};
        }
        errors_.add(position, "behind \\ stands the name of a user, without a domain");
        return std::nullopt;
    }
    if (text.starts_with('|')) {
        text.remove_prefix(1);
        const std::optional<std::string> command = unquoted(text);
        return checked(Destination::Kind::Program, command ? *command : text, position);
    }
    if (text.starts_with('/')) return checked(Destination::Kind::File, text, position);
    text.remove_prefix(kIncludeTag.size());
    return checked(Destination::Kind::Include, text, position);
}

/// A program, a file or a list: refused in lists where that would give rights away, and where it is empty or
/// holds what no command line and no path has.
std::optional<Destination> DestinationParser::checked(Destination::Kind kind, std::string_view text,
                                                      const Position& position) {
    mail::skip_blanks(text);
    std::string value(text);
    if (kind == Destination::Kind::Program) {
        // An unquoted command may go on in the next line; for the shell that is a blank like any other.
        std::replace_if(value.begin(), value.end(), is_space, ' ');
    }
    if (dialect_ == Dialect::List && kind != Destination::Kind::Include) {
        errors_.add(position, "a list may hold addresses and further lists, no program and no file");
        return std::nullopt;
    }
    std::string_view fault;
    if (value.empty()) fault = "the command or path is missing";
    if (value.size() > kLongestCommand) fault = "the command or path is too long";
    if (std::any_of(value.begin(), value.end(), mail::is_control))
        fault = "control character in a command or path";
    if (!fault.empty()) {
        errors_.add(position, fault);
        return std::nullopt;
    }
    if (kind == Destination::Kind::Include) value = config::resolve_path(position.directory(), value);
    return Destination{kind, std::move(value), {}, position};
}

std::optional<Destination> DestinationParser::address(std::string_view item, const Position& position) {
    if (item.starts_with('<') && item.ends_with('>')) item = item.substr(1, item.size() - 2);
    Result<Address> parsed = parse_address(item);
    if (parsed) return Destination{Destination::Kind::Mail, {}, std::move(*parsed), position};
    if (std::any_of(item.begin(), item.end(), is_space)) {
        errors_.add(position, "blank inside a destination: a comma is missing, or quotes");
    } else {
        errors_.add(position, parsed.error().text);
    }
    return std::nullopt;
}

/// Reads the name of an alias and the colon behind it; nothing if it is no name, with an error reported.
std::optional<std::string> take_name(Cursor& cursor, std::size_t end, Errors& errors) {
    const Position position = cursor.position();
    const std::size_t start = cursor.offset();
    bool quoted = false;
    while (cursor.offset() < end && (quoted || cursor.peek() != ':') && cursor.peek() != '\n') {
        if (cursor.peek() == '"') quoted = !quoted;
        cursor.advance();
    }
    if (cursor.offset() == end || cursor.peek() != ':') {
        errors.add(position, quoted ? "a quote is not closed on its line" : "expected NAME: DESTINATION, …");
        return std::nullopt;
    }
    std::string_view name = cursor.since(start);
    mail::trim_blanks_at_end(name);
    const Result<Address> parsed = parse_address(name);
    if (!parsed) {
        errors.add(position, fmt::format("the name of an alias: {}", parsed.error().text));
        return std::nullopt;
    }
    if (!parsed->domain.empty()) {
        errors.add(position, "the name of an alias has no domain; alias_file says for which domain it is");
        return std::nullopt;
    }
    cursor.advance();
    return folded(parsed->local);
}

/// Passes on the alias at the cursor, whose logical line ends at `end`.
void read_alias_line(Cursor& cursor, std::size_t end, Errors& errors,
                     const std::function<void(const AliasLine&)>& add) {
    const Position position = cursor.position();
    const std::size_t offset = cursor.offset();
    const std::optional<std::string> name = take_name(cursor, end, errors);
    if (!name) return;
    DestinationParser parser(cursor.slice(end), Dialect::AliasFile, errors);
    const std::vector<Destination> destinations = parser.parse();
    if (parser.faulty()) return;
    if (destinations.empty()) {
        errors.add(position, fmt::format("alias {} has no destination", *name));
        return;
    }
    add(AliasLine{offset, position.line, *name, &destinations});
}

}  // namespace

void read_alias_file(std::string_view text, const std::shared_ptr<const std::string>& file, Errors& errors,
                     const std::function<void(const AliasLine&)>& add) {
    Cursor cursor(text, Position{file, 1, 1});
    std::string name;
    while (!cursor.at_end()) {
        if (const std::size_t length = plain_alias_line(cursor.rest(), name); length > 0) {
            add(AliasLine{cursor.offset(), cursor.position().line, name, nullptr});
            cursor.skip_whole_line(length);
            continue;
        }
        if (is_empty_or_comment(cursor.rest_of_line())) {
            cursor.skip_line();
            continue;
        }
        const std::size_t end = cursor.logical_line_end();
        if (mail::is_blank(cursor.peek())) {
            errors.add(cursor.position(),
                       "a line that begins with a blank continues an alias, but there is none");
        } else {
            read_alias_line(cursor, end, errors, add);
        }
        cursor.advance(end - cursor.offset());
    }
}

std::optional<AliasText> read_alias(std::string_view text, std::size_t offset, const Position& position) {
    Errors none(0);
    Cursor cursor(text.substr(offset), position);
    const std::size_t end = cursor.logical_line_end();
    std::optional<std::string> name = take_name(cursor, end, none);
    if (!name) return std::nullopt;
    return AliasText{std::move(*name), text.substr(offset + cursor.offset(), end - cursor.offset()),
                     cursor.position()};
}

std::vector<Destination> parse_alias_list(std::string_view text,
                                          const std::shared_ptr<const std::string>& file, Errors& errors) {
    return DestinationParser(Cursor(text, Position{file, 1, 1}), Dialect::List, errors).parse();
}

std::vector<Destination> parse_destinations(std::string_view text, const Position& position, Errors& errors) {
    // Its columns are those of the whole option, near enough for a reader to find the word.
    return DestinationParser(Cursor(text, position), Dialect::AliasFile, errors).parse();
}

}  // namespace postrider::router
