#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

#include "libcommon/async/loop.h"
#include "libcommon/async/stream.h"
#include "libcommon/base/fd.h"
#include "libcommon/config/limits.h"
#include "libcommon/mail/dot_stuffing.h"
#include "libcommon/smtp/reply_reader.h"
#include "remote-delivery/capabilities.h"
#include "remote-delivery/judgement.h"
#include "remote-delivery/transaction.h"

namespace postrider::remote_delivery {

/// One connection to a server, from its greeting to QUIT (RFC 5321). One task uses it at a time. After
/// anything that leaves the dialogue without order (lost connection, time-out, broken reply, 421) it is of no
/// further use.
class Session {
  public:
    /// `host` is what the log and reports call the server. `limits` outlives the session.
    Session(async::Loop& loop, Fd socket, std::string host, const config::Limits& limits);
    Session(const Session&) = delete;
    Session& operator=(const Session&) = delete;

    /// Waits for the greeting and says EHLO as `hostname`, or HELO where EHLO is not known. Returns why the
    /// server will not serve us, or nothing if it will.
    async::Task<std::optional<Judgement>> greet(std::string hostname);

    /// Sends the message to the recipients of `transaction` and gives each its judgement. The transaction
    /// outlives the task.
    async::Task<void> send(Transaction& transaction);

    /// Says goodbye and waits for the answer, but not for long.
    async::Task<void> quit();

    /// Whether another transaction can follow.
    [[nodiscard]] bool usable() const { return usable_; }
    /// Bounds the messages that are sent in it; the general limit holds if `most` is 0.
    void set_most_messages(std::size_t most) { most_messages_ = most; }
    /// Whether it has sent as many messages as it may.
    [[nodiscard]] bool used_up() const;
    /// Whether it may be kept for the next message: few enough sent, and young enough.
    [[nodiscard]] bool worth_keeping() const;
    /// Whether the server has closed an idle session, or sent something in it.
    [[nodiscard]] bool stale() { return !usable_ || stream_.stale(); }
    /// Whether the last transaction failed because the connection was gone, or the server going, before it
    /// began: what happens to connections that were idle, and says nothing about the message.
    [[nodiscard]] bool lost_before_mail() const { return lost_before_mail_; }
    /// Whether the server was told what reports the sender wants (RFC 3461), and sends them itself from here
    /// on.
    [[nodiscard]] bool takes_over_reports() const { return capabilities_.dsn; }
    [[nodiscard]] const std::string& host() const { return host_; }

  private:
    /// Reads the reply to what was sent at `stage`.
    async::Task<Judgement> read(Stage stage);
    /// Sends one command and reads its reply.
    async::Task<Judgement> command(Stage stage, std::string line);

    /// MAIL, RCPT and DATA; returns what became of DATA.
    async::Task<Judgement> envelope(Transaction& transaction, MailOptions options);
    async::Task<Judgement> envelope_at_once(Transaction& transaction, MailOptions options);
    async::Task<Judgement> envelope_in_steps(Transaction& transaction, MailOptions options);
    async::Task<void> content(Transaction& transaction);
    async::Task<void> leave_transaction(bool server_waits);
    async::Task<Judgement> early_verdict(Error error);

    Result<std::uint64_t> put_piece(const Content& content, std::uint64_t position,
                                    mail::DataEncoder& encoder);
    Judgement lost(Stage stage, const Error& error);
    [[nodiscard]] async::Deadline deadline_of(Stage stage) const;

    async::Loop& loop_;
    async::Stream stream_;
    smtp::ReplyReader replies_;
    std::string host_;
    const config::Limits& limits_;
    Capabilities capabilities_;
    std::optional<mail::Reply> last_reply_;
    SteadyTime opened_;
    std::size_t messages_ = 0;
    std::size_t most_messages_ = 0;
    bool usable_ = true;
    bool lost_before_mail_ = false;
};

}  // namespace postrider::remote_delivery
