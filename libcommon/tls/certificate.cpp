#include "libcommon/tls/certificate.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include <algorithm>
#include <array>
#include <ctime>

namespace postrider::tls {

namespace {

BioHandle reader_of(std::string_view text) {
    return BioHandle(BIO_new_mem_buf(text.data(), static_cast<int>(text.size())));
}

// Instead of OpenSSL's question on the terminal, for which a daemon has none.
int no_passphrase(char* /*buffer*/, int /*size*/, int /*writing*/, void* /*data*/) {
    return -1;
}

std::string text_of(const ASN1_STRING* string) {
    const auto* data = ASN1_STRING_get0_data(string);
    return {reinterpret_cast<const char*>(data), static_cast<std::size_t>(ASN1_STRING_length(string))};
}

std::vector<std::string> common_names(X509* certificate) {
    const X509_NAME* subject = X509_get_subject_name(certificate);
    const int at = X509_NAME_get_index_by_NID(subject, NID_commonName, -1);
    if (at < 0) return {};
    return {lower_case(text_of(X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, at))))};
}

std::vector<std::string> names_in(X509* certificate) {
    struct NamesReleaser {
        void operator()(GENERAL_NAMES* names) const { GENERAL_NAMES_free(names); }
    };
    const std::unique_ptr<GENERAL_NAMES, NamesReleaser> alternatives(
        static_cast<GENERAL_NAMES*>(X509_get_ext_d2i(certificate, NID_subject_alt_name, nullptr, nullptr)));
    std::vector<std::string> names;
    const int count = alternatives ? sk_GENERAL_NAME_num(alternatives.get()) : 0;
    for (int at = 0; at < count; ++at) {
        const GENERAL_NAME* name = sk_GENERAL_NAME_value(alternatives.get(), at);
        if (name->type == GEN_DNS) names.push_back(lower_case(text_of(name->d.dNSName)));
    }
    return names.empty() ? common_names(certificate) : names;
}

tl::unexpected<Certificate::Fault> fault(Certificate::Part part, std::string text) {
    return tl::unexpected<Certificate::Fault>(Certificate::Fault{part, std::move(text)});
}

}  // namespace

std::string lower_case(std::string_view name) {
    std::string lower(name);
    std::transform(lower.begin(), lower.end(), lower.begin(),
                   [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; });
    return lower;
}

Result<std::vector<CertificateHandle>> parse_certificates(std::string_view pem) {
    const BioHandle reader = reader_of(pem);
    std::vector<CertificateHandle> found;
    ERR_clear_error();
    while (true) {
        CertificateHandle next(PEM_read_bio_X509(reader.get(), nullptr, no_passphrase, nullptr));
        if (!next) break;
        found.push_back(std::move(next));
    }
    const bool at_end = ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE;
    const std::string reason = take_error("no certificate");
    if (!at_end) return permanent("not a certificate: " + reason);
    if (found.empty()) return permanent("there is no certificate in it");
    return found;
}

Certificate::Parsed Certificate::parse(std::string_view chain, std::string_view key, std::string_view name) {
    auto parsed = parse_certificates(chain);
    if (!parsed) return fault(Part::Chain, parsed.error().text);
    std::shared_ptr<Certificate> made(new Certificate());
    made->leaf_ = std::move(parsed->front());
    made->chain_.reset(sk_X509_new_null());
    for (std::size_t at = 1; at < parsed->size(); ++at) {
        // A successful push takes the certificate over.
        if (sk_X509_push(made->chain_.get(), (*parsed)[at].get()) > 0)
            static_cast<void>((*parsed)[at].release());
    }
    ERR_clear_error();
    made->key_.reset(PEM_read_bio_PrivateKey(reader_of(key).get(), nullptr, no_passphrase, nullptr));
    if (!made->key_) return fault(Part::Key, "not a private key without passphrase: " + take_error("no key"));
    if (X509_check_private_key(made->leaf_.get(), made->key_.get()) != 1) {
        ERR_clear_error();
        return fault(Part::Key, "not the key of the certificate");
    }
    made->names_ = name.empty() ? names_in(made->leaf_.get()) : std::vector{lower_case(name)};
    return std::shared_ptr<const Certificate>(std::move(made));
}

bool Certificate::is_for(std::string_view name, bool wildcard) const {
    const std::size_t dot = name.find('.');
    const std::string_view parent = dot == std::string_view::npos ? std::string_view() : name.substr(dot);
    return std::any_of(names_.begin(), names_.end(), [&](const std::string& own) {
        if (!wildcard) return own == name;
        return own.starts_with("*.") && own.size() > 2 && own.substr(1) == parent;
    });
}

bool Certificate::use_in(SSL* session) const {
    return SSL_use_cert_and_key(session, leaf_.get(), key_.get(), chain_.get(), 1) == 1;
}

long long Certificate::expires() const {
    std::tm end{};
    if (ASN1_TIME_to_tm(X509_get0_notAfter(leaf_.get()), &end) != 1) return 0;
    return ::timegm(&end);
}

}  // namespace postrider::tls
