#pragma once

#include <memory>
#include <string>
#include <vector>

#include "libcommon/async/loop.h"
#include "libcommon/async/task.h"
#include "libcommon/base/fd.h"
#include "libcommon/config/limits.h"
#include "libcommon/ipc/queue.pb.h"
#include "remote-delivery/pool.h"
#include "remote-delivery/route.h"
#include "remote-delivery/transaction.h"

namespace postrider::remote_delivery {

/// What all deliveries of the process share. Not owned; outlives them.
struct Services {
    async::Loop& loop;
    const config::Limits& limits;
    const config::Self& self;
    RouteFinder& routes;
    SessionPool& sessions;
};

/// Carries out one job: one message to recipients that share a next hop. It uses an idle session if there is
/// one, otherwise it connects to the hosts of the destination in turn, until every recipient has a final
/// outcome, or no host is left, or enough was tried.
class Job {
  public:
    /// `content` is the queue file.
    Job(Services& services, wire::DeliverJob job, Fd content);
    Job(const Job&) = delete;
    Job& operator=(const Job&) = delete;

    /// Runs the job to its end. Always has a result for every recipient.
    async::Task<wire::DeliveryReport> run();

  private:
    /// A recipient, and how far we are with it.
    struct Recipient {
        enum class State {
            Open,       ///< to be sent on the session that there is, or the next one
            Elsewhere,  ///< not on this session, but another host may do better
            Settled,
        };
        State state = State::Open;
        Judgement judgement;
        std::string host;                ///< that gave the judgement
        bool reports_passed_on = false;  ///< the host sends the reports that the sender asked for
    };

    void refuse_unsendable();
    async::Task<void> use_idle_session();
    async::Task<void> use_hosts(std::vector<Hop> hops);
    async::Task<std::unique_ptr<Session>> open(Hop hop);
    async::Task<void> use(Session& session);
    async::Task<void> give_back(std::unique_ptr<Session> session);

    [[nodiscard]] Transaction next_transaction(std::vector<std::size_t>& indexes) const;
    void take_results(const Session& session, const Transaction& transaction,
                      const std::vector<std::size_t>& indexes);
    [[nodiscard]] std::string sender_of(std::size_t index) const;
    [[nodiscard]] std::string trace_fields_of(std::size_t index) const;
    [[nodiscard]] bool any(Recipient::State state) const;
    void reopen();
    void forgive_mx_errors();
    void judge_open(const Judgement& judgement, const std::string& host);
    [[nodiscard]] wire::DeliveryReport report(Milliseconds taken) const;

    Services& services_;
    wire::DeliverJob job_;
    std::string next_hop_;
    Message message_;
    std::vector<Recipient> recipients_;  // as job_.deliveries
    std::size_t sessions_left_;
    std::vector<std::string> tried_;  // hosts that had a say about the message
};

}  // namespace postrider::remote_delivery
