#pragma once

#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include <memory>
#include <string>

// What the files of this folder share: owners of OpenSSL's objects, and its errors as text.

namespace postrider::tls {

/// Calls one of OpenSSL's free functions.
template <auto Free>
struct Releaser {
    template <typename T>
    void operator()(T* object) const {
        Free(object);
    }
};

using BioHandle = std::unique_ptr<BIO, Releaser<BIO_free>>;
using BioMethodHandle = std::unique_ptr<BIO_METHOD, Releaser<BIO_meth_free>>;
using ContextHandle = std::unique_ptr<SSL_CTX, Releaser<SSL_CTX_free>>;
using KeyHandle = std::unique_ptr<EVP_PKEY, Releaser<EVP_PKEY_free>>;
using SessionHandle = std::unique_ptr<SSL, Releaser<SSL_free>>;
using CertificateHandle = std::unique_ptr<X509, Releaser<X509_free>>;
using StoreHandle = std::unique_ptr<X509_STORE, Releaser<X509_STORE_free>>;

struct ChainReleaser {
    void operator()(STACK_OF(X509) * chain) const { sk_X509_pop_free(chain, X509_free); }
};
using ChainHandle = std::unique_ptr<STACK_OF(X509), ChainReleaser>;

/// Makes the library ready, once: error texts and algorithms are in memory, the system's openssl.cnf is not
/// read, and the random generator is seeded. Called before a process confines itself; from then on the
/// library opens no file. Throws std::runtime_error when the library will not start.
void prepare_library();

/// The oldest error that OpenSSL has in its queue for this thread, and empties the queue: "no shared cipher".
/// `otherwise` when there is none.
[[nodiscard]] std::string take_error(const char* otherwise);

}  // namespace postrider::tls
