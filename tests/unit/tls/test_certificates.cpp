#include "tests/unit/tls/test_certificates.h"

#include <openssl/ec.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509v3.h>

#include <stdexcept>

#include "libcommon/tls/openssl.h"

namespace postrider::tls::test {

namespace {

constexpr long kDay = 24L * 3600;

void require(bool done, const char* what) {
    if (!done) throw std::runtime_error(what);
}

std::string text_of(BIO* memory) {
    char* data = nullptr;
    const long size = BIO_get_mem_data(memory, &data);
    return {data, static_cast<std::size_t>(size)};
}

KeyHandle make_key(KeyKind kind) {
    KeyHandle key(kind == KeyKind::Rsa ? EVP_RSA_gen(2048) : EVP_EC_gen("P-256"));
    require(key != nullptr, "no key");
    return key;
}

void add_extension(X509* certificate, X509* issuer, int which, const std::string& value) {
    X509V3_CTX context;
    X509V3_set_ctx(&context, issuer, certificate, nullptr, nullptr, 0);
    X509_EXTENSION* extension = X509V3_EXT_conf_nid(nullptr, &context, which, value.c_str());
    require(extension != nullptr && X509_add_ext(certificate, extension, -1) == 1, "extension");
    X509_EXTENSION_free(extension);
}

CertificateHandle parse(const std::string& pem) {
    const BioHandle in(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
    return CertificateHandle(PEM_read_bio_X509(in.get(), nullptr, nullptr, nullptr));
}

KeyHandle parse_key(const std::string& pem) {
    const BioHandle in(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
    return KeyHandle(PEM_read_bio_PrivateKey(in.get(), nullptr, nullptr, nullptr));
}

void describe(X509* certificate, const Wanted& wanted) {
    static long serial = 1;
    X509_set_version(certificate, X509_VERSION_3);
    ASN1_INTEGER_set(X509_get_serialNumber(certificate), ++serial);
    X509_gmtime_adj(X509_getm_notBefore(certificate), -2 * kDay);
    X509_gmtime_adj(X509_getm_notAfter(certificate), wanted.expired ? -kDay : 30 * kDay);
    const auto* name = reinterpret_cast<const unsigned char*>(wanted.common_name.c_str());
    require(X509_NAME_add_entry_by_txt(X509_get_subject_name(certificate), "CN", MBSTRING_UTF8, name, -1, -1,
                                       0) == 1,
            "subject");
}

}  // namespace

MadePair make_certificate(const Wanted& wanted, const MadePair* issuer) {
    const KeyHandle key = make_key(wanted.kind);
    const CertificateHandle certificate(X509_new());
    describe(certificate.get(), wanted);
    const CertificateHandle authority = issuer != nullptr ? parse(issuer->chain) : nullptr;
    const KeyHandle authority_key = issuer != nullptr ? parse_key(issuer->key) : nullptr;
    X509* signer = authority ? authority.get() : certificate.get();
    X509_set_issuer_name(certificate.get(), X509_get_subject_name(signer));
    X509_set_pubkey(certificate.get(), key.get());
    add_extension(certificate.get(), signer, NID_basic_constraints,
                  wanted.authority ? "CA:TRUE" : "CA:FALSE");
    std::string names;
    for (const std::string& name : wanted.names)
        names += (names.empty() ? "DNS:" : ",DNS:") + name;
    if (!names.empty()) add_extension(certificate.get(), signer, NID_subject_alt_name, names);
    EVP_PKEY* signing = authority_key ? authority_key.get() : key.get();
    require(X509_sign(certificate.get(), signing, EVP_sha256()) > 0, "signature");

    const BioHandle chain(BIO_new(BIO_s_mem()));
    const BioHandle secret(BIO_new(BIO_s_mem()));
    require(PEM_write_bio_X509(chain.get(), certificate.get()) == 1, "PEM");
    require(PEM_write_bio_PrivateKey(secret.get(), key.get(), nullptr, nullptr, 0, nullptr, nullptr) == 1,
            "PEM");
    MadePair made{text_of(chain.get()), text_of(secret.get())};
    if (issuer != nullptr) made.chain += issuer->chain;
    return made;
}

}  // namespace postrider::tls::test
