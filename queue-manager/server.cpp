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
        case wire::QueueRequest::kOpenContent:
        case wire::QueueRequest::kCommit:
        case wire::QueueRequest::kAbort:
        case wire::QueueRequest::kEtrn:
            return role == wire::ROLE_SMTPD;
        case wire::QueueRequest::kAgentReady:
        case wire::QueueRequest::kReport:
            return role == wire::ROLE_LOCAL_DELIVERY || role == wire::ROLE_REMOTE_DELIVERY;
        case wire::QueueRequest::kList:
        case wire::QueueRequest::kStatus:
        case wire::QueueRequest::kDestinations:
        case wire::QueueRequest::kShape:
        case wire::QueueRequest::kTrace:
        case wire::QueueRequest::kSuspended:
            return role == wire::ROLE_ADMIN || role == wire::ROLE_READER;
        // Also to open a file: the content of mail is for nobody but its readers.
        case wire::QueueRequest::kOpenFile:
        case wire::QueueRequest::kFlush:
        case wire::QueueRequest::kQuarantine:
        case wire::QueueRequest::kSteer:
        case wire::QueueRequest::kSuspend:
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
    if (peer.role() == wire::ROLE_READER)
        return permanent("is a reader, and they have a socket of their own");
    return dispatch(peer, std::move(request));
}

Result<void> ReadServer::on_request(QueuePeer& peer, wire::QueueRequest&& request,
                                    const std::vector<Fd>& descriptors) {
    if (peer.role() != wire::ROLE_READER) return permanent("is no reader, and this socket is for readers");
    if (!may_send(peer.role(), request.body_case()))
        return permanent("sent a frame that its role may not send");
    if (!descriptors.empty()) return permanent("sent a descriptor");
    return server_.dispatch(peer, std::move(request));
}

Result<void> Server::dispatch(QueuePeer& peer, wire::QueueRequest&& request) {
    switch (request.body_case()) {
        case wire::QueueRequest::kOpen:
            return intake_.open(peer, request.id(), std::move(*request.mutable_open()));
        case wire::QueueRequest::kMoreRecipients:
            return intake_.more_recipients(peer, request.id(), std::move(*request.mutable_more_recipients()));
        case wire::QueueRequest::kCommit:
            return intake_.commit(peer, request.id(), std::move(*request.mutable_commit()));
        case wire::QueueRequest::kOpenContent:
            return intake_.open_content(peer, request.id(), request.open_content());
        case wire::QueueRequest::kAbort:
            return intake_.abort(peer, request.abort());
        case wire::QueueRequest::kAgentReady:
            dispatcher_.ready(peer, request.agent_ready());
            return {};
        case wire::QueueRequest::kReport:
            return dispatcher_.report(peer, request.report());
        case wire::QueueRequest::kEtrn:
            return etrn(peer, request.id(), request.etrn());
        case wire::QueueRequest::kOpenFile:
            admin_.open_file(peer, request.id(), request.open_file());
            return {};
        case wire::QueueRequest::kStatus:
            admin_.status(peer, request.id());
            return {};
        case wire::QueueRequest::kSuspended:
            overview_.suspended(peer, request.id());
            return {};
        case wire::QueueRequest::kList:
        case wire::QueueRequest::kFlush:
        case wire::QueueRequest::kQuarantine:
        case wire::QueueRequest::kSteer:
        case wire::QueueRequest::kDestinations:
        case wire::QueueRequest::kShape:
        case wire::QueueRequest::kTrace:
        case wire::QueueRequest::kSuspend:
            return administer(peer, std::move(request));
        case wire::QueueRequest::kHello:
        case wire::QueueRequest::BODY_NOT_SET:
            break;
    }
    return permanent("sent a frame that nobody may send");
}

/// What takes longer than a turn of the loop.
Result<void> Server::administer(QueuePeer& peer, wire::QueueRequest&& request) {
    async::Scope& scope = peer.scope();
    const std::uint64_t id = request.id();
    if (scope.size() >= kMaxListings) return permanent("asks for too many listings at once");
    switch (request.body_case()) {
        case wire::QueueRequest::kList:
            scope.spawn(admin_.list(peer, id, std::move(*request.mutable_list())));
            break;
        case wire::QueueRequest::kFlush:
            scope.spawn(admin_.flush(peer, id, std::move(*request.mutable_flush())));
            break;
        case wire::QueueRequest::kQuarantine:
            scope.spawn(quarantine_.serve(peer, id, std::move(*request.mutable_quarantine())));
            break;
        case wire::QueueRequest::kSteer:
            scope.spawn(steering_.serve(peer, id, std::move(*request.mutable_steer())));
            break;
        case wire::QueueRequest::kDestinations:
            scope.spawn(overview_.destinations(peer, id, request.destinations().name()));
            break;
        case wire::QueueRequest::kShape:
            scope.spawn(overview_.shape(peer, id, request.shape().senders()));
            break;
        case wire::QueueRequest::kTrace:
            scope.spawn(overview_.trace(peer, id, request.trace().queue_id()));
            break;
        case wire::QueueRequest::kSuspend:
            scope.spawn(overview_.suspend(peer, id, std::move(*request.mutable_suspend())));
            break;
        default:
            return permanent("sent a frame that nobody may send");
    }
    return {};
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
    if (overview_.is_suspended(frame.domain())) {
        peer.fail(id, Error(Severity::Temporary, "deliveries to this domain are suspended"));
        return {};
    }
    if (wait > 0) {
        wire::QueueReply reply;
        reply.set_id(id);
        // Rounded up: whoever comes back after that has waited long enough.
        constexpr UnixMillis kSecond = 1'000;
        reply.mutable_flushed()->set_wait_seconds(static_cast<std::uint32_t>((wait + kSecond - 1) / kSecond));
        peer.reply(reply);
        return {};
    }
    wire::Flush flush;
    flush.mutable_selector()->set_domain(frame.domain());
    flush.mutable_selector()->set_subdomains(frame.subdomains());
    const async::Deadline answer_by = loop_.after(kEtrnPatience);
    peer.scope().spawn(admin_.flush(peer, id, std::move(flush), answer_by));
    return {};
}

void Server::on_disconnect(QueuePeer& peer) {
    intake_.gone(peer);
    dispatcher_.gone(peer);
}

}  // namespace postrider::queue_manager
