#include "queue-manager/test_clock.h"

#ifdef POSTRIDER_TEST_CLOCK

#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <charconv>
#include <cstdlib>
#include <stdexcept>
#include <string>
#include <utility>

#include "libcommon/ipc/channel.h"
#include "libcommon/log/log.h"

namespace postrider::queue_manager {

TestClock::TestClock(async::Loop& loop, Fd listening, Queue& queue)
    : loop_(loop),
      listening_(std::move(listening)),
      queue_(queue),
      watch_(loop, listening_.get()),
      scope_(loop) {
    log::warning("test_clock").add("effect", "who reaches its socket moves the clock of the queue");
    scope_.spawn(serve());
}

Fd TestClock::listen() {
    const char* path = std::getenv("POSTRIDER_TEST_CLOCK");
    if (path == nullptr) return Fd();
    constexpr mode_t kOwnerOnly = 0600;
    Result<Fd> socket = ipc::listen_seqpacket(path, kOwnerOnly);
    if (!socket) throw std::runtime_error(socket.error().text);
    return std::move(*socket);
}

async::Task<void> TestClock::serve() {
    while (true) {
        static_cast<void>(co_await watch_.readable());
        Fd peer(::accept4(listening_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
        if (peer) scope_.spawn(answer(std::move(peer)));
    }
}

async::Task<void> TestClock::answer(Fd peer) {
    async::Watch watch(loop_, peer.get());
    static_cast<void>(co_await watch.readable());
    std::array<char, 32> packet{};
    const ssize_t size = ::read(peer.get(), packet.data(), packet.size());
    UnixMillis forward = 0;
    if (size <= 0 || std::from_chars(packet.data(), packet.data() + size, forward).ec != std::errc())
        co_return;
    queue_.move_clock(forward);
    const std::string now = std::to_string(queue_.now());
    // One who does not wait for the answer does not need it.
    static_cast<void>(!::write(peer.get(), now.data(), now.size()));
}

}  // namespace postrider::queue_manager

#endif
