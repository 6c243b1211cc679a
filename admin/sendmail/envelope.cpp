#include "admin/sendmail/envelope.h"

#include <fmt/format.h>

#include <algorithm>

#include "libcommon/mail/ascii.h"
#include "libcommon/mail/path.h"
#include "libcommon/mail/utf8.h"

namespace postrider::admin {

namespace {

/// An error shows no more of an address than that.
constexpr std::size_t kShownOctets = 80;

tl::unexpected<Error> no_address(std::string_view text, std::string_view reason) {
    std::string shown = mail::make_printable(text.substr(0, kShownOctets));
    shown.resize(mail::utf8_cut(shown, kShownOctets));
    return permanent(fmt::format("{}{}: {}", shown, text.size() > kShownOctets ? "..." : "", reason));
}

bool is_beyond_ascii(const Envelope& envelope) {
    return !mail::is_ascii(envelope.sender) ||
           !std::all_of(envelope.recipients.begin(), envelope.recipients.end(),
                        [](const std::string& recipient) { return mail::is_ascii(recipient); });
}

}  // namespace

Result<std::string> envelope_address(std::string_view text, const std::string& host_name) {
    if (text.empty()) return no_address(text, "the address is empty");
    if (!mail::is_printable_utf8(text))
        return no_address(text, "the address has a control character or is no UTF-8");
    mail::PathOptions options;
    options.strict = true;
    const auto parsed = mail::parse_path(fmt::format("<{}>", text), options);
    if (!parsed) return no_address(text, parsed.error().text);
    if (!parsed->rest.empty()) return no_address(text, "there is more than an address");
    std::string address(text);
    // A name without a domain is one of this host.
    if (!parsed->path.has_domain()) address += "@" + host_name;
    return address;
}

Offer read_offer(std::string_view reply) {
    Offer offer;
    while (!reply.empty()) {
        const std::size_t end = std::min(reply.find('\n'), reply.size());
        const std::string_view line = reply.substr(0, end);
        const std::string_view keyword = line.substr(0, line.find(' '));
        offer.dsn |= mail::equal_ignoring_case(keyword, "DSN");
        offer.eight_bit |= mail::equal_ignoring_case(keyword, "8BITMIME");
        offer.utf8 |= mail::equal_ignoring_case(keyword, "SMTPUTF8");
        reply.remove_prefix(std::min(end + 1, reply.size()));
    }
    return offer;
}

Result<std::string> mail_command(const Envelope& envelope, bool has_eight_bit, const Offer& offer) {
    std::string command = fmt::format("MAIL FROM:<{}>", envelope.sender);
    if (has_eight_bit) {
        if (!offer.eight_bit)
            return permanent("the message has octets beyond ASCII, and the server does not offer 8BITMIME");
        command += " BODY=8BITMIME";
    }
    // Not for a header field with such octets: those go to hosts without the extension as well, as ever.
    if (is_beyond_ascii(envelope)) {
        if (!offer.utf8)
            return permanent("an address has letters beyond ASCII, and the server does not offer SMTPUTF8");
        command += " SMTPUTF8";
    }
    if (offer.dsn && !envelope.dsn.ret.empty()) command += " RET=" + envelope.dsn.ret;
    if (offer.dsn && !envelope.dsn.envid.empty()) command += " ENVID=" + envelope.dsn.envid;
    return command;
}

std::string rcpt_command(const std::string& recipient, const DsnRequest& dsn, const Offer& offer) {
    std::string command = fmt::format("RCPT TO:<{}>", recipient);
    if (offer.dsn && !dsn.notify.empty()) command += " NOTIFY=" + dsn.notify;
    return command;
}

}  // namespace postrider::admin
