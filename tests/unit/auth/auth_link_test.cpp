#include "smtpd/auth_link.h"

#include <catch2/catch.hpp>
#include <crypt.h>

#include <string>

#include "tests/unit/async/run.h"
#include "tests/unit/auth/authd_process.h"

// The session worker's end, with the real authd at the other one.
namespace postrider::smtpd {

namespace {

using auth::test::AuthdProcess;

/// A connected socket, as the listener hands them over.
async::Task<Result<Fd>> connect_to(std::string path) {
    co_return ipc::connect_seqpacket(path);
}

wire::AuthBegin begin_of(const std::string& mechanism, const std::string& initial) {
    wire::AuthBegin begin;
    begin.set_mechanism(mechanism);
    begin.set_client_address("192.0.2.1");
    begin.set_has_initial(!initial.empty());
    begin.set_initial(initial);
    return begin;
}

async::Task<void> log_in(async::Loop& loop, AuthLink& link, AuthdProcess& authd) {
    while (link.mechanisms().empty()) {
        co_await async::Sleep(loop, Milliseconds(10));
    }
    CHECK(link.mechanisms() == std::vector<std::string>{"PLAIN", "LOGIN"});
    std::uint64_t exchange = 0;
    const std::string good("\0joe\0secret", 11);
    AuthStep step = co_await link.begin(begin_of("PLAIN", good), exchange);
    CHECK(step.done);
    CHECK(step.outcome.result() == wire::AuthOutcome::ACCEPTED);
    CHECK(step.outcome.login() == "joe");

    std::uint64_t second = 0;
    step = co_await link.begin(begin_of("LOGIN", ""), second);
    CHECK(second != exchange);
    CHECK_FALSE(step.done);
    CHECK(step.challenge == "Username:");
    step = co_await link.respond(second, "joe");
    CHECK(step.challenge == "Password:");
    step = co_await link.respond(second, "wrong");
    CHECK(step.done);
    CHECK(step.outcome.result() == wire::AuthOutcome::REJECTED);
    CHECK(step.outcome.delay_ms() == 1000);

    step = co_await link.begin(begin_of("LOGIN", "joe"), second);
    link.cancel(second);
    step = co_await link.respond(second, "secret");
    CHECK(step.outcome.result() == wire::AuthOutcome::UNAVAILABLE);

    authd.signal(SIGTERM);
    CHECK(authd.wait() == 0);
    co_await async::Sleep(loop, Milliseconds(200));
    CHECK(link.mechanisms().size() == 2);
    step = co_await link.begin(begin_of("PLAIN", good), exchange);
    CHECK(step.done);
    CHECK(step.outcome.result() == wire::AuthOutcome::UNAVAILABLE);
    authd.start();
    step = co_await link.begin(begin_of("PLAIN", good), exchange);
    CHECK(step.outcome.result() == wire::AuthOutcome::ACCEPTED);
}

}  // namespace

TEST_CASE("a session worker logs its clients in, and authd may be away meanwhile") {
    AuthdProcess authd;
    crypt_data work{};
    authd.write("passwords",
                std::string("joe:") + ::crypt_r("secret", "$6$rounds=1000$saltsalt$", &work) + "\n");
    authd.write("postrider.conf", "auth passwd_file passwords\n");
    authd.start();
    async::Loop loop;
    config::Limits limits;
    const std::string socket = authd.path("run/auth.sock");
    AuthLink link(
        loop, [socket]() { return connect_to(socket); }, limits);
    CHECK(link.mechanisms().empty());
    link.start();
    async::run_to_end(loop, log_in(loop, link, authd));
}

}  // namespace postrider::smtpd
