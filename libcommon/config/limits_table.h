#pragma once

// The rows of the limits table; included by limits.cpp alone.

#include <array>
#include <limits>

#include "libcommon/config/limits.h"

namespace postrider::config {

namespace limits_detail {

inline constexpr std::uint64_t kKiB = 1024;
inline constexpr std::uint64_t kMiB = 1024 * kKiB;
inline constexpr std::uint64_t kGiB = 1024 * kMiB;
inline constexpr std::uint64_t kSecond = 1000;
inline constexpr std::uint64_t kMinute = 60 * kSecond;
inline constexpr std::uint64_t kHour = 60 * kMinute;
inline constexpr std::uint64_t kDay = 24 * kHour;

/// Upper bounds where nothing but common sense bounds a value: what a 32 bit counter and a file offset hold.
inline constexpr std::uint64_t kMostCount = 1'000'000'000;
inline constexpr std::uint64_t kMostBytes = 1024 * kGiB;
inline constexpr std::uint64_t kMostTime = 366 * kDay;

using Overload = std::optional<std::uint64_t>;
inline constexpr Overload kSame = std::nullopt;

constexpr LimitRow count(Limit limit, std::string_view name, std::uint64_t value, Overload overload,
                         std::string_view source, std::string_view doc, std::uint64_t least = 1,
                         std::uint64_t most = kMostCount) {
    return {limit, name, Unit::Count, value, overload, least, most, true, source, doc};
}

constexpr LimitRow bytes(Limit limit, std::string_view name, std::uint64_t value, std::string_view source,
                         std::string_view doc, std::uint64_t least = 1, std::uint64_t most = kMostBytes) {
    return {limit, name, Unit::Bytes, value, kSame, least, most, true, source, doc};
}

constexpr LimitRow time(Limit limit, std::string_view name, std::uint64_t value, Overload overload,
                        std::string_view source, std::string_view doc, std::uint64_t least = kSecond,
                        std::uint64_t most = kMostTime) {
    return {limit, name, Unit::Duration, value, overload, least, most, true, source, doc};
}

constexpr LimitRow percent(Limit limit, std::string_view name, std::uint64_t value, std::string_view source,
                           std::string_view doc) {
    return {limit, name, Unit::Percent, value, kSame, 0, 100, true, source, doc};
}

constexpr LimitRow fixed(LimitRow row) {
    row.settable = false;
    return row;
}

}  // namespace limits_detail

inline constexpr std::array<LimitRow, kLimitCount> kLimitTable = [] {
    using namespace limits_detail;
    return std::array<LimitRow, kLimitCount>{{
        // Sizes of SMTP elements. The lower bounds are what RFC 5321 demands that everybody accepts.
        count(Limit::DomainLength, "domain_length", 255, kSame, "RFC 5321 4.5.3.1.2",
              "Octets of a domain; longer is refused.", 255, 255),
        bytes(Limit::CommandLine, "command_line", 4 * kKiB, "RFC 5321 4.5.3.1.4",
              "A command line received, with CRLF; longer gets 500.", 512, 64 * kKiB),
        bytes(Limit::MaxMessageSize, "max_message_size", 50 * kMiB, "RFC 1870; RFC 5321 4.5.3.1.7",
              "Octets of a message; advertised as SIZE, larger gets 552.", 64 * kKiB),
        count(Limit::MaxRecipients, "max_recipients", 1000, kSame, "RFC 5321 4.5.3.1.8",
              "Recipients of a message as received; more get 452.", 100, 100000),
        count(Limit::MaxExpandedRecipients, "max_expanded_recipients", 1000, kSame, "forwarding 3.2",
              "Recipients of a message after aliases and forwarding.", 1, 1000000),
        count(Limit::MaxNullRecipients, "max_null_recipients", 3, kSame, "configuration",
              "Recipients of a message with the null sender; more get 452.", 1, 100000),
        count(Limit::MaxHops, "max_hops", 50, kSame, "configuration; RFC 5321 6.3",
              "Received fields of a message; more are a loop and get 554.", 10, 1000),
        count(Limit::MaxSelfReceived, "max_self_received", 3, kSame, "mx-backup 5.10",
              "Received fields written by this host; more are a loop and get 554.", 1, 1000),

        // Time-outs of the SMTP client.
        time(Limit::ConnectTimeout, "connect_timeout", 30 * kSecond, kSame, "limits 7.2",
             "Until a connection to one address of a remote host stands."),
        time(Limit::GreetingTimeout, "greeting_timeout", 5 * kMinute, 2 * kMinute, "RFC 5321 4.5.3.2.1",
             "Until the greeting of a remote host."),
        time(Limit::EhloTimeout, "ehlo_timeout", 5 * kMinute, 1 * kMinute, "limits 7.2",
             "Until the reply to EHLO, HELO or LHLO."),
        time(Limit::MailTimeout, "mail_timeout", 5 * kMinute, kSame, "RFC 5321 4.5.3.2.2",
             "Until the reply to MAIL."),
        time(Limit::RcptTimeout, "rcpt_timeout", 5 * kMinute, kSame, "RFC 5321 4.5.3.2.3",
             "Until the reply to RCPT."),
        time(Limit::DataTimeout, "data_timeout", 2 * kMinute, kSame, "RFC 5321 4.5.3.2.4",
             "Until the reply to DATA."),
        time(Limit::DataBlockTimeout, "data_block_timeout", 3 * kMinute, kSame, "RFC 5321 4.5.3.2.5",
             "Until a block of content is taken."),
        time(Limit::FinalDotTimeout, "final_dot_timeout", 10 * kMinute, kSame, "RFC 5321 4.5.3.2.6",
             "Until the reply to the end of the content. Shorter waits make duplicates.", 10 * kMinute),
        time(Limit::RsetTimeout, "rset_timeout", 20 * kSecond, kSame, "limits 7.2",
             "Until the reply to RSET."),
        time(Limit::QuitTimeout, "quit_timeout", 5 * kSecond, kSame, "limits 7.2",
             "Until the reply to QUIT."),

        // The SMTP server.
        time(Limit::GreetWait, "greet_wait", 6 * kSecond, 2 * kSecond, "limits 7.3",
             "How long a client that is new here waits for the greeting; one that does not is refused.", 0,
             kMinute),
        time(Limit::CommandTimeout, "command_timeout", 5 * kMinute, 30 * kSecond, "RFC 5321 4.5.3.2.7",
             "Until the next command of a client; then 421."),
        time(Limit::CommandTimeoutBeforeRcpt, "command_timeout_before_rcpt", 5 * kMinute, 10 * kSecond,
             "limits 7.2", "The same for a client that has had no recipient accepted yet."),
        time(Limit::ReceiveIdleTimeout, "receive_idle_timeout", 5 * kMinute, kSame, "limits 7.2",
             "Until the next octets of content."),
        LimitRow{Limit::ReceiveMinRate, "receive_min_rate", Unit::BytesPerSecond, 500, kSame, 0, 1 * kMiB,
                 true, "limits 7.2", "Bytes a second, on average, that a client must send content with."},
        time(Limit::SessionTimeout, "session_timeout", 1 * kHour, kSame, "limits 7.2",
             "A session in all; it ends with 421 after the message in transfer."),
        count(Limit::SessionMessages, "session_messages", 100, kSame, "limits 7.3",
              "Messages of a session; then 421."),
        count(Limit::TrustedSessionMessages, "trusted_session_messages", 1000, kSame, "limits 7.2",
              "The same for clients that may relay."),
        count(Limit::MaxConnections, "max_connections", 2000, kSame, "limits 7.3",
              "Sessions at once; more get 421.", 1, 1000000),
        count(Limit::MaxConnectionsPerClient, "max_connections_per_client", 20, 5, "limits 7.3",
              "Sessions at once from one client address or network.", 1, 1000000),
        count(Limit::MaxConnectionsPerUser, "max_connections_per_user", 200, 50, "limits 7.3",
              "Sessions at once of one user of this host, who sends with sendmail.", 1, 1000000),
        count(Limit::ClientPrefixV4, "client_prefix_v4", 32, kSame, "limits 7.3",
              "Bits of an IPv4 address by which clients are told apart.", 8, 32),
        count(Limit::ClientPrefixV6, "client_prefix_v6", 64, kSame, "limits 7.3",
              "Bits of an IPv6 address by which clients are told apart.", 16, 128),
        count(Limit::ListenBacklog, "listen_backlog", 1024, kSame, "limits 7.3",
              "Connections that wait to be accepted.", 1, 65535),
        count(Limit::NonMailCommands, "non_mail_commands", 100, 10, "limits 7.3",
              "Commands of a session that further no message; then 421."),
        count(Limit::BdatChunks, "bdat_chunks", 10000, kSame, "limits 7.3",
              "Chunks that a message may come in (BDAT); more get 554."),
        count(Limit::ErrorsBeforeDelay, "errors_before_delay", 5, 1, "limits 7.3",
              "Errors of a session after which replies are delayed."),
        count(Limit::ErrorsBeforeDrop, "errors_before_drop", 15, 1, "limits 7.3",
              "Errors of a session after which it ends with 421."),
        count(Limit::SessionRefusals, "session_refusals", 1000, 100, "limits 7.3",
              "Refusals of a session that are not counted as its errors, such as temporary ones; then 421."),
        time(Limit::ErrorDelay, "error_delay", 1 * kSecond, kSame, "limits 7.3",
             "The first delay after an error; it doubles with each further one.", 0),
        time(Limit::ErrorDelayMax, "error_delay_max", 10 * kSecond, kSame, "limits 7.3",
             "The longest delay after an error.", 0),
        time(Limit::TlsHandshakeTimeout, "tls_handshake_timeout", 1 * kMinute, 20 * kSecond, "limits 7.2",
             "Until a TLS handshake is complete."),
        time(Limit::TlsTicketLifetime, "tls_ticket_lifetime", 12 * kHour, kSame, "RFC 8446 4.6.1",
             "How long a TLS session can be resumed; the key of the tickets is replaced as often.", kMinute,
             7 * kDay),
        bytes(Limit::TlsFileSize, "tls_file_size", 1 * kMiB, "design 11",
              "A file with certificates or with a private key.", 1 * kKiB, 64 * kMiB),
        time(Limit::AuthTimeout, "auth_timeout", 2 * kMinute, kSame, "limits 7.3",
             "Until a client answers within an AUTH dialogue, then 421; and the check of a password, then "
             "454."),
        bytes(Limit::AuthLine, "auth_line", 12 * kKiB, "RFC 4954 4",
              "A line of an AUTH dialogue, with CRLF; longer gets 500.", 12 * kKiB, 48 * kKiB),
        count(Limit::AuthAttempts, "auth_attempts", 3, kSame, "limits 7.3",
              "Failed logins of a session; then 421.", 1, 1000),
        count(Limit::AuthPamProcesses, "auth_pam_processes", 8, kSame, "design 11",
              "Passwords that PAM checks at once, each in a process of its own.", 1, 64),
        time(Limit::AuthAccountLock, "auth_account_lock", 30 * kSecond, kSame, "limits 7.4",
             "How long an account is locked after auth_failures_per_account; it doubles with each further "
             "failure."),
        time(Limit::AuthAccountLockMax, "auth_account_lock_max", 1 * kHour, kSame, "limits 7.4",
             "The longest time that an account is locked."),
        count(Limit::AuthTracked, "auth_tracked", 100000, kSame, "design 11",
              "Clients, and accounts, whose failed logins are remembered; the oldest are forgotten.", 100,
              10000000),
        count(Limit::RateNames, "rate_names", 20000, kSame, "design 11",
              "Clients, accounts, and senders whose rates are counted; the oldest are forgotten.", 100,
              10000000),

        // Queue and scheduling.
        percent(Limit::RetryJitter, "retry_jitter", 10, "design 5",
                "How far a retry may be moved at random, either way."),
        time(Limit::Lifetime, "lifetime", 5 * kDay, kSame, "RFC 5321 4.5.4.1",
             "How long delivery is tried; then the message is returned."),
        time(Limit::BounceLifetime, "bounce_lifetime", 5 * kDay, kSame, "limits 7.5",
             "The same for messages with the null sender."),
        time(Limit::Lifetime2, "lifetime2", 2 * kDay, kSame, "bounces-and-etrn 4.2",
             "How long after its lifetime a message is returned that could not be tried even once.", 0),
        time(Limit::MxbackupLifetime, "mxbackup_lifetime", 7 * kDay, kSame, "mx-backup 5.11",
             "How long delivery to an mxbackup domain is tried, at least; lifetime holds if it is longer."),
        time(Limit::MxbackupRetryMax, "mxbackup_retry_max", 30 * kMinute, kSame, "mx-backup 5.11",
             "The longest wait between two attempts for an mxbackup domain."),
        time(Limit::MxErrorGrace, "mx_error_grace", 1 * kDay, kSame, "mx-backup 5.6",
             "How long an mxbackup domain whose best MX is this host is taken for a slip in its DNS.", 0),
        time(Limit::EtrnInterval, "etrn_interval", 1 * kMinute, kSame, "bounces-and-etrn 4.4",
             "How often the mail of one domain may be asked for with ETRN; 0: as often as one likes.", 0),
        time(
            Limit::FullMailboxTime, "full_mailbox_time", 10 * kMinute, kSame, "lineage A14",
            "How long after a delivery that found a mailbox full its recipient is refused at RCPT; 0: never.",
            0),
        bytes(Limit::DsnMaxBody, "dsn_max_body", 50 * kKiB, "bounces-and-etrn 4.2",
              "How much of a message is returned with dsn_return full.", 0),
        bytes(Limit::DsnTemplateSize, "dsn_template_size", 16 * kKiB, "bounces-and-etrn 4.2",
              "A file of the dsn_templates folder.", 1, 1024 * kKiB),
        count(Limit::QueueSyncThreads, "queue_sync_threads", 16, kSame, "design 4",
              "Threads that make messages durable.", 1, 256),
        bytes(Limit::IntakeJournalMax, "intake_journal_max", 48 * kKiB, "design 4",
              "Messages up to this size are first kept in the intake journal; 0 for none.", 0, 48 * kKiB),
        bytes(Limit::IntakeJournalSize, "intake_journal_size", 64 * kMiB, "design 4",
              "Space that the intake journal takes, on disk and at most in memory.", 8 * kMiB, 1024 * kMiB),
        count(Limit::QueueMessages, "queue_messages", 100000, kSame, "limits 7.5",
              "Messages whose recipients are held in memory."),
        count(Limit::QueueRecipients, "queue_recipients", 200000, kSame, "limits 7.5",
              "Recipients held in memory."),
        count(Limit::ResolveConcurrency, "resolve_concurrency", 100, kSame, "design 3",
              "Messages that the router is asked about at once.", 1, 10000),
        count(Limit::TraceMessages, "trace_messages", 10000, kSame, "design 9",
              "Finished messages of which postrider trace can tell.", 0, 1000000),
        count(Limit::RecipientsPerTransaction, "recipients_per_transaction", 50, kSame, "design 7",
              "Recipients of one SMTP transaction with a remote host.", 1, 100000),
        count(Limit::DestinationConcurrencyInitial, "destination_concurrency_initial", 5, kSame, "limits 7.5",
              "Deliveries at once to a destination of which nothing is known yet."),
        count(Limit::DestinationConcurrency, "destination_concurrency", 20, kSame, "limits 7.5",
              "Deliveries at once to one destination."),
        count(Limit::DestinationFailures, "destination_failures", 1, kSame, "limits 7.5",
              "Rounds of failed connections after which a destination is taken for dead."),
        time(Limit::DestinationDeadTime, "destination_dead_time", 5 * kMinute, kSame, "limits 7.5",
             "Until a dead destination is probed; it doubles with each failure."),
        time(Limit::DestinationDeadTimeMax, "destination_dead_time_max", 1 * kHour, kSame, "limits 7.5",
             "The longest time between two probes."),
        count(Limit::RemoteDeliveries, "remote_deliveries", 2000, kSame, "limits 7.5",
              "Deliveries to remote hosts at once.", 1, 100000),
        count(Limit::ConnectionMessages, "connection_messages", 100, kSame, "limits 7.5",
              "Messages on one connection to a remote host."),
        time(Limit::ConnectionLifetime, "connection_lifetime", 5 * kMinute, kSame, "limits 7.5",
             "After which a connection to a remote host is not used again."),
        time(Limit::ConnectionIdle, "connection_idle", 5 * kSecond, kSame, "limits 7.5",
             "How long a connection is kept without work.", 0),
        count(Limit::MxAddresses, "mx_addresses", 5, kSame, "RFC 5321 5.1",
              "Addresses tried for one delivery.", 2, 100),
        count(Limit::MxSessions, "mx_sessions", 2, kSame, "limits 7.5",
              "Hosts that answered, tried for one delivery.", 1, 100),

        // Local delivery.
        time(Limit::PipeTimeout, "pipe_timeout", 10 * kMinute, kSame, "limits 7.6",
             "A program that mail is delivered to; then its process group is killed."),
        bytes(Limit::PipeOutput, "pipe_output", 32 * kKiB, "limits 7.6",
              "Output of a program that is kept for the log and the DSN.", 0, 16 * kMiB),
        count(Limit::AliasNesting, "alias_nesting", 20, kSame, "limits 7.6",
              "Aliases and forwarding inside each other.", 1, 1000),
        count(Limit::AliasExpansion, "alias_expansion", 5000, kSame, "limits 7.6",
              "Destinations of one alias or forward file.", 1, 1000000),
        bytes(Limit::ForwardFileSize, "forward_file_size", 16 * kKiB, "limits 7.6",
              "A user's forward file; a larger one defers his mail.", 1, 16 * kKiB),
        bytes(Limit::ProgramMemory, "program_memory", 1 * kGiB, "design 7",
              "Memory of each process of a program that mail is delivered to.", 16 * kMiB),
        count(Limit::ProgramProcesses, "program_processes", 1000, kSame, "design 7",
              "Processes of its user at which such a program can start no more."),
        count(Limit::ProgramFiles, "program_files", 256, kSame, "design 7",
              "Files that each process of such a program has open.", 16, 65536),
        bytes(Limit::ProgramFileSize, "program_file_size", 1 * kGiB, "design 7",
              "The largest file that such a program can write.", 64 * kKiB),
        time(Limit::MboxLockTimeout, "mbox_lock_timeout", 30 * kSecond, kSame, "limits 7.6",
             "Until an mbox file is locked; then the delivery is tried again later."),
        time(Limit::MboxLockStale, "mbox_lock_stale", 10 * kMinute, kSame, "limits 7.6",
             "The age at which a lock file was left behind by a program that died.", 1 * kMinute),
        time(Limit::MaildirTimeout, "maildir_timeout", 5 * kMinute, kSame, "limits 7.6",
             "One delivery to a Maildir."),
        count(Limit::LocalDeliveries, "local_deliveries", 100, kSame, "limits 7.6",
              "Local deliveries at once.", 1, 10000),
        count(Limit::LocalChildrenPerUser, "local_children_per_user", 8, kSame, "design 7",
              "Processes that deliver for one user at once; the owner of a virtual domain is one user.", 1,
              10000),

        // Processes, frames between them, DNS, tables.
        time(Limit::IpcTimeout, "ipc_timeout", 30 * kSecond, kSame, "limits 7.7",
             "Until another daemon answers a request."),
        time(Limit::ProcessIdle, "process_idle", 5 * kMinute, kSame, "limits 7.7",
             "How long a process for one user is kept without work."),
        count(Limit::ProcessJobs, "process_jobs", 10000, kSame, "limits 7.7",
              "Jobs after which such a process is replaced."),
        time(Limit::RespawnDelay, "respawn_delay", 1 * kSecond, kSame, "limits 7.7",
             "Until a daemon that died is started again; it doubles with each death."),
        time(Limit::RespawnDelayMax, "respawn_delay_max", 1 * kMinute, kSame, "limits 7.7",
             "The longest such delay."),
        time(Limit::ShutdownGrace, "shutdown_grace", 30 * kSecond, kSame, "limits 7.7",
             "What is in flight at a stop may take; the rest stays in the queue."),
        time(Limit::DnsTimeout, "dns_timeout", 5 * kSecond, kSame, "limits 7.7",
             "Until a DNS server answers one query."),
        count(Limit::DnsServers, "dns_servers", 2, kSame, "limits 7.7", "DNS servers asked for one query.", 1,
              16),
        time(Limit::DnsChainTimeout, "dns_chain_timeout", 20 * kSecond, kSame, "limits 7.7",
             "A whole look-up with its aliases and servers."),
        count(Limit::DnsCnames, "dns_cnames", 10, kSame, "limits 7.7", "CNAME records followed.", 1, 100),
        count(Limit::DnsMx, "dns_mx", 100, kSame, "limits 7.7", "MX records of a domain that are looked at.",
              1, 1000),
        count(Limit::DnsCacheEntries, "dns_cache_entries", 20000, kSame, "design 6",
              "Answers of the DNS that are remembered.", 0),
        time(Limit::DnsCacheTtl, "dns_cache_ttl", 1 * kDay, kSame, "design 6; RFC 8767 4",
             "The longest time for which an answer is remembered.", 0, 7 * kDay),
        time(Limit::DnsFailureTtl, "dns_failure_ttl", 30 * kSecond, kSame, "RFC 2308 7.1",
             "How long it is remembered that no DNS server gave a usable answer.", 0, 5 * kMinute),
        count(Limit::DnsQuestions, "dns_questions", 1000, kSame, "design 6",
              "DNS questions of one daemon on the wire at once.", 1, 2000),
        count(Limit::DnsPtrNames, "dns_ptr_names", 5, kSame, "design 6",
              "Reverse names of a client that are looked at.", 1, 100),
        count(Limit::DnsMxHosts, "dns_mx_hosts", 20, kSame, "limits 7.7",
              "Mail exchangers of a domain whose addresses a decision looks up.", 1, 100),
        time(Limit::ClientNameTimeout, "client_name_timeout", 3 * kSecond, kSame, "limits 7.3",
             "How long the greeting waits for the name of a client; 0: names are not looked up.", 0,
             20 * kSecond),
        time(Limit::DnsblTimeout, "dnsbl_timeout", 5 * kSecond, kSame, "limits 7.3",
             "How long a list of addresses in the DNS is waited for; then the client is on none.", kSecond,
             20 * kSecond),
        bytes(Limit::TableSize, "table_size", 256 * kMiB, "design 11",
              "A table file in text form, such as an alias file.", 64 * kKiB, 4 * kGiB - 1),
        time(Limit::TablePollInterval, "table_poll_interval", 1 * kSecond, kSame, "design 8",
             "How long a change of a table file may go unnoticed, where the system does not tell at once."),
        count(Limit::AliasChecks, "alias_checks", 10000, kSame, "design 6",
              "Aliases of a file that are followed at the start and by check, to warn of those that lead to "
              "nobody.",
              0, 100000000),
        bytes(Limit::TableValue, "table_value", 64 * kKiB, "design 6", "The value of an entry of a database.",
              1 * kKiB, 1 * kMiB),
        count(Limit::TablePatterns, "table_patterns", 1000, kSame, "design 6",
              "Patterns of a regex: or glob: table, which are tried one after the other.", 1, 100000),
        count(Limit::TableMatchSteps, "table_match_steps", 10000, kSame, "style: packages",
              "Steps that a regular expression may take for a name; above, nobody can tell and mail waits.",
              100, 10000000),
        bytes(Limit::LmdbCache, "lmdb_cache", 16 * kMiB, "design 13",
              "Octets of a database of LMDB that are kept in memory.", 64 * kKiB, 16 * kGiB),
        time(Limit::LookupTimeout, "lookup_timeout", 10 * kSecond, kSame, "lineage B7",
             "A question to a users=socket: server; then nobody can tell and mail waits.", 100),
        count(Limit::LookupConnections, "lookup_connections", 4, kSame, "lineage B7",
              "Connections to one users=socket: server.", 1, 100),
        count(Limit::LookupsWaiting, "lookups_waiting", 1000, kSame, "lineage B7",
              "Questions to one users=socket: server that are not answered; one more cannot be told.", 1,
              100000),
        count(Limit::LookupCache, "lookup_cache", 20000, kSame, "lineage B7",
              "Answers of users=socket: servers that are remembered."),
        time(Limit::LookupCacheTtl, "lookup_cache_ttl", 60 * kSecond, kSame, "lineage B7",
             "How long a user whom a users=socket: server knows is remembered.", 0),
        time(Limit::LookupNegativeTtl, "lookup_negative_ttl", 10 * kSecond, kSame, "lineage B7",
             "How long it is remembered that a users=socket: server does not know a user.", 0),

        // The reading of the configuration itself: in force before any of it is read.
        fixed(
            bytes(Limit::ConfigSize, "config_size", 64 * kMiB, "design 11", "All files of a configuration.")),
        fixed(
            count(Limit::ConfigFiles, "config_files", 1000, kSame, "design 11", "Files of a configuration.")),
        fixed(count(Limit::ConfigIncludeDepth, "config_include_depth", 10, kSame, "design 11",
                    "Files that include each other.")),
        fixed(count(Limit::ConfigErrors, "config_errors", 1000, kSame, "design 11",
                    "Errors of a configuration that are listed.")),
    }};
}();

/// Every row stands where its enumerator says.
static_assert([] {
    for (std::size_t i = 0; i < kLimitCount; ++i) {
        const LimitRow& row = kLimitTable[i];
        if (row.limit != static_cast<Limit>(i) || row.name.empty()) return false;
        if (row.value < row.least || row.value > row.most || row.overload.value_or(0) > row.value)
            return false;
    }
    return true;
}());

}  // namespace postrider::config
