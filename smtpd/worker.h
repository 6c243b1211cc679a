#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <unordered_map>
#include <vector>

#include "libcommon/async/scope.h"
#include "libcommon/async/sync.h"
#include "libcommon/config/settings.h"
#include "libcommon/ipc/channel.h"
#include "libcommon/ipc/smtpd.pb.h"
#include "smtpd/auth_link.h"
#include "smtpd/key_link.h"
#include "smtpd/queue_link.h"
#include "smtpd/router_link.h"
#include "smtpd/session.h"

namespace postrider::smtpd {

/// A session worker: everything it has comes from the listener, over one channel.
class Worker {
  public:
    /// `listener` is connected to smtpd.sock. References outlive the worker.
    Worker(async::Loop& loop, const config::Settings& settings, Fd listener, std::uint32_t number);

    /// Reports to the listener and begins to serve; returns at once.
    void start();

    /// Takes no new session, ends the idle ones with 421, lets messages in transfer be completed within
    /// shutdown_grace, and then stops the loop. The same happens when the listener goes away or says so.
    void finish();

  private:
    /// A descriptor that was asked for with WantChannel.
    struct WantedChannel {
        bool asked = false;
        std::optional<Result<Fd>> answer;
    };

    async::Task<void> serve_listener();
    /// The worker's whole authority: what the listener may tell it. Error: the listener broke the rules.
    Result<void> obey(const wire::ListenerFrame& frame, std::vector<Fd> descriptors);
    Result<void> begin_session(const wire::NewSession& start, std::vector<Fd> descriptors);
    Result<void> take_channel(const wire::PeerChannel& channel, std::vector<Fd> descriptors);
    async::Task<void> serve_client(ClientInfo client, Fd socket);
    async::Task<Result<Fd>> want_channel(wire::PeerChannel::Peer peer);
    async::Task<void> drain();

    async::Loop& loop_;
    const config::Settings& settings_;
    std::uint32_t number_;
    ipc::Channel listener_;
    std::array<WantedChannel, wire::PeerChannel::Peer_ARRAYSIZE> wanted_;  // by wire::PeerChannel::Peer
    async::Condition channel_came_;
    RouterLink router_;
    QueueLink queue_;
    KeyLink tls_;
    AuthLink logins_;
    std::unordered_map<std::uint64_t, Session*> sessions_;  // they live in their tasks
    async::Condition session_ended_;
    bool finishing_ = false;
    async::Scope tasks_;  // last: the tasks use what is above
};

}  // namespace postrider::smtpd
