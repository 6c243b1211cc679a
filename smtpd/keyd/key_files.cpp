#include "smtpd/keyd/key_files.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <openssl/crypto.h>
#include <sys/stat.h>

#include <cerrno>
#include <filesystem>
#include <memory>
#include <set>

#include "libcommon/base/clock.h"
#include "libcommon/base/file.h"
#include "libcommon/tls/server_context.h"

namespace postrider::keyd {

namespace {

/// A text that is wiped when it is no longer needed.
struct Secret {
    explicit Secret(std::string text_in) : text(std::move(text_in)) {}
    Secret(const Secret&) = delete;
    Secret& operator=(const Secret&) = delete;
    ~Secret() { OPENSSL_cleanse(text.data(), text.size()); }
    std::string text;
};

/// One reading of all files.
class Loader {
  public:
    explicit Loader(const config::Settings& settings)
        : settings_(settings), limit_(settings.limits.size(config::Limit::TlsFileSize)) {}

    LoadOutcome load() {
        for (const config::TlsCertificate& line : settings_.tls_certificates)
            load_pair(line);
        load_authorities();
        check_ciphers();
        if (outcome_.errors.empty()) outcome_.files = std::move(files_);
        return std::move(outcome_);
    }

  private:
    void add_error(const config::Position& position, std::string_view text) {
        outcome_.errors.push_back(fmt::format("{}: {}", position.text(), text));
    }
    void warn(const config::Position& position, std::string_view text) {
        outcome_.warnings.push_back(fmt::format("{}: {}", position.text(), text));
    }

    void load_pair(const config::TlsCertificate& line) {
        const auto chain = read_file(line.chain, limit_);
        if (!chain) add_error(line.chain_position, chain.error().text);
        auto key_text = read_file(line.key, limit_);
        if (!key_text) add_error(line.key_position, key_text.error().text);
        if (!chain || !key_text) return;
        const Secret key(std::move(*key_text));
        const auto parsed = tls::Certificate::parse(*chain, key.text, line.name);
        if (!parsed) {
            const bool in_chain = parsed.error().part == tls::Certificate::Part::Chain;
            add_error(in_chain ? line.chain_position : line.key_position,
                      fmt::format("{}: {}", in_chain ? line.chain : line.key, parsed.error().text));
            return;
        }
        look_for_dangers(line, **parsed);
        // All workers get the same memory: none may change what another one reads.
        auto memory = sealed_memory("certificate", {*chain, key.text});
        if (!memory) {
            add_error(line.chain_position, memory.error().text);
            return;
        }
        certificates_.push_back(*parsed);
        files_.pairs.push_back({line.name, static_cast<std::uint32_t>(chain->size()), std::move(*memory)});
    }

    void look_for_dangers(const config::TlsCertificate& line, const tls::Certificate& certificate) {
        const long long now = static_cast<long long>(unix_millis_now() / 1000);
        if (certificate.expires() < now) {
            warn(line.chain_position, fmt::format("{} has expired", line.chain));
        }
        struct stat found {};
        if (::stat(line.key.c_str(), &found) == 0 && (found.st_mode & S_IROTH) != 0) {
            warn(line.key_position, fmt::format("everybody may read the private key {}", line.key));
        }
    }

    void load_authorities() {
        if (settings_.tls_client_ca.empty()) return;
        const config::Position position = settings_.origin("tls_client_ca");
        const auto text = read_file(settings_.tls_client_ca, limit_);
        if (!text) {
            add_error(position, text.error().text);
            return;
        }
        const auto parsed = tls::parse_certificates(*text);
        auto memory = parsed ? sealed_memory("certificate", {*text}) : failure(parsed.error());
        if (memory) {
            files_.authorities = std::move(*memory);
        } else {
            add_error(position, fmt::format("{}: {}", settings_.tls_client_ca, memory.error().text));
        }
    }

    // What the names of ciphers mean is known only to those who have OpenSSL.
    void check_ciphers() {
        if (settings_.tls_ciphers.empty() || certificates_.empty()) return;
        auto ring = std::make_shared<const tls::KeyRing>(
            tls::KeyRing{certificates_, {tls::TicketKey::random(), std::nullopt}, {}});
        tls::ServerOptions options;
        options.ciphers = settings_.tls_ciphers;
        const auto context = tls::ServerContext::make(std::move(ring), options);
        if (!context) add_error(settings_.origin("tls_ciphers"), context.error().text);
    }

    const config::Settings& settings_;
    std::size_t limit_;
    std::vector<std::shared_ptr<const tls::Certificate>> certificates_;
    KeyFiles files_;
    LoadOutcome outcome_;
};

}  // namespace

LoadOutcome load_key_files(const config::Settings& settings) {
    return Loader(settings).load();
}

std::vector<std::string> files_of(const config::Settings& settings) {
    std::vector<std::string> files;
    for (const config::TlsCertificate& line : settings.tls_certificates) {
        files.push_back(line.chain);
        files.push_back(line.key);
    }
    if (!settings.tls_client_ca.empty()) files.push_back(settings.tls_client_ca);
    return files;
}

std::vector<std::string> folders_of(const config::Settings& settings) {
    std::set<std::string> folders;
    for (const std::filesystem::path file : files_of(settings)) {
        folders.insert(file.parent_path().string());
        std::error_code error;
        // certbot and others link from one folder to the file of the day in another one.
        const auto target = std::filesystem::canonical(file, error);
        if (!error) folders.insert(target.parent_path().string());
    }
    return {folders.begin(), folders.end()};
}

}  // namespace postrider::keyd
