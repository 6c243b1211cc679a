#include "smtpd/content_receiver.h"

#include <catch2/catch.hpp>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <vector>

#include "libcommon/base/file.h"
#include "tests/unit/smtpd/player.h"

namespace postrider::smtpd {

namespace {

struct Received {
    std::string refusal;  // "" if accepted
    std::string stored;
    std::string rest;  // what stands behind the end
};

Received receive(const std::string& stream, std::size_t piece, const config::Settings& settings) {
    Fd file(::memfd_create("content", MFD_CLOEXEC));
    ContentReceiver receiver(Fd(::dup(file.get())), "Received: us\r\n", settings);
    Received result;
    std::size_t at = 0;
    while (at < stream.size() && !receiver.done())
        at += receiver.feed(std::string_view(stream).substr(at, piece));
    REQUIRE(receiver.done());
    result.rest = stream.substr(at);
    const Verdict verdict = receiver.finish();
    if (!verdict.accepted()) {
        result.refusal = mail::summary(*verdict.refusal);
        return result;
    }
    result.stored = read_at(file, receiver.length() + 1, 0).value();
    CHECK(result.stored.size() == receiver.length());
    CHECK(XXH3_64bits(result.stored.data(), result.stored.size()) == receiver.hash());
    return result;
}

std::string repeated(const std::string& text, int times) {
    std::string result;
    for (int time = 0; time < times; ++time)
        result += text;
    return result;
}

config::Settings small_settings() {
    config::Settings settings = test::test_settings();
    settings.limits.set(config::Limit::MaxMessageSize, std::uint64_t{64} * 1024);
    settings.limits.set(config::Limit::MaxHops, 5);
    settings.limits.set(config::Limit::MaxSelfReceived, 3);
    return settings;
}

}  // namespace

TEST_CASE("content is taken to its end and judged there") {
    struct Case {
        std::string stream;
        std::string refusal;  // how it begins
        std::string stored;   // behind our own field
        std::string rest;
    };
    using namespace std::string_literals;
    const std::string ours = "Received: from a by mx.test id 1; x\r\n";
    const std::string hop = "Received: from a by b.test id 1; x\r\n";
    const std::vector<Case> cases = {
        {".\r\n", "", "", ""},
        {"a: b\r\n\r\nbody\r\n.\r\nQUIT\r\n", "", "a: b\r\n\r\nbody\r\n", "QUIT\r\n"},
        {"..\r\n.x\r\n.\r\n", "", ".\r\nx\r\n", ""},
        {"a\n.\nMAIL FROM:<x@y>\r\n.\r\nNOOP", "550 5.6.11 bare LF", "", "NOOP"},
        {"a\n.\r\nMAIL FROM:<x@y>\r\n.\r\n", "550 5.6.11 bare LF", "", ""},
        {"a\r.\r\nMAIL FROM:<x@y>\r\n.\r\n", "550 5.6.11 bare CR", "", ""},
        {"a\r\n.\rMAIL FROM:<x@y>\r\n.\r\n", "550 5.6.11 bare CR", "", ""},
        {"a\0b\r\n.\r\n"s, "550 5.6.11 NUL", "", ""},
        {repeated(hop, 5) + "\r\n.\r\n", "", repeated(hop, 5) + "\r\n", ""},
        {repeated(hop, 6) + "\r\n.\r\n", "554 5.4.6", "", ""},
        {ours + ours + "\r\n.\r\n", "", ours + ours + "\r\n", ""},
        {ours + ours + ours + "\r\n.\r\n", "554 5.4.6", "", ""},
        {"\r\n" + repeated(hop, 9) + ".\r\n", "", "\r\n" + repeated(hop, 9), ""},
        {repeated("x: y\r\n", 2000) + "\r\n.\r\n", "552 5.3.4", "", ""},
        {"\r\n" + repeated(std::string(62, 'x') + "\r\n", 1023) + std::string(60, 'y') + "\r\n.\r\n", "",
         "\r\n" + repeated(std::string(62, 'x') + "\r\n", 1023) + std::string(60, 'y') + "\r\n", ""},
        {"\r\n" + repeated(std::string(62, 'x') + "\r\n", 1024) + ".\r\nRSET", "552 5.3.4", "", "RSET"},
    };
    const config::Settings settings = small_settings();
    for (const Case& test : cases) {
        for (const std::size_t piece : {1U, 5U, 1000U, 1000000U}) {
            INFO(test.stream.substr(0, 70) << " in pieces of " << piece);
            const Received received = receive(test.stream, piece, settings);
            CHECK(received.refusal.substr(0, std::max<std::size_t>(test.refusal.size(), 1)) == test.refusal);
            if (test.refusal.empty()) CHECK(received.stored == "Received: us\r\n" + test.stored);
            CHECK(received.rest == test.rest);
        }
    }
}

TEST_CASE("a large message is written as it comes") {
    const config::Settings settings = test::test_settings();
    std::string content = "a: b\r\n\r\n";
    while (content.size() < 3'000'000)
        content += "0123456789 0123456789 0123456789 0123456789\r\n";
    const Received received = receive(content + ".\r\n", 60'000, settings);
    CHECK(received.refusal.empty());
    CHECK((received.stored == "Received: us\r\n" + content));
}

TEST_CASE("a full disk is a temporary refusal") {
    const config::Settings settings = test::test_settings();
    for (const std::string& stream : {std::string("a\r\n.\r\n"), repeated("line\r\n", 50'000) + ".\r\n"}) {
        ContentReceiver receiver(Fd(::open("/dev/full", O_WRONLY | O_CLOEXEC)), "Received: us\r\n", settings);
        CHECK(receiver.feed(stream) == stream.size());
        REQUIRE(receiver.done());
        const Verdict verdict = receiver.finish();
        REQUIRE_FALSE(verdict.accepted());
        CHECK(mail::summary(*verdict.refusal).starts_with("452 4.3.1"));
        CHECK(receiver.write_error().has_value());
    }
}

}  // namespace postrider::smtpd
