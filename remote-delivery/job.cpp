#include "remote-delivery/job.h"

#include <fmt/format.h>
#include <sys/socket.h>

#include <algorithm>
#include <utility>

#include "libcommon/async/connect.h"
#include "libcommon/ipc/channel.h"
#include "libcommon/log/log.h"

namespace postrider::remote_delivery {
namespace {

using async::Task;
using config::Limit;

// A reply can have 100 lines; nobody reads that many in a report, and all results have to fit into one frame.
constexpr std::size_t kMaxText = 1000;
constexpr const char* kLoopsToUs = "5.4.6";
constexpr const char* kMxError = "4.4.6";

constexpr std::size_t kResultOverhead = 64;  // what a result takes beside its text and host: status, numbers

/// At most `size` octets of `text`, cut at the border of a character.
std::string shorten(const std::string& text, std::size_t size) {
    if (text.size() <= size) return text;
    std::size_t end = size;
    while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xc0) == 0x80)
        --end;
    return text.substr(0, end);
}

Message message_of(const wire::DeliverJob& job, Fd content) {
    Message message(Content(std::move(content), job.content_offset(), job.content_length()));
    message.eight_bit = job.body() == wire::Envelope::EIGHTBITMIME;
    message.binary = job.body() == wire::Envelope::BINARYMIME;
    message.smtputf8 = job.smtputf8();
    message.envid = job.envid();
    message.ret = job.ret();
    return message;
}

}  // namespace

Job::Job(Services& services, wire::DeliverJob job, Fd content)
    : services_(services),
      job_(std::move(job)),
      next_hop_(job_.deliveries_size() > 0 ? job_.deliveries(0).next_hop() : std::string()),
      message_(message_of(job_, std::move(content))),
      recipients_(static_cast<std::size_t>(job_.deliveries_size())),
      sessions_left_(services_.limits.size(Limit::MxSessions)) {}

Task<wire::DeliveryReport> Job::run() {
    SteadyTime started = services_.loop.now();
    refuse_unsendable();
    co_await use_idle_session();
    if (any(Recipient::State::Open)) {
        auto destination = parse_destination(next_hop_);
        if (!destination) {
            judge_open(failed("5.1.2", destination.error().text), {});
        } else {
            Route route = co_await services_.routes.find(std::move(*destination));
            if (route) {
                co_await use_hosts(std::move(*route));
            } else {
                judge_open(route.error(), {});
                forgive_mx_errors();
            }
        }
    }
    co_return report(std::chrono::duration_cast<Milliseconds>(services_.loop.now() - started));
}

/// The last check before an address becomes part of a command.
void Job::refuse_unsendable() {
    for (std::size_t i = 0; i < recipients_.size(); ++i) {
        const wire::Delivery& delivery = job_.deliveries(static_cast<int>(i));
        Judgement judgement;
        if (delivery.next_hop() != next_hop_) {
            judgement = deferred("4.3.5", "a delivery job has one next hop");
        } else if (delivery.recipient().empty() || !is_sendable(delivery.recipient())) {
            judgement = failed("5.1.3", "the recipient's address cannot be sent");
        } else if (!is_sendable(sender_of(i))) {
            judgement = failed("5.1.7", "the sender's address cannot be sent");
        } else {
            continue;
        }
        recipients_[i].judgement = std::move(judgement);
        recipients_[i].state = Recipient::State::Settled;
    }
}

/// An idle session that turns out to be dead has cost nothing and proves nothing: it is not one of the
/// sessions that a job may use up, and the next thing tried is a fresh connection.
Task<void> Job::use_idle_session() {
    if (!any(Recipient::State::Open)) co_return;
    std::unique_ptr<Session> session = services_.sessions.take(next_hop_);
    if (session == nullptr) co_return;
    session->set_most_messages(job_.limits().messages());
    co_await use(*session);
    // One that has only sent its last message says nothing against its host.
    const bool goes_on = session->lost_before_mail() || (session->usable() && any(Recipient::State::Open));
    if (!goes_on) {
        --sessions_left_;
        tried_.push_back(session->host());
    }
    co_await give_back(std::move(session));
    reopen();
}

