#include "smtpd/keyd/service.h"

#include <fcntl.h>
#include <openssl/crypto.h>

#include <cerrno>
#include <cstring>
#include <optional>

#include "libcommon/log/log.h"

namespace postrider::keyd {

namespace {

void wipe(std::string& secret) {
    OPENSSL_cleanse(secret.data(), secret.size());
}

}  // namespace

Service::Service(KeyFiles files)
    : files_(std::move(files)), tickets_{tls::TicketKey::random(), std::nullopt} {}

void Service::use_files(KeyFiles files) {
    files_ = std::move(files);
    send_ring_to_all();
}

void Service::renew_ticket_key() {
    tickets_.old = tickets_.current;
    tickets_.current = tls::TicketKey::random();
    send_ring_to_all();
}

void Service::on_connect(Peer& peer) {
    if (peer.role() != wire::ROLE_SMTPD) {
        log::warning("keys refused")
            .add("role", static_cast<int>(peer.role()))
            .add("pid", peer.credentials().pid);
        peer.disconnect();
        return;
    }
    peers_.insert(&peer);
    send_ring(peer);
}

Result<void> Service::on_request(Peer& /*peer*/, wire::KeyRequest&& /*request*/,
                                 const std::vector<Fd>& /*descriptors*/) {
    return permanent("asked, where there is nothing to ask");
}

void Service::on_disconnect(Peer& peer) {
    peers_.erase(&peer);
}

void Service::send_ring_to_all() {
    for (Peer* peer : peers_)
        send_ring(*peer);
}

void Service::send_ring(Peer& peer) const {
    const auto send_with = [&peer](const wire::KeyReply& reply, const Fd& memory) {
        Fd copy(::fcntl(memory.get(), F_DUPFD_CLOEXEC, 0));
        if (copy) {
            peer.reply(reply, std::move(copy));
            return;
        }
        // A ring with a hole would be taken for nonsense; the peer comes back, and perhaps there is one then.
        log::error("cannot send keys").add("reason", std::strerror(errno));
        peer.disconnect();
    };
    for (const SealedPair& pair : files_.pairs) {
        wire::KeyReply reply;
        reply.mutable_pair()->set_name(pair.name);
        reply.mutable_pair()->set_chain_size(pair.chain_size);
        send_with(reply, pair.memory);
    }
    if (files_.authorities) {
        wire::KeyReply reply;
        reply.mutable_authorities();
        send_with(reply, files_.authorities);
    }
    wire::KeyReply reply;
    wire::KeyRingComplete& complete = *reply.mutable_complete();
    complete.set_pairs(static_cast<std::uint32_t>(files_.pairs.size()));
    complete.set_ticket_key(std::string(tickets_.current.octets()));
    if (tickets_.old) complete.set_old_ticket_key(std::string(tickets_.old->octets()));
    peer.reply(reply);
    wipe(*complete.mutable_ticket_key());
    wipe(*complete.mutable_old_ticket_key());
}

}  // namespace postrider::keyd
