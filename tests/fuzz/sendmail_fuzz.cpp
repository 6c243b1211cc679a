// Messages as programs give them to sendmail: whatever stands in them, no address that is accepted can say
// more in SMTP than an address, the recipients do not change when the message is completed, and the body
// stays what it is.

#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "admin/sendmail/envelope.h"
#include "admin/sendmail/from_field.h"
#include "admin/sendmail/message.h"
#include "admin/sendmail/option_values.h"

using namespace postrider;
using namespace postrider::admin;

namespace {

void require(bool condition) {
    if (!condition) std::abort();
}

bool is_one_line(std::string_view text) {
    return text.find_first_of(std::string_view("\r\n\0", 3)) == std::string_view::npos;
}

void check_addresses(const std::vector<std::string>& addresses) {
    for (const std::string& text : addresses) {
        const auto address = envelope_address(text, "host.test");
        if (!address) {
            require(is_one_line(address.error().text));
            continue;
        }
        require(is_one_line(*address) && address->starts_with(text));
        const Envelope envelope{*address, {*address}, {}};
        const auto command = mail_command(envelope, true, Offer{true, true, true});
        require(command.has_value() && is_one_line(*command));
        require(is_one_line(rcpt_command(*address, envelope.dsn, Offer{})));
        // Nothing that was completed is completed again.
        require(envelope_address(*address, "other.test") == *address);
    }
}

void check_values(std::string_view text) {
    for (const auto& value : {parse_notify(text), parse_ret(text), parse_envid(text)})
        require(!value || (is_one_line(*value) && value->find(' ') == std::string::npos));
    const std::string field = from_field(text, "a@b.test");
    require((field == "a@b.test" || field.ends_with(" <a@b.test>")) &&
            field.find_first_of(std::string_view("\r\0", 2)) == std::string::npos);
    // A line break only where the field goes on.
    for (std::size_t at = field.find('\n'); at != std::string::npos; at = field.find('\n', at + 1))
        require(field[at + 1] == ' ');
}

/// What follows the first empty line, with LF as line end, ending in one: the body of a message whose header
/// is one.
std::string expected_body(std::string_view text) {
    std::string body;
    while (!text.empty()) {
        const std::size_t end = text.find('\n');
        std::string_view line = text.substr(0, end);
        text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
        if (line.ends_with('\r')) line.remove_suffix(1);
        body += line;
        body += '\n';
    }
    return body;
}

void check_message(std::string_view text, bool dot_ends) {
    LocalMessage message(text, dot_ends);
    const auto recipients = message.header_recipients();
    check_addresses(recipients);
    const bool good = message.check_header().has_value();
    message.complete("f@host.test", "d", "<m@host.test>");
    require(message.header_recipients() == recipients);
    const std::string completed = message.text();
    const std::string header = completed.substr(0, completed.find("\n\n"));
    if (!good) return;
    require(header.find_first_of(std::string_view("\r\0", 2)) == std::string::npos);
    // What goes out is read as the same message, so that its header ends where it did.
    const std::string again = LocalMessage(completed, false).text();
    require(again.substr(0, again.find("\n\n")) == header);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    check_message(text, true);
    check_message(text, false);
    check_addresses(addresses_in(text));
    check_values(text);
    // The same octets as the body of a message.
    LocalMessage message("To: a@b.test\n\n" + std::string(text), false);
    message.complete("f@host.test", "d", "<m@host.test>");
    const std::string completed = message.text();
    require(completed.substr(completed.find("\n\n") + 2) == expected_body(text));
    require(message.header_recipients() == std::vector<std::string>{"a@b.test"});
    return 0;
}
