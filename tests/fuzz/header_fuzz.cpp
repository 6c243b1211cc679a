// The header of a message, which is watched as it goes by. The first octet says where the input is cut in
// two, so that the incremental parser is compared with itself.

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "libcommon/mail/header_scan.h"

using namespace postrider::mail;

namespace {

void require(bool condition) {
    if (!condition) std::abort();
}

void check_header(std::string_view text, std::size_t cut) {
    HeaderScanner whole("mx.test");
    whole.feed(text);
    whole.finish();
    HeaderScanner halves("mx.test");
    halves.feed(text.substr(0, cut));
    halves.feed(text.substr(cut));
    halves.finish();
    require(whole.octets() == halves.octets() && whole.fields() == halves.fields());
    require(whole.received() == halves.received() && whole.received_by_us() == halves.received_by_us());
    require(whole.delivered_to() == halves.delivered_to() && whole.octets() <= text.size());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size == 0) return 0;
    const std::string_view text(reinterpret_cast<const char*>(data) + 1, size - 1);
    const std::size_t cut = std::min<std::size_t>(data[0], text.size());
    check_header(text, cut);
    return 0;
}
