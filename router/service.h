#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "libcommon/base/fd.h"
#include "libcommon/base/result.h"
#include "libcommon/ipc/router.pb.h"
#include "libcommon/ipc/server.h"
#include "router/client_history.h"
#include "router/policy.h"
#include "router/tables.h"
#include "router/users.h"

namespace postrider::router {

/// What the router has done since its start.
struct ServiceCounters {
    std::uint64_t connects = 0;
    std::uint64_t senders = 0;
    std::uint64_t recipients_accepted = 0;
    std::uint64_t recipients_rejected = 0;
    std::uint64_t recipients_deferred = 0;
    std::uint64_t recipients_resolved = 0;
    std::uint64_t verifications = 0;
    std::uint64_t refused_by_rate = 0;  ///< what accounts and clients had no room left for
    std::uint64_t explanations = 0;
    std::uint64_t waits_for_users = 0;  ///< questions that needed a look-up
    std::uint64_t loads = 0;            ///< tables that came into force
    std::uint64_t failed_loads = 0;     ///< tables that did not, because of errors
};

/// Answers the frames of router.sock. A question is answered within its own turn of the loop, unless it is
/// about a user whom the cache does not know: then a task of the peer waits for the look-up and asks again.
/// Each answer is made from one state of the tables.
class Service {
  public:
    using Peer = ipc::Peer<wire::RouterReply>;

    /// References outlive the service.
    Service(UserCache& users, std::shared_ptr<const Tables> tables);

    /// From now on these tables hold.
    void use_tables(std::shared_ptr<const Tables> tables);
    [[nodiscard]] const std::shared_ptr<const Tables>& tables() const { return tables_; }
    [[nodiscard]] ServiceCounters& counters() { return counters_; }

    // What ipc::Server asks of its handler.
    void on_connect(Peer& peer);
    Result<void> on_request(Peer& peer, wire::RouterRequest&& request, const std::vector<Fd>& descriptors);
    void on_disconnect(Peer& peer);

  private:
    /// Names of users who must be looked up before there is an answer; empty: the answer was sent.
    using Pending = std::vector<std::string>;

    Pending dispatch(Peer& peer, const wire::RouterRequest& request);
    Pending answer_connect(Peer& peer, std::uint64_t id, const wire::ConnectQuestion& question);
    Pending answer_sender(Peer& peer, std::uint64_t id, const wire::SenderQuestion& question);
    Pending answer_recipient(Peer& peer, std::uint64_t id, const wire::RecipientQuestion& question);
    Pending answer_verify(Peer& peer, std::uint64_t id, const wire::VerifyQuestion& question);
    Pending answer_resolve(Peer& peer, std::uint64_t id, const wire::ResolveQuestion& question);
    Pending answer_forward(Peer& peer, std::uint64_t id, const wire::ForwardQuestion& question);
    Pending answer_explain(Peer& peer, std::uint64_t id, const wire::ExplainQuestion& question);
    Pending answer_status(Peer& peer, std::uint64_t id);
    void refuse_if(std::optional<Verdict> refused, Verdict& verdict);
    async::Task<void> answer_later(Peer& peer, wire::RouterRequest request, Pending pending);

    UserCache& users_;
    std::shared_ptr<const Tables> tables_;
    ServiceCounters counters_;
    ClientHistory history_;
};

/// Whether a peer of this role may send this frame: the table of router.proto.
[[nodiscard]] bool may_ask(wire::Role role, wire::RouterRequest::BodyCase question);

}  // namespace postrider::router
