// The directives about TLS.

#include "libcommon/config/settings_builder.h"

namespace postrider::config {

namespace {

/// A host name, or one with `*.` in front.
Result<std::string> parse_certificate_name(std::string_view text) {
    const bool wildcard = text.starts_with("*.");
    auto name = parse_host_name(wildcard ? text.substr(2) : text);
    if (name && wildcard) name->insert(0, "*.");
    return name;
}

}  // namespace

void SettingsBuilder::tls_certificate(const Directive& directive) {
    const Word& chain = directive.words[0];
    const Word& key = directive.words[1];
    TlsCertificate certificate;
    certificate.chain = chain.text;
    certificate.key = key.text;
    table_path(certificate.chain, chain.position);
    table_path(certificate.key, key.position);
    certificate.chain_position = chain.position;
    certificate.key_position = key.position;
    if (const Option* name = directive.option("name")) {
        store(parse_certificate_name(name->value), certificate.name, name->position);
    }
    settings_.tls_certificates.push_back(std::move(certificate));
}

void SettingsBuilder::tls_min(const Directive& directive) {
    choose(directive.words[0], {{"1.2", TlsVersion::V1_2}, {"1.3", TlsVersion::V1_3}}, settings_.tls_min);
}

void SettingsBuilder::tls_ciphers(const Directive& directive) {
    // What the names mean is OpenSSL's business: keyd, which has it, checks them.
    const Word& word = directive.words[0];
    settings_.tls_ciphers = word.text;
    if (word.text.empty()) errors_.add(word.position, "no cipher");
}

void SettingsBuilder::tls_session_tickets(const Directive& directive) {
    const Word& word = directive.words[0];
    store(parse_boolean(word.text), settings_.tls_session_tickets, word.position);
}

void SettingsBuilder::tls_client_ca(const Directive& directive) {
    const Word& word = directive.words[0];
    settings_.tls_client_ca = word.text;
    table_path(settings_.tls_client_ca, word.position);
}

void SettingsBuilder::listener_tls(const Directive& directive, Listener& listener) {
    const bool local = listener.kind == ListenerKind::Local;
    if (local) listener.tls = ListenerTls::Off;
    if (const Option* tls = directive.option("tls")) {
        choose({tls->value, tls->position, false},
               {{"implicit", ListenerTls::Implicit},
                {"offer", ListenerTls::Offer},
                {"require", ListenerTls::Require},
                {"off", ListenerTls::Off}},
               listener.tls);
        const bool needed = listener.tls == ListenerTls::Implicit || listener.tls == ListenerTls::Require;
        if (needed) tls_wanted_.push_back(tls->position);
        if (local && listener.tls != ListenerTls::Off) {
            errors_.add(tls->position, "there is no TLS on a local socket");
        }
    }
    if (const Option* request = directive.option("client_cert")) {
        choose({request->value, request->position, false}, {{"request", true}},
               listener.asks_for_client_certificate);
        authorities_wanted_.push_back(request->position);
        if (listener.tls == ListenerTls::Off) {
            errors_.add(request->position, "there is no client certificate without TLS");
        }
    }
}

void SettingsBuilder::check_tls() {
    if (settings_.tls_certificates.empty()) {
        for (const Position& position : tls_wanted_)
            errors_.add(position, "this needs a tls_certificate line, and there is none");
    }
    if (settings_.tls_client_ca.empty()) {
        for (const Position& position : authorities_wanted_)
            errors_.add(position, "this needs a tls_client_ca line, and there is none");
    }
}

}  // namespace postrider::config
