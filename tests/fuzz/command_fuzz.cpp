// A session's worth of octets: the parsers of command lines, parameters, replies, content and headers. The
// first octet says where the input is cut in two, so that the incremental parsers are compared with
// themselves.

#include <algorithm>
#include <cstdint>
#include <cstdlib>

#include "libcommon/mail/command.h"
#include "libcommon/mail/dot_stuffing.h"
#include "libcommon/mail/header_scan.h"
#include "libcommon/mail/parameters.h"
#include "libcommon/mail/path.h"
#include "libcommon/mail/reply_parser.h"
#include "libcommon/mail/utf8.h"

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
    check_command(text, false);
    check_command(text, true);
    check_replies(text);
    check_content(text, cut);
    check_chunks(text, cut);
    check_header(text, cut);
    return 0;
}
