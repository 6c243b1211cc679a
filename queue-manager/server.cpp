#include "queue-manager/server.h"

#include <utility>

#include "libcommon/log/log.h"

namespace postrider::queue_manager {

namespace {
// An administrator's listings at once; each holds the ids of what it lists.
constexpr std::size_t kMaxListings = 8;
// What a worker's clients may have started at once with ETRN.
constexpr std::size_t kMaxFlushes = 64;
// A client of ETRN is not kept waiting until the last message of a large queue is found.
constexpr Milliseconds kEtrnPatience{5'000};
}  // namespace

bool may_send(wire::Role role, wire::QueueRequest::BodyCase frame) {
    switch (frame) {
        case wire::QueueRequest::kOpen:
        case wire::QueueRequest::kMoreRecipients:
        case wire::QueueRequest::kCommit:
        case wire::QueueRequest::kAbort:
        case wire::QueueRequest::kEtrn:
            return role == wire::ROLE_SMTPD;
        case wire::QueueRequest::kAgentReady:
        case wire::QueueRequest::kReport:
            return role == wire::ROLE_LOCAL_DELIVERY || role == wire::ROLE_REMOTE_DELIVERY;
        case wire::QueueRequest::kList:
        case wire::QueueRequest::kOpenFile:
        case wire::QueueRequest::kFlush:
        case wire::QueueRequest::kStatus:
        case wire::QueueRequest::kQuarantine:
            return role == wire::ROLE_ADMIN;
        case wire::QueueRequest::kHello:
        case wire::QueueRequest::BODY_NOT_SET:
            break;
    }
    return false;
}

void Server::on_connect(QueuePeer& peer) {
    if (peer.role() == wire::ROLE_SMTPD) intake_.connected(peer);
}

Result<void> Server::on_request(QueuePeer& peer, wire::QueueRequest&& request,
                                const std::vector<Fd>& descriptors) {
    if (!may_send(peer.role(), request.body_case()))
        return permanent("sent a frame that its role may not send");
    // No frame to the queue-manager carries descriptors.
    if (!descriptors.empty()) return permanent("sent a descriptor");
    switch (request.body_case()) {
        case wire::QueueRequest::kOpen:
            return intake_.open(peer, request.id(), std::move(*request.mutable_open()));
        case wire::QueueRequest::kMoreRecipients:
            return intake_.more_recipients(peer, request.id(), std::move(*request.mutable_more_recipients()));
        case wire::QueueRequest::kCommit:
            return intake_.commit(peer, request.id(), request.commit());
        case wire::QueueRequest::kAbort:
            return intake_.abort(peer, request.abort());
        case wire::QueueRequest::kAgentReady:
            dispatcher_.ready(peer, request.agent_ready());
            return {};
        case wire::QueueRequest::kReport:
            return dispatcher_.report(peer, request.report());
        case wire::QueueRequest::kList:
        case wire::QueueRequest::kFlush:
            if (peer.scope().size() >= kMaxListings) return permanent("asks for too many listings at once");
            if (request.has_list()) {
                peer.scope().spawn(admin_.list(peer, request.id(), request.list().selector()));
            } else {
                peer.scope().spawn(admin_.flush(peer, request.id(), request.flush().selector()));
            }
            return {};
        case wire::QueueRequest::kQuarantine:
            if (peer.scope().size() >= kMaxListings) return permanent("asks for too many listings at once");
            peer.scope().spawn(quarantine_.serve(peer, request.id(), request.quarantine()));
            return {};
        case wire::QueueRequest::kEtrn:
            return etrn(peer, request.id(), request.etrn());
        case wire::QueueRequest::kOpenFile:
            admin_.open_file(peer, request.id(), request.open_file());
            return {};
        case wire::QueueRequest::kStatus:
            admin_.status(peer, request.id());
            return {};
        case wire::QueueRequest::kHello:
        case wire::QueueRequest::BODY_NOT_SET:
            break;
    }
    return permanent("sent a frame that nobody may send");
}

Result<void> Server::etrn(QueuePeer& peer, std::uint64_t id, const wire::Etrn& frame) {
    // smtpd is the less trusted side: a lookup of no domain would be one of everything.
    if (frame.domain().empty()) return permanent("ETRN without a domain");
    if (peer.scope().size() >= kMaxFlushes) {
        peer.fail(id, Error(Severity::Temporary, "too many queues are being started"));
        return {};
    }
    const UnixMillis wait = etrn_rate_.wait((frame.subdomains() ? "@" : "") + frame.domain(), queue_.now());
    log::info(wait > 0 ? "etrn_too_soon" : "etrn")
        .add("client", frame.client())
        .add("domain", frame.domain())
        .add("subdomains", frame.subdomains());
    if (wait > 0) {
        wire::QueueReply reply;
        reply.set_id(id);
        // Rounded up: whoever comes back after that has waited long enough.
        constexpr UnixMillis kSecond = 1'000;
        reply.mutable_flushed()->set_wait_seconds(static_cast<std::uint32_t>((wait + kSecond - 1) / kSecond));
        peer.reply(reply);
        return {};
    }
    wire::Selector selector;
    selector.set_domain(frame.domain());
    selector.set_subdomains(frame.subdomains());
    const async::Deadline answer_by = loop_.after(kEtrnPatience);
    peer.scope().spawn(admin_.flush(peer, id, std::move(selector), answer_by));
    return {};
}

void Server::on_disconnect(QueuePeer& peer) {
    intake_.gone(peer);
    dispatcher_.gone(peer);
}

}  // namespace postrider::queue_manager
