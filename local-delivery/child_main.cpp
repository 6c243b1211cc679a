#include "local-delivery/child_main.h"

#include <fmt/format.h>
#include <grp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <exception>

#include "libcommon/ipc/channel.h"
#include "libcommon/ipc/packet.h"
#include "libcommon/log/log.h"
#include "libcommon/privsep/profile.h"
#include "local-delivery/forward_file.h"
#include "local-delivery/mailbox_file.h"
#include "local-delivery/maildir.h"
#include "local-delivery/program.h"

namespace postrider::local_delivery {

namespace {

using config::Limit;

constexpr int kExitSystem = 71;

std::vector<gid_t> supplementary_groups(const ChildUser& user) {
    if (user.name.empty()) return {};
    int count = 64;
    std::vector<gid_t> groups(static_cast<std::size_t>(count));
    if (::getgrouplist(user.name.c_str(), user.gid, groups.data(), &count) < 0) {
        groups.resize(static_cast<std::size_t>(count));
        if (::getgrouplist(user.name.c_str(), user.gid, groups.data(), &count) < 0) return {};
    }
    groups.resize(static_cast<std::size_t>(count));
    return groups;
}

/// One job with its descriptor; false when the parent has closed the socket or sent what it never sends.
bool receive_job(const Fd& socket, wire::ChildJob& job, Fd& file) {
    static std::array<char, ipc::kMaxFrame> block;
    ipc::ReceivedPacket packet = ipc::receive_packet(socket, block);
    if (packet.error != 0 || packet.size == 0 || packet.truncated || packet.descriptors.size() != 1)
        return false;
    file = std::move(packet.descriptors.front());
    return job.ParseFromArray(block.data(), static_cast<int>(packet.size));
}

bool has_peer(const Fd& socket) {
    pollfd wait{socket.get(), 0, 0};  // POLLHUP needs no asking
    return ::poll(&wait, 1, 0) <= 0;
}

Outcome deliver(const wire::ChildJob& job, const MessageText& message, const Fd& parent,
                const config::Settings& settings) {
    const wire::LocalTarget& target = job.delivery().local();
    switch (job.delivery().transport()) {
        case wire::TRANSPORT_MAILDIR:
            return Maildir(target.path(), settings.hostname, !target.system_user(),
                           MailboxQuota{target.quota(), target.over_quota_fails()})
                .deliver(message, [&parent] { return has_peer(parent); });
        case wire::TRANSPORT_FILE:
            return append_to_mailbox_file(target.path(), message, job.arrival_ms(),
                                          settings.limits.time(Limit::MboxLockTimeout),
                                          settings.limits.time(Limit::MboxLockStale));
        case wire::TRANSPORT_PROGRAM: {
            Program program;
            program.command = target.path();
            program.user = target.user();
            program.home = target.home();
            program.output_limit = settings.limits.size(Limit::PipeOutput);
            program.time_limit = settings.limits.time(Limit::PipeTimeout);
            program.extension = target.extension();
            program.memory_limit = settings.limits.size(Limit::ProgramMemory);
            program.process_limit = settings.limits.size(Limit::ProgramProcesses);
            program.open_file_limit = settings.limits.size(Limit::ProgramFiles);
            program.file_size_limit = settings.limits.size(Limit::ProgramFileSize);
            return run_program(program, message);
        }
        default:
            return deferred("4.3.5", "local-delivery does not know this transport");
    }
}

/// What the user's forward file replaces the delivery by; without destinations the mailbox gets it.
Result<Forwarding> forwarding_of(const wire::ChildJob& job, const config::Settings& settings) {
    const wire::LocalTarget& target = job.delivery().local();
    if (job.delivery().transport() != wire::TRANSPORT_MAILDIR) return Forwarding{};
    ForwardRules rules;
    rules.home = target.home();
    if (!target.system_user()) rules.mailbox = target.path();
    rules.size_limit = settings.limits.size(Limit::ForwardFileSize);
    rules.nesting_limit = settings.limits.size(Limit::AliasNesting);
    return read_forward_file({target.forward_files().begin(), target.forward_files().end()}, rules);
}

wire::DeliveryResult::Outcome to_wire(Ending ending) {
    switch (ending) {
        case Ending::Delivered:
            return wire::DeliveryResult::DELIVERED;
        case Ending::Failed:
            return wire::DeliveryResult::FAILED;
        case Ending::Deferred:
            break;
    }
    return wire::DeliveryResult::DEFERRED;
}

void confine_to(const ChildUser& user) {
    privsep::Identity identity;
    identity.uid = user.uid;
    identity.gid = user.gid;
    if (::geteuid() == 0) identity.groups = supplementary_groups(user);
    // No paths: the working directory is the parent's, and the user's own rights say what may be written.
    privsep::confine(privsep::Daemon::LocalDeliveryChild, identity, {});
}

}  // namespace

wire::DeliveryResult perform(const wire::ChildJob& job, const Fd& file, const Fd& parent,
                             const config::Settings& settings) {
    const auto started = std::chrono::steady_clock::now();
    MessageText message;
    message.file = file.get();
    message.offset = job.content_offset();
    message.length = job.content_length();
    message.sender = job.sender();
    message.recipient = job.delivery().recipient();
    message.original_recipient = job.delivery().original_recipient();
    message.forwarded_by = {job.delivery().forwarded_by().begin(), job.delivery().forwarded_by().end()};
    message.queue_id = job.queue_id();

    wire::DeliveryResult result;
    Outcome outcome;
    Result<Forwarding> forwarding = Forwarding{};
    auto looped = message.was_delivered_here();
    if (!looped) {
        outcome = deferred("4.3.0", looped.error().text);
    } else if (*looped) {
        outcome = failed("5.4.6", fmt::format("mail for {} is looping", message.recipient));
    } else if (forwarding = forwarding_of(job, settings); !forwarding) {
        // X.3.5: the system is set up wrongly, though here it is the user who has to mend it.
        outcome = deferred("4.3.5", forwarding.error().text);
    } else if (forwarding->destinations.empty()) {
        outcome = deliver(job, message, parent, settings);
    }
    result.set_number(job.delivery().number());
    result.set_outcome(to_wire(outcome.ending));
    if (forwarding && !forwarding->destinations.empty()) {
        outcome = {Ending::Delivered, "2.0.0", forwarding->path};
        result.set_outcome(wire::DeliveryResult::EXPANDED);
        for (auto& destination : forwarding->destinations)
            *result.add_forwarded() = std::move(destination);
    }
    result.set_status(outcome.status);
    result.set_text(outcome.text);
    const auto took = std::chrono::duration_cast<Milliseconds>(std::chrono::steady_clock::now() - started);
    result.set_milliseconds(static_cast<std::uint32_t>(took.count()));
    return result;
}

void run_child(Fd socket, const ChildUser& user, const config::Settings& settings) {
    constexpr int kSocketPlace = STDERR_FILENO + 1;
    // The parent's descriptors (the queue-manager's channel, other users' children) are not ours to hold.
    const int inherited = socket.release();
    if (::dup2(inherited, kSocketPlace) < 0 || ::close_range(kSocketPlace + 1, ~0U, 0) != 0) {
        ::_exit(kExitSystem);
    }
    const Fd jobs(kSocketPlace);
    for (int number : {SIGTERM, SIGINT, SIGHUP, SIGCHLD})
        std::signal(number, SIG_DFL);
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, nullptr);
    try {
        confine_to(user);
    } catch (const std::exception& error) {
        log::error("cannot take a user's rights").add("uid", user.uid).add("reason", error.what());
        ::_exit(kExitSystem);
    }
    wire::ChildJob job;
    Fd file;
    while (receive_job(jobs, job, file)) {
        wire::ChildResult answer;
        answer.set_job(job.job());
        *answer.mutable_result() = perform(job, file, jobs, settings);
        file.reset();
        const std::string frame = answer.SerializeAsString();
        if (::send(jobs.get(), frame.data(), frame.size(), MSG_NOSIGNAL) < 0) break;
    }
    // Not exit(): what the parent registered to run at its end is not ours to run.
    ::_exit(0);
}

}  // namespace postrider::local_delivery
