#include "local-delivery/child_pool.h"

#include <fmt/format.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>

#include "libcommon/log/log.h"

namespace postrider::local_delivery {

namespace {

using config::Limit;

/// Gives a child back however the conversation with it ends, also when the task is cancelled.
template <typename Release>
class Borrowed {
  public:
    explicit Borrowed(Release release) : release_(std::move(release)) {}
    ~Borrowed() { release_(usable); }
    Borrowed(const Borrowed&) = delete;
    Borrowed& operator=(const Borrowed&) = delete;
    bool usable = false;

  private:
    Release release_;
};

wire::DeliveryResult deferred_result(const wire::ChildJob& job, const std::string& text) {
    wire::DeliveryResult result;
    result.set_number(job.delivery().number());
    result.set_outcome(wire::DeliveryResult::DEFERRED);
    result.set_status("4.3.0");
    result.set_text(text);
    return result;
}

}  // namespace

ChildPool::ChildPool(async::Loop& loop, const config::Settings& settings)
    : loop_(loop), settings_(settings), freed_(loop) {}

ChildPool::~ChildPool() {
    for (const auto& child : children_) {
        child->channel.reset();  // the child's recvmsg ends, and so does the child
    }
}

ChildPool::ChildPointer ChildPool::find_idle(const ChildUser& user) const {
    for (const auto& child : children_) {
        if (!child->busy && child->user == user) return child;
    }
    return nullptr;
}

bool ChildPool::may_start(const ChildUser& user) {
    const auto of_user = static_cast<std::size_t>(
        std::count_if(children_.begin(), children_.end(),
                      [&user](const auto& child) { return child->user.uid == user.uid; }));
    if (of_user >= settings_.limits.size(Limit::LocalChildrenPerUser)) return false;
    if (children_.size() < settings_.limits.size(Limit::LocalDeliveries)) return true;
    // Full: the place of another user's idle child will do.
    auto idle =
        std::find_if(children_.begin(), children_.end(), [](const auto& child) { return !child->busy; });
    if (idle == children_.end()) return false;
    children_.erase(idle);
    return true;
}

Result<ChildPool::ChildPointer> ChildPool::start(const ChildUser& user) {
    int ends[2];
    if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0) {
        return system_failure("socketpair", errno);
    }
    Fd ours(ends[0]);
    Fd theirs(ends[1]);
    const pid_t pid = ::fork();
    if (pid < 0) return system_failure("fork", errno);
    if (pid == 0) run_child(std::move(theirs), user, settings_);
    auto child = std::make_shared<Child>();
    child->user = user;
    child->pid = pid;
    child->channel = std::make_unique<ipc::Channel>(loop_, std::move(ours));
    children_.push_back(child);
    log::debug("child started").add("child", pid).add("uid", user.uid);
    return child;
}

async::Task<Result<ChildPool::ChildPointer>> ChildPool::acquire(ChildUser user) {
    while (true) {
        ChildPointer child = find_idle(user);
        if (!child && may_start(user)) {
            auto started = start(user);
            if (!started) co_return failure(started.error());
            child = *started;
        }
        if (child) {
            child->busy = true;
            co_return child;
        }
        co_await freed_.wait();
    }
}

async::Task<Result<wire::DeliveryResult>> ChildPool::converse(Child& child, wire::ChildJob job, Fd file) {
    auto posted = child.channel->post(job, std::move(file));
    if (!posted) co_return failure(posted.error());
    const auto& limits = settings_.limits;
    // Longer than any delivery that keeps to its own limits, which the child watches.
    const auto limit = limits.time(Limit::PipeTimeout) + limits.time(Limit::MaildirTimeout) +
                       limits.time(Limit::MboxLockTimeout);
    auto frame = co_await child.channel->receive(loop_.after(limit));
    if (!frame) co_return failure(frame.error());
    if (!*frame) co_return temporary("the process for this user ended in the middle of the delivery");
    wire::ChildResult answer;
    if (!answer.ParseFromString((*frame)->data) || answer.job() != job.job() ||
        answer.result().number() != job.delivery().number()) {
        co_return temporary("the process for this user answered nonsense");
    }
    co_return std::move(*answer.mutable_result());
}

async::Task<std::optional<wire::DeliveryResult>> ChildPool::perform(ChildUser user, wire::ChildJob job,
                                                                    Fd file,
                                                                    std::function<bool()> still_wanted) {
    auto child = co_await acquire(user);
    if (!child) co_return deferred_result(job, child.error().text);
    auto give_back = [this, borrowed = *child](bool usable) { release(borrowed, usable); };
    Borrowed<decltype(give_back)> guard(std::move(give_back));
    if (!still_wanted()) {
        guard.usable = true;
        co_return std::nullopt;
    }
    auto result = co_await converse(**child, job, std::move(file));
    guard.usable = result.has_value();
    if (!result) {
        log::warning("child failed")
            .add("child", (*child)->pid)
            .add("uid", user.uid)
            .add("reason", result.error().text);
        co_return deferred_result(job, result.error().text);
    }
    co_return std::move(*result);
}

void ChildPool::release(const ChildPointer& child, bool usable) {
    child->busy = false;
    child->idle_since = loop_.now();
    ++child->jobs;
    if (!usable) static_cast<void>(::kill(child->pid, SIGKILL));
    if (!usable || child->jobs >= settings_.limits.size(Limit::ProcessJobs)) remove(child.get());
    freed_.notify_all();
}

void ChildPool::remove(const Child* child) {
    std::erase_if(children_, [child](const auto& each) { return each.get() == child; });
}

void ChildPool::reap() {
    int status = 0;
    for (pid_t pid = ::waitpid(-1, &status, WNOHANG); pid > 0; pid = ::waitpid(-1, &status, WNOHANG)) {
        // A busy child is dealt with where its answer is awaited.
        std::erase_if(children_, [pid](const auto& child) { return child->pid == pid && !child->busy; });
    }
    freed_.notify_all();
}

void ChildPool::expire() {
    const auto oldest = loop_.now() - settings_.limits.time(Limit::ProcessIdle);
    std::erase_if(children_,
                  [oldest](const auto& child) { return !child->busy && child->idle_since < oldest; });
}

}  // namespace postrider::local_delivery
