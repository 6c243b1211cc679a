#include "tests/unit/tls/test_client.h"

#include <openssl/err.h>
#include <openssl/pem.h>

#include <array>
#include <csignal>
#include <stdexcept>

namespace postrider::tls::test {

namespace {

void use_certificate(SSL* session, const MadePair& pair) {
    const BioHandle chain(BIO_new_mem_buf(pair.chain.data(), static_cast<int>(pair.chain.size())));
    const BioHandle secret(BIO_new_mem_buf(pair.key.data(), static_cast<int>(pair.key.size())));
    const CertificateHandle certificate(PEM_read_bio_X509(chain.get(), nullptr, nullptr, nullptr));
    const KeyHandle key(PEM_read_bio_PrivateKey(secret.get(), nullptr, nullptr, nullptr));
    if (SSL_use_certificate(session, certificate.get()) != 1 || SSL_use_PrivateKey(session, key.get()) != 1) {
        throw std::runtime_error("client certificate");
    }
}

}  // namespace

TestClient::TestClient(Fd socket, const ClientOptions& options)
    : socket_(std::move(socket)), context_(SSL_CTX_new(TLS_client_method())) {
    // Old versions need an old level of security to be tried at all.
    if (options.version != 0 && options.version < TLS1_2_VERSION)
        SSL_CTX_set_security_level(context_.get(), 0);
    if (options.version != 0) {
        SSL_CTX_set_min_proto_version(context_.get(), options.version);
        SSL_CTX_set_max_proto_version(context_.get(), options.version);
    }
    if (!options.ciphers.empty()) {
        SSL_CTX_set_security_level(context_.get(), 0);
        SSL_CTX_set_cipher_list(context_.get(), options.ciphers.c_str());
    }
    session_.reset(SSL_new(context_.get()));
    if (!options.server_name.empty()) SSL_set_tlsext_host_name(session_.get(), options.server_name.c_str());
    if (options.certificate) use_certificate(session_.get(), *options.certificate);
    if (options.resume != nullptr) SSL_set_session(session_.get(), options.resume);
    static_cast<void>(std::signal(SIGPIPE, SIG_IGN));
    SSL_set_fd(session_.get(), socket_.get());
}

bool TestClient::connect() {
    const bool done = SSL_connect(session_.get()) == 1;
    ERR_clear_error();
    return done;
}

bool TestClient::send(std::string_view text) {
    std::size_t sent = 0;
    return SSL_write_ex(session_.get(), text.data(), text.size(), &sent) == 1 && sent == text.size();
}

std::string TestClient::receive(std::size_t size) {
    std::string text(size, '\0');
    std::size_t filled = 0;
    while (filled < size) {
        std::size_t got = 0;
        if (SSL_read_ex(session_.get(), text.data() + filled, size - filled, &got) != 1) break;
        filled += got;
    }
    ERR_clear_error();
    text.resize(filled);
    return text;
}

void TestClient::end_output() {
    static_cast<void>(SSL_shutdown(session_.get()));
}

std::string TestClient::server_common_name() const {
    const X509* certificate = SSL_get0_peer_certificate(session_.get());
    if (certificate == nullptr) return {};
    std::array<char, 256> name{};
    X509_NAME_get_text_by_NID(X509_get_subject_name(certificate), NID_commonName, name.data(), name.size());
    return name.data();
}

int TestClient::server_key_type() const {
    const X509* certificate = SSL_get0_peer_certificate(session_.get());
    return certificate == nullptr ? 0 : EVP_PKEY_get_base_id(X509_get0_pubkey(certificate));
}

std::string TestClient::channel_binding() const {
    std::array<unsigned char, 32> binding{};
    constexpr std::string_view kLabel = "EXPORTER-Channel-Binding";
    SSL_export_keying_material(session_.get(), binding.data(), binding.size(), kLabel.data(), kLabel.size(),
                               nullptr, 0, 0);
    return {reinterpret_cast<const char*>(binding.data()), binding.size()};
}

}  // namespace postrider::tls::test
