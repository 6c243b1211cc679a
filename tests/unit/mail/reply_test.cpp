#include "libcommon/mail/reply.h"

#include <catch2/catch.hpp>

#include "libcommon/mail/reply_parser.h"

using namespace postrider::mail;

namespace {

std::vector<std::string> lines_of(const std::string& wire) {
    std::vector<std::string> lines;
    for (std::size_t begin = 0; begin < wire.size();) {
        const std::size_t end = wire.find("\r\n", begin);
        REQUIRE(end != std::string::npos);
        lines.push_back(wire.substr(begin, end - begin));
        begin = end + 2;
    }
    return lines;
}

/// Feeds all lines and expects the last one to complete the reply.
Reply parse(const std::vector<std::string>& lines) {
    ReplyParser parser;
    for (std::size_t index = 0; index + 1 < lines.size(); ++index) {
        const auto more = parser.feed(lines[index]);
        REQUIRE(more.has_value());
        REQUIRE_FALSE(more->has_value());
        REQUIRE(parser.in_reply());
    }
    auto last = parser.feed(lines.back());
    REQUIRE(last.has_value());
    REQUIRE(last->has_value());
    CHECK_FALSE(parser.in_reply());
    return **last;
}

}  // namespace

TEST_CASE("reply codes know their class") {
    CHECK(ReplyCode(250).is_positive());
    CHECK(ReplyCode(354).is_intermediate());
    CHECK(ReplyCode(451).is_transient());
    CHECK(ReplyCode(550).is_permanent());
    CHECK_FALSE(ReplyCode(250).is_permanent());
    CHECK(ReplyCode::from_number(599)->value() == 599);
    for (const int number : {-250, 0, 99, 100, 199, 600, 2500})
        CHECK_FALSE(ReplyCode::from_number(number).has_value());
}

TEST_CASE("enhanced codes") {
    CHECK(EnhancedCode(5, 1, 1).to_string() == "5.1.1");
    CHECK(parse_enhanced_code("5.7.27") == EnhancedCode(5, 7, 27));
    CHECK(parse_enhanced_code("2.0.0") == EnhancedCode(2, 0, 0));
    CHECK(parse_enhanced_code("4.999.999") == EnhancedCode(4, 999, 999));
    for (const char* text :
         {"", ".", "5", "5.1", "5.1.", "5..1", ".1.1", "5.1.1.1", "3.1.1", "55.1.1", "5.1000.1", "5.1.1000",
          "5.1.x", "5.1.-1", "5.+1.1", " 5.1.1", "5.1.1 ", "99999999999.1.1"}) {
        CAPTURE(text);
        CHECK_FALSE(parse_enhanced_code(text).has_value());
    }
}

TEST_CASE("replies are written with their codes in every line") {
    CHECK(format(Reply{250, EnhancedCode{2, 1, 0}, {"Sender accepted."}}) ==
          "250 2.1.0 Sender accepted.\r\n");
    CHECK(format(Reply{220, std::nullopt, {"mx.test ESMTP"}}) == "220 mx.test ESMTP\r\n");
    CHECK(format(Reply{250, std::nullopt, {"mx.test", "PIPELINING", "HELP"}}) ==
          "250-mx.test\r\n250-PIPELINING\r\n250 HELP\r\n");
    CHECK(format(Reply{550, EnhancedCode{5, 7, 1}, {"no", "", "never"}}) ==
          "550-5.7.1 no\r\n550-5.7.1 \r\n550 5.7.1 never\r\n");
    CHECK(format(Reply{250, std::nullopt, {}}) == "250 \r\n");
    CHECK(format(Reply{250, EnhancedCode{2, 0, 0}, {}}) == "250 2.0.0 \r\n");
}

TEST_CASE("no text can add a reply of its own") {
    using namespace std::string_literals;
    CHECK(format(Reply{550, std::nullopt, {"a\r\n250 ok\0\x1b\tb\x7f"s}}) == "550 a??250 ok?? b?\r\n");
    CHECK(format(Reply{550, std::nullopt, {"ü\xff"}}) == "550 ???\r\n");
    CHECK(format(Reply{550, std::nullopt, {"ü\xff"}}, ReplyCharset::Utf8) == "550 ü?\r\n");
}

