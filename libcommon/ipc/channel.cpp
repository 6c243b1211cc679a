#include "libcommon/ipc/channel.h"

#include <fmt/format.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>

#include "libcommon/async/stream.h"
#include "libcommon/ipc/packet.h"

namespace postrider::ipc {

namespace {

constexpr int kBacklog = 64;

Result<sockaddr_un> socket_address(const std::string& name) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    if (name.empty() || name.size() >= sizeof address.sun_path) {
        return permanent(fmt::format("socket name \"{}\" is too long", name));
    }
    std::memcpy(address.sun_path, name.data(), name.size());
    return address;
}

Result<Fd> new_socket() {
    Fd socket(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    if (!socket) return system_failure("socket", errno);
    return socket;
}

const sockaddr* as_sockaddr(const sockaddr_un& address) {
    return reinterpret_cast<const sockaddr*>(&address);
}

}  // namespace

Result<PeerCredentials> peer_credentials(const Fd& socket) {
    ucred credentials{};
    socklen_t size = sizeof credentials;
    if (::getsockopt(socket.get(), SOL_SOCKET, SO_PEERCRED, &credentials, &size) != 0) {
        return system_failure("peer credentials", errno);
    }
    PeerCredentials peer{credentials.pid, credentials.uid, credentials.gid, {}};
    // The kernel says how much room it needs; a kernel that does not know the option gives no groups.
    socklen_t bytes = 0;
    if (::getsockopt(socket.get(), SOL_SOCKET, SO_PEERGROUPS, nullptr, &bytes) != 0 && errno != ERANGE)
        return peer;
    peer.groups.resize(bytes / sizeof(gid_t));
    if (::getsockopt(socket.get(), SOL_SOCKET, SO_PEERGROUPS, peer.groups.data(), &bytes) != 0)
        peer.groups.clear();
    return peer;
}

Result<Fd> connect_seqpacket(const std::string& name) {
    auto address = socket_address(name);
    if (!address) return failure(address.error());
    auto socket = new_socket();
    if (!socket) return socket;
    if (::connect(socket->get(), as_sockaddr(*address), sizeof *address) != 0) {
        return system_failure(fmt::format("connect to {}", name), errno);
    }
    return socket;
}

Result<Fd> listen_seqpacket(const std::string& name, mode_t mode) {
    auto address = socket_address(name);
    if (!address) return failure(address.error());
    auto socket = new_socket();
    if (!socket) return socket;
    // A socket file outlives its process; only its owner's supervisor starts a second one, so it is stale.
    if (::unlink(name.c_str()) != 0 && errno != ENOENT) return system_failure(name, errno);
    if (::bind(socket->get(), as_sockaddr(*address), sizeof *address) != 0)
        return system_failure(name, errno);
    // Nobody can connect before listen(), so the permissions are in place in time.
    if (::chmod(name.c_str(), mode) != 0) return system_failure(name, errno);
    if (::listen(socket->get(), kBacklog) != 0) return system_failure(name, errno);
    return socket;
}

Channel::Channel(async::Loop& loop, Fd socket)
    : socket_(std::move(socket)), watch_(loop, socket_.get()), drained_(loop), sender_(loop) {
    if (!async::set_non_blocking(socket_)) broken_ = true;
}

Result<std::optional<Frame>> Channel::receive_now(bool& would_block) {
    // One byte more than a frame may have, to notice a longer one; shared, because nothing is awaited
    // meanwhile.
    thread_local std::array<char, kMaxFrame + 1> block;
    ReceivedPacket packet = receive_packet(socket_, block, MSG_DONTWAIT);
    // A peer that died with our frames unread gives this error once, before the frames that it sent itself:
    // they still count, and the end is told after them.
    if (packet.error == ECONNRESET) packet = receive_packet(socket_, block, MSG_DONTWAIT);
    would_block = packet.error == EAGAIN;
    if (would_block) return std::optional<Frame>();
    if (packet.error != 0) return system_failure("receive", packet.error);
    if (packet.size == 0) return std::optional<Frame>();  // nobody sends empty packets: the end
    if (packet.truncated || packet.size > kMaxFrame)
        return permanent("the peer sent a frame that is too large");
    Frame frame;
    frame.descriptors = std::move(packet.descriptors);
    frame.data.assign(block.data(), packet.size);
    // It may have been a password, and nobody knows when the next frame writes over it.
    ::explicit_bzero(block.data(), packet.size);
    return std::optional<Frame>(std::move(frame));
}

async::Task<Result<std::optional<Frame>>> Channel::receive(async::Deadline deadline) {
    while (true) {
        bool would_block = false;
        auto frame = receive_now(would_block);
        if (!would_block) co_return frame;
        auto ready = co_await watch_.readable(deadline);
        if (ready == async::Ready::TimedOut) co_return temporary("timed out waiting for a frame");
    }
}

Result<Channel::Sent> Channel::send_now(std::string_view data, const Fd& descriptor) {
    const int error = send_packet(socket_, data, descriptor, MSG_DONTWAIT);
    if (error == 0) return Sent::Yes;
    // ETOOMANYREFS: too many descriptors in flight; they are taken as the peer reads.
    if (error == EAGAIN || error == ENOBUFS || error == ETOOMANYREFS) return Sent::Full;
    return system_failure("send", error);
}

Result<void> Channel::post(const google::protobuf::MessageLite& message, Fd descriptor) {
    if (broken_) return temporary("the connection is closed");
    std::size_t size = message.ByteSizeLong();
    if (size > kMaxFrame) return permanent(fmt::format("a frame of {} bytes is too large", size));
    std::string data = message.SerializeAsString();
    if (outgoing_.empty()) {
        auto sent = send_now(data, descriptor);
        if (!sent) {
            broken_ = true;
            return failure(sent.error());
        }
        if (*sent == Sent::Yes) {
            ::explicit_bzero(data.data(), data.size());
            return {};
        }
    }
    if (outgoing_.size() >= kMaxQueuedFrames) {
        shut_down();
        return temporary("the peer does not read what it is sent");
    }
    outgoing_.push_back(Outgoing{std::move(data), std::move(descriptor)});
    if (outgoing_.size() == 1) sender_.spawn(send_queued());
    return {};
}

async::Task<void> Channel::send_queued() {
    while (!outgoing_.empty() && !broken_) {
        co_await watch_.writable();
        while (!outgoing_.empty()) {
            auto sent = send_now(outgoing_.front().data, outgoing_.front().descriptor);
            if (!sent) broken_ = true;
            if (!sent || *sent == Sent::Full) break;
            ::explicit_bzero(outgoing_.front().data.data(), outgoing_.front().data.size());
            outgoing_.pop_front();
        }
    }
    if (broken_) outgoing_.clear();
    drained_.notify_all();
}

async::Task<bool> Channel::drained(async::Deadline deadline) {
    while (!outgoing_.empty() && !broken_) {
        bool notified = co_await drained_.wait(deadline);
        if (!notified) co_return false;
    }
    co_return !broken_;
}

void Channel::shut_down() {
    broken_ = true;
    static_cast<void>(::shutdown(socket_.get(), SHUT_RDWR));
}

}  // namespace postrider::ipc
