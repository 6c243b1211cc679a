#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "libcommon/async/scope.h"
#include "libcommon/async/sync.h"
#include "libcommon/base/fd.h"
#include "libcommon/base/result.h"
#include "libcommon/config/client_network.h"
#include "libcommon/ipc/auth.pb.h"
#include "libcommon/ipc/server.h"
#include "smtpd/auth/exchange.h"
#include "smtpd/auth/failure_counter.h"
#include "smtpd/auth/method.h"
#include "smtpd/auth/password_file.h"
#include "smtpd/auth/scram.h"

namespace postrider::auth {

/// What authd has done since its start.
struct ServiceCounters {
    std::uint64_t begun = 0;
    std::uint64_t accepted = 0;
    std::uint64_t rejected = 0;
    std::uint64_t unavailable = 0;
    std::uint64_t malformed = 0;
    std::uint64_t locked = 0;
    std::uint64_t cancelled = 0;
};

/// What the service is made of.
struct ServiceSettings {
    FailureLimits failures;
    Milliseconds timeout{120'000};       ///< of a check, from its beginning
    std::size_t exchanges_per_peer = 0;  ///< under way at once
    config::ClientPrefixes client_prefixes;
};

/// Answers the frames of auth.sock: leads each exchange through its mechanism, asks the methods, and counts
/// failures across all sessions and workers.
class Service {
  public:
    using Peer = ipc::Peer<wire::AuthReply>;

    /// References outlive the service.
    Service(async::Loop& loop, SaslLibrary& library, ServiceSettings settings);

    /// Adds a method behind the others. Before the first peer.
    void add(std::unique_ptr<Method> method) { methods_.push_back(std::move(method)); }
    /// Adds a password file, which is a method and knows SCRAM verifiers.
    void add(std::unique_ptr<PasswordFile> file);

    /// To be called when a password file changed: what is offered may have changed with it.
    void offer_changed();

    // What ipc::Server asks of its handler.
    static constexpr bool kFramesAreSecret = true;
    void on_connect(Peer& peer);
    Result<void> on_request(Peer& peer, wire::AuthRequest&& request, const std::vector<Fd>& descriptors);
    void on_disconnect(Peer& peer);

    /// Further counters for AuthStatus.
    void on_status(std::function<void(wire::AuthState&)> add_counters) {
        on_status_ = std::move(add_counters);
    }

  private:
    /// An exchange from its begin to its outcome.
    struct Running {
        std::uint64_t number = 0;  ///< in `exchange` of the frames
        std::string mechanism;
        std::string client_address;
        std::string client;  ///< its network, as failures are counted
        bool tls = false;
        bool checking = false;  ///< an answer is on its way; the client has nothing to say
        bool cancelled = false;
        std::string proven_login;  ///< of SCRAM: the client's acknowledgement is all that is missing
        std::unique_ptr<Exchange> exchange;
    };
    using RunningPtr = std::shared_ptr<Running>;
    /// A peer's exchanges. Checks go on when the peer is gone, so that their failures are counted; they know
    /// it by its number.
    struct Session {
        Peer* peer = nullptr;
        std::unordered_map<std::uint64_t, RunningPtr> running;
    };
    using SessionNumber = std::uint64_t;
    struct Question {
        SessionNumber session = 0;
        std::uint64_t id = 0;  ///< of the frame to be answered
        RunningPtr running;
    };

    Result<void> begin(Peer& peer, std::uint64_t id, wire::AuthBegin& begin);
    Result<void> respond(Peer& peer, std::uint64_t id, const wire::AuthResponse& response);
    void cancel(Peer& peer, const wire::AuthCancel& cancel);
    void answer_status(Peer& peer, std::uint64_t id);
    [[nodiscard]] std::unique_ptr<Exchange> make_exchange(const wire::AuthBegin& begin);
    [[nodiscard]] ScramVerifier find_verifier(const std::string& login) const;
    [[nodiscard]] std::string network_of(const std::string& address) const;
    [[nodiscard]] std::vector<std::string> offer() const;
    void send_offer(Peer& peer) const;

    /// Does what follows from what the client said.
    void take_step(Question question, Step step);
    void take_acknowledgement(const Question& question, std::string_view data);
    async::Task<void> check(Question question, std::shared_ptr<const Credentials> credentials);
    async::Task<void> settle(Question question, Step step);
    /// Waits for admission; false: locked, and answered.
    async::Task<bool> admitted(Question question, std::string account);
    /// `method` becomes the name of the one that decided; it outlives the task.
    async::Task<CheckResult> ask_methods(std::shared_ptr<const Credentials> credentials, std::string& method);
    void count_success(const Running& running, const std::string& account);
    std::uint32_t count_failure(const Running& running, const std::string& account);

    void challenge(const Question& question, const std::string& data);
    void finish(const Question& question, wire::AuthOutcome outcome, std::string_view login,
                std::string_view method = {});
    void count(wire::AuthOutcome::Result result);
    [[nodiscard]] Session* session_of(const Peer& peer);

    async::Loop& loop_;
    SaslLibrary& library_;
    ServiceSettings settings_;
    std::vector<std::unique_ptr<Method>> methods_;
    std::vector<PasswordFile*> files_;
    std::string salt_key_;
    FailureCounter failures_;
    ServiceCounters counters_;
    std::function<void(wire::AuthState&)> on_status_;
    std::unordered_map<const Peer*, SessionNumber> numbers_;
    std::unordered_map<SessionNumber, Session> sessions_;
    SessionNumber next_session_ = 1;
    async::Condition check_ended_;
    async::Scope scope_;  // last: its tasks use the others
};

/// Whether a peer of this role may send this frame: the table of auth.proto.
[[nodiscard]] bool may_send(wire::Role role, wire::AuthRequest::BodyCase frame);

}  // namespace postrider::auth
