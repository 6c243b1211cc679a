#include "local-delivery/message_text.h"

#include <catch2/catch.hpp>

#include "tests/unit/local-delivery/scratch.h"

using namespace postrider;
using namespace postrider::local_delivery;

namespace {

std::string collect(const MessageText& message) {
    std::string all;
    auto written = message.write_to([&all](std::string_view piece) -> Result<void> {
        all += piece;
        return {};
    });
    REQUIRE(written.has_value());
    return all;
}

}  // namespace

TEST_CASE("CRLF becomes LF wherever the pieces are cut") {
    struct Case {
        std::string in;
        std::string out;
    };
    const Case cases[] = {
        {"", ""},
        {"a\r\nb\r\n", "a\nb\n"},
        {"\r\n\r\n", "\n\n"},
        {"a\rb\r\n", "a\rb\n"},
        {"a\r\r\n", "a\r\n"},
        {"end\r", "end\r"},
    };
    for (const auto& each : cases) {
        for (std::size_t cut = 0; cut <= each.in.size(); ++cut) {
            CAPTURE(each.in, cut);
            LineEndConverter converter;
            std::string out(converter.convert(std::string_view(each.in).substr(0, cut)));
            out += converter.convert(std::string_view(each.in).substr(cut));
            out += converter.finish();
            CHECK(out == each.out);
        }
    }
}

TEST_CASE("trace fields stand on top, and X-Original-To only where it says something") {
    Scratch scratch;
    QueuedMessage message(scratch, "Subject: x\r\n\r\nbody\r\n");
    CHECK(collect(message.text) ==
          "Return-Path: <sender@remote.test>\nDelivered-To: alice@local.test\nSubject: x\n\nbody\n");
    message.text.sender = "";
    message.text.original_recipient = "sales@local.test";
    CHECK(message.text.trace_fields() ==
          "Return-Path: <>\nDelivered-To: alice@local.test\nX-Original-To: sales@local.test\n");
    message.text.original_recipient = "ALICE@local.test";
    CHECK(message.text.trace_fields() == "Return-Path: <>\nDelivered-To: alice@local.test\n");
}

TEST_CASE("a message larger than a block comes through whole, a truncated file is an error") {
    Scratch scratch;
    std::string content;
    std::string expected;
    for (int n = 0; n < 20'000; ++n) {
        content += "line " + std::to_string(n) + "\r\n";
        expected += "line " + std::to_string(n) + "\n";
    }
    QueuedMessage message(scratch, content);
    CHECK(collect(message.text) == message.text.trace_fields() + expected);
    message.text.length += 1'000'000;
    auto written = message.text.write_to([](std::string_view) -> Result<void> { return {}; });
    REQUIRE_FALSE(written.has_value());
    CHECK(written.error().temporary());
}

TEST_CASE("a loop is found by an equal Delivered-To in the header alone") {
    struct Case {
        std::string content;
        bool looped;
    };
    const Case cases[] = {
        {"Delivered-To: alice@local.test\r\n\r\n", true},
        {"Subject: x\r\ndelivered-to:ALICE@local.test  \r\n\r\nbody\r\n", true},
        {"Delivered-To: bob@local.test\r\n\r\n", false},
        {"Delivered-To: alice@local.test.example\r\n\r\n", false},
        {"Subject: x\r\n\r\nDelivered-To: alice@local.test\r\n", false},
        {"X-Delivered-To: alice@local.test\r\n\r\n", false},
        {"", false},
        {std::string(200'000, 'x') + "\r\nDelivered-To: alice@local.test\r\n\r\n", true},
    };
    for (const auto& each : cases) {
        Scratch scratch;
        QueuedMessage message(scratch, each.content);
        CAPTURE(each.content.substr(0, 80));
        auto looped = message.text.was_delivered_here();
        REQUIRE(looped.has_value());
        CHECK(*looped == each.looped);
    }
}
