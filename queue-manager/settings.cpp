#include "queue-manager/settings.h"

#include <algorithm>

#include "libcommon/config/settings.h"

namespace postrider::queue_manager {

using config::Limit;

namespace {

// How much of what fits into memory may be for one destination: enough to keep a fast one busy, and so little
// that a number of slow ones do not fill it.
constexpr std::size_t kDestinationShare = 20;
constexpr std::size_t kLeastReady = 100;

}  // namespace

bool FreeFloor::undercut(std::uint64_t free, std::uint64_t total) const {
    if (total == 0) return false;
    return free < amount || free < total / 100 * percent;
}

std::string complete_address(const config::Settings& config, const std::string& address) {
    if (address.empty() || address.find('@') != std::string::npos) return address;
    std::string domain;
    for (const config::Directive* line : config.table("local_domain")) {
        for (const config::Word& word : line->words) {
            if (word.text == config.hostname) return address + "@" + config.hostname;
            if (domain.empty()) domain = word.text;
        }
    }
    return address + "@" + (domain.empty() ? config.hostname : domain);
}

Settings settings_from(const config::Settings& config) {
    const config::Limits& limits = config.limits;
    Settings settings;
    settings.hostname = config.hostname;
    settings.postmaster = complete_address(config, "postmaster");
    settings.discard_double_bounces = config.double_bounce_to == config::kDiscardDoubleBounces;
    if (!settings.discard_double_bounces && config.double_bounce_to != config::kKeepDoubleBounces)
        settings.double_bounce_to = complete_address(config, config.double_bounce_to);
    if (!config.retry.empty()) settings.retry = config.retry;
    settings.retry_jitter_percent = static_cast<unsigned>(limits.get(Limit::RetryJitter));
    settings.lifetime = limits.time(Limit::Lifetime);
    settings.bounce_lifetime = limits.time(Limit::BounceLifetime);
    settings.lifetime2 = limits.time(Limit::Lifetime2);
    settings.etrn_interval = limits.time(Limit::EtrnInterval);
    settings.full_mailbox_time = limits.time(Limit::FullMailboxTime);
    settings.mx_error_grace = limits.time(Limit::MxErrorGrace);
    settings.delay_warning = config.delay_warning;
    settings.dsn_aggregate = config.dsn_aggregate;
    settings.dsn_only_to_local = config.dsn_only_to == config::DsnOnlyTo::Local;
    settings.report_templates = config.report_templates;
    settings.dsn_return_full = config.dsn_return == config::DsnReturn::Full;
    settings.dsn_max_body = limits.size(Limit::DsnMaxBody);
    settings.min_free_space = {config.min_free_space.percent, config.min_free_space.amount};
    settings.min_free_inodes = {config.min_free_inodes.percent, config.min_free_inodes.amount};

    HealthSettings& health = settings.scheduler.health;
    health.initial_window = static_cast<unsigned>(limits.get(Limit::DestinationConcurrencyInitial));
    health.max_window = static_cast<unsigned>(limits.get(Limit::DestinationConcurrency));
    health.initial_window = std::min(health.initial_window, health.max_window);
    health.failed_rounds = static_cast<unsigned>(limits.get(Limit::DestinationFailures));
    health.dead_time = limits.time(Limit::DestinationDeadTime);
    health.dead_time_max = limits.time(Limit::DestinationDeadTimeMax);
    settings.scheduler.local_window = static_cast<unsigned>(limits.get(Limit::LocalChildrenPerUser));
    settings.scheduler.recipients_per_job = limits.size(Limit::RecipientsPerTransaction);

    settings.active_messages = limits.size(Limit::QueueMessages);
    settings.scheduler.ready_messages = std::max(settings.active_messages / kDestinationShare, kLeastReady);
    settings.active_recipients = limits.size(Limit::QueueRecipients);
    settings.resolve_concurrency = limits.size(Limit::ResolveConcurrency);
    settings.intake_journal_max = limits.size(Limit::IntakeJournalMax);
    settings.intake_journal_size = limits.size(Limit::IntakeJournalSize);
    settings.trace_messages = limits.size(Limit::TraceMessages);
    settings.sync_threads = limits.size(Limit::QueueSyncThreads);
    settings.ipc_timeout = limits.time(Limit::IpcTimeout);
    settings.shutdown_grace = limits.time(Limit::ShutdownGrace);
    return settings;
}

}  // namespace postrider::queue_manager
