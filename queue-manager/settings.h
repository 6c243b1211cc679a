#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "libcommon/base/clock.h"
#include "libcommon/config/report_templates.h"
#include "queue-manager/scheduler.h"

namespace postrider::config {
struct Settings;
}

namespace postrider::queue_manager {

/// How much of a file system has to stay free; zero asks for nothing.
struct FreeFloor {
    unsigned percent = 0;
    std::uint64_t amount = 0;

    /// Whether `free` of `total` is too little. A total of 0 (a file system without fixed inodes) never is.
    [[nodiscard]] bool undercut(std::uint64_t free, std::uint64_t total) const;
};

/// How long a message waits before a change that the disk refused is tried again.
constexpr UnixMillis kRetryFault = 60'000;

/// What the queue-manager takes from the configuration.
struct Settings {
    std::string hostname;
    std::string postmaster;               ///< a complete address, for the text of reports
    std::string double_bounce_to;         ///< a complete address, or empty: nobody
    bool discard_double_bounces = false;  ///< without double_bounce_to: not even failed/ keeps them
    std::vector<Milliseconds> retry{Milliseconds(300'000)};
    unsigned retry_jitter_percent = 10;
    Milliseconds lifetime{432'000'000};
    Milliseconds bounce_lifetime{432'000'000};
    Milliseconds lifetime2{172'800'000};  ///< after the lifetime, for what was never tried
    Milliseconds mx_error_grace{86'400'000};
    Milliseconds etrn_interval{60'000};       ///< of one domain; 0: no limit
    Milliseconds full_mailbox_time{600'000};  ///< the router is told of full mailboxes; 0: it is not
    Milliseconds delay_warning{14'400'000};   ///< 0: no delay reports
    Milliseconds dsn_aggregate{60'000};       ///< how long failures of one message are collected
    bool dsn_only_to_local = false;           ///< strangers get no reports
    bool dsn_return_full = false;
    config::ReportTemplates report_templates;
    std::size_t dsn_max_body = 51'200;
    FreeFloor min_free_space;
    FreeFloor min_free_inodes;
    SchedulerSettings scheduler;
    std::size_t active_messages = 100'000;
    std::size_t active_recipients = 200'000;
    std::size_t resolve_concurrency = 100;
    std::size_t trace_messages = 10'000;  ///< finished messages that are remembered
    std::size_t sync_threads = 8;
    std::size_t intake_journal_max = 0;  ///< octets of content; 0: no journal
    std::size_t intake_journal_size = std::size_t{64} << 20;
    Milliseconds ipc_timeout{30'000};
    Milliseconds shutdown_grace{30'000};
};

/// `address`, or a local part with the domain it belongs to here: the host's name if that is a local domain,
/// or else the first one there is. Empty stays empty.
[[nodiscard]] std::string complete_address(const config::Settings& config, const std::string& address);

/// The settings that the configuration gives.
[[nodiscard]] Settings settings_from(const config::Settings& config);

}  // namespace postrider::queue_manager
