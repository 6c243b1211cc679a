#include "router/path_template.h"

#include <algorithm>

namespace postrider::router {

namespace {

constexpr std::string_view kScheme = "maildir:";
constexpr const char* kNoControls = "the path of a mailbox has no control characters";

bool is_control(char octet) {
    return static_cast<unsigned char>(octet) < 0x20 || octet == 0x7f;
}

/// The first `count` characters of a UTF-8 text; whole octet sequences, so that no path holds half of one.
std::string_view first_characters(std::string_view text, unsigned count) {
    std::size_t end = 0;
    while (end < text.size() && count > 0) {
        ++end;
        while (end < text.size() && (static_cast<unsigned char>(text[end]) & 0xc0U) == 0x80U)
            ++end;
        --count;
    }
    return text.substr(0, end);
}

/// `%2u` of a harmless user such as `..x` is `..`, so the parts are looked at once more after filling in.
bool climbs(std::string_view path) {
    while (!path.empty()) {
        std::string_view part = path.substr(0, path.find('/'));
        if (part == "." || part == "..") return true;
        path.remove_prefix(std::min(path.size(), part.size() + 1));
    }
    return false;
}

}  // namespace

bool is_safe_path_part(std::string_view user) {
    if (user.empty() || user == "." || user == "..") return false;
    return std::none_of(user.begin(), user.end(),
                        [](char octet) { return octet == '/' || is_control(octet); });
}

Result<PathTemplate> PathTemplate::parse(std::string_view text) {
    if (!text.starts_with(kScheme)) return permanent("a mailbox is written maildir:PATH");
    text.remove_prefix(kScheme.size());
    PathTemplate parsed;
    if (text.starts_with("~/") || text == "~") {
        parsed.needs_home_ = true;
        text.remove_prefix(1);
    } else if (!text.starts_with('/')) {
        return permanent("the path of a mailbox begins with / or ~/");
    }
    if (std::any_of(text.begin(), text.end(), is_control)) {
        return permanent(kNoControls);
    }
    for (std::size_t at = 0; at < text.size();) {
        if (text[at] != '%') {
            parsed.add_text(text[at++]);
            continue;
        }
        Result<void> added = parsed.add_variable(text, at);
        if (!added) return failure(std::move(added).error());
    }
    return parsed;
}

Result<void> PathTemplate::add_variable(std::string_view text, std::size_t& at) {
    ++at;
    unsigned characters = 0;
    if (at + 1 < text.size() && text[at] >= '1' && text[at] <= '9' && text[at + 1] == 'u') {
        characters = static_cast<unsigned>(text[at++] - '0');
    }
    char variable = at < text.size() ? text[at++] : '\0';
    switch (variable) {
        case 'u':
            pieces_.push_back(Piece{Piece::Kind::User, {}, characters});
            return {};
        case 'd':
            pieces_.push_back(Piece{Piece::Kind::Domain, {}, 0});
            return {};
        case '%':
            add_text('%');
            return {};
        default:
            return permanent("after % stands u, d, % or a digit and u");
    }
}

void PathTemplate::add_text(char octet) {
    if (pieces_.empty() || pieces_.back().kind != Piece::Kind::Text) pieces_.emplace_back();
    pieces_.back().text.push_back(octet);
}

Result<std::string> PathTemplate::fill(const TemplateValues& values) const {
    if (!is_safe_path_part(values.user)) return permanent("the local part cannot be part of a path");
    std::string path;
    if (needs_home_) {
        if (!values.home.starts_with('/')) return permanent("the user has no home directory");
        path = values.home;
        if (path == "/") path.clear();
    }
    for (const Piece& piece : pieces_) {
        if (piece.kind == Piece::Kind::Text) {
            path += piece.text;
        } else if (piece.kind == Piece::Kind::Domain) {
            path += values.domain;
        } else if (piece.characters > 0) {
            path += first_characters(values.user, piece.characters);
        } else {
            path += values.user;
        }
    }
    if (climbs(path)) return permanent("the local part cannot be part of a path");
    // `~` of a user whose home is the root folder.
    if (path.empty()) return permanent("the root folder is no mailbox");
    // A home comes from elsewhere, and what opens the path would read it up to a NUL only.
    if (std::any_of(path.begin(), path.end(), is_control)) return permanent(kNoControls);
    return path;
}

}  // namespace postrider::router
