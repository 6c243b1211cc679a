#pragma once

#include <fmt/format.h>

#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include "libcommon/async/scope.h"
#include "libcommon/ipc/client.h"

namespace postrider::admin {

/// A daemon that commands ask: its socket in the run directory, and its name for error texts.
struct Asked {
    std::string_view socket;
    std::string_view daemon;
    wire::Role role = wire::ROLE_ADMIN;
};

template <typename Request, typename Reply>
using Answers = std::vector<typename ipc::Client<Request, Reply>::Answer>;

namespace detail {

constexpr Milliseconds kConnectTimeout{2000};

template <typename T>
async::Task<void> store_and_stop(async::Loop& loop, async::Task<T> task, std::optional<T>& result) {
    result = co_await task;
    loop.stop();
}

template <typename Request, typename Reply>
async::Task<Result<Answers<Request, Reply>>> ask_task(async::Loop& loop, ipc::Client<Request, Reply>& client,
                                                      std::string_view daemon, Request request,
                                                      Milliseconds timeout) {
    client.start();
    bool connected = co_await client.wait_connected(loop.after(kConnectTimeout));
    if (!connected)
        co_return temporary(fmt::format("cannot connect to the {}: is the suite running?", daemon));
    co_return co_await client.call_all(std::move(request), timeout);
}

}  // namespace detail

/// Asks a running daemon one thing, waits and returns all frames of its answer. Temporary error: the daemon
/// does not run, or said nothing for `timeout`; permanent: it says that the request is wrong.
template <typename Reply, typename Request>
[[nodiscard]] Result<Answers<Request, Reply>> ask(const Asked& whom, Request request, Milliseconds timeout) {
    async::Loop loop;
    ipc::Client<Request, Reply> client(loop, std::string(whom.socket), whom.role);
    std::optional<Result<Answers<Request, Reply>>> result;
    async::Scope scope(loop);
    scope.spawn(detail::store_and_stop(
        loop, detail::ask_task(loop, client, whom.daemon, std::move(request), timeout), result));
    if (!result) loop.run();
    return std::move(*result);
}

}  // namespace postrider::admin
