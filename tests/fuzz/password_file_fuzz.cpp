// Password files as administrators and their programs may write them.

#include <cstdint>
#include <cstdlib>
#include <string>
#include <vector>

#include "smtpd/auth/password_table.h"

using namespace postrider::auth;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string text(reinterpret_cast<const char*>(data), size);
    std::vector<std::string> errors;
    const PasswordTable table = PasswordTable::parse(text, "f", errors);
    for (const std::string& error : errors) {
        if (!error.starts_with("f:")) std::abort();
    }
    if (table.dummy() == nullptr && table.scram_example() != nullptr) std::abort();
    if (const ScramVerifier* verifier = table.scram_example()) {
        const auto again = parse_password_hash(to_text(*verifier));
        if (!again || std::get<ScramVerifier>(*again).stored_key != verifier->stored_key) std::abort();
    }
    return 0;
}
