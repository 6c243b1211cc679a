#include "libcommon/forward/destination.h"

#include <algorithm>
#include <optional>
#include <string_view>
#include <utility>

#include "libcommon/mail/ascii.h"

namespace postrider::forward {

namespace {

using config::Errors;
using config::Position;

constexpr std::string_view kIncludeTag = ":include:";

/// As long as a path may be; a command has to fit into a frame with everything else about its delivery.
constexpr std::size_t kLongestCommand = 4096;

/// Reads destinations up to the end of the cursor's text.
class DestinationParser {
  public:
    DestinationParser(TextCursor cursor, Dialect dialect, Errors& errors)
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
        return octet == ',' || at_comment() || (octet == '\n' && dialect_ != Dialect::AliasFile);
    }

    std::optional<Destination> interpret(std::string_view item, const Position& position);
    std::optional<Destination> special(std::string_view text, const Position& position);
    std::optional<Destination> checked(Destination::Kind kind, std::string_view text,
                                       const Position& position);
    std::optional<Destination> address(std::string_view item, const Position& position);

    TextCursor cursor_;
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

}  // namespace

DestinationList parse_destination_list(TextCursor cursor, Dialect dialect, Errors& errors) {
    DestinationParser parser(std::move(cursor), dialect, errors);
    DestinationList list;
    list.destinations = parser.parse();
    list.faulty = parser.faulty();
    return list;
}

}  // namespace postrider::forward
