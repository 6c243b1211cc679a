#include "router/alias_file.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <utility>

#include "libcommon/mail/ascii.h"
#include "router/name_patterns.h"
#include "router/plain_line.h"

namespace postrider::router {

namespace {

using config::Errors;
using config::Position;
using forward::DestinationList;
using forward::Dialect;
using forward::is_space;
using forward::parse_destination_list;
using forward::TextCursor;

/// The file that keeps nothing.
constexpr std::string_view kNowhere = "/dev/null";

/// The first visible character of a line, or `\0`.
char first_visible(std::string_view line) {
    auto place = std::find_if_not(line.begin(), line.end(), is_space);
    return place == line.end() ? '\0' : *place;
}

bool is_empty_or_comment(std::string_view line) {
    const char first = first_visible(line);
    return first == '\0' || first == '#';
}

/// Where the logical line that begins here ends: behind the last line that continues it.
std::size_t logical_line_end(const TextCursor& cursor) {
    const std::string_view text = cursor.rest();
    std::size_t end = cursor.rest_of_line().size();
    for (std::size_t next = end + 1; next < text.size();) {
        std::string_view line = text.substr(next);
        line = line.substr(0, line.find('\n'));
        const std::size_t line_end = next + line.size();
        if (!is_empty_or_comment(line)) {
            if (!mail::is_blank(line.front())) break;
            end = line_end;
        }
        next = line_end + 1;
    }
    return cursor.offset() + end;
}

/// The left side of an alias.
struct AliasName {
    std::string text;   // folded
    bool wild = false;  // has wildcards
};

/// Reads the name of an alias and the colon behind it; nothing if it is no name, with an error reported.
std::optional<AliasName> take_name(TextCursor& cursor, std::size_t end, Errors& errors) {
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
    AliasName alias;
    alias.text = folded(parsed->local);
    alias.wild = !name.starts_with('"') && has_wildcard(alias.text);
    return alias;
}

/// `discard` and `null` are no users here, but what other mail servers call the place where mail vanishes.
void read_discards(std::vector<Destination>& destinations) {
    for (Destination& destination : destinations) {
        const Address& address = destination.address;
        const bool bare = destination.kind == Destination::Kind::Mail && address.domain.empty();
        if (!bare || (address.local != "discard" && address.local != "null")) continue;
        destination = Destination{Destination::Kind::File, std::string(kNowhere), {}, destination.position};
    }
}

/// Passes on the alias at the cursor, whose logical line ends at `end`.
void read_alias_line(TextCursor& cursor, std::size_t end, Errors& errors,
                     const std::function<void(const AliasLine&)>& add) {
    const Position position = cursor.position();
    const std::size_t offset = cursor.offset();
    const std::optional<AliasName> name = take_name(cursor, end, errors);
    if (!name) return;
    DestinationList list = parse_destination_list(cursor.slice(end), Dialect::AliasFile, errors);
    if (list.faulty) return;
    if (list.destinations.empty()) {
        errors.add(position, fmt::format("alias {} has no destination", name->text));
        return;
    }
    add(AliasLine{offset, position.line, name->text, name->wild, &list.destinations});
}

}  // namespace

void read_alias_file(std::string_view text, const std::shared_ptr<const std::string>& file, Errors& errors,
                     const std::function<void(const AliasLine&)>& add) {
    TextCursor cursor(text, Position{file, 1, 1});
    std::string name;
    while (!cursor.at_end()) {
        if (const std::size_t length = plain_alias_line(cursor.rest(), name); length > 0) {
            add(AliasLine{cursor.offset(), cursor.position().line, name, false, nullptr});
            cursor.skip_whole_line(length);
            continue;
        }
        if (is_empty_or_comment(cursor.rest_of_line())) {
            cursor.skip_line();
            continue;
        }
        const std::size_t end = logical_line_end(cursor);
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
    TextCursor cursor(text.substr(offset), position);
    const std::size_t end = logical_line_end(cursor);
    std::optional<AliasName> name = take_name(cursor, end, none);
    if (!name) return std::nullopt;
    return AliasText{std::move(name->text), name->wild,
                     text.substr(offset + cursor.offset(), end - cursor.offset()), cursor.position()};
}

std::vector<Destination> parse_alias_list(std::string_view text,
                                          const std::shared_ptr<const std::string>& file, Errors& errors) {
    return parse_destination_list(TextCursor(text, Position{file, 1, 1}), Dialect::List, errors).destinations;
}

std::vector<Destination> parse_destinations(std::string_view text, const Position& position, Errors& errors) {
    // Its columns are those of the whole option, near enough for a reader to find the word.
    std::vector<Destination> destinations =
        parse_destination_list(TextCursor(text, position), Dialect::AliasFile, errors).destinations;
    read_discards(destinations);
    return destinations;
}

std::vector<Destination> parse_destination_word(const config::Word& word, Errors& errors) {
    if (!word.text.starts_with('|') && !word.text.starts_with('/'))
        return parse_destinations(word.text, word.position, errors);
    // Quoted once more: the quotes that the language of configuration took off may have kept commas together.
    std::string quoted = "\"";
    for (const char octet : word.text) {
        if (octet == '"' || octet == '\\') quoted.push_back('\\');
        quoted.push_back(octet);
    }
    quoted.push_back('"');
    return parse_destinations(quoted, word.position, errors);
}

}  // namespace postrider::router
