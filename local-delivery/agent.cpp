#include "local-delivery/agent.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

namespace postrider::local_delivery {

namespace {

using config::Limit;

/// Why a delivery may not be performed at all; empty if it may.
std::string refusal(const wire::LocalTarget& target) {
    if (target.uid() == 0) return "mail is never delivered as root: give the address an alias";
    if (::geteuid() != 0 && target.uid() != ::geteuid()) {
        return fmt::format("started by an ordinary user, the suite cannot deliver as uid {}", target.uid());
    }
    return {};
}

wire::DeliveryResult refused(const wire::Delivery& delivery, const std::string& text) {
    wire::DeliveryResult result;
    result.set_number(delivery.number());
    result.set_outcome(wire::DeliveryResult::DEFERRED);
    result.set_status("4.3.5");
    result.set_text(text);
    return result;
}

/// Of the results of one job, besides the text of those that are no expansion.
constexpr std::size_t kReportRoom = std::size_t{40} << 10;

ChildUser user_of(const wire::LocalTarget& target) {
    ChildUser user;
    user.uid = target.uid();
    user.gid = target.gid();
    if (target.system_user()) user.name = target.user();
    return user;
}

}  // namespace

Agent::Agent(async::Loop& loop, const config::Settings& settings)
    : children_(loop, settings),
      jobs_(loop),
      queue_(loop, wire::ROLE_LOCAL_DELIVERY,
             {wire::TRANSPORT_MAILDIR, wire::TRANSPORT_PROGRAM, wire::TRANSPORT_FILE},
             settings.limits.size(Limit::LocalDeliveries)) {
    queue_.on_state([this](bool connected) {
        if (!connected) ++connection_;
    });
    queue_.on_job(
        [this](wire::DeliverJob&& job, Fd file) { jobs_.spawn(work(std::move(job), std::move(file))); });
}

void Agent::start() {
    queue_.start();
}

async::Task<void> Agent::work(wire::DeliverJob job, Fd file) {
    const std::uint64_t connection = connection_;
    std::vector<wire::DeliveryResult> results;
    std::size_t reported = 0;
    for (int index = 0; index < job.deliveries_size(); ++index) {
        Fd copy(::fcntl(file.get(), F_DUPFD_CLOEXEC, 0));
        auto result = co_await deliver(job, index, std::move(copy), connection);
        if (!result) continue;
        reported += result->ByteSizeLong();
        // All results have to fit into one frame. Nothing was done yet because of a forward file.
        if (reported > kReportRoom && result->outcome() == wire::DeliveryResult::EXPANDED) {
            *result = refused(job.deliveries(index), "more forward files than fit into one report");
            reported = kReportRoom;
        }
        results.push_back(std::move(*result));
    }
    // What was not begun before the queue-manager went away is given out again.
    if (!results.empty()) queue_.report(job, std::move(results));
}

async::Task<std::optional<wire::DeliveryResult>> Agent::deliver(const wire::DeliverJob& job, int index,
                                                                Fd file, std::uint64_t connection) {
    const wire::Delivery& delivery = job.deliveries(index);
    if (const std::string reason = refusal(delivery.local()); !reason.empty()) {
        co_return refused(delivery, reason);
    }
    wire::ChildJob child_job;
    child_job.set_job(job.job());
    child_job.set_queue_id(job.queue_id());
    child_job.set_sender(delivery.has_sender() ? delivery.sender() : job.sender());
    *child_job.mutable_delivery() = delivery;
    child_job.set_content_offset(job.content_offset());
    child_job.set_content_length(job.content_length());
    child_job.set_arrival_ms(job.arrival_ms());
    ChildUser user = user_of(delivery.local());
    std::function<bool()> still_wanted = [this, connection] { return connection == connection_; };
    co_return co_await children_.perform(std::move(user), std::move(child_job), std::move(file),
                                         std::move(still_wanted));
}

async::Task<bool> Agent::drain(async::Deadline deadline) {
    queue_.close();
    co_return co_await jobs_.join(deadline);
}

}  // namespace postrider::local_delivery
