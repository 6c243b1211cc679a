#include "libcommon/mail/dot_stuffing.h"

#include <catch2/catch.hpp>

#include <optional>

using namespace postrider::mail;
using namespace std::string_literals;

namespace {

struct Decoded {
    std::string content;
    std::size_t consumed = 0;
    bool done = false;
    bool faulty = false;
    std::uint64_t octets = 0;
};

/// Feeds `input` in pieces that end at the given places.
Decoded decode(const std::string& input, const std::vector<std::size_t>& cuts) {
    DataDecoder decoder;
    Decoded decoded;
    std::size_t begin = 0;
    for (std::size_t index = 0; index <= cuts.size() && !decoder.done(); ++index) {
        const std::size_t end = index < cuts.size() ? cuts[index] : input.size();
        const std::string_view piece = std::string_view(input).substr(begin, end - begin);
        const std::size_t used = decoder.feed(piece, decoded.content);
        REQUIRE((used == piece.size() || decoder.done()));
        decoded.consumed += used;
        begin = end;
    }
    decoded.done = decoder.done();
    decoded.faulty = decoder.fault() != DataFault::None;
    decoded.octets = decoder.octets();
    return decoded;
}

std::string encode(const std::string& input, const std::vector<std::size_t>& cuts) {
    DataEncoder encoder;
    std::string output;
    std::size_t begin = 0;
    for (const std::size_t end : cuts) {
        encoder.encode(std::string_view(input).substr(begin, end - begin), output);
        begin = end;
    }
    encoder.encode(std::string_view(input).substr(begin), output);
    encoder.finish(output);
    return output;
}

/// Every way to cut `size` octets into one, two or three pieces, and into single octets.
std::vector<std::vector<std::size_t>> all_cuts(std::size_t size) {
    std::vector<std::vector<std::size_t>> cuts = {{}};
    for (std::size_t first = 0; first <= size; ++first) {
        cuts.push_back({first});
        for (std::size_t second = first; second <= size; ++second)
            cuts.push_back({first, second});
    }
    std::vector<std::size_t> single;
    for (std::size_t at = 1; at < size; ++at)
        single.push_back(at);
    cuts.push_back(single);
    return cuts;
}

}  // namespace

TEST_CASE("content is decoded the same however it is cut") {
    struct Case {
        std::string stream;
        std::string content;
        std::string behind;
    };
    const std::vector<Case> cases = {
        {".\r\n", "", ""},
        {"\r\n.\r\n", "\r\n", ""},
        {"a\r\n.\r\n", "a\r\n", ""},
        {"From: a\r\n\r\nbody\r\n.\r\nQUIT\r\n", "From: a\r\n\r\nbody\r\n", "QUIT\r\n"},
        {"..\r\n.\r\n", ".\r\n", ""},
        {"...\r\n..a\r\n.b\r\n.\r\n.\r\n", "..\r\n.a\r\nb\r\n", ".\r\n"},
        {"a.\r\n.\r\n", "a.\r\n", ""},
        {"a\r\n.x\r\n \r\n.\r\nMAIL", "a\r\nx\r\n \r\n", "MAIL"},
        {"\xff\x01\t\r\n.\r\n", "\xff\x01\t\r\n", ""},
    };
    for (const Case& c : cases) {
        for (const auto& cuts : all_cuts(c.stream.size())) {
            CAPTURE(c.stream, cuts);
            const Decoded decoded = decode(c.stream, cuts);
            CHECK(decoded.done);
            CHECK_FALSE(decoded.faulty);
            CHECK(decoded.content == c.content);
            CHECK(decoded.octets == c.content.size());
            CHECK(decoded.consumed == c.stream.size() - c.behind.size());
        }
    }
}

TEST_CASE("no other line end than CRLF ends the content, and each one is a fault") {
    // What stands behind a false end must never come out as commands: all of it is consumed as content.
    const std::vector<std::string> cases = {
        "a\n.\nMAIL\r\n.\r\n",    "a\r.\rMAIL\r\n.\r\n",     "a\n.\r\nMAIL\r\n.\r\n",
        "a\r\n.\nMAIL\r\n.\r\n",  "a\r\n.\rMAIL\r\n.\r\n",   "a\r.\r\nMAIL\r\n.\r\n",
        "a\r\n.\r\r\nb\r\n.\r\n", "a\r\r\n.b\r\n.\r\n",      "\n.\r\nMAIL\r\n.\r\n",
        ".\nMAIL\r\n.\r\n",       ".\rMAIL\r\n.\r\n",        "a\0b\r\n.\r\n"s,
        "\0.\r\nMAIL\r\n.\r\n"s,  "a\r\n.\0\r\nb\r\n.\r\n"s, "\r\r\n.\r\n",
        "a\r\n\n.\r\n\r\n.\r\n",  "a\r\n.\r\0\nb\r\n.\r\n"s,
    };
    for (const std::string& stream : cases) {
        for (const auto& cuts : all_cuts(stream.size())) {
            CAPTURE(stream, cuts);
            const Decoded decoded = decode(stream, cuts);
            CHECK(decoded.faulty);
            CHECK(decoded.done);
            CHECK(decoded.consumed == stream.size());
        }
    }
}

