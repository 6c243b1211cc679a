#include "smtpd/content_receiver.h"

#include <catch2/catch.hpp>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <vector>

#include "libcommon/base/file.h"
#include "libcommon/ipc/channel.h"
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
    ContentOptions options;
    options.max_size = settings.limits.get(config::Limit::MaxMessageSize);
    ContentReceiver receiver("Received: us\r\n", settings, options);
    receiver.write_to(Fd(::dup(file.get())));
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
        {"..\r\n.x\r\n.\r\n", "", "\r\n.\r\nx\r\n", ""},  // a body, kept apart from our header
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

TEST_CASE("a large chunk is written as it comes, even if no line in it ends") {
    const config::Settings settings = test::test_settings();
    Fd file(::memfd_create("content", MFD_CLOEXEC));
    ContentOptions options;
    options.binary = true;
    ContentReceiver receiver("Received: us\r\n", settings, options);
    receiver.write_to(Fd(::dup(file.get())));
    std::size_t given = 0;
    for (; given < 3'000'000; given += 50'000) {
        receiver.feed_chunk(std::string(50'000, 'x'));
        struct stat status {};
        REQUIRE(::fstat(file.get(), &status) == 0);
        // What is not in the file is in memory: a header at most, and a block.
        CHECK(given < static_cast<std::size_t>(status.st_size) + 400'000);
    }
    CHECK(receiver.finish().accepted());
    CHECK(receiver.length() == given + 16);
}

TEST_CASE("small content stays in memory, and what is larger asks for a file") {
    const config::Settings settings = test::test_settings();
    const std::string trace = "Received: us\r\n";
    const std::string head = "Subject: a\r\n\r\n";
    const std::string line = std::string(998, 'x') + "\r\n";
    for (const int lines : {0, 1, 49, 50, 200}) {
        ContentOptions options;
        options.max_size = std::uint64_t{1} << 30U;
        ContentReceiver receiver(trace, settings, options);
        const std::string content = head + repeated(line, lines);
        REQUIRE(receiver.feed(content + ".\r\n") == content.size() + 3);
        REQUIRE(receiver.finish().accepted());
        CHECK(receiver.needs_file() == (trace.size() + content.size() > ipc::kMaxInlineContent));
        if (!receiver.needs_file()) {
            CHECK(receiver.take_content() == trace + content);
            CHECK(receiver.length() == trace.size() + content.size());
            continue;
        }
        Fd file(::memfd_create("content", MFD_CLOEXEC));
        receiver.write_to(Fd(::dup(file.get())));
        CHECK(receiver.write_verdict().accepted());
        CHECK_FALSE(receiver.take_content().has_value());
        CHECK(receiver.length() == trace.size() + content.size());
        const std::string stored = read_at(file, receiver.length() + 1, 0).value();
        CHECK((stored == trace + content));
        CHECK(XXH3_64bits(stored.data(), stored.size()) == receiver.hash());
    }
}

TEST_CASE("content for which there is no place is refused as was said") {
    const config::Settings settings = test::test_settings();
    ContentOptions options;
    options.max_size = std::uint64_t{1} << 30U;
    ContentReceiver receiver("Received: us\r\n", settings, options);
    CHECK(receiver.feed(repeated("line\r\n", 20'000)) == 120'000);
    REQUIRE(receiver.needs_file());
    Verdict why;
    why.refusal = mail::Reply{451, mail::EnhancedCode{4, 3, 0}, {"later"}};
    receiver.give_up(std::move(why));
    CHECK_FALSE(receiver.needs_file());
    CHECK(receiver.feed("more\r\n.\r\n") == 9);
    CHECK(receiver.done());
    const Verdict verdict = receiver.finish();
    REQUIRE_FALSE(verdict.accepted());
    CHECK(mail::summary(*verdict.refusal).starts_with("451 4.3.0"));
}

TEST_CASE("a full disk is a temporary refusal") {
    const config::Settings settings = test::test_settings();
    for (const std::string& stream : {std::string("a\r\n.\r\n"), repeated("line\r\n", 50'000) + ".\r\n"}) {
        ContentOptions options;
        options.max_size = std::uint64_t{1} << 30U;
        ContentReceiver receiver("Received: us\r\n", settings, options);
        receiver.write_to(Fd(::open("/dev/full", O_WRONLY | O_CLOEXEC)));
        CHECK(receiver.feed(stream) == stream.size());
        REQUIRE(receiver.done());
        const Verdict verdict = receiver.finish();
        REQUIRE_FALSE(verdict.accepted());
        CHECK(mail::summary(*verdict.refusal).starts_with("452 4.3.1"));
        CHECK(receiver.write_error().has_value());
    }
}

namespace {

/// What becomes of content that comes in chunks of `piece` octets.
Received receive_chunks(const std::string& content, std::size_t piece, ContentOptions options) {
    const config::Settings settings = test::test_settings();
    Fd file(::memfd_create("content", MFD_CLOEXEC));
    options.in_chunks = true;
    options.max_size = std::uint64_t{64} * 1024;
    ContentReceiver receiver("Received: us\r\n", settings, options);
    receiver.write_to(Fd(::dup(file.get())));
    for (std::size_t at = 0; at < content.size(); at += piece)
        receiver.feed_chunk(std::string_view(content).substr(at, piece));
    Received result;
    const Verdict verdict = receiver.finish();
    if (!verdict.accepted()) result.refusal = mail::summary(*verdict.refusal);
    if (verdict.accepted()) result.stored = read_at(file, receiver.length() + 1, 0).value();
    return result;
}

}  // namespace

TEST_CASE("chunks are content as they are, wherever they are cut") {
    struct Case {
        std::string content;
        bool binary;
        std::string refusal;
    };
    using namespace std::string_literals;
    const std::vector<Case> cases = {
        {"A: b\r\n\r\n.\r\n..\r\nend\r\n", false, ""},
        {"A: b\r\n\r\nno line end", false, ""},
        {"A: b\r\n\r\nbare\nline\r\n", false, "550 5.6.11"},
        {"A: b\r\n\r\nbare\rreturn\r\n", false, "550 5.6.11"},
        {"A: b\r\n\r\nlast\r", false, "550 5.6.11"},
        {"A: b\r\n\r\ntwo\r\r\n", false, "550 5.6.11"},
        {"A: b\r\n\r\n\0\r\n"s, false, "550 5.6.11"},
        {"\n", false, "550 5.6.11"},
        {"A: b\r\n\r\n\n\r\0any\r"s, true, ""},
        {repeated("line\r\n", 12'000), false, "552 5.3.4"},
    };
    for (const Case& test : cases) {
        for (const std::size_t piece :
             {std::size_t{1}, std::size_t{2}, std::size_t{7}, std::size_t{100'000}}) {
            INFO(test.content.substr(0, 60) << " in pieces of " << piece);
            ContentOptions options;
            options.binary = test.binary;
            const Received received = receive_chunks(test.content, piece, options);
            CHECK(received.refusal.substr(0, test.refusal.size()) == test.refusal);
            if (test.refusal.empty()) CHECK((received.stored == "Received: us\r\n" + test.content));
        }
    }
}

TEST_CASE("fields that a submitted message lacks are added at the end of its header") {
    struct Case {
        std::string content;
        std::string stored;
    };
    const std::vector<Case> cases = {
        {"A: b\r\n\r\nbody\r\n", "A: b\r\nDate: d\r\nMessage-ID: m\r\n\r\nbody\r\n"},
        {"date: x\r\nA: b\r\n\r\nbody\r\n", "date: x\r\nA: b\r\nMessage-ID: m\r\n\r\nbody\r\n"},
        {"Message-Id: x\r\nDate: y\r\n\r\n", "Message-Id: x\r\nDate: y\r\n\r\n"},
        {"body only\r\n", "Date: d\r\nMessage-ID: m\r\n\r\nbody only\r\n"},
        {"\r\nbody\r\n", "Date: d\r\nMessage-ID: m\r\n\r\nbody\r\n"},
        {"A: b\r\n", "A: b\r\nDate: d\r\nMessage-ID: m\r\n"},
        {"A: b", "A: b\r\nDate: d\r\nMessage-ID: m\r\n"},
        {"", "Date: d\r\nMessage-ID: m\r\n"},
        {"A: b\r\n folded\r\nno field\r\n",
         "A: b\r\n folded\r\nDate: d\r\nMessage-ID: m\r\n\r\nno field\r\n"},
    };
    ContentOptions options;
    options.date_field = "Date: d\r\n";
    options.message_id_field = "Message-ID: m\r\n";
    for (const Case& test : cases) {
        for (const std::size_t piece : {std::size_t{1}, std::size_t{3}, std::size_t{1000}}) {
            INFO(test.content << " in pieces of " << piece);
            const Received received = receive_chunks(test.content, piece, options);
            CHECK(received.refusal.empty());
            CHECK((received.stored == "Received: us\r\n" + test.stored));
        }
    }
}

TEST_CASE("a body without header does not become part of ours") {
    struct Case {
        std::string content;
        std::string stored;
    };
    const std::vector<Case> cases = {
        {" for everybody\r\n", "\r\n for everybody\r\n"},
        {"\tb\r\n", "\r\n\tb\r\n"},
        {"body only\r\n", "\r\nbody only\r\n"},
        {"\r\nbody\r\n", "\r\nbody\r\n"},
        {"A: b\r\n\r\n body\r\n", "A: b\r\n\r\n body\r\n"},
        {"A: b\r\nno field\r\n", "A: b\r\nno field\r\n"},
        {"", ""},
    };
    for (const Case& test : cases) {
        for (const std::size_t piece : {std::size_t{1}, std::size_t{3}, std::size_t{1000}}) {
            INFO(test.content << " in pieces of " << piece);
            const Received received = receive_chunks(test.content, piece, ContentOptions());
            CHECK(received.refusal.empty());
            CHECK((received.stored == "Received: us\r\n" + test.stored));
        }
    }
}

}  // namespace postrider::smtpd
