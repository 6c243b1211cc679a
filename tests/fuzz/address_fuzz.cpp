// Addresses from anywhere: whatever parses must keep its meaning when it is written and parsed again, because
// that is what happens to it between smtpd, the queue and the next host.

#include <cstdint>
#include <cstdlib>

#include "libcommon/mail/address.h"
#include "libcommon/mail/path.h"
#include "libcommon/mail/utf8.h"

using namespace postrider::mail;

namespace {

void require(bool condition) {
    if (!condition) std::abort();
}

void check_mailbox(const Mailbox& mailbox) {
    const auto again = parse_mailbox(mailbox.to_string());
    require(again.has_value() && *again == mailbox);
    require(is_printable_utf8(mailbox.to_string()) && is_printable_utf8(mailbox.to_utf8_string()));
    require(mailbox.domain().name().find('@') == std::string::npos);
    require(mailbox.domain().is_within(mailbox.domain()));
    // The last @ of the key divides it, and the domain has the last word.
    const std::string key = mailbox.key(LocalCase::Folded);
    require(key.substr(key.rfind('@') + 1) == mailbox.domain().name());
}

void check_domain(std::string_view text) {
    const auto domain = parse_domain(text);
    if (!domain) return;
    require(domain->name().size() <= 255 && !domain->name().empty());
    const auto again = parse_domain(domain->name());
    require(again.has_value() && *again == *domain);
}

void check_path(std::string_view text, const PathOptions& options) {
    const auto parsed = parse_path(text, options);
    if (!parsed) return;
    require(options.is_reverse || !parsed->path.is_null());
    if (const auto mailbox = parsed->path.mailbox()) check_mailbox(*mailbox);
    const auto again = parse_path("<" + parsed->path.to_string() + ">", options);
    // Quoting and A-labels can make the written form longer than a path may be.
    require(!again || again->path == parsed->path);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    if (const auto mailbox = parse_mailbox(text)) check_mailbox(*mailbox);
    check_domain(text);
    for (const bool strict : {false, true}) {
        for (const bool is_reverse : {false, true}) {
            check_path(text, PathOptions{.strict = strict, .is_reverse = is_reverse});
        }
    }
    const SplitLocalPart split = split_detail(text, "+");
    require(split.user.size() + (split.detail ? split.detail->size() + 1 : 0) == text.size());
    return 0;
}
