#include "libcommon/tls/server_layer.h"

#include <openssl/err.h>

#include <array>
#include <string_view>
#include <utility>

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

ServerLayer::ServerLayer(const std::shared_ptr<const ServerContext>& context, int socket)
    : Layer(context, context->new_session(), socket, Side::Server) {}

Facts ServerLayer::facts() const {
    SSL* session = this->session();
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
