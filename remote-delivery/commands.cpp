#include "remote-delivery/commands.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <iterator>

#include "libcommon/mail/ascii.h"
#include "libcommon/mail/limits.h"
#include "libcommon/mail/xtext.h"

namespace postrider::remote_delivery {
namespace {

constexpr std::uint32_t kNotifyNever = 1;
constexpr std::uint32_t kRetFull = 1;

struct NotifyWord {
    std::uint32_t bit;
    std::string_view word;
};
constexpr std::array kNotifyWords = {NotifyWord{2, "SUCCESS"}, NotifyWord{4, "FAILURE"},
                                     NotifyWord{8, "DELAY"}};

std::string notify_value(std::uint32_t notify) {
    if ((notify & kNotifyNever) != 0) return "NEVER";  // stands alone (RFC 3461, 4.1)
    std::string value;
    for (const NotifyWord& entry : kNotifyWords) {
        if ((notify & entry.bit) == 0) continue;
        if (!value.empty()) value += ',';
        value += entry.word;
    }
    return value;
}

/// ORCPT is `type;xtext`: only what is behind the semicolon is encoded.
std::string orcpt_value(std::string_view orcpt) {
    std::size_t semicolon = orcpt.find(';');
    if (semicolon == std::string_view::npos) return {};
    return fmt::format("{};{}", orcpt.substr(0, semicolon), mail::encode_xtext(orcpt.substr(semicolon + 1)));
}

}  // namespace

std::string mail_command(std::string_view sender, const MailOptions& options,
                         const Capabilities& capabilities) {
    std::string command = fmt::format("MAIL FROM:<{}>", sender);
    auto out = std::back_inserter(command);
    if (capabilities.size) fmt::format_to(out, " SIZE={}", options.size);
    if (capabilities.eight_bit && options.eight_bit) command += " BODY=8BITMIME";
    if (capabilities.smtputf8 && options.smtputf8) command += " SMTPUTF8";
    if (capabilities.dsn && options.ret != 0) command += options.ret == kRetFull ? " RET=FULL" : " RET=HDRS";
    if (capabilities.dsn && !options.envid.empty()) {
        fmt::format_to(out, " ENVID={}", mail::encode_xtext(options.envid));
    }
    command += "\r\n";
    return command;
}

std::string rcpt_command(const wire::Delivery& delivery, const Capabilities& capabilities) {
    std::string command = fmt::format("RCPT TO:<{}>", delivery.recipient());
    if (capabilities.dsn) {
        std::string notify = notify_value(delivery.notify());
        if (!notify.empty()) command += " NOTIFY=" + notify;
        std::string orcpt = orcpt_value(delivery.orcpt());
        if (!orcpt.empty()) command += " ORCPT=" + orcpt;
    }
    command += "\r\n";
    return command;
}

bool is_sendable(std::string_view address) {
    if (address.size() > mail::kMaxUtf8Path ||
        std::any_of(address.begin(), address.end(), mail::is_control)) {
        return false;
    }
    bool quoted = false;
    for (std::size_t i = 0; i < address.size(); ++i) {
        if (quoted && address[i] == '\\') {
            ++i;
        } else if (address[i] == '"') {
            quoted = !quoted;
        } else if (!quoted && (address[i] == '<' || address[i] == '>' || address[i] == ' ')) {
            return false;
        }
    }
    return !quoted;
}

}  // namespace postrider::remote_delivery
