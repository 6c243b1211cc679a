#include "queue-manager/returned_content.h"

#include <catch2/catch.hpp>

#include <string>

using namespace postrider::queue_manager;
using namespace std::string_literals;

namespace {

const std::string kHeader = "Subject: hello\r\n\r\n";
const std::string kMultipart =
    "Content-Type: multipart/mixed;\r\n boundary=\"b 1\"\r\n\r\npreamble\r\n--b 1\r\n\r\nfirst\r\n--b "
    "1\r\n\r\n"
    "second\r\n--b 1--\r\nepilogue\r\n";

ReturnedContent full(const std::string& content, std::size_t max_body, bool utf8 = false) {
    return returned_content(content, content.size(), true, max_body, utf8);
}

}  // namespace

TEST_CASE("a body is cut where what is left is well formed") {
    struct Case {
        std::string content;
        std::size_t max_body;
        const char* type;
        std::string text;
    };
    const std::string multipart_header = kMultipart.substr(0, header_length(kMultipart));
    const std::string first_part = multipart_header + "preamble\r\n--b 1\r\n\r\nfirst\r\n--b 1--\r\n";
    const std::string token = "Content-type: Multipart/Mixed; charset=x; boundary=abc\r\n\r\n";
    for (const auto& test : {
             Case{kHeader + "one\r\ntwo\r\n", 10, "message/rfc822", kHeader + "one\r\ntwo\r\n"},
             Case{kHeader + "one\r\ntwo\r\n", 9, "message/rfc822", kHeader + "one\r\n"},
             Case{kHeader + "one\r\ntwo\r\n", 4, "text/rfc822-headers", "Subject: hello\r\n"},
             Case{kMultipart, 1000, "message/rfc822", kMultipart},
             // The epilogue goes, and then the second part as a whole.
             Case{kMultipart, 60, "message/rfc822", first_part},
             Case{kMultipart, 42, "message/rfc822", first_part},
             Case{kMultipart, 30, "text/rfc822-headers",
                  multipart_header.substr(0, multipart_header.size() - 2)},
             Case{token + "--abc\r\n\r\nx\r\n--abc\r\n\r\nlong\r\n--abc--\r\n", 30, "message/rfc822",
                  token + "--abc\r\n\r\nx\r\n--abc--\r\n"},
             Case{"Content-Type: message/rfc822\r\n\r\nSubject: x\r\n\r\nbody\r\n", 14, "text/rfc822-headers",
                  "Content-Type: message/rfc822\r\n"},
             Case{"Content-Type: multipart/mixed\r\n\r\nno boundary\r\nx\r\n", 14, "text/rfc822-headers",
                  "Content-Type: multipart/mixed\r\n"},
         }) {
        CAPTURE(test.content, test.max_body);
        auto returned = full(test.content, test.max_body);
        CHECK(returned.type == test.type);
        CHECK(returned.encoding.empty());
        CHECK(returned.text == test.text);
    }
    // The rest of the message was not even read.
    const std::string beginning = kHeader + "one\r\ntwo\r\n";
    CHECK(returned_content(beginning, 1000, true, 9, false).text == kHeader + "one\r\n");
}

TEST_CASE("a header beyond ASCII is encoded, unless who gets it needs SMTPUTF8 anyway") {
    const std::string utf8 = "Subject: gr\xc3\xbc\xc3\x9f\r\n";
    const std::string latin = "Subject: gr\xfc\xdf\r\n";
    const std::string end = "\r\nbody\r\n";
    auto header = [](const std::string& content, bool utf8_report) {
        return returned_content(content, content.size(), false, 1000, utf8_report);
    };
    auto seven = header(utf8 + end, false);
    CHECK(seven.type == "text/rfc822-headers; charset=utf-8");
    CHECK(seven.encoding == "quoted-printable");
    CHECK(seven.text == "Subject: gr=C3=BC=C3=9F\r\n");
    auto eight = header(utf8 + end, true);
    CHECK(eight.type == "message/global-headers");
    CHECK(eight.encoding == "8bit");
    CHECK(eight.text == utf8);
    for (bool utf8_report : {false, true}) {
        auto other = header(latin + end, utf8_report);
        CHECK(other.type == "text/rfc822-headers");
        CHECK(other.text == "Subject: gr=FC=DF\r\n");
    }
    auto whole = full(utf8 + end, 1000);
    CHECK(whole.type == "message/global");
    CHECK(whole.encoding == "8bit");
    CHECK(full("Subject: x\r\n\r\ngr\xfc\xdf\r\n", 1000).type == "message/rfc822");
    CHECK(full("Subject: x\r\n\r\ngr\xfc\xdf\r\n", 1000).encoding == "8bit");
}

TEST_CASE("what no host has to take is not returned as it is") {
    for (const std::string& body : {"a\0b\r\n"s, "a\nb\r\n"s, "a\rb\r\n"s, std::string(999, 'x') + "\r\n"}) {
        auto returned = full(kHeader + body, 5000);
        CHECK(returned.type == "text/rfc822-headers");
        CHECK(returned.text == "Subject: hello\r\n");
    }
    const std::string long_line = "X: " + std::string(1200, 'x') + "\r\n";
    auto returned = full(long_line + "\r\nbody\r\n", 5000);
    CHECK(returned.encoding == "quoted-printable");
    // A header that is cut may lack what says how to read the body.
    std::string huge;
    for (int i = 0; i < 2000; ++i)
        huge += "X-Field: " + std::string(60, 'x') + "\r\n";
    returned = full(huge + "\r\nbody\r\n", 5000);
    CHECK(returned.type == "text/rfc822-headers");
    CHECK(returned.text.size() <= 65536);
    CHECK(returned.text.ends_with("x\r\n"));
}
