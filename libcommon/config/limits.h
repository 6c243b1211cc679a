#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "libcommon/base/clock.h"
#include "libcommon/base/result.h"

/// Every limit and time-out of the suite, in one table; no such number stands anywhere else in the code.
namespace postrider::config {

/// The rows of the limits table. limits.cpp gives each its name, value, unit and source.
enum class Limit : std::uint8_t {
    // Sizes of SMTP elements (RFC 5321, 4.5.3.1).
    DomainLength,
    CommandLine,
    MaxMessageSize,
    MaxRecipients,
    MaxExpandedRecipients,
    MaxNullRecipients,
    MaxHops,
    MaxSelfReceived,

    // Time-outs of the SMTP client (RFC 5321, 4.5.3.2).
    ConnectTimeout,
    GreetingTimeout,
    EhloTimeout,
    MailTimeout,
    RcptTimeout,
    DataTimeout,
    DataBlockTimeout,
    FinalDotTimeout,
    RsetTimeout,
    QuitTimeout,

    // The SMTP server.
    GreetWait,
    CommandTimeout,
    CommandTimeoutBeforeRcpt,
    ReceiveIdleTimeout,
    ReceiveMinRate,
    SessionTimeout,
    SessionMessages,
    TrustedSessionMessages,
    MaxConnections,
    MaxConnectionsPerClient,
    MaxConnectionsPerUser,
    ClientPrefixV4,
    ClientPrefixV6,
    ListenBacklog,
    NonMailCommands,
    BdatChunks,
    ErrorsBeforeDelay,
    ErrorsBeforeDrop,
    SessionRefusals,
    ErrorDelay,
    ErrorDelayMax,
    TlsHandshakeTimeout,
    TlsTicketLifetime,
    TlsFileSize,
    AuthTimeout,
    AuthLine,
    AuthAttempts,
    AuthPamProcesses,
    AuthAccountLock,
    AuthAccountLockMax,
    AuthTracked,
    RateNames,

    // Queue and scheduling.
    RetryJitter,
    Lifetime,
    BounceLifetime,
    Lifetime2,
    MxbackupLifetime,
    MxbackupRetryMax,
    MxErrorGrace,
    EtrnInterval,
    FullMailboxTime,
    DsnMaxBody,
    DsnTemplateSize,
    QueueSyncThreads,
    IntakeJournalMax,
    IntakeJournalSize,
    QueueMessages,
    QueueRecipients,
    ResolveConcurrency,
    TraceMessages,
    RecipientsPerTransaction,
    DestinationConcurrencyInitial,
    DestinationConcurrency,
    DestinationFailures,
    DestinationDeadTime,
    DestinationDeadTimeMax,
    RemoteDeliveries,
    ConnectionMessages,
    ConnectionLifetime,
    ConnectionIdle,
    MxAddresses,
    MxSessions,

    // Local delivery.
    PipeTimeout,
    PipeOutput,
    AliasNesting,
    AliasExpansion,
    ForwardFileSize,
    ProgramMemory,
    ProgramProcesses,
    ProgramFiles,
    ProgramFileSize,
    MboxLockTimeout,
    MboxLockStale,
    MaildirTimeout,
    LocalDeliveries,
    LocalChildrenPerUser,

    // Processes, frames between them, DNS, tables.
    IpcTimeout,
    ProcessIdle,
    ProcessJobs,
    RespawnDelay,
    RespawnDelayMax,
    ShutdownGrace,
    DnsTimeout,
    DnsServers,
    DnsChainTimeout,
    DnsCnames,
    DnsMx,
    DnsCacheEntries,
    DnsCacheTtl,
    DnsFailureTtl,
    DnsQuestions,
    DnsPtrNames,
    DnsMxHosts,
    ClientNameTimeout,
    DnsblTimeout,
    TableSize,
    TablePollInterval,
    AliasChecks,
    TableValue,
    TablePatterns,
    TableMatchSteps,
    LmdbCache,
    LookupTimeout,
    LookupConnections,
    LookupsWaiting,
    LookupCache,
    LookupCacheTtl,
    LookupNegativeTtl,

    // The reading of the configuration itself; these cannot be set.
    ConfigSize,
    ConfigFiles,
    ConfigIncludeDepth,
    ConfigErrors,

    Count  // not a limit: the number of rows
};

inline constexpr std::size_t kLimitCount = static_cast<std::size_t>(Limit::Count);

/// What the number of a row counts.
enum class Unit {
    Count,           ///< things
    Bytes,           ///< bytes
    BytesPerSecond,  ///< bytes a second, written as a size
    Duration,        ///< milliseconds
    Percent          ///< 0 to 100
};

/// Whether the suite is short of sessions, so that the overload values of the table hold.
enum class Load { Normal, Overload };

/// One row of the table. Values of Unit::Duration are milliseconds.
struct LimitRow {
    Limit limit;
    std::string_view name;  ///< the directive that sets it
    Unit unit;
    std::uint64_t value;                    ///< the default
    std::optional<std::uint64_t> overload;  ///< under Load::Overload, where it differs
    std::uint64_t least;                    ///< the smallest value that can be set
    std::uint64_t most;                     ///< the largest
    bool settable;
    std::string_view source;  ///< the RFC or specification that the value comes from
    std::string_view doc;     ///< one line: what is bounded, and what happens beyond
};

/// All rows, in the order of the enumeration.
[[nodiscard]] std::span<const LimitRow, kLimitCount> limit_table();

[[nodiscard]] const LimitRow& limit_row(Limit limit);

/// The values in force: the defaults, but for those that the configuration sets. A plain value; daemons copy
/// it where they need it.
class Limits {
  public:
    /// The defaults.
    Limits();

    /// The value in the row's unit (durations in milliseconds).
    [[nodiscard]] std::uint64_t get(Limit limit, Load load = Load::Normal) const;

    /// A row of Unit::Duration.
    [[nodiscard]] Milliseconds time(Limit limit, Load load = Load::Normal) const;

    /// A row of any other unit, in the type that containers count in.
    [[nodiscard]] std::size_t size(Limit limit, Load load = Load::Normal) const;

    /// Sets the value. An overload value that would now be the laxer one of the two is lowered to it.
    void set(Limit limit, std::uint64_t value);

    /// Sets the value under overload.
    void set_overload(Limit limit, std::uint64_t value);

  private:
    struct Pair {
        std::uint64_t normal;
        std::uint64_t overload;
    };
    std::array<Pair, kLimitCount> values_;
};

/// A value of a row as it is written in the configuration: "300s", "64k", "5%", "100".
[[nodiscard]] std::string format_limit(const LimitRow& row, std::uint64_t value);

/// The inverse of format_limit(); a Permanent error also when the value is out of the row's range.
[[nodiscard]] Result<std::uint64_t> parse_limit(const LimitRow& row, std::string_view text);

}  // namespace postrider::config