Task<void> Job::use_hosts(std::vector<Hop> hops) {
    std::size_t attempts = std::min(hops.size(), services_.limits.size(Limit::MxAddresses));
    for (std::size_t i = 0; i < attempts && sessions_left_ > 0; ++i) {
        reopen();
        if (!any(Recipient::State::Open)) co_return;
        std::string host = hops[i].text();
        if (std::find(tried_.begin(), tried_.end(), host) != tried_.end()) continue;
        bool more = true;  // as long as the host takes mail, and one session is not enough for it
        while (more) {
            std::unique_ptr<Session> session = co_await open(hops[i]);
            if (session == nullptr) break;
            co_await use(*session);
            more = session->usable() && any(Recipient::State::Open);
            if (tried_.empty() || tried_.back() != host) {
                --sessions_left_;
                tried_.push_back(host);
            }
            co_await give_back(std::move(session));
        }
    }
}

/// Where a host allows few connections, the next one must not begin before this one has ended.
Task<void> Job::give_back(std::unique_ptr<Session> session) {
    const bool ends = session->usable() && !session->worth_keeping();
    if (ends && job_.limits().connections() != 0) {
        co_await session->quit();
        co_return;
    }
    services_.sessions.give_back(next_hop_, std::move(session));
}

/// A session that is ready for mail, or nullptr.
Task<std::unique_ptr<Session>> Job::open(Hop hop) {
    std::string host = hop.text();
    sockaddr_storage address{};
    socklen_t length = hop.endpoint.to_socket(address);
    async::Deadline deadline = services_.loop.after(services_.limits.time(Limit::ConnectTimeout));
    Result<Fd> socket =
        co_await async::connect_socket(services_.loop, SOCK_STREAM, address, length, deadline);
    std::optional<Judgement> problem;
    std::unique_ptr<Session> session;
    if (socket) {
        session = std::make_unique<Session>(services_.loop, std::move(*socket), host, services_.limits);
        session->set_most_messages(job_.limits().messages());
        problem = co_await session->greet(services_.self.hostname());
    } else {
        problem = judge_failure(Stage::Connect, fmt::format("{}: {}", host, socket.error().text));
    }
    if (!problem) co_return session;
    log::info("no session").add("id", job_.queue_id()).add("relay", host).add("reason", problem->text);
    if (session != nullptr) services_.sessions.end(std::move(session));
    // What a server said about the message is worth more than that another one is down.
    for (Recipient& recipient : recipients_) {
        const bool unheard = tried_.empty() || recipient.judgement.status.empty();
        if (recipient.state != Recipient::State::Open || !unheard) continue;
        recipient.judgement = *problem;
        recipient.host = host;
    }
    co_return nullptr;
}

/// Sends to every open recipient, in as many transactions as it takes.
Task<void> Job::use(Session& session) {
    while (session.usable() && !session.used_up() && any(Recipient::State::Open)) {
        std::vector<std::size_t> indexes;
        Transaction transaction = next_transaction(indexes);
        co_await session.send(transaction);
        take_results(session, transaction, indexes);
    }
}

/// The next open recipients that have one sender and get the same text, and where they stand in recipients_.
Transaction Job::next_transaction(std::vector<std::size_t>& indexes) const {
    std::size_t most = job_.limits().recipients();
    if (most == 0) most = services_.limits.size(Limit::RecipientsPerTransaction);
    Transaction transaction;
    transaction.message = &message_;
    for (std::size_t i = 0; i < recipients_.size() && indexes.size() < most; ++i) {
        if (recipients_[i].state != Recipient::State::Open) continue;
        std::string sender = sender_of(i);
        std::string fields = trace_fields_of(i);
        const bool redistributed = job_.deliveries(static_cast<int>(i)).has_sender();
        if (indexes.empty()) {
            transaction.sender = sender;
            transaction.redistributed = redistributed;
            transaction.trace_fields = fields;
        }
        if (sender != transaction.sender || redistributed != transaction.redistributed) continue;
        if (fields != transaction.trace_fields) continue;
        indexes.push_back(i);
        TransactionRecipient recipient;
        recipient.delivery = &job_.deliveries(static_cast<int>(i));
        transaction.recipients.push_back(std::move(recipient));
    }
    return transaction;
}

