#include "smtpd/key_link.h"

#include <openssl/crypto.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include <cerrno>

#include "libcommon/log/log.h"
#include "libcommon/tls/server_layer.h"

namespace postrider::smtpd {

namespace {

using config::Limit;
using config::ListenerTls;

// The content of a sealed memory descriptor. It is mapped and not read, because all workers share one file
// position, and because the key then is in no buffer that somebody would have to wipe.
class SealedText {
  public:
    static Result<SealedText> map(const std::vector<Fd>& descriptors, std::size_t limit) {
        if (descriptors.size() != 1) return permanent("a frame without its descriptor");
        struct stat found {};
        if (::fstat(descriptors.front().get(), &found) < 0) return system_failure("fstat", errno);
        const auto size = static_cast<std::size_t>(found.st_size);
        if (size == 0 || size > limit) return permanent("a text of no use");
        void* start = ::mmap(nullptr, size, PROT_READ, MAP_PRIVATE, descriptors.front().get(), 0);
        if (start == MAP_FAILED) return system_failure("mmap", errno);
        return SealedText(start, size);
    }
    SealedText(SealedText&& other) noexcept
        : start_(std::exchange(other.start_, nullptr)), size_(std::exchange(other.size_, 0)) {}
    SealedText(const SealedText&) = delete;
    SealedText& operator=(const SealedText&) = delete;
    SealedText& operator=(SealedText&&) = delete;
    ~SealedText() {
        if (start_ != nullptr) ::munmap(start_, size_);
    }
    [[nodiscard]] std::string_view text() const { return {static_cast<const char*>(start_), size_}; }

  private:
    SealedText(void* start, std::size_t size) : start_(start), size_(size) {}
    void* start_;
    std::size_t size_;
};

tls::ServerOptions options_for(const config::Listener& listener, const config::Settings& settings) {
    tls::ServerOptions options;
    options.endpoint = listener.endpoint_text();
    options.least_version = settings.tls_min == config::TlsVersion::V1_3 ? TLS1_3_VERSION : TLS1_2_VERSION;
    options.ciphers = settings.tls_ciphers;
    options.tickets = settings.tls_session_tickets;
    options.ticket_lifetime =
        std::chrono::duration_cast<Seconds>(settings.limits.time(Limit::TlsTicketLifetime));
    options.request_client_certificate = listener.asks_for_client_certificate;
    return options;
}

void wipe(std::string& secret) {
    OPENSSL_cleanse(secret.data(), secret.size());
}

}  // namespace

KeyLink::KeyLink(async::Loop& loop, Client::Connect connect, const config::Settings& settings)
    : settings_(settings), client_(loop, "keyd", wire::ROLE_SMTPD, std::move(connect)) {
    client_.on_state([this](bool connected) {
        log::info(connected ? "keyd connected" : "keyd lost");
        forget_incomplete();
    });
    client_.on_notice([this](wire::KeyReply&& reply, const std::vector<Fd>& descriptors) {
        take(std::move(reply), descriptors);
    });
}

void KeyLink::start() {
    if (!settings_.tls_certificates.empty()) client_.start();
}

void KeyLink::forget_incomplete() {
    certificates_.clear();
    authorities_.clear();
    refused_ = false;
}

void KeyLink::take(wire::KeyReply&& reply, const std::vector<Fd>& descriptors) {
    Result<void> taken;
    if (reply.has_pair()) {
        taken = take_pair(reply.pair(), descriptors);
    } else if (reply.has_authorities()) {
        taken = take_authorities(descriptors);
    } else if (reply.has_complete()) {
        taken = complete(reply.complete());
        wipe(*reply.mutable_complete()->mutable_ticket_key());
        wipe(*reply.mutable_complete()->mutable_old_ticket_key());
        forget_incomplete();
    }
    if (taken) return;
    refused_ = refused_ || !reply.has_complete();
    log::error("keys_not_usable")
        .add("reason", taken.error().text)
        .add("in_force", ready() ? "the old ones" : "none");
}

Result<void> KeyLink::take_pair(const wire::KeyPair& pair, const std::vector<Fd>& descriptors) {
    // The chain and the key, each of which keyd has read under this limit.
    const auto text = SealedText::map(descriptors, 2 * settings_.limits.size(Limit::TlsFileSize));
    if (!text) return failure(text.error());
    if (pair.chain_size() > text->text().size()) return permanent("a chain longer than its text");
    const auto parsed = tls::Certificate::parse(text->text().substr(0, pair.chain_size()),
                                                text->text().substr(pair.chain_size()), pair.name());
    if (!parsed) return permanent(parsed.error().text);
    certificates_.push_back(*parsed);
    return {};
}

Result<void> KeyLink::take_authorities(const std::vector<Fd>& descriptors) {
    const auto text = SealedText::map(descriptors, settings_.limits.size(Limit::TlsFileSize));
    if (!text) return failure(text.error());
    auto parsed = tls::parse_certificates(text->text());
    if (!parsed) return failure(parsed.error());
    authorities_ = std::move(*parsed);
    return {};
}

Result<void> KeyLink::complete(const wire::KeyRingComplete& ring) {
    const auto current = tls::TicketKey::from_octets(ring.ticket_key());
    if (refused_ || ring.pairs() != certificates_.size() || !current) {
        return permanent("the ring is not complete");
    }
    auto made = std::make_shared<const tls::KeyRing>(
        tls::KeyRing{std::move(certificates_),
                     {*current, tls::TicketKey::from_octets(ring.old_ticket_key())},
                     std::move(authorities_)});
    auto contexts = make_contexts(made);
    if (!contexts) return failure(contexts.error());
    contexts_ = std::move(*contexts);
    log::info("keys_in_force").add("certificates", made->certificates.size());
    return {};
}

Result<KeyLink::Contexts> KeyLink::make_contexts(const std::shared_ptr<const tls::KeyRing>& ring) const {
    Contexts contexts;
    for (const config::Listener& listener : settings_.listeners) {
        if (listener.tls == ListenerTls::Off) continue;
        auto context = tls::ServerContext::make(ring, options_for(listener, settings_));
        if (!context) return failure(context.error());
        contexts.emplace(listener.endpoint_text(), std::move(*context));
    }
    return contexts;
}

async::Task<Result<TlsSession>> KeyLink::accept(async::Stream& stream, const config::Listener& listener,
                                                async::Deadline deadline) {
    const auto found = contexts_.find(listener.endpoint_text());
    if (found == contexts_.end()) co_return temporary("there is no certificate");
    std::shared_ptr<const tls::ServerContext> context = found->second;
    auto facts = co_await tls::accept(stream, std::move(context), deadline);
    if (!facts) co_return failure(facts.error());
    TlsSession session;
    session.version = std::move(facts->version);
    session.cipher = std::move(facts->cipher);
    session.server_name = std::move(facts->server_name);
    session.client_certificate = std::move(facts->client_subject);
    session.channel_binding = std::move(facts->channel_binding);
    session.resumed = facts->resumed;
    co_return session;
}

}  // namespace postrider::smtpd
