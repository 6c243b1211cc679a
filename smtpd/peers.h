#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "libcommon/async/stream.h"
#include "libcommon/async/task.h"
#include "libcommon/base/fd.h"
#include "libcommon/base/result.h"
#include "libcommon/config/settings.h"
#include "libcommon/ipc/auth.pb.h"
#include "libcommon/ipc/envelope.pb.h"
#include "libcommon/ipc/router.pb.h"
#include "smtpd/verdict.h"

/// What a session needs from the rest of the suite, behind interfaces that tests can play.
namespace postrider::smtpd {

/// The router, which decides. When it cannot be asked, the verdict is the temporary refusal 451 4.3.0: a
/// session never accepts or refuses for good without it.
class Router {
  public:
    Router() = default;
    Router(const Router&) = delete;
    Router& operator=(const Router&) = delete;
    virtual ~Router() = default;

    /// `begins_session`: it has just connected; false when more is known of it.
    virtual async::Task<ClientVerdict> may_connect(wire::Client client, bool begins_session) = 0;
    virtual async::Task<Verdict> may_send(wire::Client client, std::string sender) = 0;
    virtual async::Task<Verdict> may_receive(wire::Client client, std::string sender,
                                             std::string recipient) = 0;
    virtual async::Task<VerifiedAddress> verify(wire::Client client, std::string address, bool expand) = 0;
    /// ETRN of a client to which the policy does not grant it.
    virtual async::Task<Verdict> may_start_queue(wire::Client client, std::string domain) = 0;
};

/// A message whose content is complete.
struct CompleteMessage {
    std::string queue_id;
    /// All of it, at most ipc::kMaxInlineContent octets; nothing if it was written to Queue::open_content().
    std::optional<std::string> content;
    std::uint64_t length = 0;  ///< octets written
    std::uint64_t hash = 0;    ///< their XXH3-64
};

/// What has become of an ETRN.
struct StartedQueue {
    std::uint64_t messages = 0;  ///< that are attempted now, as far as they are found
    bool unfinished = false;     ///< more are looked for, and will be attempted
    Seconds wait{0};             ///< not 0: nothing was done, because that was asked too short a time ago
};

/// Whether the queue-manager takes messages at present.
struct Intake {
    bool accepting = true;
    std::string reason;  ///< why not
};

/// The queue-manager, which owns the queue. Errors: Temporary, if it cannot be reached or cannot do it now;
/// Permanent, if it will never do it.
class Queue {
  public:
    Queue() = default;
    Queue(const Queue&) = delete;
    Queue& operator=(const Queue&) = delete;
    virtual ~Queue() = default;

    [[nodiscard]] virtual const Intake& intake() const = 0;
    /// Opens a message; its queue id. `expected_size`: what the client announced, 0 if nothing.
    virtual async::Task<Result<std::string>> open(wire::Envelope envelope, std::uint64_t expected_size) = 0;
    /// The descriptor to write the content of an opened message to, if it is too large for CompleteMessage.
    virtual async::Task<Result<Fd>> open_content(std::string queue_id) = 0;
    /// Success means that the message is on stable storage; nothing else may be taken for it.
    virtual async::Task<Result<void>> commit(CompleteMessage message) = 0;
    /// Forgets a message that was opened. Whether this arrives does not matter: without a commit there is
    /// none.
    virtual void abort(const std::string& queue_id) = 0;
    /// Attempts what waits for a domain now. `client` is for the log.
    virtual async::Task<Result<StartedQueue>> start_queue(std::string domain, bool subdomains,
                                                          std::string client) = 0;
};

/// What a TLS handshake has settled.
struct TlsSession {
    std::string version;             ///< "TLSv1.3"
    std::string cipher;              ///< "TLS_AES_256_GCM_SHA384"
    std::string server_name;         ///< the name that the client asked for (SNI), empty if none
    std::string client_certificate;  ///< subject of a certificate that was verified, empty if none
    std::string channel_binding;     ///< tls-exporter (RFC 9266); empty before TLS 1.3
    bool resumed = false;
};

/// The server's side of TLS.
class Tls {
  public:
    Tls() = default;
    Tls(const Tls&) = delete;
    Tls& operator=(const Tls&) = delete;
    virtual ~Tls() = default;

    /// Whether there is a certificate to offer.
    [[nodiscard]] virtual bool ready() const = 0;
    /// Makes the handshake; `stream` is encrypted from then on. What was buffered in clear text before must
    /// have been consumed. Error: Temporary, the connection is of no further use.
    virtual async::Task<Result<TlsSession>> accept(async::Stream& stream, const config::Listener& listener,
                                                   async::Deadline deadline) = 0;
};

/// Where an authentication exchange stands.
struct AuthStep {
    bool done = false;      ///< false: `challenge` is to be sent, and its answer given to respond()
    std::string challenge;  ///< not yet in base64
    wire::AuthOutcome outcome;
};

/// authd, which knows the passwords. When it cannot be asked the outcome is UNAVAILABLE.
class Logins {
  public:
    Logins() = default;
    Logins(const Logins&) = delete;
    Logins& operator=(const Logins&) = delete;
    virtual ~Logins() = default;

    /// What may be offered (IANA SASL names); empty if nothing.
    [[nodiscard]] virtual const std::vector<std::string>& mechanisms() const = 0;
    /// Begins an exchange; `begin.exchange` is set here and returned in `exchange`, for the calls that
    /// follow.
    virtual async::Task<AuthStep> begin(wire::AuthBegin begin, std::uint64_t& exchange) = 0;
    virtual async::Task<AuthStep> respond(std::uint64_t exchange, std::string data) = 0;
    virtual void cancel(std::uint64_t exchange) = 0;
};

}  // namespace postrider::smtpd
