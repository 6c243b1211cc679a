#include "router/user_table.h"

#include <fmt/format.h>

#include <algorithm>

#include "libcommon/config/values.h"
#include "router/address.h"
#include "router/alias_table.h"
#include "router/path_template.h"
#include "router/plain_line.h"
#include "router/text_table.h"

namespace postrider::router {

namespace {

using config::Directive;
using config::Errors;
using config::Position;
using config::TextPlace;

/// The user that a line describes; nothing with an error reported.
std::optional<VirtualUser> user_of_line(const Directive& line, bool needs_home, Errors& errors) {
    VirtualUser user;
    user.position = line.position;
    const Result<Address> name = parse_address(line.name);
    if (!is_safe_path_part(line.name) || !name || !name->domain.empty()) {
        errors.add(line.position, "a line begins with the name of a user: a local part without domain and /");
        return std::nullopt;
    }
    user.name = folded(line.name);
    if (!line.words.empty()) {
        errors.add(line.words.front().position, "expected NAME [forward=ADDRESS,…] [home=DIR] [quota=SIZE]");
        return std::nullopt;
    }
    for (const config::Option& option : line.options) {
        if (option.key == "home") {
            user.home = config::resolve_path(option.position.directory(), option.value);
        } else if (option.key == "forward") {
            user.forward = parse_destinations(option.value, option.position, errors);
        } else if (option.key == "quota") {
            const Result<std::uint64_t> quota = config::parse_size(option.value);
            if (!quota) errors.add(option.position, quota.error().text);
            if (quota) user.quota = *quota;
        } else {
            errors.add(option.position, "unknown option; there are forward=, home= and quota=");
        }
    }
    if (needs_home && user.home.empty()) {
        errors.add(line.position, "the mailbox is below ~, so the user needs home=");
    }
    return user;
}

/// A users file in memory.
class UserFile : public TextTable {
  public:
    using TextTable::TextTable;

    /// Reads the text; returns the lists that are included.
    std::vector<Destination> fill(bool needs_home, Errors& errors);

  private:
    void add(std::string_view name, std::size_t offset, std::uint32_t line, Errors& errors);
    [[nodiscard]] TableEntry entry_at(std::size_t offset) const override;
};

void UserFile::add(std::string_view name, std::size_t offset, std::uint32_t line, Errors& errors) {
    const std::optional<std::size_t> earlier =
        index().find(name, [&](std::size_t place) { return entry_at(place).name == name; });
    if (earlier) {
        errors.add(Position{file(), line, 1}, fmt::format("user {} is there already, at {}", name,
                                                          entry_at(*earlier).position.line_text()));
    } else {
        index().add(name, offset);
    }
}

TableEntry UserFile::entry_at(std::size_t offset) const {
    TableEntry entry;
    Errors none(0);
    const std::string_view text = index().text();
    TextPlace place{offset, index().line_at(offset)};
    const std::optional<Directive> line = config::parse_line(text, place, file(), none);
    // What fill() has found once is a line; an empty name matches nothing.
    if (!line) return entry;
    entry.name = folded(line->name);
    entry.position = line->position;
    entry.value_position = line->position;
    const std::string_view whole = text.substr(offset, place.offset - offset);
    entry.value = whole.substr(whole.find(line->name) + line->name.size());
    return entry;
}

std::vector<Destination> UserFile::fill(bool needs_home, Errors& errors) {
    std::vector<Destination> includes;
    const std::string_view text = index().text();
    std::string name;
    bool has_home = false;
    for (TextPlace place; place.offset < text.size();) {
        const TextPlace start = place;
        const std::size_t length = plain_user_line(text.substr(place.offset), name, has_home);
        if (length > 0 && (has_home || !needs_home)) {
            add(name, start.offset, start.line, errors);
            place.offset += length;
            ++place.line;
            continue;
        }
        const std::optional<Directive> line = config::parse_line(text, place, file(), errors);
        if (!line) continue;
        const std::optional<VirtualUser> user = user_of_line(*line, needs_home, errors);
        if (!user) continue;
        add(user->name, start.offset, user->position.line, errors);
        std::copy_if(user->forward.begin(), user->forward.end(), std::back_inserter(includes),
                     [](const Destination& one) { return one.kind == Destination::Kind::Include; });
    }
    return includes;
}

}  // namespace

namespace {

/// The user whose value this is; nothing with an error reported.
std::optional<VirtualUser> user_of_value(std::string_view value, const Position& position, bool needs_home,
                                         Errors& errors) {
    // The name is any local part, which as such is no word of the language; this one only holds its place.
    const std::string text = "user " + std::string(value);
    TextPlace place{0, position.line};
    const std::optional<Directive> line = config::parse_line(text, place, position.file, errors);
    if (line && place.offset == text.size()) return user_of_line(*line, needs_home, errors);
    if (errors.empty())
        errors.add(position, "expected [forward=ADDRESS,…] [home=DIR] [quota=SIZE] in one line");
    return std::nullopt;
}

}  // namespace

std::vector<Destination> includes_of_user(std::string_view value, const Position& position, bool needs_home,
                                          Errors& errors) {
    std::optional<VirtualUser> user = user_of_value(value, position, needs_home, errors);
    if (!user) return {};
    std::erase_if(user->forward,
                  [](const Destination& one) { return one.kind != Destination::Kind::Include; });
    return std::move(user->forward);
}

Result<void> check_user_value(std::string_view value, bool needs_home) {
    Errors errors(1);
    const Position nowhere{std::make_shared<const std::string>("value"), 1, 1};
    const std::vector<Destination> includes = includes_of_user(value, nowhere, needs_home, errors);
    if (!includes.empty()) return permanent("a database includes no lists");
    if (!errors.empty()) return permanent(errors.take().front());
    return {};
}

VirtualUserAnswer UserTable::find(std::string_view name) const {
    const TableAnswer entry = table_->find(name);
    if (!entry) return failure(entry.error());
    if (!*entry) return std::optional<VirtualUser>();
    Errors errors(1);
    std::optional<VirtualUser> user =
        user_of_value((*entry)->value, (*entry)->value_position, needs_home_, errors);
    const bool good = errors.empty() && user && fill_captures(user->forward, (*entry)->captures);
    if (!good) {
        return temporary(
            fmt::format("{}: the value of user {} is none", (*entry)->position.line_text(), name));
    }
    user->name = (*entry)->name;
    user->position = (*entry)->position;
    return user;
}

VirtualUserAnswer user_of_server(std::string_view name, std::string_view value, const Position& named_at,
                                 bool needs_home, bool may_pipe) {
    Errors errors(1);
    std::optional<VirtualUser> user = user_of_value(value, named_at, needs_home, errors);
    if (!errors.empty() || !user) {
        return temporary(
            fmt::format("the server's value of user {} is none: {}", name, errors.take().front()));
    }
    for (const Destination& destination : user->forward) {
        using Kind = Destination::Kind;
        if (destination.kind == Kind::Mail || destination.kind == Kind::User) continue;
        if (may_pipe && destination.kind != Kind::Include) continue;
        return temporary(fmt::format("the server sends the mail of user {} to {}, which it may not", name,
                                     destination.text));
    }
    user->name = name;
    return user;
}

std::shared_ptr<const UserTable> parse_user_table(std::string text,
                                                  const std::shared_ptr<const std::string>& file,
                                                  bool needs_home, Errors& errors) {
    auto table = std::make_unique<UserFile>(std::move(text), file);
    std::vector<Destination> includes = table->fill(needs_home, errors);
    return std::make_shared<const UserTable>(std::move(table), needs_home, std::move(includes));
}

}  // namespace postrider::router
