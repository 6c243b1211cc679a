#include "libcommon/async/stream.h"

#include <catch2/catch.hpp>
#include <sys/socket.h>

#include <array>

#include "tests/unit/async/run.h"

using namespace postrider;
using namespace postrider::async;

namespace {

std::array<Fd, 2> socket_pair() {
    int ends[2] = {-1, -1};
    REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) == 0);
    return {Fd(ends[0]), Fd(ends[1])};
}

Task<void> send_all(Loop& loop, Stream& stream, std::string text) {
    stream.put(text);
    auto sent = co_await stream.flush(loop.after(Milliseconds(5000)));
    CHECK(sent.has_value());
}

}  // namespace

TEST_CASE("a stream carries more than the socket buffers hold, in both directions of a loop") {
    Loop loop;
    auto ends = socket_pair();
    auto check = [](Loop& on, Fd a, Fd b) -> Task<void> {
        Stream writer(on, std::move(a));
        Stream reader(on, std::move(b));
        std::string text(3'000'000, 'x');
        Scope scope(on);
        scope.spawn(send_all(on, writer, text));
        std::size_t total = 0;
        while (total < text.size()) {
            auto more = co_await reader.fill(100'000, on.after(Milliseconds(5000)));
            REQUIRE(more.has_value());
            REQUIRE(*more);
            REQUIRE(reader.buffered().size() <= 100'000);
            total += reader.buffered().size();
            reader.consume(reader.buffered().size());
        }
        CHECK(total == text.size());
    };
    run_to_end(loop, check(loop, std::move(ends[0]), std::move(ends[1])));
}

TEST_CASE("fill tells a time-out from an end") {
    Loop loop;
    auto ends = socket_pair();
    auto check = [](Loop& on, Fd a, Fd b) -> Task<void> {
        Stream reader(on, std::move(a));
        auto late = co_await reader.fill(100, on.after(Milliseconds(5)));
        CHECK_FALSE(late.has_value());
        CHECK_FALSE(reader.stale());
        b.reset();
        CHECK(reader.stale());
        auto end = co_await reader.fill(100, on.after(Milliseconds(1000)));
        REQUIRE(end.has_value());
        CHECK_FALSE(*end);
    };
    run_to_end(loop, check(loop, std::move(ends[0]), std::move(ends[1])));
}

TEST_CASE("only CRLF ends a line") {
    struct Case {
        std::string_view text;
        std::size_t end;
    };
    const Case cases[] = {
        {"", Stream::kNoLine},
        {"QUIT", Stream::kNoLine},
        {"QUIT\n", Stream::kNoLine},
        {"QUIT\r", Stream::kNoLine},
        {"QUIT\r\n", 4},
        {"A\nB\r\nC\r\n", 3},
        {"\r\n", 0},
        {"A\r\r\n", 2},
    };
    for (const auto& each : cases)
        CHECK(Stream::find_line(each.text) == each.end);
}
