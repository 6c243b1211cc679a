#include "smtpd/parameters.h"

#include <algorithm>
#include <charconv>

#include "libcommon/mail/ascii.h"
#include "libcommon/mail/parameters.h"
#include "libcommon/mail/xtext.h"

namespace postrider::smtpd {

namespace {

using mail::Parameter;

// RFC 1870: a size has at most 20 digits.
constexpr std::size_t kSizeDigits = 20;
// RFC 3461, 4.2 and 4.4: octets of ENVID and ORCPT, before they are decoded.
constexpr std::size_t kMaxEnvid = 100;
constexpr std::size_t kMaxOrcpt = 500;
constexpr std::string_view kUtf8AddressType = "utf-8";

// wire::Envelope::ret and wire::Recipient::notify.
constexpr std::uint32_t kRetFull = 1;
constexpr std::uint32_t kRetHeaders = 2;
constexpr std::uint32_t kNotifyNever = 1;
constexpr std::uint32_t kNotifySuccess = 2;
constexpr std::uint32_t kNotifyFailure = 4;
constexpr std::uint32_t kNotifyDelay = 8;

/// Whether a parameter is known, or what is wrong with its value.
enum class Taken { Yes, Unknown };
using TakenOrProblem = tl::expected<Taken, std::string>;

tl::unexpected<std::string> problem(std::string text) {
    return tl::unexpected<std::string>(std::move(text));
}

Verdict refusal(mail::ReplyCode code, std::string text) {
    Verdict verdict;
    verdict.refusal = mail::Reply{code, mail::EnhancedCode{5, 5, 4}, {std::move(text)}};
    verdict.rule = "syntax";
    return verdict;
}

// The value of SIZE=, or nothing. What has 20 digits and does not fit is as large as can be.
std::optional<std::uint64_t> declared_size(std::string_view text) {
    if (text.empty() || text.size() > kSizeDigits) return std::nullopt;
    if (!std::all_of(text.begin(), text.end(), mail::is_digit)) return std::nullopt;
    std::uint64_t size = 0;
    const auto [rest, error] = std::from_chars(text.data(), text.data() + text.size(), size);
    if (error == std::errc::result_out_of_range) return UINT64_MAX;
    return size;
}

TakenOrProblem take_size(const std::string& value, MailParameters& into) {
    into.size = declared_size(value);
    if (!into.size) return problem("SIZE= takes a number");
    return Taken::Yes;
}

TakenOrProblem take_body(std::string_view value, const KnownExtensions& known, MailParameters& into) {
    if (mail::equal_ignoring_case(value, "8BITMIME")) {
        into.body = wire::Envelope::EIGHTBITMIME;
    } else if (known.chunking && mail::equal_ignoring_case(value, "BINARYMIME")) {
        into.body = wire::Envelope::BINARYMIME;
    } else if (!mail::equal_ignoring_case(value, "7BIT")) {
        return problem("BODY= has an unknown value");
    }
    return Taken::Yes;
}

TakenOrProblem take_ret(std::string_view value, MailParameters& into) {
    const bool full = mail::equal_ignoring_case(value, "FULL");
    if (!full && !mail::equal_ignoring_case(value, "HDRS")) {
        return problem("RET= takes FULL or HDRS");
    }
    into.ret = full ? kRetFull : kRetHeaders;
    return Taken::Yes;
}

TakenOrProblem take_envid(const std::string& value, MailParameters& into) {
    const auto decoded = mail::decode_xtext(value);
    if (value.empty() || value.size() > kMaxEnvid) return problem("ENVID= has 1 to 100 characters");
    if (!decoded) return problem("ENVID=: " + decoded.error().text);
    into.envid = *decoded;
    return Taken::Yes;
}

TakenOrProblem take_notify(std::string_view value, RcptParameters& into) {
    while (true) {
        const std::size_t comma = value.find(',');
        const std::string_view word = value.substr(0, comma);
        if (mail::equal_ignoring_case(word, "NEVER")) {
            into.notify |= kNotifyNever;
        } else if (mail::equal_ignoring_case(word, "SUCCESS")) {
            into.notify |= kNotifySuccess;
        } else if (mail::equal_ignoring_case(word, "FAILURE")) {
            into.notify |= kNotifyFailure;
        } else if (mail::equal_ignoring_case(word, "DELAY")) {
            into.notify |= kNotifyDelay;
        } else {
            return problem("NOTIFY= takes NEVER, or a list of SUCCESS, FAILURE and DELAY");
        }
        if (comma == std::string_view::npos) break;
        value.remove_prefix(comma + 1);
    }
    const bool never = (into.notify & kNotifyNever) != 0;
    if (never && into.notify != kNotifyNever) return problem("NOTIFY=NEVER stands alone");
    return Taken::Yes;
}

TakenOrProblem take_orcpt(const std::string& value, RcptParameters& into) {
    const std::size_t semicolon = value.find(';');
    const std::string_view type = std::string_view(value).substr(0, semicolon);
    const bool is_atom = !type.empty() && std::all_of(type.begin(), type.end(), [](char octet) {
        return mail::is_letter(octet) || mail::is_digit(octet) || octet == '-';
    });
    if (semicolon == std::string::npos || !is_atom || semicolon + 1 == value.size()) {
        return problem("ORCPT= takes an address type, a semicolon and an address");
    }
    if (value.size() > kMaxOrcpt) return problem("ORCPT= has at most 500 characters");
    const auto decoded = mail::decode_xtext(std::string_view(value).substr(semicolon + 1));
    if (!decoded) return problem("ORCPT=: " + decoded.error().text);
    into.orcpt = std::string(type) + ";" + *decoded;
    if (!mail::equal_ignoring_case(type, kUtf8AddressType)) return Taken::Yes;
    // RFC 6533, 3: kept in US-ASCII, so that it can be passed on to a host without SMTPUTF8.
    const auto address = mail::decode_utf8_address(*decoded);
    if (!address) return problem("ORCPT=: " + address.error().text);
    into.orcpt = std::string(type) + ";" + mail::encode_utf8_address(*address);
    return Taken::Yes;
}

TakenOrProblem take_mail_parameter(const Parameter& parameter, const KnownExtensions& known,
                                   MailParameters& into) {
    const std::string value = parameter.value.value_or("");
    if (parameter.keyword == "SIZE") return take_size(value, into);
    if (parameter.keyword == "BODY") return take_body(value, known, into);
    if (parameter.keyword == "SMTPUTF8") {
        if (parameter.value) return problem("SMTPUTF8 takes no value");
        into.smtputf8 = true;
        return Taken::Yes;
    }
    if (known.dsn && parameter.keyword == "RET") return take_ret(value, into);
    if (known.dsn && parameter.keyword == "ENVID") return take_envid(value, into);
    // Whom another host takes for the author means nothing here: nobody is trusted to say it.
    if (known.auth && parameter.keyword == "AUTH") {
        if (!mail::decode_xtext(value)) return problem("AUTH= is not xtext");
        return Taken::Yes;
    }
    return Taken::Unknown;
}

TakenOrProblem take_rcpt_parameter(const Parameter& parameter, const KnownExtensions& known,
                                   RcptParameters& into) {
    const std::string value = parameter.value.value_or("");
    if (known.dsn && parameter.keyword == "NOTIFY") return take_notify(value, into);
    if (known.dsn && parameter.keyword == "ORCPT") return take_orcpt(value, into);
    return Taken::Unknown;
}

template <typename Into, typename Take>
tl::expected<Into, Verdict> read_parameters(std::string_view text, std::string_view command, Take take) {
    const auto parameters = mail::parse_parameters(text);
    if (!parameters) return tl::unexpected(refusal(501, parameters.error().text));
    Into into;
    for (const Parameter& parameter : *parameters) {
        const TakenOrProblem taken = take(parameter, into);
        if (!taken) return tl::unexpected(refusal(501, taken.error()));
        if (*taken == Taken::Unknown) {
            return tl::unexpected(refusal(555, "Unknown parameter of " + std::string(command)));
        }
    }
    return into;
}

}  // namespace

tl::expected<MailParameters, Verdict> read_mail_parameters(std::string_view text,
                                                           const KnownExtensions& known) {
    return read_parameters<MailParameters>(text, "MAIL",
                                           [&known](const Parameter& parameter, MailParameters& into) {
                                               return take_mail_parameter(parameter, known, into);
                                           });
}

tl::expected<RcptParameters, Verdict> read_rcpt_parameters(std::string_view text,
                                                           const KnownExtensions& known) {
    return read_parameters<RcptParameters>(text, "RCPT",
                                           [&known](const Parameter& parameter, RcptParameters& into) {
                                               return take_rcpt_parameter(parameter, known, into);
                                           });
}

}  // namespace postrider::smtpd
