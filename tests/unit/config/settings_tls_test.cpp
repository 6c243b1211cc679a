// The directives about TLS.

#include <catch2/catch.hpp>

#include "libcommon/config/settings.h"
#include "tests/unit/config/memory_files.h"

namespace postrider::config {

namespace {

using Strings = std::vector<std::string>;

LoadResult load_tls(const std::string& text) {
    MemoryFiles files({{"/c/postrider.conf", text}});
    return load("/c/postrider.conf",
                Surroundings{&files, [] { return std::string("mx.example.org"); }, "/etc/resolv.conf"});
}

}  // namespace

TEST_CASE("TLS settings and what is in force without them", "[settings]") {
    const auto none = load_tls("");
    REQUIRE(none.settings);
    CHECK(none.settings->tls_certificates.empty());
    CHECK(none.settings->tls_min == TlsVersion::V1_2);
    CHECK(none.settings->tls_session_tickets);
    CHECK(none.settings->listeners.front().tls == ListenerTls::Offer);
    CHECK(none.settings->listeners.back().tls == ListenerTls::Off);

    const auto all = load_tls(
        "tls_certificate a.pem /k/a.key\ntls_certificate b.pem b.pem name=*.Shop.Example\n"
        "tls_min 1.3\ntls_ciphers ECDHE+AESGCM\ntls_session_tickets no\ntls_client_ca ca.pem\n"
        "listen 127.0.0.1:465 submission tls=implicit client_cert=request\n"
        "listen 127.0.0.1:587 submission tls=require\nlisten 127.0.0.1:25 smtp tls=off\n");
    CHECK(all.errors == Strings{});
    REQUIRE(all.settings);
    const Settings& settings = *all.settings;
    REQUIRE(settings.tls_certificates.size() == 2);
    CHECK(settings.tls_certificates[0].chain == "/c/a.pem");
    CHECK(settings.tls_certificates[0].key == "/k/a.key");
    CHECK(settings.tls_certificates[0].key_position.text() == "/c/postrider.conf:1:23");
    CHECK(settings.tls_certificates[1].name == "*.shop.example");
    CHECK(settings.tls_min == TlsVersion::V1_3);
    CHECK(settings.tls_ciphers == "ECDHE+AESGCM");
    CHECK_FALSE(settings.tls_session_tickets);
    CHECK(settings.tls_client_ca == "/c/ca.pem");
    CHECK(settings.listeners[0].tls == ListenerTls::Implicit);
    CHECK(settings.listeners[0].asks_for_client_certificate);
    CHECK(settings.listeners[1].tls == ListenerTls::Require);
    CHECK(settings.listeners[2].tls == ListenerTls::Off);

    const auto again = load_tls(render(settings));
    CHECK(again.errors == Strings{});
    REQUIRE(again.settings);
    CHECK(again.settings->listeners[0].asks_for_client_certificate);
    CHECK(again.settings->listeners[1].tls == ListenerTls::Require);
    CHECK(again.settings->tls_certificates[1].name == "*.shop.example");
    CHECK(again.settings->tls_ciphers == settings.tls_ciphers);
}

TEST_CASE("TLS settings that cannot be", "[settings]") {
    struct Case {
        std::string text;
        Strings errors;
    };
    const std::string f = "/c/postrider.conf:";
    const Case cases[] = {
        {"listen 127.0.0.1:465 smtp tls=implicit",
         {f + "1:27: this needs a tls_certificate line, and there is none"}},
        {"listen 127.0.0.1:25 smtp tls=require",
         {f + "1:26: this needs a tls_certificate line, and there is none"}},
        {"listen 127.0.0.1:25 smtp tls=on", {f + "1:26: \"on\" is not one of implicit, offer, require, off"}},
        {"listen x.sock local tls=offer", {f + "1:21: there is no TLS on a local socket"}},
        {"listen 127.0.0.1:25 smtp client_cert=request",
         {f + "1:26: this needs a tls_client_ca line, and there is none"}},
        {"tls_client_ca a\nlisten 127.0.0.1:25 smtp tls=off client_cert=request",
         {f + "2:34: there is no client certificate without TLS"}},
        {"tls_certificate a \"\"", {f + "1:19: an empty path"}},
        {"tls_certificate a b name=x", {f + "1:21: \"x\" is not a host name: it must contain a dot"}},
        {"tls_min 1.1", {f + "1:9: \"1.1\" is not one of 1.2, 1.3; did you mean \"1.2\"?"}},
    };
    for (const auto& test : cases) {
        INFO(test.text);
        CHECK(load_tls(test.text).errors == test.errors);
    }
}

}  // namespace postrider::config
