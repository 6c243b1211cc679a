// The content of a message, as DATA carries it and as BDAT does. The first octet says where the input is cut
// in two, so that the incremental parsers are compared with themselves.

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "libcommon/mail/dot_stuffing.h"

using namespace postrider::mail;

namespace {

void require(bool condition) {
    if (!condition) std::abort();
}

struct Decoded {
    std::string content;
    std::size_t consumed = 0;
    bool done = false;
    bool faulty = false;
};

Decoded decode(std::string_view text, std::size_t cut) {
    DataDecoder decoder;
    Decoded decoded;
    decoded.consumed = decoder.feed(text.substr(0, cut), decoded.content);
    if (!decoder.done()) decoded.consumed += decoder.feed(text.substr(cut), decoded.content);
    decoded.done = decoder.done();
    decoded.faulty = decoder.fault() != DataFault::None;
    return decoded;
}

std::string encode(std::string_view text, std::size_t cut) {
    DataEncoder encoder;
    std::string wire;
    encoder.encode(text.substr(0, cut), wire);
    encoder.encode(text.substr(cut), wire);
    encoder.finish(wire);
    return wire;
}

/// The plain statement of what the decoder has to find: the first CRLF.CRLF, the start counting as a line's.
std::size_t end_of_data(std::string_view text) {
    if (text.starts_with(".\r\n")) return 3;
    const std::size_t end = text.find("\r\n.\r\n");
    return end == std::string_view::npos ? text.size() : end + 5;
}

void check_content(std::string_view text, std::size_t cut) {
    const Decoded whole = decode(text, text.size());
    const Decoded halves = decode(text, cut);
    require(whole.consumed == end_of_data(text));
    require(whole.consumed == halves.consumed && whole.done == halves.done && whole.faulty == halves.faulty);
    if (!whole.faulty) require(whole.content == halves.content);

    const std::string wire = encode(text, cut);
    require(wire == encode(text, text.size()));
    const Decoded back = decode(wire, wire.size());
    require(back.done && back.consumed == wire.size());
    if (whole.done && !whole.faulty) require(decode(encode(whole.content, 0), 0).content == whole.content);
}

bool is_faulty_chunk(std::string_view text, std::size_t cut) {
    ChunkChecker checker(false);
    checker.feed(text.substr(0, cut));
    checker.feed(text.substr(cut));
    checker.finish();
    return checker.fault() != DataFault::None;
}

void check_chunks(std::string_view text, std::size_t cut) {
    const bool faulty = is_faulty_chunk(text, text.size());
    require(faulty == is_faulty_chunk(text, cut));
    // What is good in chunks is good as DATA.
    if (faulty || !text.ends_with("\r\n")) return;
    const Decoded decoded = decode(encode(text, cut), text.size());
    require(decoded.done && !decoded.faulty && decoded.content == text);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size == 0) return 0;
    const std::string_view text(reinterpret_cast<const char*>(data) + 1, size - 1);
    const std::size_t cut = std::min<std::size_t>(data[0], text.size());
    check_content(text, cut);
    check_chunks(text, cut);
    return 0;
}
