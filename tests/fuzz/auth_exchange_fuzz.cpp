// What a client may say in an AUTH dialogue, after base64: PLAIN, LOGIN and SCRAM-SHA-256, with and without a
// bound channel. The first octet chooses; the messages of the client are separated by 0xff, and an empty
// first one stands for no initial response.
//
// Whatever is said: the exchange ends, nobody proves a password that he does not know, and what is claimed
// can be a login and a password.

#include <cstdint>
#include <cstdlib>
#include <memory>
#include <string>
#include <string_view>

#include "smtpd/auth/login_name.h"
#include "smtpd/auth/plain.h"
#include "smtpd/auth/scram.h"

using namespace postrider::auth;

namespace {

constexpr char kSeparator = '\xff';

void require(bool condition) {
    if (!condition) std::abort();
}

struct Setup {
    Setup()
        : verifier(make_scram_verifier(Secret("as if anybody could guess this"), "salt of a test", 4096)) {}
    SaslLibrary library;
    ScramVerifier verifier;
};

std::unique_ptr<Exchange> choose(std::uint8_t choice, Setup& setup) {
    if (choice % 4 == 0) return std::make_unique<PlainExchange>();
    if (choice % 4 == 1) return std::make_unique<LoginExchange>();
    const bool plus = choice % 4 == 3;
    const std::string binding = (choice & 4U) != 0 || plus ? std::string(32, 'b') : std::string();
    return std::make_unique<ScramExchange>(setup.library, plus, binding,
                                           [&setup](const std::string&) { return setup.verifier; });
}

std::string_view next_message(std::string_view& rest) {
    const std::size_t end = std::min(rest.find(kSeparator), rest.size());
    const std::string_view message = rest.substr(0, end);
    rest.remove_prefix(std::min(end + 1, rest.size()));
    return message;
}

void check(const Step& step) {
    require(!std::holds_alternative<Proven>(step));
    if (const auto* claim = std::get_if<Claim>(&step)) {
        require(is_login(claim->login) && is_password(claim->password.view()));
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    static Setup setup;
    if (size == 0) return 0;
    const std::unique_ptr<Exchange> exchange = choose(data[0], setup);
    std::string_view rest(reinterpret_cast<const char*>(data) + 1, size - 1);
    const std::string_view first = next_message(rest);
    Step step = exchange->start(first.empty() ? std::nullopt : std::optional(first));
    check(step);
    // The longest dialogue is that of LOGIN; a mechanism that asked on and on would hold a session for ever.
    for (int answers = 0; std::holds_alternative<Challenge>(step); ++answers) {
        require(answers < 4);
        step = exchange->respond(next_message(rest));
        check(step);
    }
    return 0;
}
