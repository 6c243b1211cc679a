#pragma once

#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "libcommon/config/settings.h"
#include "libcommon/ipc/envelope.pb.h"
#include "libcommon/mail/command.h"
#include "libcommon/mail/reply.h"
#include "smtpd/command_line.h"
#include "smtpd/patience.h"
#include "smtpd/verdict.h"

namespace postrider::smtpd {

/// A reply that is ready to be sent.
struct Answer {
    mail::Reply reply;
    std::string rule;           ///< of a refusal: what decided it
    Milliseconds delay{0};      ///< to be waited before it is sent
    bool ends_session = false;  ///< the connection is closed after it
};

/// The sender's right to send is to be asked for; the answer goes to Dialogue::sender_decided().
struct AskSender {
    std::string sender;  ///< empty for <>
};

/// The same for a recipient; the answer goes to Dialogue::recipient_decided().
struct AskRecipient {
    std::string recipient;
};

/// DATA: a message with Dialogue::transaction() is to be opened. Then either Dialogue::go_ahead() is the
/// answer and the content follows, or the message is refused; in any case Dialogue::message_accepted() or
/// message_refused() ends the transaction.
struct OpenMessage {};

/// What a command leads to.
using Action = std::variant<Answer, AskSender, AskRecipient, OpenMessage>;

/// What MAIL and RCPT have said so far.
struct Transaction {
    std::string sender;  ///< canonical; empty for <>
    std::vector<std::string> recipients;
    wire::Envelope::Body body = wire::Envelope::SEVENBIT;
    std::uint64_t declared_size = 0;  ///< SIZE=, 0 if it was not given
};

/// The server's side of an SMTP session (RFC 5321) as a state machine: commands in, actions out. It does no
/// I/O and knows no time.
///
/// RCPT may be given to command() while earlier MAIL and RCPT commands still wait for their verdicts, which
/// are then given to sender_decided() and recipient_decided() in the order of the commands; that is how
/// pipelined recipients are asked for at once. Every other command comes only when no verdict is outstanding.
class Dialogue {
  public:
    /// The references outlive the dialogue.
    Dialogue(const config::Settings& settings, const config::Listener& listener, config::Load load);

    /// The banner, or its refusal (RFC 5321, 3.1), by what is known about the client.
    [[nodiscard]] Answer greeting(const ClientVerdict& client);

    /// Replaces what is known about a client whose verdict was not to be had when it connected.
    void client_decided(const ClientVerdict& client);

    /// The answer to MAIL of a client that was found unwelcome only then.
    [[nodiscard]] Answer client_refused(const Verdict& verdict);

    /// The client sent something before it was its turn.
    void note_early_talker();

    /// Obeys a command.
    [[nodiscard]] Action command(const mail::Command& command);

    /// The answer to a line that is no command at all.
    [[nodiscard]] Answer bad_line(LineState state);
    [[nodiscard]] Answer unreadable_command(const Error& error);

    /// The answers to MAIL and RCPT once their verdict is known.
    [[nodiscard]] Answer sender_decided(const Verdict& verdict);
    [[nodiscard]] Answer recipient_decided(const std::string& recipient, const Verdict& verdict);

    /// 354.
    [[nodiscard]] Answer go_ahead() const;

    /// The message is on stable storage: the promise may be given. Ends the transaction.
    [[nodiscard]] Answer message_accepted(const std::string& queue_id);

    /// It is not, for the reason in `verdict`. Ends the transaction, so that nothing of it can leak into the
    /// next one.
    [[nodiscard]] Answer message_refused(const Verdict& verdict);

    [[nodiscard]] const Transaction& transaction() const { return transaction_; }
    [[nodiscard]] const std::string& helo() const { return helo_; }
    [[nodiscard]] bool esmtp() const { return esmtp_; }
    [[nodiscard]] bool has_recipients() const { return !transaction_.recipients.empty(); }
    [[nodiscard]] std::size_t messages() const { return messages_; }

  private:
    enum class Phase {
        Refused,        // The banner was a refusal; only QUIT helps.
        AwaitingHello,  // Neither HELO nor EHLO yet.
        AwaitingMail,   // No transaction.
        InTransaction   // MAIL was syntactically right; its verdict may be outstanding.
    };

    Action hello(const mail::Command& command);
    Action mail(const mail::Command& command);
    Action rcpt(const mail::Command& command);
    Action data(const mail::Command& command);
    Action rset(const mail::Command& command);
    Action vrfy(const mail::Command& command);
    Action quit(const mail::Command& command);
    Action unknown(const mail::Command& command);

    /// The refusal of MAIL for what the session is, whatever the command says.
    std::optional<Answer> refuse_mail();
    std::optional<Answer> read_mail_parameters(const std::string& text);

    Answer accept(mail::Reply reply) const;
    Answer refuse(mail::Reply reply, std::string rule, std::size_t weight = 1);
    Answer refuse_argument();
    Answer non_mail(mail::Reply reply);
    Answer end_with(mail::Reply reply, std::string rule) const;
    void reset_transaction();

    const config::Settings& settings_;
    const config::Listener& listener_;
    Patience patience_;
    Phase phase_ = Phase::AwaitingHello;
    bool esmtp_ = false;
    bool any_command_ = false;
    bool may_relay_ = false;
    std::size_t messages_ = 0;
    std::size_t recipients_asked_ = 0;
    std::string helo_;
    Transaction transaction_;
};

}  // namespace postrider::smtpd