TEST_CASE("long replies are broken into lines of 512 octets") {
    std::string words;
    while (words.size() < 3000)
        words += "word ";
    std::string umlauts;
    while (umlauts.size() < 3000)
        umlauts += "ü";
    for (const std::string& text :
         {words, std::string(3000, 'x'), umlauts, std::string(501, 'x'), std::string(500, 'x')}) {
        const std::string wire = format(Reply{550, EnhancedCode{5, 7, 1}, {text}}, ReplyCharset::Utf8);
        const auto lines = lines_of(wire);
        std::string joined;
        for (std::size_t index = 0; index < lines.size(); ++index) {
            CHECK(lines[index].size() + 2 <= 512);
            CHECK(lines[index].starts_with(index + 1 < lines.size() ? "550-5.7.1 " : "550 5.7.1 "));
            joined += lines[index].substr(10);
            CHECK(lines[index].find("\xef\xbf\xbd") == std::string::npos);
        }
        std::string without_blanks = text;
        std::erase(without_blanks, ' ');
        std::erase(joined, ' ');
        CHECK(joined == without_blanks);
        CHECK(joined.find('?') == std::string::npos);
    }
    CHECK(lines_of(format(Reply{550, EnhancedCode{5, 7, 1}, {std::string(500, 'x')}})).size() == 1);
    CHECK(lines_of(format(Reply{550, EnhancedCode{5, 7, 1}, {std::string(501, 'x')}})).size() == 2);
}

TEST_CASE("replies in one line for the log") {
    CHECK(summary(Reply{550, EnhancedCode{5, 1, 1}, {"No such user", "", "ask\r\nus"}}) ==
          "550 5.1.1 No such user; ask??us");
    CHECK(summary(Reply{250, std::nullopt, {}}) == "250");
}

TEST_CASE("replies of remote servers are put together") {
    CHECK(parse({"250 ok"}) == Reply{250, std::nullopt, {"ok"}});
    CHECK(parse({"250"}) == Reply{250, std::nullopt, {""}});
    CHECK(parse({"250 "}) == Reply{250, std::nullopt, {""}});
    CHECK(parse({"250-mx.test", "250-SIZE 1000", "250 HELP"}) ==
          Reply{250, std::nullopt, {"mx.test", "SIZE 1000", "HELP"}});
    CHECK(parse({"250-", "250"}) == Reply{250, std::nullopt, {"", ""}});
    CHECK(parse({"550 5.1.1 No such user"}) == Reply{550, EnhancedCode{5, 1, 1}, {"No such user"}});
    CHECK(parse({"550 5.1.1"}) == Reply{550, EnhancedCode{5, 1, 1}, {""}});
    CHECK(parse({"550-5.1.1 one", "550 5.1.1 two"}) == Reply{550, EnhancedCode{5, 1, 1}, {"one", "two"}});
    CHECK(parse({"550-5.1.1 one", "550 5.7.1 two"}) ==
          Reply{550, EnhancedCode{5, 1, 1}, {"one", "5.7.1 two"}});
    // A class that contradicts the reply, or a number that only looks alike, is text.
    CHECK(parse({"550 4.1.1 hm"}) == Reply{550, std::nullopt, {"4.1.1 hm"}});
    CHECK(parse({"550 5.1.1: hm"}) == Reply{550, std::nullopt, {"5.1.1: hm"}});
    CHECK(parse({"354 5.1.1 go on"}) == Reply{354, std::nullopt, {"5.1.1 go on"}});
    CHECK(parse({"550 a\x1b"
                 "b\xff"}) == Reply{550, std::nullopt, {"a?b?"}});
    CHECK(parse({"220 " + std::string(4092, 'x')}).lines.front().size() == 4092);
}

TEST_CASE("what is no reply ends the dialogue") {
    using namespace std::string_literals;
    for (const std::string& line :
         {""s, "2"s, "25"s, "25 ok"s, "abc ok"s, "250ok"s, "250_ok"s, "150 ok"s, "000 ok"s, "650 ok"s,
          " 250 ok"s, "HTTP/1.1 400 Bad Request"s, "\0\0\0\0"s,
          "2\xb2"
          "0 ok"s,
          "220 " + std::string(4093, 'x')}) {
        CAPTURE(line);
        ReplyParser parser;
        const auto reply = parser.feed(line);
        REQUIRE_FALSE(reply.has_value());
        CHECK(reply.error().temporary());
    }
    ReplyParser disagreeing;
    CHECK(disagreeing.feed("250-a").has_value());
    CHECK_FALSE(disagreeing.feed("550 b").has_value());
    ReplyParser endless;
    for (int line = 0; line < 100; ++line)
        REQUIRE(endless.feed("250-x").has_value());
    CHECK_FALSE(endless.feed("250 x").has_value());
}

TEST_CASE("one parser serves reply after reply, also what we wrote ourselves") {
    ReplyParser parser;
    const std::vector<Reply> replies = {
        Reply{220, std::nullopt, {"mx.test"}},
        Reply{250, EnhancedCode{2, 1, 0}, {"one", "two"}},
        Reply{550, EnhancedCode{5, 7, 1}, {"no"}},
    };
    for (const Reply& reply : replies) {
        std::optional<Reply> received;
        for (const std::string& line : lines_of(format(reply)))
            received = *parser.feed(line);
        REQUIRE(received.has_value());
        CHECK(*received == reply);
    }
}
