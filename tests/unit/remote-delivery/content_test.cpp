#include "remote-delivery/content.h"

#include <catch2/catch.hpp>

#include "tests/unit/remote-delivery/memory_content.h"

namespace postrider::remote_delivery {
namespace {

using test::content_of;

const std::string kPlain = "Subject: hello\r\n\r\nworld\r\n";
const std::string kUtf8Body = "Subject: hello\r\n\r\nw\xc3\xb6rld\r\n";
const std::string kUtf8Header = "Subject: h\xc3\xa4llo\r\n\r\nworld\r\n";

TEST_CASE("content is read in pieces") {
    std::string text(Content::kPiece + 100, 'a');
    Content content = content_of(text);
    auto first = content.piece(0);
    REQUIRE(first);
    CHECK(first->size() == Content::kPiece);
    CHECK(first->front() == 'a');
    auto second = content.piece(Content::kPiece);
    REQUIRE(second);
    CHECK(second->size() == 100);
}

TEST_CASE("a queue file that is too short is an error") {
    Content content(test::memory_file("short"), 0, 100);
    CHECK_FALSE(content.piece(0));
    CHECK_FALSE(content.has_eight_bit(false));
}

TEST_CASE("octets beyond US-ASCII are found") {
    CHECK_FALSE(*content_of(kPlain).has_eight_bit(false));
    CHECK(*content_of(kUtf8Body).has_eight_bit(false));
    CHECK_FALSE(*content_of(kUtf8Body).has_eight_bit(true));
    CHECK(*content_of(kUtf8Header).has_eight_bit(true));
    CHECK_FALSE(*content_of("\r\nb\xc3\xb6"
                            "dy\r\n")
                     .has_eight_bit(true));
    // The end of the header lies on the border of two pieces.
    std::string header = "A: " + std::string(Content::kPiece - 5, 'x') + "\r\n";
    CHECK_FALSE(*content_of(header + "\r\n\xc3\xb6").has_eight_bit(true));
}

}  // namespace
}  // namespace postrider::remote_delivery
