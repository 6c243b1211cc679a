#include "smtpd/listener.h"

#include <fmt/format.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

#include "libcommon/async/watch.h"
#include "libcommon/base/clock.h"
#include "libcommon/log/log.h"

namespace postrider::smtpd {

namespace {

using config::IpAddress;
using config::Limit;

// Connections taken from one socket before the others, and the workers' frames, get their turn.
constexpr int kAcceptBatch = 64;

// Out of descriptors or memory: the backlog keeps the clients while we wait for some to come back.
constexpr Milliseconds kAcceptPause{100};

// Session numbers begin with the time in milliseconds, so that they do not repeat after a restart, and leave
// room for this many bits of sessions in one of them.
constexpr unsigned kSessionBits = 16;

// The sockets of the other daemons, by wire::PeerChannel::Peer.
constexpr std::array<const char*, wire::PeerChannel::Peer_ARRAYSIZE> kPeerSockets = {
    "queue.sock", "router.sock", "auth.sock", "key.sock"};

std::uint16_t port_of(const sockaddr_storage& address) {
    if (address.ss_family == AF_INET) return ntohs(reinterpret_cast<const sockaddr_in&>(address).sin_port);
    if (address.ss_family == AF_INET6) return ntohs(reinterpret_cast<const sockaddr_in6&>(address).sin6_port);
    return 0;
}

bool is_out_of_resources(int error) {
    return error == EMFILE || error == ENFILE || error == ENOMEM || error == ENOBUFS;
}

}  // namespace

Listener::Listener(async::Loop& loop, const config::Settings& settings, std::vector<ListeningSocket> clients,
                   Fd workers)
    : loop_(loop),
      settings_(settings),
      client_sockets_(std::move(clients)),
      worker_socket_(std::move(workers)),
      connections_(settings.limits),
      next_session_(unix_millis_now() << kSessionBits),
      workers_changed_(loop),
      accepting_(loop),
      tasks_(loop) {}

void Listener::start() {
    tasks_.spawn(accept_workers(std::move(worker_socket_)));
    for (ListeningSocket& socket : client_sockets_)
        accepting_.spawn(accept_clients(std::move(socket)));
    client_sockets_.clear();
}

void Listener::finish() {
    if (finishing_) return;
    finishing_ = true;
    log::info("finishing").add("sessions", connections_.total());
    accepting_.cancel_all();
    wire::ListenerFrame frame;
    frame.mutable_shutdown();
    // A worker that cannot be told any more is gone.
    for (WorkerPeer* worker : workers_)
        static_cast<void>(worker->channel.post(frame));
    tasks_.spawn(drain());
}

async::Task<void> Listener::drain() {
    const async::Deadline deadline = loop_.after(settings_.limits.time(Limit::ShutdownGrace));
    while (!workers_.empty()) {
        bool notified = co_await workers_changed_.wait(deadline);
        if (!notified) break;
    }
    loop_.stop();
}

// ---- clients ----------------------------------------------------------------------------------------------

async::Task<void> Listener::accept_clients(ListeningSocket listening) {
    async::Watch watch(loop_, listening.socket.get());
    while (true) {
        co_await watch.readable();
        while (workers_.empty())
            co_await workers_changed_.wait();
        int error = 0;
        for (int taken = 0; taken < kAcceptBatch && error == 0; ++taken) {
            sockaddr_storage address{};
            socklen_t length = sizeof(address);
            Fd socket(::accept4(listening.socket.get(), reinterpret_cast<sockaddr*>(&address), &length,
                                SOCK_CLOEXEC | SOCK_NONBLOCK));
            error = socket ? 0 : errno;
            if (socket) admit(std::move(socket), address, listening.listener);
        }
        if (is_out_of_resources(error)) {
            log::error("cannot accept").add("reason", std::strerror(error));
            co_await async::Sleep(loop_, kAcceptPause);
        }
    }
}

void Listener::admit(Fd socket, const sockaddr_storage& address, std::size_t listener) {
    wire::NewSession start;
    start.set_session(next_session_++);
    start.set_listener(static_cast<std::uint32_t>(listener));
    start.set_endpoint(settings_.listeners[listener].endpoint_text());
    start.set_overload(connections_.load() == config::Load::Overload);
    Origin origin;
    if (settings_.listeners[listener].kind == config::ListenerKind::Local) {
        const auto credentials = ipc::peer_credentials(socket);
        if (!credentials) return;
        // The user database is out of reach of a process without a file system; the number is certain.
        start.set_local_user(fmt::format("uid:{}", credentials->uid));
        origin = credentials->uid;
    } else {
        const auto ip = IpAddress::from_socket(address);
        if (!ip) return;
        origin = *ip;
        start.set_client_address(std::string(ip->bytes()));
        start.set_client_port(port_of(address));
    }
    const bool admitted = connections_.admit(origin);
    start.set_client_sessions(static_cast<std::uint32_t>(connections_.from(origin)));
    say_load();
    if (admitted) {
        hand_over(std::move(socket), std::move(start), origin);
    } else {
        turn_away(socket, start);
    }
}

void Listener::turn_away(const Fd& socket, const wire::NewSession& start) {
    const std::string_view reply = "421 4.3.2 Too many connections, please try again later\r\n";
    // The buffer of a new connection is empty, so this is sent or the connection is gone.
    static_cast<void>(::send(socket.get(), reply.data(), reply.size(), MSG_NOSIGNAL | MSG_DONTWAIT));
    const auto address = IpAddress::from_bytes(start.client_address());
    log::info("reject")
        .add("session", fmt::format("{:x}", start.session()))
        .add("client", address ? address->text() : start.local_user())
        .add("command", "connect")
        .add("reply", reply.substr(0, reply.size() - 2))
        .add("rule", "max_connections");
}

void Listener::hand_over(Fd socket, wire::NewSession start, const Origin& origin) {
    const auto fewest = std::min_element(workers_.begin(), workers_.end(), [](const auto* a, const auto* b) {
        return a->sessions.size() < b->sessions.size();
    });
    const std::uint64_t number = start.session();
    wire::ListenerFrame frame;
    *frame.mutable_session() = std::move(start);
    if (fewest == workers_.end() || !(*fewest)->channel.post(frame, std::move(socket))) {
        // The worker died a moment ago; the client sees a lost connection and comes again.
        release(origin);
        return;
    }
    (*fewest)->sessions.emplace(number, origin);
}

void Listener::release(const Origin& origin) {
    connections_.release(origin);
    say_load();
}

void Listener::say_load() {
    const config::Load load = connections_.load();
    if (load == said_load_) return;
    said_load_ = load;
    log::warning(load == config::Load::Overload ? "overload begins, limits are tightened" : "overload ends")
        .add("sessions", connections_.total())
        .add("max_connections", settings_.limits.size(Limit::MaxConnections));
}

// ---- workers ----------------------------------------------------------------------------------------------

async::Task<void> Listener::accept_workers(Fd listening) {
    async::Watch watch(loop_, listening.get());
    while (true) {
        co_await watch.readable();
        Fd socket(::accept4(listening.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
        if (socket) {
            tasks_.spawn(serve_worker(std::move(socket)));
        } else if (is_out_of_resources(errno)) {
            log::error("cannot accept a worker").add("reason", std::strerror(errno));
            co_await async::Sleep(loop_, kAcceptPause);
        }
    }
}

async::Task<void> Listener::serve_worker(Fd socket) {
    const auto credentials = ipc::peer_credentials(socket);
    // Workers connect before they give root up, or are the same ordinary user as we are.
    if (!credentials || (credentials->uid != 0 && credentials->uid != ::geteuid())) {
        log::warning("stranger at smtpd.sock").add("uid", credentials ? credentials->uid : ~uid_t{0});
        co_return;
    }
    WorkerPeer worker(loop_, std::move(socket));
    while (true) {
        auto received = co_await worker.channel.receive();
        if (!received || !*received) break;
        wire::WorkerFrame frame;
        const bool parsed = frame.ParseFromString((*received)->data);
        const Result<void> obeyed = parsed ? obey(worker, frame) : permanent("a frame that does not parse");
        if (!obeyed) {
            log::warning("worker disconnected")
                .add("worker", worker.number)
                .add("reason", obeyed.error().text);
            break;
        }
    }
    workers_.remove(&worker);
    for (const auto& [number, origin] : worker.sessions)
        release(origin);
    if (worker.ready)
        log::info("worker gone").add("worker", worker.number).add("sessions", worker.sessions.size());
    workers_changed_.notify_all();
}

Result<void> Listener::obey(WorkerPeer& worker, const wire::WorkerFrame& frame) {
    if (frame.has_ready() == worker.ready) return permanent("reported twice, or not at first");
    switch (frame.body_case()) {
        case wire::WorkerFrame::kReady: {
            worker.ready = true;
            worker.number = frame.ready().number();
            log::info("worker ready").add("worker", worker.number);
            workers_.push_back(&worker);
            workers_changed_.notify_all();
            if (!finishing_) return {};
            wire::ListenerFrame shutdown;
            shutdown.mutable_shutdown();
            return worker.channel.post(shutdown);
        }
        case wire::WorkerFrame::kEnded: {
            const auto session = worker.sessions.find(frame.ended().session());
            if (session == worker.sessions.end()) return permanent("ended a session that it does not have");
            release(session->second);
            worker.sessions.erase(session);
            return {};
        }
        case wire::WorkerFrame::kWant:
            return connect_for(worker, frame.want().peer());
        case wire::WorkerFrame::BODY_NOT_SET:
            break;
    }
    return permanent("a frame without meaning");
}

Result<void> Listener::connect_for(WorkerPeer& worker, wire::PeerChannel::Peer peer) {
    const auto index = static_cast<std::size_t>(peer);
    if (index >= kPeerSockets.size()) return permanent("asked for an unknown peer");
    auto socket = ipc::connect_seqpacket(kPeerSockets.at(index));
    wire::ListenerFrame frame;
    frame.mutable_channel()->set_peer(peer);
    frame.mutable_channel()->set_connected(socket.has_value());
    return worker.channel.post(frame, socket ? std::move(*socket) : Fd());
}

}  // namespace postrider::smtpd