void Job::take_results(const Session& session, const Transaction& transaction,
                       const std::vector<std::size_t>& indexes) {
    using wire::DeliveryResult;
    bool some_went = std::any_of(transaction.recipients.begin(), transaction.recipients.end(),
                                 [](const TransactionRecipient& recipient) {
                                     return recipient.judgement.outcome == DeliveryResult::RELAYED;
                                 });
    for (std::size_t k = 0; k < indexes.size(); ++k) {
        Recipient& recipient = recipients_[indexes[k]];
        recipient.judgement = transaction.recipients[k].judgement;
        recipient.host = session.host();
        recipient.reports_passed_on = session.takes_over_reports();
        switch (recipient.judgement.next) {
            case Next::SameHostAgain:
                // Only if the server took some: otherwise it would refuse the same ones for ever.
                recipient.state = some_went ? Recipient::State::Open : Recipient::State::Elsewhere;
                break;
            case Next::OtherHost:
                recipient.state = Recipient::State::Elsewhere;
                break;
            case Next::Accepted:
            case Next::Settled:
                recipient.state = Recipient::State::Settled;
                break;
        }
    }
    if (!session.usable())
        judge_open(deferred("4.4.2", "the connection ended before this recipient"), session.host());
}

std::string Job::sender_of(std::size_t index) const {
    const wire::Delivery& delivery = job_.deliveries(static_cast<int>(index));
    return delivery.has_sender() ? delivery.sender() : job_.sender();
}

std::string Job::trace_fields_of(std::size_t index) const {
    std::string fields;
    const auto& forwarders = job_.deliveries(static_cast<int>(index)).forwarded_by();
    for (auto forwarder = forwarders.rbegin(); forwarder != forwarders.rend(); ++forwarder) {
        if (is_sendable(*forwarder)) fields += fmt::format("Delivered-To: {}\r\n", *forwarder);
    }
    return fields;
}

bool Job::any(Recipient::State state) const {
    return std::any_of(recipients_.begin(), recipients_.end(),
                       [state](const Recipient& recipient) { return recipient.state == state; });
}

/// Recipients that another host may serve better can be sent again.
void Job::reopen() {
    for (Recipient& recipient : recipients_) {
        if (recipient.state == Recipient::State::Elsewhere) recipient.state = Recipient::State::Open;
    }
}

/// That we are the best MX of a domain is the end of its mail; but where we are its backup, it is a mistake
/// of the domain's, and the queue-manager knows for how long that is forgiven.
void Job::forgive_mx_errors() {
    for (std::size_t i = 0; i < recipients_.size(); ++i) {
        Judgement& judgement = recipients_[i].judgement;
        if (recipients_[i].state != Recipient::State::Open || judgement.status != kLoopsToUs) continue;
        if (job_.deliveries(static_cast<int>(i)).backup()) judgement = deferred(kMxError, judgement.text);
    }
}

void Job::judge_open(const Judgement& judgement, const std::string& host) {
    for (Recipient& recipient : recipients_) {
        if (recipient.state != Recipient::State::Open) continue;
        recipient.judgement = judgement;
        recipient.host = host;
    }
}

wire::DeliveryReport Job::report(Milliseconds taken) const {
    wire::DeliveryReport report;
    report.set_job(job_.job());
    if (recipients_.empty()) return report;
    std::size_t overhead = kResultOverhead;
    for (const Recipient& recipient : recipients_)
        overhead = std::max(overhead, kResultOverhead + recipient.host.size());
    std::size_t share = ipc::kFrameTarget / recipients_.size();
    std::size_t room = share > overhead ? std::min(share - overhead, kMaxText) : 0;
    for (std::size_t i = 0; i < recipients_.size(); ++i) {
        const Recipient& recipient = recipients_[i];
        wire::DeliveryResult& result = *report.add_results();
        result.set_number(job_.deliveries(static_cast<int>(i)).number());
        result.set_outcome(recipient.judgement.outcome);
        result.set_status(recipient.judgement.status);
        result.set_text(shorten(recipient.judgement.text, room));
        if (room > 0) result.set_remote_host(recipient.host);
        result.set_milliseconds(static_cast<std::uint32_t>(taken.count()));
        result.set_dsn_passed_on(recipient.reports_passed_on &&
                                 recipient.judgement.outcome == wire::DeliveryResult::RELAYED);
        result.set_destination_down(tried_.empty() && recipient.judgement.status != kMxError &&
                                    recipient.judgement.outcome == wire::DeliveryResult::DEFERRED);
    }
    return report;
}

}  // namespace postrider::remote_delivery
