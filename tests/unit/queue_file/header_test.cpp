#include "libcommon/queue_file/header.h"

#include <catch2/catch.hpp>

#include <string>

#include "libcommon/queue_file/little_endian.h"

using namespace postrider::queue_file;

namespace {

Header example() {
    Header header;
    header.state = FileState::Complete;
    header.id = QueueId(1'700'000'000'000, 42);
    header.envelope_length = 77;
    header.content_length = 4096;
    header.envelope_xxh3 = 0x0123456789ABCDEF;
    header.content_xxh3 = 0xFEDCBA9876543210;
    return header;
}

/// `bytes` with the checksum made right again, as an adversary would.
std::string resealed(std::string bytes) {
    std::string checksum;
    put_little_endian(checksum, content_hash(std::string_view(bytes).substr(0, 120)));
    return bytes.replace(120, 8, checksum);
}

}  // namespace

TEST_CASE("a header survives encoding") {
    std::string bytes = encode_header(example());
    CHECK(bytes.size() == Header::kSize);
    auto decoded = decode_header(bytes);
    REQUIRE(decoded);
    CHECK(*decoded == example());
    CHECK(decoded->content_offset() == 128 + 77);
    CHECK(decoded->journal_offset() == 128 + 77 + 4096);
}

TEST_CASE("the parts of the header stand where the manual says") {
    std::string bytes = encode_header(example());
    CHECK(bytes.substr(0, 8) == "PRQUEUE\n");
    CHECK(get_little_endian<std::uint32_t>(bytes, 8) == 1);
    CHECK(bytes.substr(16, 16) == example().id.text());
    CHECK(get_little_endian<std::uint64_t>(bytes, 64) == 128 + 77 + 4096);
}

TEST_CASE("a header with any byte changed, or cut anywhere, is refused") {
    std::string bytes = encode_header(example());
    for (std::size_t i = 0; i < bytes.size(); ++i) {
        std::string damaged = bytes;
        damaged[i] = static_cast<char>(damaged[i] ^ 0x40);
        CHECK_FALSE(decode_header(damaged));
        CHECK_FALSE(decode_header(std::string_view(bytes).substr(0, i)));
    }
}

TEST_CASE("a header with a right checksum and wrong values is refused") {
    struct Case {
        std::size_t offset;
        std::uint64_t value;
        const char* error;
    };
    for (const auto& test :
         {Case{8, 2, "queue file of unknown version"}, Case{12, 0, "unknown state"},
          Case{12, 3, "unknown state"}, Case{32, 0, "offsets contradict"},
          Case{40, ~0ULL, "offsets contradict"}, Case{40, 78, "offsets contradict"},
          Case{56, ~0ULL, "offsets contradict"}, Case{56, ~0ULL - 204, "offsets contradict"},
          Case{64, 0, "offsets contradict"}}) {
        std::string bytes = encode_header(example());
        std::string value;
        if (test.offset == 8 || test.offset == 12) {
            put_little_endian(value, static_cast<std::uint32_t>(test.value));
        } else {
            put_little_endian(value, test.value);
        }
        bytes.replace(test.offset, value.size(), value);
        auto decoded = decode_header(resealed(bytes));
        REQUIRE_FALSE(decoded);
        CHECK_THAT(decoded.error().text, Catch::Contains(test.error));
    }
}
