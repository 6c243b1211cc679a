#pragma once

#include <cstdint>
#include <list>
#include <optional>
#include <unordered_map>
#include <vector>

#include "libcommon/async/scope.h"
#include "libcommon/async/sync.h"
#include "libcommon/config/settings.h"
#include "libcommon/ipc/channel.h"
#include "libcommon/ipc/smtpd.pb.h"
#include "smtpd/connection_count.h"
#include "smtpd/listening_sockets.h"

namespace postrider::smtpd {

/// Accepts connections, counts them, and gives each to the session worker that has the fewest. It also
/// connects to the router and the queue-manager for the workers, which can connect to nothing. It never reads
/// from a client.
class Listener {
  public:
    /// `clients` as from open_listening_sockets(), `workers` is smtpd.sock. References outlive the listener.
    Listener(async::Loop& loop, const config::Settings& settings, std::vector<ListeningSocket> clients,
             Fd workers);

    /// Begins to serve; returns at once. No client is accepted while there is no worker: they wait in the
    /// backlog.
    void start();

    /// Accepts nobody any more, has the workers finish, and stops the loop when they are gone.
    void finish();

  private:
    /// A worker that has reported.
    struct WorkerPeer {
        WorkerPeer(async::Loop& loop, Fd socket) : channel(loop, std::move(socket)) {}
        ipc::Channel channel;
        bool ready = false;
        std::uint32_t number = 0;
        std::unordered_map<std::uint64_t, Origin> sessions;  // its sessions and where they came from
    };

    async::Task<void> accept_clients(ListeningSocket listening);
    void admit(Fd socket, const sockaddr_storage& address, std::size_t listener);
    void turn_away(const Fd& socket, const wire::NewSession& start);
    void hand_over(Fd socket, wire::NewSession start, const Origin& origin);
    void say_load();
    void release(const Origin& origin);

    async::Task<void> accept_workers(Fd listening);
    async::Task<void> serve_worker(Fd socket);
    /// What a worker may ask of the listener. Error: it broke the rules.
    Result<void> obey(WorkerPeer& worker, const wire::WorkerFrame& frame);
    Result<void> connect_for(WorkerPeer& worker, wire::PeerChannel::Peer peer);
    async::Task<void> drain();

    async::Loop& loop_;
    const config::Settings& settings_;
    std::vector<ListeningSocket> client_sockets_;
    Fd worker_socket_;
    ConnectionCount connections_;
    config::Load said_load_ = config::Load::Normal;
    std::uint64_t next_session_;
    std::list<WorkerPeer*> workers_;  // the ready ones; they live in their tasks
    async::Condition workers_changed_;
    bool finishing_ = false;
    async::Scope accepting_;
    async::Scope tasks_;  // last: the tasks use what is above
};

}  // namespace postrider::smtpd
