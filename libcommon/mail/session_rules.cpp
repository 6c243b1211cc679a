#include "libcommon/mail/session_rules.h"

#include <utility>

#include "libcommon/mail/domain.h"

namespace postrider::mail {

namespace {

Refusal refuse(ReplyCode code, EnhancedCode enhanced, std::string text, std::string rule) {
    return Refusal{Reply{code, enhanced, {std::move(text)}}, std::move(rule)};
}

}  // namespace

std::optional<Refusal> refuse_greeting(std::string_view argument, bool strict, std::size_t longest) {
    // Old clients say more than their name; the name comes first.
    const std::string_view name = argument.substr(0, argument.find_first_of(" \t"));
    if (name.empty()) return refuse(501, {5, 5, 4}, "A host name is missing", "syntax");
    const bool malformed = strict && (name.size() != argument.size() || !parse_domain(name));
    if (malformed || name.size() > longest) {
        return refuse(501, {5, 5, 2}, "That is not a host name", "syntax");
    }
    return std::nullopt;
}

std::optional<Refusal> refuse_unready(const SessionTerms& terms) {
    if (terms.needs_tls && !terms.encrypted) return refuse(530, {5, 7, 0}, "STARTTLS first", "tls-required");
    if (terms.needs_login && !terms.logged_in)
        return refuse(530, {5, 7, 0}, "Authentication required", "authentication-required");
    return std::nullopt;
}

tl::expected<ParsedPath, Refusal> read_path(std::string_view argument, PathRole role,
                                            const SessionTerms& terms) {
    PathOptions options;
    options.strict = terms.strict;
    options.is_reverse = role == PathRole::Sender;
    Result<ParsedPath> parsed = parse_path(argument, options);
    if (parsed) return std::move(*parsed);
    std::string text = std::move(parsed.error().text);
    if (terms.strict) return tl::unexpected(refuse(501, {5, 5, 2}, std::move(text), "syntax"));
    if (role == PathRole::Sender) {
        return tl::unexpected(refuse(553, {5, 1, 7}, std::move(text), "syntax"));
    }
    return tl::unexpected(refuse(553, {5, 1, 3}, std::move(text), "syntax"));
}

std::optional<Refusal> refuse_path(const Path& path, bool smtputf8, const SessionTerms& terms) {
    if (path.was_utf8() && !smtputf8)
        return refuse(553, {5, 6, 7}, "Addresses beyond ASCII take SMTPUTF8", "smtputf8");
    const bool complete = path.has_domain() || path.is_null() || path.is_bare_postmaster();
    if (terms.fully_qualified && !complete)
        return refuse(501, {5, 1, 7}, "The address needs a domain", "fully-qualified");
    return std::nullopt;
}

std::optional<Refusal> refuse_size(std::uint64_t declared, const SessionTerms& terms) {
    if (declared <= terms.max_message_size) return std::nullopt;
    return refuse(552, {5, 3, 4}, "The message is too large", "max_message_size");
}

std::optional<Refusal> refuse_size_for_recipient(std::uint64_t declared, std::uint64_t limit,
                                                 std::string rule) {
    if (limit == 0 || declared <= limit) return std::nullopt;
    return refuse(552, {5, 3, 4}, "The message is too large for this recipient", std::move(rule));
}

Reply banner(const std::string& hostname) {
    return Reply{220, std::nullopt, {hostname + " ESMTP Postrider"}};
}

Reply sender_accepted() {
    return Reply{250, EnhancedCode{2, 1, 0}, {"Sender OK"}};
}

Reply recipient_accepted() {
    return Reply{250, EnhancedCode{2, 1, 5}, {"Recipient OK"}};
}

Reply login_accepted() {
    return Reply{235, EnhancedCode{2, 7, 0}, {"Authentication succeeded"}};
}

Reply as_banner(Reply refusal) {
    refusal.code = refusal.code.is_transient() ? ReplyCode(421) : ReplyCode(554);
    return refusal;
}

Reply as_login_refusal(Reply refusal) {
    refusal.code = refusal.code.is_transient() ? ReplyCode(454) : ReplyCode(535);
    return refusal;
}

}  // namespace postrider::mail
