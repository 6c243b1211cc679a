#include "libcommon/async/stream.h"

#include <fcntl.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

namespace postrider::async {

namespace {

// Large enough that the commands of a pipelined transaction, or a small message, arrive with one call.
constexpr std::size_t kReadBlock = std::size_t{64} * 1024;

// One block for the whole process: a loop runs on one thread, and nothing is awaited while it is in use.
std::array<char, kReadBlock>& read_block() {
    thread_local std::array<char, kReadBlock> block;
    return block;
}

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

void Stream::consume_secret(std::size_t size) {
    // In front of what is consumed now are only octets that were consumed before.
    ::explicit_bzero(input_.data(), std::min(consumed_ + size, input_.size()));
    ::explicit_bzero(read_block().data(), kReadBlock);
    consume(size);
}

Result<std::size_t> Stream::read_socket(char* to, std::size_t room, Attempt& attempt) {
    const ssize_t got = ::recv(socket_.get(), to, room, 0);
    if (got < 0 && errno != EAGAIN && errno != EINTR) return system_failure("connection lost", errno);
    if (got == 0) attempt = Attempt::Closed;
    if (got < 0) attempt = Attempt::Again;
    const std::size_t size = got > 0 ? static_cast<std::size_t>(got) : 0;
    read_need_ = size < room ? Need::Read : Need::Nothing;
    return size;
}

Result<std::size_t> Stream::read_layer(char* to, std::size_t room, Attempt& attempt) {
    auto progress = layer_->read(to, room);
    if (!progress) return failure(progress.error());
    using Outcome = TransportLayer::Outcome;
    if (progress->outcome == Outcome::Closed) attempt = Attempt::Closed;
    if (progress->outcome == Outcome::WantRead || progress->outcome == Outcome::WantWrite) {
        attempt = Attempt::Again;
    }
    const bool read_next = progress->drained || progress->outcome == Outcome::WantRead;
    read_need_ = progress->outcome == Outcome::WantWrite ? Need::Write
                 : read_next                             ? Need::Read
                                                         : Need::Nothing;
    return progress->size;
}

void Stream::append_input(std::string_view data) {
    const std::string_view rest = buffered();
    if (consumed_ == 0 && input_.capacity() - input_.size() >= data.size()) {
        input_.append(data);
        return;
    }
    // In a new buffer: what a string leaves behind where it moves its text or grows would never be wiped.
    std::string joined;
    joined.reserve(std::max(rest.size() + data.size(), rest.empty() ? 0 : 2 * input_.size()));
    joined.append(rest).append(data);
    ::explicit_bzero(input_.data(), input_.size());
    input_.swap(joined);
    consumed_ = 0;
}

Result<Stream::Attempt> Stream::read_some(std::size_t limit) {
    auto& block = read_block();
    const std::size_t room = limit > buffered().size() ? limit - buffered().size() : 1;
    const std::size_t wanted = std::min(room, block.size());
    Attempt attempt = Attempt::Done;
    auto got =
        layer_ ? read_layer(block.data(), wanted, attempt) : read_socket(block.data(), wanted, attempt);
    if (!got) return failure(got.error());
    if (attempt == Attempt::Done) append_input(std::string_view(block.data(), *got));
    return attempt;
}

Watch::Wait Stream::wait_for(Need need, Deadline deadline) {
    return need == Need::Write ? watch_.writable(deadline) : watch_.readable(deadline);
}

Task<Result<bool>> Stream::fill(std::size_t limit, Deadline deadline) {
    timed_out_ = false;
    while (true) {
        if (read_need_ == Need::Nothing) {
            auto attempt = read_some(limit);
            if (!attempt) co_return failure(attempt.error());
            if (*attempt == Attempt::Done) co_return true;
            if (*attempt == Attempt::Closed) co_return false;
        }
        auto ready = co_await wait_for(read_need_, deadline);
        timed_out_ = ready == Ready::TimedOut;
        if (timed_out_) co_return temporary("timed out waiting for the peer");
        read_need_ = Need::Nothing;
    }
}

Result<Stream::Need> Stream::write_layer(std::string_view rest) {
    auto progress = layer_->write(rest);
    if (!progress) return failure(progress.error());
    sent_ += progress->size;
    if (sent_ == output_.size()) return Need::Nothing;
    return progress->outcome == TransportLayer::Outcome::WantRead ? Need::Read : Need::Write;
}

Result<Stream::Need> Stream::write_some() {
    const std::string_view rest = std::string_view(output_).substr(sent_);
    if (layer_) return write_layer(rest);
    ssize_t sent = ::send(socket_.get(), rest.data(), rest.size(), MSG_NOSIGNAL);
    if (sent < 0) {
        if (errno == EAGAIN || errno == EINTR) return Need::Write;
        return system_failure("connection lost", errno);
    }
    sent_ += static_cast<std::size_t>(sent);
    return sent_ == output_.size() ? Need::Nothing : Need::Write;
}

Task<Result<void>> Stream::flush(Deadline deadline) {
    timed_out_ = false;
    while (sent_ < output_.size()) {
        auto need = write_some();
        if (!need) co_return failure(need.error());
        if (*need == Need::Nothing) break;
        auto ready = co_await wait_for(*need, deadline);
        timed_out_ = ready == Ready::TimedOut;
        if (timed_out_) co_return temporary("timed out sending to the peer");
    }
    std::string().swap(output_);
    sent_ = 0;
    co_return Result<void>();
}

Task<Result<void>> Stream::encrypt(std::unique_ptr<TransportLayer> layer, Deadline deadline) {
    if (!buffered().empty()) co_return temporary("the peer sent more before the handshake");
    if (has_output() || layer_) co_return temporary("encryption cannot begin here");
    layer_ = std::move(layer);
    while (true) {
        auto progress = layer_->handshake();
        if (!progress) co_return failure(progress.error());
        if (progress->outcome == TransportLayer::Outcome::Done) break;
        const bool writes = progress->outcome == TransportLayer::Outcome::WantWrite;
        const Need need = writes ? Need::Write : Need::Read;
        auto ready = co_await wait_for(need, deadline);
        if (ready == Ready::TimedOut) co_return temporary("timed out in the handshake");
    }
    // What the socket was known for does not hold for the layer, which may have read ahead.
    read_need_ = Need::Nothing;
    co_return Result<void>();
}

bool Stream::stale() {
    if (layer_) return !layer_->silent() || !buffered().empty();
    char probe = 0;
    ssize_t got = ::recv(socket_.get(), &probe, 1, MSG_PEEK | MSG_DONTWAIT);
    return !(got < 0 && errno == EAGAIN) || !buffered().empty();
}

}  // namespace postrider::async
