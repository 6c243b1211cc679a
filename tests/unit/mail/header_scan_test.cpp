#include "libcommon/mail/header_scan.h"

#include <catch2/catch.hpp>

using namespace postrider::mail;

namespace {

HeaderScanner scan(const std::string& content, std::size_t cut) {
    HeaderScanner scanner("mx.local.test");
    scanner.feed(std::string_view(content).substr(0, cut));
    scanner.feed(std::string_view(content).substr(cut));
    scanner.finish();
    return scanner;
}

}  // namespace

TEST_CASE("headers are counted the same however they are cut") {
    const std::string header =
        "Return-Path: <a@b.test>\r\n"
        "Delivered-To:  alice@local.test \r\n"
        "Received: from x.test (x.test [192.0.2.1])\r\n"
        "\tby MX.local.test (Postrider) with ESMTP id 1\r\n"
        "\tfor <a@b.test>; Sat, 21 Nov 2026 21:07:53 +0000\r\n"
        "received:from mx.local.test by y.test; x\r\n"
        "Received : by mx.local.test.; x\r\n"
        "delivered-to: bob@b.test\r\n"
        "Subject: Received: by mx.local.test\r\n"
        "\r\n";
    const std::string content = header + "Received: by mx.local.test\r\nDelivered-To: x\r\n";
    for (std::size_t cut = 0; cut <= content.size(); ++cut) {
        CAPTURE(cut);
        const HeaderScanner scanner = scan(content, cut);
        CHECK(scanner.complete());
        CHECK(scanner.fault() == HeaderFault::None);
        CHECK(scanner.octets() == header.size());
        CHECK(scanner.fields() == 7);
        CHECK(scanner.received() == 3);
        CHECK(scanner.received_by_us() == 2);
        CHECK(scanner.delivered_to() == std::vector<std::string>{"alice@local.test", "bob@b.test"});
    }
}

TEST_CASE("the host behind by is found among clauses and comments") {
    struct Case {
        std::string value;
        bool ours;
    };
    const std::vector<Case> cases = {
        {"by mx.local.test", true},
        {"BY mx.local.test;", true},
        {"from a.test by mx.local.test with SMTP", true},
        {"from a.test (by mx.local.test) by b.test", false},
        {"from a.test (a (b) c) by(x)mx.local.test(y)", true},
        {"from by by mx.local.test", true},
        {"from by mx.local.test", false},
        {"from a.test by mx.local.testx", false},
        {"from a.test by xmx.local.test", false},
        {"from a.test by", false},
        {"from a.test (not closed by mx.local.test", false},
        {R"(from a.test (\) by mx.local.test) by b.test)", false},
        {"from a.test; by mx.local.test", false},
        {"", false},
    };
    for (const Case& c : cases) {
        CAPTURE(c.value);
        const HeaderScanner scanner = scan("Received: " + c.value + "\r\n\r\n", 0);
        CHECK(scanner.received() == 1);
        CHECK(scanner.received_by_us() == (c.ours ? 1 : 0));
    }
}

TEST_CASE("where the header ends") {
    struct Case {
        std::string content;
        std::size_t fields;
        std::size_t octets;
    };
    const std::vector<Case> cases = {
        {"", 0, 0},
        {"\r\nA: b\r\n", 0, 2},
        {"A: b", 1, 4},
        {"A: b\r\n", 1, 6},
        {"A: b\r\nbody\r\nC: d\r\n", 1, 6},
        {"body: with blanks in name?\r\n\r\n", 1, 30},
        {"no field\r\nA: b\r\n", 0, 0},
        {" folded: x\r\nA: b\r\n", 0, 0},
        {": no name\r\n", 0, 0},
        {"A: b\r\n \r\n\r\nC: d\r\n", 1, 11},
    };
    for (const Case& c : cases) {
        for (std::size_t cut = 0; cut <= c.content.size(); ++cut) {
            CAPTURE(c.content, cut);
            const HeaderScanner scanner = scan(c.content, cut);
            CHECK(scanner.complete());
            CHECK(scanner.fields() == c.fields);
            CHECK(scanner.octets() == c.octets);
        }
    }
}

TEST_CASE("headers that are too large are a fault") {
    std::string many;
    for (int field = 0; field < 1000; ++field)
        many += "A: b\r\n";
    CHECK(scan(many + "\r\n", 0).fault() == HeaderFault::None);
    const HeaderScanner too_many = scan(many + "A: b\r\n\r\n", 0);
    CHECK(too_many.fault() == HeaderFault::TooManyFields);
    CHECK_FALSE(describe(too_many.fault()).empty());

    const std::string longest = "A: " + std::string(262144 - 7, 'x') + "\r\n\r\n";
    CHECK(scan(longest, 100).fault() == HeaderFault::None);
    CHECK(scan("x" + longest, 100).octets() == 262144 + 1);
    CHECK(scan("xxx" + longest, 100).fault() == HeaderFault::TooLarge);

    HeaderScanner endless("mx.test");
    endless.feed("A: b\r\n ");
    for (int piece = 0; piece < 300 && !endless.complete(); ++piece)
        endless.feed(std::string(1024, 'x'));
    CHECK(endless.fault() == HeaderFault::TooLarge);
}

TEST_CASE("a large body without header is no large header") {
    const HeaderScanner scanner = scan(std::string(300000, 'x') + "\r\n", 1000);
    CHECK(scanner.fault() == HeaderFault::None);
    CHECK(scanner.fields() == 0);

    HeaderScanner endless("mx.test");
    for (int piece = 0; piece < 300 && !endless.complete(); ++piece)
        endless.feed(std::string(1024, 'x'));
    CHECK(endless.complete());
    CHECK(endless.fault() == HeaderFault::None);
    CHECK(endless.octets() == 0);
}

TEST_CASE("few Delivered-To values are kept of many") {
    std::string content;
    for (int field = 0; field < 500; ++field)
        content += "Delivered-To: " + std::string(300, 'x') + "\r\n";
    const HeaderScanner scanner = scan(content, 0);
    CHECK(scanner.fields() == 500);
    CHECK(scanner.delivered_to().size() == 128);
}
