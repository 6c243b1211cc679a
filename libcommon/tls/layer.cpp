#include "libcommon/tls/layer.h"

#include <openssl/err.h>
#include <sys/socket.h>

#include <cerrno>
#include <new>
#include <utility>

namespace postrider::tls {

/// OpenSSL's way to the socket. Its own would raise SIGPIPE, and not tell that a read took all there was.
struct Layer::SocketBio {
    static Layer& layer(BIO* bio) { return *static_cast<Layer*>(BIO_get_data(bio)); }

    static int write(BIO* bio, const char* data, int size) {
        BIO_clear_retry_flags(bio);
        const ssize_t sent = ::send(layer(bio).socket_, data, static_cast<std::size_t>(size), MSG_NOSIGNAL);
        if (sent < 0 && (errno == EAGAIN || errno == EINTR)) BIO_set_retry_write(bio);
        return static_cast<int>(sent);
    }

    static int read(BIO* bio, char* to, int room) {
        BIO_clear_retry_flags(bio);
        const ssize_t got = ::recv(layer(bio).socket_, to, static_cast<std::size_t>(room), 0);
        layer(bio).drained_ = got < room;
        if (got < 0 && (errno == EAGAIN || errno == EINTR)) BIO_set_retry_read(bio);
        if (got == 0) layer(bio).ended_ = true;
        return static_cast<int>(got);
    }

    static long control(BIO* bio, int command, long /*number*/, void* /*pointer*/) {
        if (command == BIO_CTRL_EOF) return layer(bio).ended_ ? 1 : 0;
        return command == BIO_CTRL_FLUSH ? 1 : 0;
    }

    /// One for the process.
    static const BIO_METHOD* method() {
        static const BioMethodHandle made = [] {
            BioMethodHandle method(BIO_meth_new(BIO_TYPE_SOURCE_SINK, "socket of a stream"));
            if (!method) throw std::bad_alloc();
            BIO_meth_set_write(method.get(), &SocketBio::write);
            BIO_meth_set_read(method.get(), &SocketBio::read);
            BIO_meth_set_ctrl(method.get(), &SocketBio::control);
            return method;
        }();
        return made.get();
    }
};

Layer::Layer(std::shared_ptr<const void> context, SessionHandle session, int socket, Side side)
    : context_(std::move(context)), session_(std::move(session)), socket_(socket) {
    BIO* bio = BIO_new(SocketBio::method());
    if (!session_ || bio == nullptr) {
        BIO_free(bio);
        throw std::bad_alloc();
    }
    BIO_set_data(bio, this);
    BIO_set_init(bio, 1);
    SSL_set_bio(session_.get(), bio, bio);  // takes it over
    if (side == Side::Server) {
        SSL_set_accept_state(session_.get());
    } else {
        SSL_set_connect_state(session_.get());
    }
}

Layer::~Layer() {
    if (established_ && !broken_) static_cast<void>(SSL_shutdown(session_.get()));
    ERR_clear_error();
}

Result<async::TransportLayer::Progress> Layer::outcome(int result) {
    const int system_error = errno;
    Progress progress;
    switch (SSL_get_error(session_.get(), result)) {
        case SSL_ERROR_NONE:
            break;
        case SSL_ERROR_WANT_READ:
            progress.outcome = Outcome::WantRead;
            break;
        case SSL_ERROR_WANT_WRITE:
            progress.outcome = Outcome::WantWrite;
            break;
        case SSL_ERROR_ZERO_RETURN:
            progress.outcome = Outcome::Closed;
            break;
        case SSL_ERROR_SYSCALL:
            broken_ = true;
            ERR_clear_error();
            if (system_error == 0 || ended_) return temporary("connection lost");
            return system_failure("connection lost", system_error);
        default:
            broken_ = true;
            return temporary("TLS: " + take_error("protocol error"));
    }
    return progress;
}

Result<async::TransportLayer::Progress> Layer::handshake() {
    ERR_clear_error();
    errno = 0;
    auto progress = outcome(SSL_do_handshake(session_.get()));
    if (!progress) return progress;
    if (progress->outcome == Outcome::Closed) {
        broken_ = true;
        return temporary("closed by the peer in the handshake");
    }
    established_ = progress->outcome == Outcome::Done;
    return progress;
}

Result<async::TransportLayer::Progress> Layer::read(char* to, std::size_t room) {
    Progress total;
    // A record has at most 16 KiB; several may be there already.
    while (total.size < room && !total.drained) {
        std::size_t got = 0;
        ERR_clear_error();
        errno = 0;
        auto progress = outcome(SSL_read_ex(session_.get(), to + total.size, room - total.size, &got));
        if (total.size > 0 && (!progress || progress->outcome != Outcome::Done)) break;
        if (!progress || progress->outcome != Outcome::Done) return progress;
        total.size += got;
        total.drained = drained_ && SSL_has_pending(session_.get()) == 0;
    }
    return total;
}

Result<async::TransportLayer::Progress> Layer::write(std::string_view data) {
    Progress total;
    while (total.size < data.size()) {
        const std::string_view rest = data.substr(total.size);
        std::size_t sent = 0;
        ERR_clear_error();
        errno = 0;
        auto progress = outcome(SSL_write_ex(session_.get(), rest.data(), rest.size(), &sent));
        if (!progress) return progress;
        if (progress->outcome != Outcome::Done) {
            total.outcome = progress->outcome;
            break;
        }
        total.size += sent;
    }
    return total;
}

bool Layer::silent() {
    char probe = 0;
    std::size_t got = 0;
    ERR_clear_error();
    errno = 0;
    const auto progress = outcome(SSL_peek_ex(session_.get(), &probe, 1, &got));
    return progress && progress->outcome == Outcome::WantRead;
}

}  // namespace postrider::tls
