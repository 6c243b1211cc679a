// Lines of an SMTP dialogue: command lines with their paths and parameters, and replies.

#include <algorithm>
#include <cstdint>
#include <cstdlib>

#include "libcommon/mail/command.h"
#include "libcommon/mail/parameters.h"
#include "libcommon/mail/path.h"
#include "libcommon/mail/reply_parser.h"
#include "libcommon/mail/utf8.h"
#include "libcommon/mail/xtext.h"

using namespace postrider::mail;

namespace {

void require(bool condition) {
    if (!condition) std::abort();
}

void check_command(std::string_view line, bool strict) {
    const auto command = parse_command(line, strict);
    if (!command || (command->verb != Verb::Mail && command->verb != Verb::Rcpt)) return;
    const auto argument = path_argument(*command, strict);
    if (!argument) return;
    const auto path = parse_path(*argument, PathOptions{strict, command->verb == Verb::Mail});
    if (!path) return;
    const auto parameters = parse_parameters(path->rest);
    if (!parameters) return;
    for (const Parameter& parameter : *parameters) {
        if (!parameter.value) continue;
        if (const auto decoded = decode_xtext(*parameter.value))
            require(decode_xtext(encode_xtext(*decoded)).value() == *decoded);
    }
}

void check_replies(std::string_view text) {
    ReplyParser parser;
    while (!text.empty()) {
        const std::size_t end = std::min(text.find('\n'), text.size());
        const auto reply = parser.feed(text.substr(0, end));
        if (!reply) return;
        if (*reply) {
            require(is_printable_utf8(summary(**reply)));
            const std::string wire = format(**reply);
            require(wire.ends_with("\r\n") && wire.size() <= (*reply)->lines.size() * 9 * 512);
        }
        text.remove_prefix(std::min(end + 1, text.size()));
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    check_command(text, false);
    check_command(text, true);
    check_replies(text);
    return 0;
}
