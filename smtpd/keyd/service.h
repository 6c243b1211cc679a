#pragma once

#include <set>
#include <vector>

#include "libcommon/base/result.h"
#include "libcommon/ipc/key.pb.h"
#include "libcommon/ipc/server.h"
#include "libcommon/tls/ticket_key.h"
#include "smtpd/keyd/key_files.h"

namespace postrider::keyd {

/// The other side of key.sock: gives the ring of keys to each session worker when it connects, and again when
/// the ring changes. The handler of an ipc::Server.
class Service {
  public:
    using Peer = ipc::Peer<wire::KeyReply>;

    /// Begins with a new ticket key.
    explicit Service(KeyFiles files);

    /// These files are in force from now on.
    void use_files(KeyFiles files);

    /// Makes a new ticket key. Tickets sealed with the last one are still taken, older ones are not.
    void renew_ticket_key();

    void on_connect(Peer& peer);
    /// A worker has nothing to ask: always an error.
    Result<void> on_request(Peer& peer, wire::KeyRequest&& request, const std::vector<Fd>& descriptors);
    void on_disconnect(Peer& peer);

  private:
    void send_ring_to_all();
    void send_ring(Peer& peer) const;

    KeyFiles files_;
    tls::TicketKeys tickets_;
    std::set<Peer*> peers_;  // they live in the server's tasks
};

}  // namespace postrider::keyd
