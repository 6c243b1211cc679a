#include "libcommon/mail/path.h"

#include <fmt/format.h>

#include <algorithm>

#include "libcommon/mail/ascii.h"
#include "libcommon/mail/limits.h"

namespace postrider::mail {

/// Reads one argument from left to right. No step looks back, so every character has one meaning only: that
/// is what makes sure that the @ which decides here decides everywhere.
class PathParser {
  public:
    PathParser(std::string_view argument, const PathOptions& options)
        : cursor_(argument), options_(options) {}

    Result<ParsedPath> parse() {
        if (!options_.strict) skip_blanks(cursor_);
        const std::string_view start = cursor_;
        const bool bracketed = take('<');
        if (!bracketed && options_.strict) return permanent("address not in angle brackets");
        ParsedPath parsed;
        if (auto content = parse_content(parsed.path, bracketed); !content)
            return failure(std::move(content.error()));
        if (bracketed && !take('>')) return unexpected();
        const std::string_view written = start.substr(0, start.size() - cursor_.size());
        if (auto size = check_size(written, bracketed); !size) return failure(std::move(size.error()));
        if (auto gap = skip_gap(); !gap) return failure(std::move(gap.error()));
        parsed.rest = std::string(cursor_);
        return parsed;
    }

  private:
    bool take(char wanted) {
        if (!cursor_.starts_with(wanted)) return false;
        cursor_.remove_prefix(1);
        return true;
    }

    [[nodiscard]] tl::unexpected<Error> unexpected() const {
        if (cursor_.empty()) return permanent("address ends too early");
        if (cursor_.front() == '@') return permanent("more than one @ in address");
        if (is_control(cursor_.front())) return permanent("control character in address");
        return permanent(
            fmt::format("unexpected '{}' in address", is_non_ascii(cursor_.front()) ? '?' : cursor_.front()));
    }

    Result<void> parse_content(Path& path, bool bracketed) {
        if (bracketed && cursor_.starts_with('>')) {
            if (options_.is_reverse) return {};
            return permanent("empty recipient address");
        }
        if (cursor_.empty()) return permanent("no address");
        const bool routed = cursor_.starts_with('@');
        if (routed) {
            if (auto route = skip_source_route(); !route) return route;
        }
        auto local = take_local_part(cursor_);
        if (!local) return failure(std::move(local.error()));
        path.local_ = std::move(*local);
        if (!take('@')) {
            if (routed) return permanent("source route without a domain at its end");
            return {};
        }
        auto domain = take_domain();
        if (!domain) return failure(std::move(domain.error()));
        path.domain_ = std::move(*domain);
        return {};
    }

    /// RFC 5321 4.1.2 `A-d-l ":"`; every host in it must at least be a domain.
    Result<void> skip_source_route() {
        do {
            if (!take('@')) return unexpected();
            if (auto host = take_domain(); !host) return failure(std::move(host.error()));
        } while (take(','));
        if (!take(':')) return unexpected();
        return {};
    }

    Result<Domain> take_domain() {
        std::size_t end = 0;
        if (cursor_.starts_with('[')) {
            end = cursor_.find(']');
            if (end == std::string_view::npos) return permanent("address literal without closing bracket");
            ++end;
        } else {
            end = std::min(cursor_.find_first_of(" \t<>,:@"), cursor_.size());
        }
        const std::string_view text = cursor_.substr(0, end);
        cursor_.remove_prefix(end);
        return parse_domain(text);
    }

    static Result<void> check_size(std::string_view written, bool bracketed) {
        const std::size_t size = written.size() + (bracketed ? 0 : 2);
        const std::size_t limit = is_ascii(written) ? kMaxPath : kMaxUtf8Path;
        if (size > limit) return permanent(fmt::format("path longer than {} octets", limit));
        return {};
    }

    /// Between path and parameters stands a blank; in strict mode exactly one space.
    Result<void> skip_gap() {
        if (cursor_.empty()) return {};
        if (!is_blank(cursor_.front())) return unexpected();
        const bool space = cursor_.front() == ' ';
        const std::size_t blanks = skip_blanks(cursor_);
        if (options_.strict && (!space || blanks != 1))
            return permanent("more than one space behind the address");
        return {};
    }

    std::string_view cursor_;
    PathOptions options_;
};

bool Path::is_bare_postmaster() const {
    return !domain_ && equal_ignoring_case(local_, "postmaster");
}

bool Path::was_utf8() const {
    return !is_ascii(local_) || (domain_ && domain_->was_utf8());
}

std::optional<Mailbox> Path::mailbox() const {
    if (is_null() || !domain_) return std::nullopt;
    return Mailbox(local_, *domain_);
}

std::optional<Mailbox> Path::mailbox_in(const Domain& default_domain) const {
    if (is_null()) return std::nullopt;
    return Mailbox(local_, domain_.value_or(default_domain));
}

std::string Path::to_string() const {
    if (is_null()) return {};
    std::string text = write_local_part(local_);
    if (domain_) text += "@" + domain_->name();
    return text;
}

Result<ParsedPath> parse_path(std::string_view argument, const PathOptions& options) {
    return PathParser(argument, options).parse();
}

}  // namespace postrider::mail
