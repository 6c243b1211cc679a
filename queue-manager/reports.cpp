#include "queue-manager/reports.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>

#include "libcommon/mail/date.h"

namespace postrider::queue_manager {

namespace {

using namespace std::string_view_literals;

// A header of this length says all that a human needs to recognise a message; more is cut at a field.
constexpr std::size_t kMaxHeader = std::size_t{64} << 10;
constexpr std::size_t kFoldAt = 76;
constexpr std::size_t kMaxDiagnostic = 2000;

std::string utc_date(UnixMillis time) {
    return mail::format_date(time, std::chrono::minutes(0));
}

bool is_ascii(std::string_view text) {
    return std::all_of(text.begin(), text.end(), [](char c) { return static_cast<unsigned char>(c) < 0x80; });
}

/// A value for one header field: line ends and other controls become blanks, so that a remote reply can
/// neither end the field nor begin another; what is no ASCII becomes `?` unless the report may have it.
std::string one_line(std::string_view text, bool utf8) {
    std::string line;
    for (char c : text.substr(0, kMaxDiagnostic)) {
        auto byte = static_cast<unsigned char>(c);
        bool control = byte < 0x20 || byte == 0x7F;
        if (control) {
            if (!line.empty() && line.back() != ' ') line.push_back(' ');
        } else {
            line.push_back(byte >= 0x80 && !utf8 ? '?' : c);
        }
    }
    while (!line.empty() && line.back() == ' ')
        line.pop_back();
    return line;
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

std::string subject_of(ReportKind kind) {
    switch (kind) {
        case ReportKind::Failed:
            return "Undelivered mail: could not be delivered";
        case ReportKind::Delayed:
            return "Delayed mail: still being tried";
        case ReportKind::Delivered:
            return "Delivered mail";
        case ReportKind::Relayed:
            return "Relayed mail: no further reports";
        case ReportKind::Expanded:
            return "Mail sent on to several addresses";
        case ReportKind::DoubleBounce:
            return "Postmaster notice: undeliverable mail from the null sender";
    }
    return {};
}

std::string explanation_of(const ReportInput& input) {
    std::string host = input.hostname;
    switch (input.kind) {
        case ReportKind::Failed:
            return fmt::format(
                "This is the mail system at {}.\r\n\r\nYour message could not be delivered to one or "
                "more recipients.\r\nIt will not be tried again.\r\n",
                host);
        case ReportKind::Delayed:
            return fmt::format(
                "This is the mail system at {}.\r\n\r\nYour message has not been delivered yet to "
                "one or more recipients.\r\nYou need not do anything: it will be tried until\r\n"
                "{}.\r\n",
                host, utc_date(input.will_retry_until));
        case ReportKind::Delivered:
            return fmt::format(
                "This is the mail system at {}.\r\n\r\nAs you asked: your message was "
                "delivered.\r\n",
                host);
        case ReportKind::Relayed:
            return fmt::format(
                "This is the mail system at {}.\r\n\r\nAs you asked: your message was handed on to a "
                "mail system\r\nthat does not send reports about delivery.\r\n",
                host);
        case ReportKind::Expanded:
            return fmt::format(
                "This is the mail system at {}.\r\n\r\nAs you asked: your message has reached an address "
                "that stands for\r\nseveral others, and was sent on to these. Delivery to them is not "
                "reported.\r\n",
                host);
        case ReportKind::DoubleBounce:
            return fmt::format(
                "This is the mail system at {}.\r\n\r\nA message could not be delivered, and nobody "
                "can be told, because it\r\nis a report itself or has the null sender.\r\n",
                host);
    }
    return {};
}

/// Composes one report; a class only to share what all parts need to know.
class Composer {
  public:
    explicit Composer(const ReportInput& input)
        : input_(input), utf8_(input.original.smtputf8() && !all_ascii()), boundary_(choose_boundary()) {}

    Report compose() {
        std::string original = original_part();
        bool eight_bit = !is_ascii(original) || utf8_;
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
        report.content =
            header(eight_bit) + text_part() + status_part() + original + "\r\n--" + boundary_ + "--\r\n";
        return report;
    }

  private:
    static constexpr std::uint32_t kNever = 1;

    [[nodiscard]] bool all_ascii() const {
        return is_ascii(input_.to) &&
               std::all_of(input_.recipients.begin(), input_.recipients.end(), [](const auto& recipient) {
                   return is_ascii(recipient.final_recipient) && is_ascii(recipient.original_recipient);
               });
    }

    /// A boundary that the returned content does not contain.
    [[nodiscard]] std::string choose_boundary() const {
        std::string base = "=_" + input_.report_id.text();
        std::string boundary = base;
        for (int i = 1; input_.content.find(boundary) != std::string::npos; ++i) {
            boundary = fmt::format("{}_{}", base, i);
        }
        return boundary;
    }

    [[nodiscard]] std::string header(bool eight_bit) const {
        std::string out;
        out += field("From", fmt::format("Mail Delivery System <MAILER-DAEMON@{}>", input_.hostname));
        out += field("To", fmt::format("<{}>", one_line(input_.to, utf8_)));
        out += field("Subject", subject_of(input_.kind));
        out += field("Date", utc_date(input_.now));
        out += field("Message-ID", fmt::format("<{}@{}>", input_.report_id.text(), input_.hostname));
        out += field("Auto-Submitted", "auto-replied");
        out += field("MIME-Version", "1.0");
        out += "Content-Type: multipart/report; report-type=delivery-status;\r\n boundary=\"" + boundary_ +
               "\"\r\n";
        if (eight_bit) out += field("Content-Transfer-Encoding", "8bit");
        return out + "\r\nThis is a message in MIME format.\r\n";
    }

    [[nodiscard]] std::string part(std::string_view type, bool eight_bit) const {
        return fmt::format("\r\n--{}\r\nContent-Type: {}\r\n{}\r\n", boundary_, type,
                           eight_bit ? "Content-Transfer-Encoding: 8bit\r\n"sv : ""sv);
    }

    [[nodiscard]] std::string text_part() const {
        std::string out = part(utf8_ ? "text/plain; charset=utf-8" : "text/plain; charset=us-ascii", utf8_);
        out += explanation_of(input_);
        for (const auto& recipient : input_.recipients) {
            out += fmt::format("\r\n<{}>", one_line(recipient.final_recipient, utf8_));
            bool redirected = !recipient.original_recipient.empty() &&
                              recipient.original_recipient != recipient.final_recipient;
            if (redirected) out += fmt::format(" (for <{}>)", one_line(recipient.original_recipient, utf8_));
            out += "\r\n";
            if (!recipient.remote_host.empty()) {
                out += fmt::format("    host {} said:\r\n", one_line(recipient.remote_host, utf8_));
            }
            // field() folds; without a name what is left is an indented paragraph.
            std::string text = field("   ", one_line(recipient.diagnostic, utf8_));
            out += text.erase(3, 1);
        }
        return out;
    }

    [[nodiscard]] std::string status_part() const {
        std::string out = part(utf8_ ? "message/global-delivery-status" : "message/delivery-status", utf8_);
        if (!input_.original.envid().empty()) {
            out += field("Original-Envelope-Id", one_line(input_.original.envid(), utf8_));
        }
        out += field("Reporting-MTA", fmt::format("dns; {}", input_.hostname));
        out += field("X-Postrider-Queue-ID", input_.original_id.text());
        if (input_.original.arrival_ms() != 0) {
            out += field("Arrival-Date", utc_date(input_.original.arrival_ms()));
        }
        for (const auto& recipient : input_.recipients)
            out += "\r\n" + recipient_fields(recipient);
        return out;
    }

    [[nodiscard]] std::string address_type(std::string_view address) const {
        return utf8_ && !is_ascii(address) ? "utf-8" : "rfc822";
    }

    [[nodiscard]] std::string recipient_fields(const ReportedRecipient& recipient) const {
        std::string out;
        if (!recipient.orcpt.empty()) out += field("Original-Recipient", one_line(recipient.orcpt, utf8_));
        out += field("Final-Recipient", fmt::format("{}; {}", address_type(recipient.final_recipient),
                                                    one_line(recipient.final_recipient, utf8_)));
        out += field("Action", action_of(input_.kind));
        out += field("Status", status_of(input_.kind, recipient.status));
        if (!recipient.remote_host.empty()) {
            out += field("Remote-MTA",
                         fmt::format("dns; {}", one_line(host_name(recipient.remote_host), utf8_)));
        }
        if (!recipient.diagnostic.empty()) {
            // RFC 3464 2.3.6: "smtp" is for what a remote host replied; ours has a type of its own.
            std::string_view type = recipient.remote_host.empty() ? "x-postrider" : "smtp";
            out +=
                field("Diagnostic-Code", fmt::format("{}; {}", type, one_line(recipient.diagnostic, utf8_)));
        }
        if (recipient.last_attempt_ms != 0) {
            out += field("Last-Attempt-Date", utc_date(recipient.last_attempt_ms));
        }
        if (input_.kind == ReportKind::Delayed && input_.will_retry_until != 0) {
            out += field("Will-Retry-Until", utc_date(input_.will_retry_until));
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

    [[nodiscard]] std::string original_part() const {
        std::string_view content = input_.content;
        std::size_t body_at = header_length(content);
        std::string_view head = cut_at_line(content.substr(0, body_at), kMaxHeader);
        if (!with_body()) {
            // The empty line that ends the header is no part of a header-only copy.
            if (head.size() >= 4 && head.substr(head.size() - 4) == "\r\n\r\n") head.remove_suffix(2);
            bool eight_bit = !is_ascii(head);
            std::string_view type = utf8_ && eight_bit ? "message/global-headers" : "text/rfc822-headers";
            return part(type, eight_bit) + std::string(head);
        }
        std::string_view body = cut_at_line(content.substr(body_at), input_.max_body);
        std::string copy(head);
        if (head.size() < body_at) copy += "\r\n";
        copy += body;
        bool eight_bit = !is_ascii(copy);
        std::string out = part(utf8_ && eight_bit ? "message/global" : "message/rfc822", eight_bit);
        return out + copy;
    }

    /// The lines of `text` that fit into `limit` octets.
    static std::string_view cut_at_line(std::string_view text, std::size_t limit) {
        if (text.size() <= limit) return text;
        std::size_t end = text.rfind("\r\n", limit >= 2 ? limit - 2 : 0);
        return end == std::string_view::npos ? std::string_view() : text.substr(0, end + 2);
    }

    const ReportInput& input_;
    bool utf8_;
    std::string boundary_;
};

}  // namespace

Report compose_report(const ReportInput& input) {
    return Composer(input).compose();
}

std::size_t header_length(std::string_view content) {
    if (content.substr(0, 2) == "\r\n") return 2;
    std::size_t end = content.find("\r\n\r\n");
    return end == std::string_view::npos ? content.size() : end + 4;
}

}  // namespace postrider::queue_manager
