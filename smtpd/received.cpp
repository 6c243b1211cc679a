#include "smtpd/received.h"

#include <fmt/format.h>

#include "libcommon/mail/date.h"

namespace postrider::smtpd {

namespace {

// A client may say anything in HELO; in our header it must not look like a comment, a fold or another clause.
std::string harmless(std::string_view text) {
    constexpr std::string_view kKept = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_:[]";
    std::string result(text);
    for (char& octet : result) {
        if (kKept.find(octet) == std::string_view::npos) octet = '?';
    }
    return result.empty() ? "unknown" : result;
}

std::string client_text(const Trace& trace) {
    if (trace.hidden) return "authenticated-user (logged in)";
    if (trace.client_literal.empty())
        return fmt::format("{} (local user {})", harmless(trace.helo), harmless(trace.local_user));
    if (trace.client_name.empty()) return fmt::format("{} ({})", harmless(trace.helo), trace.client_literal);
    return fmt::format("{} ({} {})", harmless(trace.helo), harmless(trace.client_name), trace.client_literal);
}

}  // namespace

std::string received_header(const Trace& trace) {
    // The date is in UTC, because the time zone's file is out of reach of a process without a file system.
    std::string field = fmt::format("Received: from {}\r\n\tby {} (Postrider) with {} id {}",
                                    client_text(trace), trace.hostname, trace.protocol, trace.queue_id);
    if (!trace.tls.empty()) field += fmt::format("\r\n\t({})", trace.tls);
    if (!trace.recipient.empty()) field += fmt::format("\r\n\tfor <{}>", trace.recipient);
    field += fmt::format(";\r\n\t{}\r\n", mail::format_date(trace.time, std::chrono::minutes(0)));
    return field;
}

}  // namespace postrider::smtpd
