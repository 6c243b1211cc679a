#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "libcommon/base/clock.h"
#include "libcommon/config/report_templates.h"
#include "libcommon/ipc/envelope.pb.h"
#include "libcommon/queue_file/queue_id.h"

/// Delivery status notifications (RFC 3464 in a multipart/report, RFC 6522), composed from values. Pure.
namespace postrider::queue_manager {

/// What happened to the recipients of a report; one report tells of one kind. In the order of
/// config::kReportKinds.
enum class ReportKind {
    Failed,
    Delayed,
    Delivered,    ///< into a mailbox or to a list, as NOTIFY=SUCCESS asked
    Relayed,      ///< to a host that does not know DSNs, as NOTIFY=SUCCESS asked
    Expanded,     ///< to several others that the recipient stands for, as NOTIFY=SUCCESS asked
    DoubleBounce  ///< failed, and the sender cannot be told: for the postmaster
};

/// One recipient of a report.
struct ReportedRecipient {
    std::string final_recipient;      ///< the address that delivery was tried to
    std::string original_recipient;   ///< the address at RCPT; told in the text when it differs
    std::string orcpt;                ///< RFC 3461 ORCPT as in wire::Recipient; may be empty
    std::string status;               ///< enhanced status code; one that is no code becomes x.0.0
    std::string diagnostic;           ///< the remote reply, or our own explanation
    std::string remote_host;          ///< name[address]:port; empty if the reason is our own
    UnixMillis last_attempt_ms = 0;   ///< 0: none
    UnixMillis will_retry_until = 0;  ///< of Delayed; 0: for ever
};

/// All that a report is made of.
struct ReportInput {
    ReportKind kind = ReportKind::Failed;
    std::string hostname;    ///< ours: Reporting-MTA, and the domain of MAILER-DAEMON
    std::string postmaster;  ///< his address, for the text
    const config::ReportTemplates* templates = nullptr;  ///< not owned; nullptr: those that are built in
    queue_file::QueueId report_id;                       ///< of the report itself: Message-ID and boundary
    queue_file::QueueId original_id;
    wire::Envelope original;  ///< sender, envid, ret, smtputf8, arrival
    std::string to;           ///< who gets the report
    UnixMillis now = 0;
    std::vector<ReportedRecipient> recipients;
    /// The beginning of the original content: all of it, or as much as may be returned and the header at
    /// least.
    std::string content;
    std::uint64_t content_length = 0;  ///< of the whole original
    std::size_t max_body = 0;          ///< octets of the original's body that may be returned
    bool return_full = false;          ///< when the sender did not say (RET)
};

/// A report, ready to be committed.
struct Report {
    wire::Envelope envelope;  ///< null sender, `report` set
    std::string content;      ///< with CRLF
};

/// Composes a report. Where the address of who gets it needs SMTPUTF8, the report has UTF-8 in its fields
/// (RFC 6533); otherwise any host can take it: what is beyond ASCII is encoded, but for a body that is
/// returned, which can need 8BITMIME.
[[nodiscard]] Report compose_report(const ReportInput& input);

}  // namespace postrider::queue_manager
