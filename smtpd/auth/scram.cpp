#include "smtpd/auth/scram.h"

#include <fmt/format.h>
#include <gsasl.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/sha.h>

#include <stdexcept>
#include <utility>

#include "libcommon/base/base64.h"
#include "smtpd/auth/login_name.h"

namespace postrider::auth {

namespace {

std::string keyed_digest(std::string_view key, char purpose, std::string_view login) {
    std::string text(1, purpose);
    text += login;
    std::string digest(SHA256_DIGEST_LENGTH, '\0');
    unsigned size = 0;
    ::HMAC(::EVP_sha256(), key.data(), static_cast<int>(key.size()),
           reinterpret_cast<const unsigned char*>(text.data()), text.size(),
           reinterpret_cast<unsigned char*>(digest.data()), &size);
    return digest;
}

/// Whether a result of gsasl_step() says that the client wrote something that the grammar does not allow.
bool is_malformed(int result) {
    return result == GSASL_MECHANISM_PARSE_ERROR || result == GSASL_BASE64_ERROR ||
           result == GSASL_SASLPREP_ERROR || result == GSASL_MECHANISM_CALLED_TOO_MANY_TIMES;
}

}  // namespace

SaslLibrary::SaslLibrary() {
    const int result = ::gsasl_init(&context_);
    if (result != GSASL_OK) throw std::runtime_error(fmt::format("libgsasl: {}", ::gsasl_strerror(result)));
    ::gsasl_callback_set(context_, [](Gsasl* context, Gsasl_session* session, Gsasl_property property) {
        return ScramExchange::supply(context, session, property);
    });
}

SaslLibrary::~SaslLibrary() {
    ::gsasl_done(context_);
}

ScramExchange::ScramExchange(SaslLibrary& library, bool plus, std::string channel_binding, FindVerifier find)
    : plus_(plus), channel_binding_(std::move(channel_binding)), find_(std::move(find)) {
    const char* name = plus ? "SCRAM-SHA-256-PLUS" : "SCRAM-SHA-256";
    if (::gsasl_server_start(library.context(), name, &session_) != GSASL_OK) {
        session_ = nullptr;
        return;
    }
    ::gsasl_session_hook_set(session_, this);
}

ScramExchange::~ScramExchange() {
    if (session_ != nullptr) ::gsasl_finish(session_);
}

Step ScramExchange::start(std::optional<std::string_view> initial) {
    if (session_ == nullptr) return Refused{"libgsasl does not know the mechanism"};
    if (plus_ && channel_binding_.empty()) return Refused{"there is no channel to bind to"};
    if (!initial) return Challenge{};
    return respond(*initial);
}

Step ScramExchange::respond(std::string_view data) {
    if (data.empty() || data.find('\0') != std::string_view::npos) return Malformed{"not a message of SCRAM"};
    char* text = nullptr;
    std::size_t size = 0;
    const int result = ::gsasl_step(session_, data.data(), data.size(), &text, &size);
    const std::unique_ptr<char, void (*)(void*)> owner(text, ::gsasl_free);
    const std::string answer = text == nullptr ? std::string() : std::string(text, size);
    if (result == GSASL_NEEDS_MORE) return Challenge{answer};
    if (result == GSASL_OK) return Proven{login_, answer};
    if (is_malformed(result)) return Malformed{::gsasl_strerror(result)};
    return Disproven{login_, ::gsasl_strerror(result)};
}

int ScramExchange::supply(Gsasl* /*context*/, Gsasl_session* session, int property) {
    auto* self = static_cast<ScramExchange*>(::gsasl_session_hook_get(session));
    if (self == nullptr) return GSASL_NO_CALLBACK;
    switch (property) {
        case GSASL_CB_TLS_EXPORTER:
            if (self->channel_binding_.empty()) return GSASL_NO_CB_TLS_EXPORTER;
            return ::gsasl_property_set(session, GSASL_CB_TLS_EXPORTER,
                                        encode_base64(self->channel_binding_).c_str());
        case GSASL_SCRAM_ITER:
        case GSASL_SCRAM_SALT:
        case GSASL_SCRAM_SERVERKEY:
        case GSASL_SCRAM_STOREDKEY:
            return self->supply_verifier();
        default:
            // Passwords above all.
            return GSASL_NO_CALLBACK;
    }
}

int ScramExchange::supply_verifier() {
    const char* name = ::gsasl_property_fast(session_, GSASL_AUTHID);
    const char* identity = ::gsasl_property_fast(session_, GSASL_AUTHZID);
    if (name == nullptr || !is_login(name)) return GSASL_AUTHENTICATION_ERROR;
    login_ = canonical_login(name);
    // Nobody acts for others here.
    if (identity != nullptr && *identity != '\0' && canonical_login(identity) != login_) {
        return GSASL_AUTHENTICATION_ERROR;
    }
    const ScramVerifier verifier = find_(login_);
    const std::pair<Gsasl_property, std::string> properties[] = {
        {GSASL_SCRAM_ITER, std::to_string(verifier.iterations)},
        {GSASL_SCRAM_SALT, encode_base64(verifier.salt)},
        {GSASL_SCRAM_SERVERKEY, encode_base64(verifier.server_key)},
        {GSASL_SCRAM_STOREDKEY, encode_base64(verifier.stored_key)},
    };
    for (const auto& [property, value] : properties) {
        const int result = ::gsasl_property_set(session_, property, value.c_str());
        if (result != GSASL_OK) return result;
    }
    return GSASL_OK;
}

ScramVerifier made_up_verifier(std::string_view login, std::string_view key, const ScramVerifier& example) {
    ScramVerifier verifier;
    verifier.iterations = example.iterations;
    verifier.salt = keyed_digest(key, 'n', login) + keyed_digest(key, 'm', login);
    verifier.salt.resize(example.salt.size());
    verifier.stored_key = keyed_digest(key, 's', login);
    verifier.server_key = keyed_digest(key, 'v', login);
    return verifier;
}

}  // namespace postrider::auth
