#include "smtpd/auth/dovecot_protocol.h"

#include <fmt/format.h>

#include <charconv>
#include <vector>

#include "libcommon/base/base64.h"
#include "libcommon/base/wipe.h"
#include "libcommon/mail/utf8.h"

namespace postrider::auth {

namespace {

std::vector<std::string_view> fields_of(std::string_view line) {
    std::vector<std::string_view> fields;
    for (std::size_t at = 0; at <= line.size();) {
        const std::size_t tab = std::min(line.find('\t', at), line.size());
        fields.push_back(line.substr(at, tab - at));
        at = tab + 1;
    }
    return fields;
}

std::optional<std::uint32_t> number_of(std::string_view text) {
    std::uint32_t number = 0;
    const char* end = text.data() + text.size();
    const auto [rest, error] = std::from_chars(text.data(), end, number);
    if (error != std::errc() || rest != end) return std::nullopt;
    return number;
}

/// Values have tabs and line ends as \001 and a letter.
std::string unescaped(std::string_view text) {
    std::string plain;
    for (std::size_t at = 0; at < text.size(); ++at) {
        if (text[at] != '\001' || at + 1 == text.size()) {
            plain += text[at];
            continue;
        }
        ++at;
        switch (text[at]) {
            case '0':
                plain += '\0';
                break;
            case '1':
                plain += '\001';
                break;
            case 't':
                plain += '\t';
                break;
            case 'r':
                plain += '\r';
                break;
            case 'n':
                plain += '\n';
                break;
            default:
                plain += text[at];
        }
    }
    return plain;
}

/// The value of the first field `NAME=value` behind the number; nothing if there is none.
std::optional<std::string> value_of(const std::vector<std::string_view>& fields, std::string_view name) {
    for (std::size_t at = 2; at < fields.size(); ++at) {
        const std::string_view field = fields[at];
        if (field.size() > name.size() && field.starts_with(name) && field[name.size()] == '=') {
            return unescaped(field.substr(name.size() + 1));
        }
    }
    return std::nullopt;
}

bool has_flag(const std::vector<std::string_view>& fields, std::string_view name) {
    for (std::size_t at = 2; at < fields.size(); ++at) {
        if (fields[at] == name) return true;
    }
    return false;
}

std::optional<DovecotLine> parse_answer(const std::vector<std::string_view>& fields) {
    if (fields.size() < 2) return std::nullopt;
    const auto id = number_of(fields[1]);
    if (!id) return std::nullopt;
    DovecotLine line;
    line.id = *id;
    if (fields[0] == "OK") {
        line.kind = DovecotLine::Kind::Ok;
        line.text = value_of(fields, "user").value_or(std::string());
    } else if (fields[0] == "FAIL") {
        line.kind = DovecotLine::Kind::Fail;
        // Version 1.2 of the protocol says it with a code as well.
        line.temporary = has_flag(fields, "temp") || value_of(fields, "code") == "temp_fail";
        line.text = mail::make_printable(value_of(fields, "reason").value_or(std::string()));
    } else {
        line.kind = DovecotLine::Kind::Cont;
    }
    return line;
}

}  // namespace

std::optional<DovecotLine> parse_dovecot_line(std::string_view line) {
    if (line.empty() || line.size() > kMaxDovecotLine) return std::nullopt;
    const std::vector<std::string_view> fields = fields_of(line);
    if (fields[0] == "OK" || fields[0] == "FAIL" || fields[0] == "CONT") return parse_answer(fields);
    DovecotLine result;
    if (fields[0] == "VERSION") {
        constexpr std::size_t kMajorAndMinor = 3;
        const auto major = fields.size() >= kMajorAndMinor ? number_of(fields[1]) : std::nullopt;
        if (!major) return std::nullopt;
        result.kind = DovecotLine::Kind::Version;
        result.id = *major;
    } else if (fields[0] == "MECH") {
        if (fields.size() < 2) return std::nullopt;
        result.kind = DovecotLine::Kind::Mech;
        result.text = fields[1];
    } else if (fields[0] == "DONE") {
        result.kind = DovecotLine::Kind::Done;
    }
    return result;
}

std::string dovecot_greeting(std::uint32_t process) {
    return fmt::format("VERSION\t1\t1\nCPID\t{}\n", process);
}

Secret dovecot_request(std::uint32_t id, const Credentials& credentials) {
    // Everything is reserved beforehand: strings that grow leave copies of their beginning.
    std::string message;
    message.reserve(credentials.login.size() + credentials.password.size() + 2);
    message += '\0';
    message += credentials.login;
    message += '\0';
    message += credentials.password.view();
    std::string encoded = encode_base64(message);
    wipe(message);
    // The counting of failures is done here; Dovecot's own would hold back good logins from the same address.
    const std::string head =
        fmt::format("AUTH\t{}\tPLAIN\tservice=smtp\t{}nologin\tno-penalty\trip={}\tresp=", id,
                    credentials.tls ? "secured\t" : "", credentials.client_address);
    std::string line;
    line.reserve(head.size() + encoded.size() + 1);
    line += head;
    line += encoded;
    line += '\n';
    Secret result(line);
    wipe(encoded);
    wipe(line);
    return result;
}

}  // namespace postrider::auth
