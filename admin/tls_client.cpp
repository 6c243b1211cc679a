#include "admin/tls_client.h"

#include <fmt/format.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include <memory>
#include <utility>

#include "libcommon/config/network.h"
#include "libcommon/tls/layer.h"
#include "libcommon/tls/openssl.h"

namespace postrider::admin {

namespace {

/// The client's side of TLS on one socket.
class ClientLayer : public tls::Layer {
  public:
    ClientLayer(tls::SessionHandle session, int socket)
        : Layer(nullptr, std::move(session), socket, Side::Client) {}

    /// Why the server's certificate is not believed; empty if that is not what went wrong.
    [[nodiscard]] std::string doubt() const {
        const long result = SSL_get_verify_result(session());
        return result == X509_V_OK ? std::string() : X509_verify_cert_error_string(result);
    }
};

/// A session that demands a certificate for `name`; nothing if `ca_file` cannot be read.
tls::SessionHandle new_session(const std::string& name, const std::string& ca_file) {
    const tls::ContextHandle context(SSL_CTX_new(TLS_client_method()));
    if (!context || SSL_CTX_set_min_proto_version(context.get(), TLS1_2_VERSION) != 1) return nullptr;
    const int loaded = ca_file.empty() ? SSL_CTX_set_default_verify_paths(context.get())
                                       : SSL_CTX_load_verify_file(context.get(), ca_file.c_str());
    if (loaded != 1) return nullptr;
    // The session keeps the context.
    tls::SessionHandle session(SSL_new(context.get()));
    if (!session) return nullptr;
    SSL_set_verify(session.get(), SSL_VERIFY_PEER, nullptr);
    if (config::IpAddress::parse(name)) {
        X509_VERIFY_PARAM* demands = SSL_get0_param(session.get());
        return X509_VERIFY_PARAM_set1_ip_asc(demands, name.c_str()) == 1 ? std::move(session) : nullptr;
    }
    const bool named = SSL_set1_host(session.get(), name.c_str()) == 1 &&
                       SSL_set_tlsext_host_name(session.get(), name.c_str()) == 1;
    return named ? std::move(session) : nullptr;
}

}  // namespace

async::Task<Result<void>> encrypt(async::Stream& stream, std::string name, std::string ca_file,
                                  async::Deadline deadline) {
    tls::prepare_library();
    tls::SessionHandle session = new_session(name, ca_file);
    if (!session) co_return temporary(fmt::format("TLS: {}", tls::take_error("cannot begin")));
    auto layer = std::make_unique<ClientLayer>(std::move(session), stream.descriptor());
    const ClientLayer& made = *layer;
    Result<void> encrypted = co_await stream.encrypt(std::move(layer), deadline);
    if (encrypted) co_return encrypted;
    const std::string doubt = stream.encrypted() ? made.doubt() : std::string();
    if (doubt.empty()) co_return failure(encrypted.error());
    co_return temporary(fmt::format("TLS: the certificate is not believed: {}", doubt));
}

}  // namespace postrider::admin
