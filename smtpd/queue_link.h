#pragma once

#include <vector>

#include "libcommon/async/loop.h"
#include "libcommon/config/limits.h"
#include "libcommon/ipc/client.h"
#include "libcommon/ipc/queue.pb.h"
#include "smtpd/peers.h"

namespace postrider::smtpd {

/// The queue-manager at the other end of a channel that the listener hands over, again whenever it breaks.
class QueueLink : public Queue {
  public:
    using Client = ipc::Client<wire::QueueRequest, wire::QueueReply>;

    /// `connect` gives a connected socket. Takes ipc_timeout, final_dot_timeout and respawn_delay of
    /// `limits`.
    QueueLink(async::Loop& loop, Client::Connect connect, const config::Limits& limits);

    /// Begins to connect; returns at once.
    void start() { client_.start(); }

    [[nodiscard]] const Intake& intake() const override { return intake_; }
    async::Task<Result<std::string>> open(wire::Envelope envelope, std::uint64_t expected_size) override;
    async::Task<Result<Fd>> open_content(std::string queue_id) override;
    async::Task<Result<void>> commit(CompleteMessage message) override;
    void abort(const std::string& queue_id) override;
    async::Task<Result<StartedQueue>> start_queue(std::string domain, bool subdomains,
                                                  std::string client) override;

  private:
    void notice(const wire::QueueReply& reply);

    async::Loop& loop_;
    Milliseconds open_timeout_;
    Milliseconds commit_timeout_;
    Milliseconds restart_time_;
    Intake intake_;
    Client client_;
};

/// The frames that open a message: one, or more where the recipients do not fit into one. No frame is larger
/// than ipc::kFrameTarget, given that no single address is.
[[nodiscard]] std::vector<wire::QueueRequest> open_requests(wire::Envelope envelope,
                                                            std::uint64_t expected_size);

}  // namespace postrider::smtpd
