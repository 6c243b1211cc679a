#include "queue-manager/reports.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <iterator>
#include <utility>

#include "libcommon/mail/ascii.h"
#include "libcommon/mail/date.h"
#include "libcommon/mail/utf8.h"
#include "libcommon/mail/xtext.h"
#include "queue-manager/mime.h"
#include "queue-manager/report_text.h"
#include "queue-manager/returned_content.h"

namespace postrider::queue_manager {

namespace {

constexpr std::size_t kFoldAt = 76;
constexpr std::size_t kMaxDiagnostic = 2000;

std::string utc_date(UnixMillis time) {
    return mail::format_date(time, std::chrono::minutes(0));
}

/// A value for one header field: line ends and other controls become blanks, so that a remote reply can
/// neither end the field nor begin another; what is no ASCII becomes `?` unless the report may have it.
std::string one_line(std::string_view text, bool utf8) {
    std::string line;
    for (char c : text.substr(0, kMaxDiagnostic)) {
        if (mail::is_control(c)) {
            if (!line.empty() && line.back() != ' ') line.push_back(' ');
        } else {
            line.push_back(mail::is_non_ascii(c) && !utf8 ? '?' : c);
        }
    }
    while (!line.empty() && line.back() == ' ')
        line.pop_back();
    return mail::make_printable(line);
}

/// `name: value`, folded at blanks. A word too long for a line is left alone: RFC 5322 allows 998 octets, and
/// a longer one is broken because no receiver would take the line.
std::string field(std::string_view name, std::string_view value) {
    constexpr std::size_t kMaxLine = 900;
    std::string out(name);
    out += ":";
    std::size_t column = out.size();
    while (!value.empty()) {
        std::size_t blank = value.find(' ');
        std::string_view word = value.substr(0, std::min(blank, kMaxLine));
        value.remove_prefix(std::min(value.size(), word.size() + (word.size() == blank ? 1 : 0)));
        if (word.empty()) continue;
        if (column + 1 + word.size() > kFoldAt && column > name.size() + 1) {
            out += "\r\n";
            column = 0;
        }
        out += " ";
        out += word;
        column += 1 + word.size();
    }
    return out + "\r\n";
}

std::string_view action_of(ReportKind kind) {
    switch (kind) {
        case ReportKind::Failed:
        case ReportKind::DoubleBounce:
            return "failed";
        case ReportKind::Delayed:
            return "delayed";
        case ReportKind::Delivered:
            return "delivered";
        case ReportKind::Relayed:
            return "relayed";
        case ReportKind::Expanded:
            return "expanded";
    }
    return "failed";
}

char class_of(ReportKind kind) {
    if (kind == ReportKind::Delayed) return '4';
    return kind == ReportKind::Failed || kind == ReportKind::DoubleBounce ? '5' : '2';
}

/// RFC 3463: class, dot, one to three digits, dot, one to three digits. The class has to fit the action, or
/// the report would contradict itself (a 4.x.x of a message whose time is over).
std::string status_of(ReportKind kind, std::string_view status) {
    bool valid = status.size() >= 5 && status.size() <= 9 && status[1] == '.' && status[0] >= '2' &&
                 status[0] <= '5' && std::count(status.begin(), status.end(), '.') == 2 &&
                 status.back() != '.' && status[2] != '.' &&
                 status.find_first_not_of("0123456789.") == std::string_view::npos;
    std::string code = valid ? std::string(status) : "5.0.0";
    code[0] = class_of(kind);
    return code;
}

/// Whether the diagnostic is what the remote host replied, and not our own words about it.
bool is_reply(const ReportedRecipient& recipient) {
    const std::string_view code = std::string_view(recipient.diagnostic).substr(0, 3);
    return !recipient.remote_host.empty() && code.size() == 3 &&
           std::all_of(code.begin(), code.end(), mail::is_digit);
}

/// A part of the report below its boundary.
struct Part {
    std::string type;
    std::string encoding;  // empty: 7bit
    std::string text;
};

/// Composes one report; a class only to share what all parts need to know.
class Composer {
  public:
    explicit Composer(const ReportInput& input)
        : input_(input),
          utf8_(!mail::is_ascii(input.to)),
          for_people_(text_for_people(input)),
          boundary_(choose_boundary()) {}