TEST_CASE("an unfinished stream is not done") {
    for (const std::string& stream :
         {""s, "."s, ".\r"s, "a"s, "a\r\n"s, "a\r\n."s, "a\r\n.\r"s, "a.\r\n"s, "..\r\n"s}) {
        for (const auto& cuts : all_cuts(stream.size())) {
            const Decoded decoded = decode(stream, cuts);
            CHECK_FALSE(decoded.done);
            CHECK_FALSE(decoded.faulty);
            CHECK(decoded.consumed == stream.size());
        }
    }
}

TEST_CASE("the fault is named") {
    struct Case {
        std::string stream;
        DataFault fault;
    };
    for (const Case& c :
         {Case{"a\nb", DataFault::BareLf}, Case{"a\rb", DataFault::BareCr}, Case{"a\0b"s, DataFault::Nul},
          Case{std::string(65534, 'x') + "\r\n", DataFault::None},
          Case{std::string(65535, 'x') + "\r\n", DataFault::LineTooLong}}) {
        DataDecoder decoder;
        std::string content;
        CHECK(decoder.feed(c.stream, content) == c.stream.size());
        CHECK(decoder.fault() == c.fault);
        CHECK(describe(decoder.fault()).empty() == (c.fault == DataFault::None));
    }
}

TEST_CASE("the line limit holds across pieces") {
    DataDecoder decoder;
    std::string content;
    for (int piece = 0; piece < 64; ++piece)
        CHECK(decoder.feed(std::string(1023, 'x'), content) == 1023);
    CHECK(decoder.feed(std::string(62, 'x') + "\r\n", content) == 64);
    CHECK(decoder.fault() == DataFault::None);
    for (int piece = 0; piece < 65; ++piece)
        CHECK(decoder.feed(std::string(1023, 'x'), content) == 1023);
    CHECK(decoder.fault() == DataFault::LineTooLong);
}

TEST_CASE("content is encoded the same however it is cut, and never with a bare CR or LF") {
    struct Case {
        std::string content;
        std::string stream;
    };
    const std::vector<Case> cases = {
        {"", ".\r\n"},
        {"a", "a\r\n.\r\n"},
        {"a\r\n", "a\r\n.\r\n"},
        {".", "..\r\n.\r\n"},
        {".\r\n", "..\r\n.\r\n"},
        {"..\r\n.a\r\nb.\r\n", "...\r\n..a\r\nb.\r\n.\r\n"},
        {"a\nb", "a\r\nb\r\n.\r\n"},
        {"a\rb", "a\r\nb\r\n.\r\n"},
        {"a\n.\nb\n", "a\r\n..\r\nb\r\n.\r\n"},
        {"a\r.\rb\r", "a\r\n..\r\nb\r\n.\r\n"},
        {"a\r\r\nb", "a\r\n\r\nb\r\n.\r\n"},
        {"a\n\r\n\nb", "a\r\n\r\n\r\nb\r\n.\r\n"},
        {"\r\n\r\n", "\r\n\r\n.\r\n"},
        {"\n", "\r\n.\r\n"},
        {"\r", "\r\n.\r\n"},
        {"a\0b"s, "a\0b\r\n.\r\n"s},
    };
    for (const Case& c : cases) {
        for (const auto& cuts : all_cuts(c.content.size())) {
            CAPTURE(c.content, cuts);
            CHECK(encode(c.content, cuts) == c.stream);
        }
    }
}

TEST_CASE("what is encoded is decoded to the same content") {
    const std::string content =
        "Subject: x\r\n\r\n.\r\n..\r\n.a\r\n\r\nlong " + std::string(2000, 'y') + "\r\n";
    const Decoded decoded = decode(encode(content, {}), {});
    CHECK(decoded.done);
    CHECK(decoded.content == content);
}

TEST_CASE("pieces without line feeds cost no more than others") {
    // Quadratic work on these would take minutes under the sanitizers.
    std::string output;
    DataEncoder encoder;
    encoder.encode(std::string(std::size_t{1} << 20U, '\r'), output);
    CHECK(output.size() == std::size_t{2} << 20U);
    DataDecoder decoder;
    const std::string bare(std::size_t{1} << 20U, '\r');
    CHECK(decoder.feed(bare, output) == bare.size());
    CHECK(decoder.fault() != DataFault::None);
}
