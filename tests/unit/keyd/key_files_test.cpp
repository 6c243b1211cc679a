#include "smtpd/keyd/key_files.h"

#include <catch2/catch.hpp>
#include <fmt/format.h>
#include <sys/stat.h>

#include "libcommon/base/file.h"
#include "tests/unit/keyd/keyd_process.h"

namespace postrider::keyd::test {

namespace {

using tls::test::make_certificate;

// Owners of files only; no process is started here.
KeydProcess& folder() {
    static KeydProcess made;
    static const bool filled = [] {
        made.write_pair("a", make_certificate({"a.test", {"a.test"}}));
        made.write_pair("b", make_certificate({"b.test", {"b.test"}}));
        tls::test::Wanted old{"old.test", {}};
        old.expired = true;
        made.write_pair("old", make_certificate(old));
        for (const char* name : {"etc/a.key", "etc/old.key"})
            ::chmod(made.path(name).c_str(), 0600);
        ::chmod(made.path("etc/b.key").c_str(), 0644);
        made.write("empty", "");
        return true;
    }();
    static_cast<void>(filled);
    return made;
}

LoadOutcome load_with(const std::string& lines) {
    folder().write("postrider.conf", lines);
    return load_key_files(folder().settings());
}

}  // namespace

TEST_CASE("key files become sealed memory, in their order") {
    const auto outcome = load_with(
        "tls_certificate a.pem a.key\ntls_certificate b.pem b.key name=*.b.test\ntls_client_ca b.pem\n"
        "tls_ciphers ECDHE+AESGCM\n");
    CHECK(outcome.errors == std::vector<std::string>{});
    REQUIRE(outcome.files);
    REQUIRE(outcome.files->pairs.size() == 2);
    const SealedPair& first = outcome.files->pairs[0];
    const auto chain = read_file(folder().path("etc/a.pem"), 100'000);
    const auto key = read_file(folder().path("etc/a.key"), 100'000);
    const auto memory = read_at(first.memory, 100'000, 0);
    REQUIRE((chain && key && memory));
    CHECK(*memory == *chain + *key);
    CHECK(first.chain_size == chain->size());
    CHECK(outcome.files->pairs[1].name == "*.b.test");
    CHECK(outcome.files->authorities);
    // Nobody who is given it can change it for the others.
    CHECK(::pwrite(first.memory.get(), "x", 1, 0) < 0);
    CHECK(::ftruncate(first.memory.get(), 0) < 0);
}

TEST_CASE("errors in key files have the place of the configuration") {
    struct Case {
        const char* lines;
        const char* place;
        const char* text;
    };
    const Case cases[] = {
        {"tls_certificate a.pem b.key\n", "10:23", "b.key: not the key of the certificate"},
        {"tls_certificate missing a.key\n", "10:17", "missing: No such file or directory"},
        {"tls_certificate a.pem missing\n", "10:23", "missing: No such file or directory"},
        {"tls_certificate empty a.key\n", "10:17", "empty: there is no certificate in it"},
        {"tls_certificate a.pem empty\n", "10:23", "empty: not a private key without passphrase"},
        {"tls_certificate a.pem a.key\ntls_client_ca a.key\n", "11:1",
         "a.key: there is no certificate in it"},
        {"tls_certificate a.pem a.key\ntls_ciphers RC9\n", "11:1", "no usable cipher"},
    };
    for (const auto& test : cases) {
        const auto outcome = load_with(test.lines);
        INFO(test.lines);
        CHECK_FALSE(outcome.files);
        REQUIRE(outcome.errors.size() == 1);
        INFO(outcome.errors.front());
        CHECK(outcome.errors.front().starts_with(
            fmt::format("{}:{}: ", folder().path("etc/postrider.conf"), test.place)));
        CHECK(outcome.errors.front().find(test.text) != std::string::npos);
    }
}

TEST_CASE("what is legal but hardly meant is a warning") {
    CHECK(load_with("tls_certificate a.pem a.key\n").warnings.empty());
    const auto open = load_with("tls_certificate b.pem b.key\n");
    REQUIRE(open.warnings.size() == 1);
    CHECK(open.warnings.front().find("everybody may read the private key") != std::string::npos);
    const auto old = load_with("tls_certificate old.pem old.key\n");
    REQUIRE(old.warnings.size() == 1);
    CHECK(old.warnings.front().find("has expired") != std::string::npos);
}

TEST_CASE("the folders of links and of what they lead to stay readable") {
    const std::filesystem::path root = folder().path("");
    std::filesystem::create_directories(root / "live");
    for (const char* name : {"a.pem", "a.key"}) {
        std::filesystem::remove(root / "live" / name);
        std::filesystem::create_symlink(root / "etc" / name, root / "live" / name);
    }
    folder().write("postrider.conf", "tls_certificate ../live/a.pem ../live/a.key\n");
    const auto folders = folders_of(folder().settings());
    const auto canonical = std::filesystem::canonical(root);
    CHECK(folders == std::vector<std::string>{(canonical / "etc").string(), (root / "live").string()});
}

}  // namespace postrider::keyd::test