    Report compose() {
        const Part parts[] = {text_part(), status_part(), original_part()};
        const bool eight_bit = utf8_ || std::any_of(std::begin(parts), std::end(parts), [](const Part& part) {
                                   return part.encoding == kEightBit;
                               });
        Report report;
        report.envelope.set_report(true);
        report.envelope.set_double_bounce(input_.kind == ReportKind::DoubleBounce);
        report.envelope.set_arrival_ms(input_.now);
        report.envelope.set_protocol("local");
        report.envelope.set_body(eight_bit ? wire::Envelope::EIGHTBITMIME : wire::Envelope::SEVENBIT);
        report.envelope.set_smtputf8(utf8_);
        auto* recipient = report.envelope.add_recipients();
        recipient->set_address(input_.to);
        recipient->set_notify(kNever);
        report.content = header(eight_bit);
        for (const Part& part : parts) {
            report.content += fmt::format("\r\n--{}\r\nContent-Type: {}\r\n", boundary_, part.type);
            if (!part.encoding.empty()) report.content += field("Content-Transfer-Encoding", part.encoding);
            report.content += "\r\n" + part.text;
        }
        report.content += fmt::format("\r\n--{}--\r\n", boundary_);
        return report;
    }

  private:
    static constexpr std::uint32_t kNever = 1;
    static constexpr const char* kEightBit = "8bit";
    static constexpr std::string_view kUtf8Type = "utf-8";

    /// A boundary that neither the returned content nor a text of the administrator contains.
    [[nodiscard]] std::string choose_boundary() const {
        const std::string base = "=_" + input_.report_id.text();
        std::string boundary = base;
        for (int i = 1; input_.content.find(boundary) != std::string::npos ||
                        for_people_.text.find(boundary) != std::string::npos;
             ++i) {
            boundary = fmt::format("{}_{}", base, i);
        }
        return boundary;
    }

    [[nodiscard]] std::string header(bool eight_bit) const {
        std::string out;
        out += field("From", fmt::format("Mail Delivery System <MAILER-DAEMON@{}>", input_.hostname));
        out += field("To", fmt::format("<{}>", one_line(input_.to, utf8_)));
        out += field("Subject", encoded_words(for_people_.subject));
        out += field("Date", utc_date(input_.now));
        out += field("Message-ID", fmt::format("<{}@{}>", input_.report_id.text(), input_.hostname));
        out += field("Auto-Submitted", "auto-replied");
        out += field("MIME-Version", "1.0");
        out += "Content-Type: multipart/report; report-type=delivery-status;\r\n boundary=\"" + boundary_ +
               "\"\r\n";
        if (eight_bit) out += field("Content-Transfer-Encoding", kEightBit);
        return out + "\r\nThis is a message in MIME format.\r\n";
    }

    [[nodiscard]] Part text_part() const {
        std::string text = for_people_.text;
        for (const auto& recipient : input_.recipients) {
            text += fmt::format("\r\n<{}>", one_line(recipient.final_recipient, true));
            const bool redirected = !recipient.original_recipient.empty() &&
                                    recipient.original_recipient != recipient.final_recipient;
            if (redirected) text += fmt::format(" (for <{}>)", one_line(recipient.original_recipient, true));
            text += "\r\n";
            if (!recipient.remote_host.empty()) {
                text += fmt::format("    host {}{}:\r\n", one_line(recipient.remote_host, true),
                                    is_reply(recipient) ? " said" : "");
            }
            // field() folds; without a name what is left is an indented paragraph.
            std::string said = field("   ", one_line(recipient.diagnostic, true));
            text += said.erase(3, 1);
        }
        switch (octets_of(text)) {
            case Octets::SevenBit:
                return {"text/plain; charset=us-ascii", "", std::move(text)};
            case Octets::EightBit:
                if (utf8_) return {"text/plain; charset=utf-8", kEightBit, std::move(text)};
                [[fallthrough]];
            case Octets::Binary:
                break;
        }
        return {"text/plain; charset=utf-8", "quoted-printable", quoted_printable(text)};
    }

