#pragma once

#include <google/protobuf/message_lite.h>
#include <sys/types.h>

#include <cstddef>
#include <deque>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "libcommon/async/scope.h"
#include "libcommon/async/sync.h"
#include "libcommon/async/watch.h"
#include "libcommon/base/fd.h"
#include "libcommon/base/result.h"

namespace postrider::ipc {

/// The largest frame on any channel, in bytes. A sender splits what does not fit.
constexpr std::size_t kMaxFrame = std::size_t{64} * 1024;
/// What a sender aims at when it splits, so that the fields around the payload always fit.
constexpr std::size_t kFrameTarget = std::size_t{56} * 1024;
/// The content of a message that travels within a frame; more goes through a descriptor.
constexpr std::size_t kMaxInlineContent = std::size_t{48} * 1024;
/// Frames that wait to be sent to a peer that does not read; one more breaks the channel.
constexpr std::size_t kMaxQueuedFrames = 4096;

/// Who is at the other end of a Unix socket, as the kernel says (SO_PEERCRED), fixed when it connected.
struct PeerCredentials {
    pid_t pid = 0;
    uid_t uid = 0;
    gid_t gid = 0;
    std::vector<gid_t> groups;  ///< the supplementary ones (SO_PEERGROUPS)
};
[[nodiscard]] Result<PeerCredentials> peer_credentials(const Fd& socket);

/// Connects to a SOCK_SEQPACKET socket by its name, which is relative to the working directory (the run
/// directory in every daemon). Never blocks for long: a full backlog is a Temporary error.
[[nodiscard]] Result<Fd> connect_seqpacket(const std::string& name);

/// Creates a listening SOCK_SEQPACKET socket, in place of one a dead process left behind, with `mode`.
[[nodiscard]] Result<Fd> listen_seqpacket(const std::string& name, mode_t mode);

/// What came in one packet.
struct Frame {
    std::string data;
    std::vector<Fd> descriptors;
};

/// One end of a SOCK_SEQPACKET connection: a packet is a frame. Owns the socket. Several tasks may post; one
/// receives.
class Channel {
  public:
    Channel(async::Loop& loop, Fd socket);
    Channel(const Channel&) = delete;
    Channel& operator=(const Channel&) = delete;

    /// The next frame; nullopt when the peer has closed. A frame that is too long or carries too many
    /// descriptors is a Permanent error (the peer broke the rules), a time-out or lost connection a Temporary
    /// one.
    async::Task<Result<std::optional<Frame>>> receive(async::Deadline deadline = std::nullopt);

    /// Sends a message now or, while the peer's buffer is full, as soon as it reads; order is kept.
    /// `descriptor` travels along and is closed here afterwards. Error: the connection is broken, or too much
    /// waits for the peer (Temporary), or the message is larger than kMaxFrame (Permanent, nothing was sent).
    [[nodiscard]] Result<void> post(const google::protobuf::MessageLite& message, Fd descriptor = Fd());

    /// Waits until everything posted was handed to the kernel: for senders of long listings. False when the
    /// channel is broken or the deadline passed.
    async::Task<bool> drained(async::Deadline deadline);

    [[nodiscard]] std::size_t queued() const { return outgoing_.size(); }

    /// Ends the connection: the peer sees the end, our receive() returns nullopt.
    void shut_down();

  private:
    struct Outgoing {
        std::string data;
        Fd descriptor;
    };
    enum class Sent { Yes, Full };
    Result<Sent> send_now(std::string_view data, const Fd& descriptor);
    Result<std::optional<Frame>> receive_now(bool& would_block);
    async::Task<void> send_queued();

    Fd socket_;
    async::Watch watch_;
    std::deque<Outgoing> outgoing_;
    bool broken_ = false;
    async::Condition drained_;
    async::Scope sender_;
};

}  // namespace postrider::ipc
