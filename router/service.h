#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "libcommon/base/fd.h"
#include "libcommon/base/result.h"
#include "libcommon/ipc/router.pb.h"
#include "libcommon/ipc/server.h"
#include "router/client_history.h"
#include "router/full_mailboxes.h"
#include "router/policy.h"
#include "router/question_facts.h"
#include "router/tables.h"

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
    std::uint64_t etrns = 0;            ///< questions of clients that no line of the policy lets use ETRN
    std::uint64_t refused_by_rate = 0;  ///< what accounts and clients had no room left for
    std::uint64_t explanations = 0;
    std::uint64_t waits = 0;         ///< questions for which facts had to be found out
    std::uint64_t loads = 0;         ///< tables that came into force
    std::uint64_t failed_loads = 0;  ///< tables that did not, because of errors
};

/// Answers the frames of router.sock. A question is answered within its own turn of the loop, unless facts
/// are missing (facts.h): then a task of the peer has them found out and decides again.
/// Each answer is made from one state of the tables.
class Service {
  public:
    using Peer = ipc::Peer<wire::RouterReply>;

    /// References outlive the service.
    Service(FactSources& sources, std::shared_ptr<const Tables> tables);

    /// From now on these tables hold.
    void use_tables(std::shared_ptr<const Tables> tables);
    [[nodiscard]] const std::shared_ptr<const Tables>& tables() const { return tables_; }
    [[nodiscard]] ServiceCounters& counters() { return counters_; }

    // What ipc::Server asks of its handler.
    void on_connect(Peer& peer);
    Result<void> on_request(Peer& peer, wire::RouterRequest&& request, const std::vector<Fd>& descriptors);
    void on_disconnect(Peer& peer);

  private:
    // Each sends its answer, unless it finds that facts are missing.
    void dispatch(Peer& peer, const wire::RouterRequest& request, Facts& facts);
    void answer_connect(Peer& peer, std::uint64_t id, const wire::ConnectQuestion& question, Facts& facts);
    void answer_sender(Peer& peer, std::uint64_t id, const wire::SenderQuestion& question, Facts& facts);
    void answer_recipient(Peer& peer, std::uint64_t id, const wire::RecipientQuestion& question,
                          Facts& facts);
    void answer_verify(Peer& peer, std::uint64_t id, const wire::VerifyQuestion& question, Facts& facts);
    void answer_etrn(Peer& peer, std::uint64_t id, const wire::EtrnQuestion& question, Facts& facts);
    void answer_resolve(Peer& peer, std::uint64_t id, const wire::ResolveQuestion& question, Facts& facts);
    void answer_hold(Peer& peer, std::uint64_t id, const wire::HoldQuestion& question, Facts& facts);
    void answer_forward(Peer& peer, std::uint64_t id, const wire::ForwardQuestion& question, Facts& facts);
    void answer_explain(Peer& peer, std::uint64_t id, const wire::ExplainQuestion& question, Facts& facts);
    void answer_mx_check(Peer& peer, std::uint64_t id, const wire::MxCheckQuestion& question, Facts& facts);
    void note_mailbox(const wire::MailboxNotice& notice);
    void answer_status(Peer& peer, std::uint64_t id);
    void describe_beginning(Client& client, Facts& facts);
    /// `count` counts one more towards the rates, or says why there may be none now.
    void limit(Verdict& verdict, const std::function<std::optional<Verdict>()>& count);
    async::Task<void> answer_later(Peer& peer, wire::RouterRequest request,
                                   std::unique_ptr<QuestionFacts> facts);

    FactSources& sources_;
    std::shared_ptr<const Tables> tables_;
    ServiceCounters counters_;
    ClientHistory history_;
    FullMailboxes full_mailboxes_;
};

/// Whether a peer of this role may send this frame: the table of router.proto.
[[nodiscard]] bool may_ask(wire::Role role, wire::RouterRequest::BodyCase question);

}  // namespace postrider::router
