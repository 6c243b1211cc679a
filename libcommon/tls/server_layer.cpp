#include "libcommon/tls/server_layer.h"

#include <openssl/err.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <new>

namespace postrider::tls {

namespace {

// RFC 9266, 2.
constexpr std::string_view kBindingLabel = "EXPORTER-Channel-Binding";
constexpr std::size_t kBindingSize = 32;

std::string channel_binding(SSL* session) {
    if (SSL_version(session) != TLS1_3_VERSION) return {};
    std::array<unsigned char, kBindingSize> binding{};
    constexpr int kWithContext = 1;  // of no octets
    if (SSL_export_keying_material(session, binding.data(), binding.size(), kBindingLabel.data(),
                                   kBindingLabel.size(), nullptr, 0, kWithContext) != 1) {
        ERR_clear_error();
        return {};
    }
    return {reinterpret_cast<const char*>(binding.data()), binding.size()};
}

std::string verified_subject(const SSL* session) {
    X509* certificate = SSL_get0_peer_certificate(session);
    if (certificate == nullptr || SSL_get_verify_result(session) != X509_V_OK) return {};
    const BioHandle text(BIO_new(BIO_s_mem()));
    if (!text) return {};
    if (X509_NAME_print_ex(text.get(), X509_get_subject_name(certificate), 0, XN_FLAG_RFC2253) < 0) return {};
    char* data = nullptr;
    const long size = BIO_get_mem_data(text.get(), &data);
    return {data, static_cast<std::size_t>(size)};
}

}  // namespace

/// OpenSSL's way to the socket. Its own would raise SIGPIPE, and not tell that a read took all there was.
struct ServerLayer::SocketBio {
    static ServerLayer& layer(BIO* bio) { return *static_cast<ServerLayer*>(BIO_get_data(bio)); }

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

ServerLayer::ServerLayer(std::shared_ptr<const ServerContext> context, int socket)
    : context_(std::move(context)), session_(context_->new_session()), socket_(socket) {
    BIO* bio = BIO_new(SocketBio::method());
    if (!session_ || bio == nullptr) {
        BIO_free(bio);
        throw std::bad_alloc();
    }
    BIO_set_data(bio, this);
    BIO_set_init(bio, 1);
    SSL_set_bio(session_.get(), bio, bio);  // takes it over
    SSL_set_accept_state(session_.get());
}

ServerLayer::~ServerLayer() {
    if (established_ && !broken_) static_cast<void>(SSL_shutdown(session_.get()));
    ERR_clear_error();
}

Result<async::TransportLayer::Progress> ServerLayer::outcome(int result) {
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

Result<async::TransportLayer::Progress> ServerLayer::handshake() {
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

Result<async::TransportLayer::Progress> ServerLayer::read(char* to, std::size_t room) {
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

Result<async::TransportLayer::Progress> ServerLayer::write(std::string_view data) {
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

bool ServerLayer::silent() {
    char probe = 0;
    std::size_t got = 0;
    ERR_clear_error();
    errno = 0;
    const auto progress = outcome(SSL_peek_ex(session_.get(), &probe, 1, &got));
    return progress && progress->outcome == Outcome::WantRead;
}

Facts ServerLayer::facts() const {
    SSL* session = session_.get();
    Facts facts;
    facts.version = SSL_get_version(session);
    facts.cipher = SSL_get_cipher_name(session);
    const char* name = SSL_get_servername(session, TLSEXT_NAMETYPE_host_name);
    if (name != nullptr) facts.server_name = name;
    facts.client_subject = verified_subject(session);
    facts.channel_binding = channel_binding(session);
    facts.resumed = SSL_session_reused(session) == 1;
    return facts;
}

async::Task<Result<Facts>> accept(async::Stream& stream, std::shared_ptr<const ServerContext> context,
                                  async::Deadline deadline) {
    auto layer = std::make_unique<ServerLayer>(std::move(context), stream.descriptor());
    const ServerLayer& made = *layer;
    auto encrypted = co_await stream.encrypt(std::move(layer), deadline);
    if (!encrypted) co_return failure(encrypted.error());
    co_return made.facts();
}

}  // namespace postrider::tls
