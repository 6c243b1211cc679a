// That a password is wiped out of a stream's memory.

#include <catch2/catch.hpp>
#include <sys/socket.h>

#include "libcommon/async/stream.h"
#include "tests/unit/async/run.h"

using namespace postrider;
using namespace postrider::async;

TEST_CASE("a secret is wiped where it was, and what follows it stays") {
    Loop loop;
    int ends[2] = {-1, -1};
    REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) == 0);
    auto check = [](Loop& on, Fd a, Fd b) -> Task<void> {
        Stream reader(on, std::move(a));
        const std::string sent = "AUTH PLAIN\r\nc2VjcmV0IG9mIGEgdXNlciwgbG9uZw==\r\nNOOP\r\n";
        REQUIRE(::send(b.get(), sent.data(), sent.size(), 0) == static_cast<ssize_t>(sent.size()));
        auto more = co_await reader.fill(1000, on.after(Milliseconds(1000)));
        REQUIRE(more.has_value());
        reader.consume(12);
        const std::size_t secret = Stream::find_line(reader.buffered()) + 2;
        const char* place = reader.buffered().data();
        reader.consume_secret(secret);
        CHECK(reader.buffered() == "NOOP\r\n");
        // The rest keeps the buffer alive, so the place may be looked at.
        CHECK(std::string(place, secret) == std::string(secret, '\0'));
        REQUIRE(::send(b.get(), "QUIT\r\n", 6, 0) == 6);
        more = co_await reader.fill(1000, on.after(Milliseconds(1000)));
        REQUIRE(more.has_value());
        CHECK(reader.buffered() == "NOOP\r\nQUIT\r\n");
        reader.consume_secret(12);
        CHECK(reader.buffered().empty());
    };
    run_to_end(loop, check(loop, Fd(ends[0]), Fd(ends[1])));
}
