#include "libcommon/async/stream.h"

#include <fcntl.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>

namespace postrider::async {

namespace {
// Large enough that the commands of a pipelined transaction, or a small message, arrive with one call.
constexpr std::size_t kReadBlock = std::size_t{64} * 1024;
}  // namespace

Result<void> set_non_blocking(const Fd& descriptor) {
    int flags = ::fcntl(descriptor.get(), F_GETFL);
    if (flags < 0) return system_failure("fcntl", errno);
    if ((flags & O_NONBLOCK) != 0) return {};
    if (::fcntl(descriptor.get(), F_SETFL, flags | O_NONBLOCK) < 0) return system_failure("fcntl", errno);
    return {};
}

Stream::Stream(Loop& loop, Fd socket) : socket_(std::move(socket)), watch_(loop, socket_.get()) {
    // If this fails the first read blocks or fails; there is no state to save yet.
    static_cast<void>(set_non_blocking(socket_));
}

void Stream::consume(std::size_t size) {
    consumed_ += size;
    if (consumed_ >= input_.size()) {
        std::string().swap(input_);
        consumed_ = 0;
    }
}

std::size_t Stream::find_line(std::string_view text) {
    std::size_t end = text.find("\r\n");
    return end == std::string_view::npos ? kNoLine : end;
}

Result<Stream::Attempt> Stream::read_some(std::size_t limit) {
    // One block for the whole process: a loop runs on one thread, and nothing is awaited while it is in use.
    thread_local std::array<char, kReadBlock> block;
    std::size_t room = limit > buffered().size() ? limit - buffered().size() : 1;
    const std::size_t wanted = std::min(room, block.size());
    ssize_t got = ::recv(socket_.get(), block.data(), wanted, 0);
    if (got < 0) {
        if (errno == EAGAIN || errno == EINTR) return Attempt::Again;
        return system_failure("connection lost", errno);
    }
    if (got == 0) return Attempt::Closed;
    if (consumed_ > 0) {
        input_.erase(0, consumed_);
        consumed_ = 0;
    }
    input_.append(block.data(), static_cast<std::size_t>(got));
    drained_ = static_cast<std::size_t>(got) < wanted;
    return Attempt::Done;
}

Task<Result<bool>> Stream::fill(std::size_t limit, Deadline deadline) {
    while (true) {
        if (!drained_) {
            auto attempt = read_some(limit);
            if (!attempt) co_return failure(attempt.error());
            if (*attempt == Attempt::Done) co_return true;
            if (*attempt == Attempt::Closed) co_return false;
        }
        auto ready = co_await watch_.readable(deadline);
        if (ready == Ready::TimedOut) co_return temporary("timed out waiting for the peer");
        drained_ = false;
    }
}

Result<Stream::Attempt> Stream::write_some() {
    std::string_view rest = std::string_view(output_).substr(sent_);
    ssize_t sent = ::send(socket_.get(), rest.data(), rest.size(), MSG_NOSIGNAL);
    if (sent < 0) {
        if (errno == EAGAIN || errno == EINTR) return Attempt::Again;
        return system_failure("connection lost", errno);
    }
    sent_ += static_cast<std::size_t>(sent);
    return sent_ == output_.size() ? Attempt::Done : Attempt::Again;
}

Task<Result<void>> Stream::flush(Deadline deadline) {
    while (sent_ < output_.size()) {
        auto attempt = write_some();
        if (!attempt) co_return failure(attempt.error());
        if (*attempt == Attempt::Done) break;
        auto ready = co_await watch_.writable(deadline);
        if (ready == Ready::TimedOut) co_return temporary("timed out sending to the peer");
    }
    std::string().swap(output_);
    sent_ = 0;
    co_return Result<void>();
}

bool Stream::stale() {
    char probe = 0;
    ssize_t got = ::recv(socket_.get(), &probe, 1, MSG_PEEK | MSG_DONTWAIT);
    return !(got < 0 && errno == EAGAIN) || !buffered().empty();
}

}  // namespace postrider::async