    [[nodiscard]] Part status_part() const {
        std::string fields;
        if (!input_.original.envid().empty()) {
            fields += field("Original-Envelope-Id", one_line(input_.original.envid(), utf8_));
        }
        fields += field("Reporting-MTA", fmt::format("dns; {}", input_.hostname));
        fields += field("X-Postrider-Queue-ID", input_.original_id.text());
        if (input_.original.arrival_ms() != 0) {
            fields += field("Arrival-Date", utc_date(input_.original.arrival_ms()));
        }
        for (const auto& recipient : input_.recipients)
            fields += "\r\n" + recipient_fields(recipient);
        if (!utf8_) return {"message/delivery-status", "", std::move(fields)};
        const char* encoding = mail::is_ascii(fields) ? "" : kEightBit;
        return {"message/global-delivery-status", encoding, std::move(fields)};
    }

    /// An address with its type. In a report without UTF-8 an address in UTF-8 is encoded (RFC 6533, 3).
    [[nodiscard]] std::string typed(std::string_view address, std::string_view separator) const {
        if (mail::is_ascii(address)) return fmt::format("rfc822;{}{}", separator, one_line(address, utf8_));
        const std::string written = utf8_ ? one_line(address, true) : mail::encode_utf8_address(address);
        return fmt::format("{};{}{}", kUtf8Type, separator, written);
    }

    /// ORCPT as the sender gave it. An address in UTF-8 is in the envelope in its encoded form.
    [[nodiscard]] std::string original_recipient(std::string_view orcpt) const {
        const std::size_t semicolon = std::min(orcpt.find(';'), orcpt.size());
        const std::string_view type = orcpt.substr(0, semicolon);
        const std::string_view address = orcpt.substr(std::min(semicolon + 1, orcpt.size()));
        if (!mail::is_ascii(address)) return typed(address, "");
        if (utf8_ && mail::equal_ignoring_case(type, kUtf8Type)) {
            const auto decoded = mail::decode_utf8_address(address);
            if (decoded) return fmt::format("{};{}", type, one_line(*decoded, true));
        }
        return one_line(orcpt, false);
    }

    [[nodiscard]] std::string recipient_fields(const ReportedRecipient& recipient) const {
        std::string out;
        if (!recipient.orcpt.empty()) out += field("Original-Recipient", original_recipient(recipient.orcpt));
        out += field("Final-Recipient", typed(recipient.final_recipient, " "));
        out += field("Action", action_of(input_.kind));
        out += field("Status", status_of(input_.kind, recipient.status));
        if (!recipient.remote_host.empty()) {
            out += field("Remote-MTA",
                         fmt::format("dns; {}", one_line(host_name(recipient.remote_host), utf8_)));
        }
        if (!recipient.diagnostic.empty()) {
            // RFC 3464 2.3.6: "smtp" is for what a remote host replied; ours has a type of its own.
            std::string_view type = is_reply(recipient) ? "smtp" : "x-postrider";
            out +=
                field("Diagnostic-Code", fmt::format("{}; {}", type, one_line(recipient.diagnostic, utf8_)));
        }
        if (recipient.last_attempt_ms != 0) {
            out += field("Last-Attempt-Date", utc_date(recipient.last_attempt_ms));
        }
        if (input_.kind == ReportKind::Delayed && recipient.will_retry_until != 0) {
            out += field("Will-Retry-Until", utc_date(recipient.will_retry_until));
        }
        return out;
    }

    /// The name of "name[address]:port".
    static std::string_view host_name(std::string_view remote) {
        std::size_t end = remote.find('[');
        if (end == 0) return remote.substr(0, remote.find(']') + 1);
        return remote.substr(0, end);
    }

    /// Whether the body is returned: never of a success or delay (RFC 3461 6.2), else as the sender asked.
    [[nodiscard]] bool with_body() const {
        constexpr std::uint32_t kRetFull = 1;
        if (input_.kind != ReportKind::Failed && input_.kind != ReportKind::DoubleBounce) return false;
        if (input_.max_body == 0) return false;
        return input_.original.ret() == 0 ? input_.return_full : input_.original.ret() == kRetFull;
    }

    [[nodiscard]] Part original_part() const {
        ReturnedContent returned =
            returned_content(input_.content, input_.content_length, with_body(), input_.max_body, utf8_);
        return {std::move(returned.type), std::move(returned.encoding), std::move(returned.text)};
    }

    const ReportInput& input_;
    bool utf8_;
    TextForPeople for_people_;
    std::string boundary_;
};

}  // namespace

Report compose_report(const ReportInput& input) {
    return Composer(input).compose();
}

}  // namespace postrider::queue_manager
