// What a Dovecot, or something that listens in its place, answers.

#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "libcommon/mail/utf8.h"
#include "smtpd/auth/dovecot_protocol.h"

using namespace postrider::auth;

namespace {

void require(bool condition) {
    if (!condition) std::abort();
}

void check(const DovecotLine& line, std::string_view text) {
    using Kind = DovecotLine::Kind;
    require(line.text.size() <= text.size());
    require(!line.temporary || line.kind == Kind::Fail);
    require((line.kind == Kind::Ok) == (text == "OK" || text.starts_with("OK\t")));
    // It goes into the log and into frames.
    if (line.kind == Kind::Fail) require(postrider::mail::is_printable_utf8(line.text));
    if (line.kind == Kind::Done || line.kind == Kind::Other) require(line.text.empty() && line.id == 0);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    std::string_view text(reinterpret_cast<const char*>(data), size);
    while (!text.empty()) {
        const std::string_view line = text.substr(0, text.find('\n'));
        text.remove_prefix(line.size() < text.size() ? line.size() + 1 : line.size());
        if (const auto parsed = parse_dovecot_line(line)) check(*parsed, line);
    }
    return 0;
}
