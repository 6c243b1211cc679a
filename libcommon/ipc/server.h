#pragma once

#include <sys/socket.h>

#include <cerrno>
#include <cstring>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "libcommon/async/scope.h"
#include "libcommon/async/sync.h"
#include "libcommon/ipc/channel.h"
#include "libcommon/ipc/roles.h"
#include "libcommon/log/log.h"

namespace postrider::ipc {

/// A peer of a Server, from its Hello until it disconnects.
template <typename Reply>
class Peer {
  public:
    Peer(async::Loop& loop, Fd socket, PeerCredentials credentials)
        : channel_(loop, std::move(socket)), credentials_(std::move(credentials)), scope_(loop) {}

    [[nodiscard]] wire::Role role() const { return role_; }
    [[nodiscard]] const PeerCredentials& credentials() const { return credentials_; }
    [[nodiscard]] Channel& channel() { return channel_; }

    /// Tasks that serve this peer; cancelled when it disconnects, before the handler's on_disconnect.
    [[nodiscard]] async::Scope& scope() { return scope_; }

    /// Sends an answer or (id 0) a notice. A peer that cannot be sent to is disconnected; the caller need not
    /// care.
    void reply(const Reply& reply, Fd descriptor = Fd()) {
        const Result<void> posted = channel_.post(reply, std::move(descriptor));
        if (posted) return;
        log::debug("peer cannot be sent to").add("pid", credentials_.pid).add("reason", posted.error().text);
        disconnect();
    }
    /// Answers request `id` with an error.
    void fail(std::uint64_t id, const Error& error) {
        Reply answer;
        answer.set_id(id);
        answer.mutable_failure()->set_temporary(error.temporary());
        answer.mutable_failure()->set_text(error.text);
        reply(answer);
    }
    /// Ends the connection; on_disconnect follows from the loop.
    void disconnect() { channel_.shut_down(); }

  private:
    template <typename, typename, typename>
    friend class Server;
    Channel channel_;
    PeerCredentials credentials_;
    wire::Role role_ = wire::ROLE_NONE;
    async::Scope scope_;
};

/// Serves a listening socket. `Handler` has
///     void on_connect(Peer<Reply>&);                                              // after its Hello
///     Result<void> on_request(Peer<Reply>&, Request&&, std::vector<Fd> descriptors);
///     void on_disconnect(Peer<Reply>&);
/// and may have `static constexpr bool kFramesAreSecret`: then frames are overwritten once they are parsed.
/// An error from on_request means that the peer broke the rules: it is logged and disconnected. So is a peer
/// whose frame does not parse, whose first frame is not Hello, or whose credentials do not fit its role.
template <typename Request, typename Reply, typename Handler>
class Server {
  public:
    /// `name` is for the log. References outlive the server.
    Server(async::Loop& loop, Fd listening, std::string name, RoleUsers users, std::size_t max_peers,
           Handler& handler)
        : loop_(loop),
          listening_(std::move(listening)),
          watch_(loop, listening_.get()),
          name_(std::move(name)),
          users_(users),
          max_peers_(max_peers),
          handler_(handler),
          scope_(loop) {}

    /// Begins to accept peers; returns at once.
    void start() { scope_.spawn(accept_peers()); }

    /// Disconnects everyone (on_disconnect is not called) and stops accepting.
    void stop() { scope_.cancel_all(); }

  private:
    static constexpr std::size_t kFramesInATurn = 64;

    async::Task<void> accept_peers() {
        while (true) {
            Fd socket(::accept4(listening_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
            if (socket) {
                admit(std::move(socket));
                continue;
            }
            if (errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == ENOBUFS) {
                log::error("cannot accept").add("socket", name_).add("reason", std::strerror(errno));
                co_await async::Sleep(loop_, Milliseconds(100));
                continue;
            }
            co_await watch_.readable();
        }
    }

    void admit(Fd socket) {
        if (peers_ >= max_peers_) {
            log::warning("too many peers").add("socket", name_).add("limit", max_peers_);
            return;
        }
        auto credentials = peer_credentials(socket);
        if (!credentials) return;
        scope_.spawn(serve(std::move(socket), *credentials));
    }

    async::Task<void> serve(Fd socket, PeerCredentials credentials) {
        Count count(peers_);
        Peer<Reply> peer(loop_, std::move(socket), credentials);
        auto ended = co_await converse(peer);
        if (!ended) {
            log::warning("peer disconnected")
                .add("socket", name_)
                .add("pid", credentials.pid)
                .add("uid", credentials.uid)
                .add("reason", ended.error().text);
        }
        peer.scope_.cancel_all();
        if (peer.role_ != wire::ROLE_NONE) handler_.on_disconnect(peer);
    }

    /// A peer that sends faster than it is answered, or reads slower, is read from no faster: the others come
    /// in between, and what waits to be sent to it stays little.
    async::Task<Result<void>> converse(Peer<Reply>& peer) {
        for (std::size_t frames = 1;; ++frames) {
            if (frames % kFramesInATurn == 0) co_await async::next_turn(loop_);
            if (peer.channel_.queued() > 0) co_await peer.channel_.drained(std::nullopt);
            auto frame = co_await peer.channel_.receive();
            if (!frame) co_return failure(frame.error());
            if (!*frame) co_return Result<void>();
            auto handled = handle(peer, **frame);
            if (!handled) co_return failure(handled.error());
        }
    }

    Result<void> handle(Peer<Reply>& peer, Frame& frame) {
        Request request;
        const bool parsed = request.ParseFromString(frame.data);
        if constexpr (requires { Handler::kFramesAreSecret; }) {
            ::explicit_bzero(frame.data.data(), frame.data.size());
        }
        if (!parsed) return permanent("sent a frame that does not parse");
        if (peer.role_ != wire::ROLE_NONE) {
            return handler_.on_request(peer, std::move(request), std::move(frame.descriptors));
        }
        if (!request.has_hello()) return permanent("did not say who it is");
        if (!may_act_as(request.hello().role(), peer.credentials_, users_)) {
            return permanent("may not act in the role it claims: " + std::to_string(request.hello().role()));
        }
        peer.role_ = request.hello().role();
        handler_.on_connect(peer);
        return {};
    }

    struct Count {
        explicit Count(std::size_t& number_in) : number(number_in) { ++number; }
        ~Count() { --number; }
        Count(const Count&) = delete;
        Count& operator=(const Count&) = delete;
        std::size_t& number;
    };

    async::Loop& loop_;
    Fd listening_;
    async::Watch watch_;
    std::string name_;
    RoleUsers users_;
    std::size_t max_peers_;
    std::size_t peers_ = 0;
    Handler& handler_;
    async::Scope scope_;
};

}  // namespace postrider::ipc
