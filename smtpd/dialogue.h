#pragma once

#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "libcommon/config/settings.h"
#include "libcommon/ipc/envelope.pb.h"
#include "libcommon/mail/command.h"
#include "libcommon/mail/path.h"
#include "libcommon/mail/reply.h"
#include "libcommon/mail/session_rules.h"
#include "smtpd/command_line.h"
#include "smtpd/parameters.h"
#include "smtpd/patience.h"
#include "smtpd/peers.h"
#include "smtpd/verdict.h"

namespace postrider::smtpd {

/// A reply that is ready to be sent.
struct Answer {
    mail::Reply reply;
    std::string rule;           ///< of a refusal: what decided it
    Milliseconds delay{0};      ///< to be waited before it is sent
    bool ends_session = false;  ///< the connection is closed after it
    bool keeps_lines = false;   ///< has all its lines, whatever the client is thought to cope with
    mail::ReplyCharset charset = mail::ReplyCharset::Ascii;
};

/// The sender's right to send is to be asked for; the answer goes to Dialogue::sender_decided().
struct AskSender {
    std::string sender;  ///< empty for <>
};

/// The same for a recipient; the answer goes to Dialogue::recipient_decided().
struct AskRecipient {
    wire::Recipient recipient;
};

/// The client's greeting may change what holds for it: the router is asked again with Dialogue::helo(), and
/// Dialogue::greeted() gives the answer.
struct AskAgain {};

/// VRFY or EXPN of a client that may; the answer goes to Dialogue::verified().
struct AskAddress {
    std::string address;  ///< as the client wrote it
    bool expand = false;
    bool smtputf8 = false;  ///< the answer may have characters beyond ASCII (RFC 6531, 3.7.4.2)
};

/// ETRN. If it is not `granted` by the policy the router has to be asked, and its refusal goes to
/// Dialogue::etrn_refused(); the result to Dialogue::queue_started().
struct StartQueue {
    std::string domain;
    bool subdomains = false;
    bool granted = false;
};

/// STARTTLS: `answer` is sent, all input that was buffered is forgotten, and the handshake follows; then
/// Dialogue::encrypted().
struct StartTls {
    Answer answer;
};

/// AUTH: the exchange begins; its outcome goes to Dialogue::authenticated(), or the client's mistake to
/// Dialogue::authentication_failed().
struct Authenticate {
    std::string mechanism;               ///< in upper case
    std::optional<std::string> initial;  ///< decoded
};

/// BDAT: this many octets follow, whatever was wrong with the command.
struct TakeChunk {
    std::uint64_t size = 0;
    bool last = false;
    std::optional<Answer> refusal;  ///< the octets are only read to be forgotten
};

/// DATA: a message with Dialogue::transaction() is to be opened. Then either Dialogue::go_ahead() is the
/// answer and the content follows, or the message is refused; in any case Dialogue::message_accepted() or
/// message_refused() ends the transaction.
struct OpenMessage {};

/// What a command leads to.
using Action = std::variant<Answer, AskSender, AskRecipient, OpenMessage, AskAgain, AskAddress, StartQueue,
                            StartTls, Authenticate, TakeChunk>;

/// What MAIL and RCPT have said so far.
struct Transaction {
    std::string sender;     ///< canonical; empty for <>
    bool stranger = false;  ///< the sender is of no domain of ours, and the client may not relay
    MailParameters parameters;
    std::vector<wire::Recipient> recipients;
    std::size_t deliveries = 0;  ///< what the recipients become, as far as the router has said
    std::size_t chunks = 0;      ///< BDAT commands so far

    // What the policy wants to become of the message, by its recipients.
    std::vector<wire::Recipient> discarded;  ///< accepted, but not to be delivered to
    std::string discard_rule;                ///< of the first of these
    std::string quarantine_rule;             ///< of the first recipient that wants it kept back; empty: none
    std::string quarantine_reason;
    std::uint64_t max_size = 0;  ///< the smallest limit of a recipient; 0: none has one

    [[nodiscard]] bool has_recipients() const { return !recipients.empty() || !discarded.empty(); }
    [[nodiscard]] std::size_t recipient_count() const { return recipients.size() + discarded.size(); }
    /// Nobody gets the message, and it is not kept either.
    [[nodiscard]] bool is_discarded() const { return recipients.empty() && !discarded.empty(); }
};

/// The server's side of an SMTP session (RFC 5321) as a state machine: commands in, actions out. It does no
/// I/O and knows no time.
///
/// RCPT may be given to command() while earlier MAIL and RCPT commands still wait for their verdicts, which
/// are then given to sender_decided() and recipient_decided() in the order of the commands; that is how
/// pipelined recipients are asked for at once. Every other command comes only when no verdict is outstanding.
class Dialogue {
  public:
    /// The references outlive the dialogue. Of `tls` and `logins` it only asks what may be offered.
    Dialogue(const config::Settings& settings, const config::Listener& listener, config::Load load,
             const Tls& tls, const Logins& logins);

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

    /// Whether the command must be the last one that was sent before its answer (RFC 2920, 3.1), and the
    /// answer to one that was not: what stands behind it may be content, so the session ends.
    [[nodiscard]] bool must_be_last(mail::Verb verb) const;
    [[nodiscard]] Answer not_the_last();

    /// The answer to a line that is no command at all.
    [[nodiscard]] Answer bad_line(LineState state, std::string_view line);
    [[nodiscard]] Answer unreadable_command(const Error& error, std::string_view line);

    /// The answers to MAIL and RCPT once their verdict is known.
    [[nodiscard]] Answer sender_decided(const Verdict& verdict);
    [[nodiscard]] Answer recipient_decided(const wire::Recipient& recipient, const Verdict& verdict);

    /// The answer to EHLO or HELO once the router has heard the name.
    [[nodiscard]] Answer greeted(const ClientVerdict& client);

    /// The answers to VRFY and EXPN.
    [[nodiscard]] Answer verified(const AskAddress& asked, const VerifiedAddress& found);

    /// The answers to ETRN (RFC 1985, 5): by `verdict` the client may not; or what came of it.
    [[nodiscard]] Answer etrn_refused(const Verdict& verdict);
    [[nodiscard]] Answer queue_started(const StartQueue& asked, const Result<StartedQueue>& started);

    /// The session is encrypted now, and begins anew (RFC 3207, 4.2).
    /// `channel_binding`: the encryption gives what the -PLUS mechanisms of AUTH need.
    void encrypted(bool channel_binding);

    /// The answer at the end of an AUTH exchange. After ACCEPTED login() has a value, and the router is to be
    /// asked again about the client.
    [[nodiscard]] Answer authenticated(const wire::AuthOutcome& outcome);
    /// The policy refuses the login that was just accepted: it is forgotten.
    [[nodiscard]] Answer login_refused(const Verdict& verdict);
    /// The client gave up, or sent what is not base64.
    [[nodiscard]] Answer authentication_cancelled();
    [[nodiscard]] Answer authentication_unreadable();

    /// The answer to a chunk that is not the last one.
    [[nodiscard]] Answer chunk_taken(std::uint64_t size) const;

    /// 354.
    [[nodiscard]] Answer go_ahead() const;

    /// The message is on stable storage: the promise may be given. Ends the transaction.
    [[nodiscard]] Answer message_accepted(const std::string& queue_id);

    /// It is not, for the reason in `verdict`. Ends the transaction, so that nothing of it can leak into the
    /// next one.
    [[nodiscard]] Answer message_refused(const Verdict& verdict);

    [[nodiscard]] const Transaction& transaction() const { return transaction_; }
    [[nodiscard]] const std::string& helo() const { return helo_; }
    /// Whom the client has logged in as; empty if it has not.
    [[nodiscard]] const std::string& login() const { return login_; }
    [[nodiscard]] bool is_encrypted() const { return encrypted_; }
    [[nodiscard]] bool single_line_replies() const { return policy_.single_line_replies(); }
    /// The message so far came in chunks, and more are awaited.
    [[nodiscard]] bool in_chunks() const { return transaction_.chunks > 0; }
    /// Connections that the client may have at the same time; 0: as the general configuration says.
    [[nodiscard]] std::uint32_t max_connections() const { return policy_.max_connections(); }
    /// Octets that a message of this client may have.
    [[nodiscard]] std::uint64_t max_message_size() const;
    /// The same for the message of this transaction, whose recipients may have limits of their own.
    [[nodiscard]] std::uint64_t max_content_size() const;
    /// What stands behind `with` in Received (RFC 3848, RFC 6531).
    [[nodiscard]] std::string protocol() const;
    [[nodiscard]] bool esmtp() const { return esmtp_; }
    [[nodiscard]] bool has_recipients() const { return transaction_.has_recipients(); }
    [[nodiscard]] std::size_t messages() const { return messages_; }

  private:
    enum class Phase {
        Refused,        // The banner was a refusal; only QUIT helps.
        OutOfStep,      // Content of unknown length may follow; only QUIT helps.
        AwaitingHello,  // Neither HELO nor EHLO yet.
        AwaitingMail,   // No transaction.
        InTransaction   // MAIL was syntactically right; its verdict may be outstanding.
    };

    static constexpr std::size_t kExcused = 0;

    // What is offered: dialogue_extensions.cpp.
    [[nodiscard]] bool hidden(wire::SessionPolicy::Extension extension) const;
    [[nodiscard]] bool offers_tls() const;
    [[nodiscard]] bool offers_auth() const;
    [[nodiscard]] bool offers_etrn() const;
    [[nodiscard]] bool offers_chunking() const;
    [[nodiscard]] KnownExtensions known_extensions() const;
    [[nodiscard]] std::vector<std::string> extension_lines() const;
    [[nodiscard]] bool offers_mechanism(const std::string& mechanism) const;
    [[nodiscard]] std::string auth_line() const;
    Action start_tls(const mail::Command& command);
    Action auth(const mail::Command& command);
    Answer answer_to(wire::AuthOutcome::Result result);

    // The mail transaction: dialogue_transaction.cpp.
    Action mail(const mail::Command& command);
    Action rcpt(const mail::Command& command);
    Action data(const mail::Command& command);
    Action bdat(const mail::Command& command);
    std::optional<Answer> refuse_mail();
    std::optional<Answer> refuse_recipient();
    [[nodiscard]] mail::SessionTerms terms() const;
    Answer refuse_within_chunks(std::string text);
    std::optional<Answer> refuse_chunk(const TakeChunk& chunk);

    // Everything else: dialogue.cpp.
    Action hello(const mail::Command& command);
    Answer greet_back();
    Action rset(const mail::Command& command);
    void fall_out_of_step();
    Action help();
    Action vrfy(const mail::Command& command);
    Action etrn(const mail::Command& command);
    Action quit(const mail::Command& command);
    Action unknown(const mail::Command& command);

    [[nodiscard]] bool is_strict() const { return listener_.strict || policy_.strict(); }
    [[nodiscard]] std::size_t limit_or(std::uint32_t of_policy, config::Limit general) const;
    [[nodiscard]] bool has_etrn_for(const std::string& domain) const;
    Answer accept(mail::Reply reply) const;
    /// `weight`: how many errors this is; kExcused for a refusal that is no error of the client's.
    Answer refuse(mail::Reply reply, std::string rule, std::size_t weight = 1);
    Answer refuse(mail::Refusal refusal);
    Answer refuse_without_sender();
    Answer refuse_argument();
    Answer not_implemented();
    Answer non_mail(mail::Reply reply);
    Answer end_with(mail::Reply reply, std::string rule) const;
    void reset_transaction();

    const config::Settings& settings_;
    const config::Listener& listener_;
    const Tls& tls_;
    const Logins& logins_;
    Patience patience_;
    Phase phase_ = Phase::AwaitingHello;
    wire::SessionPolicy policy_;
    bool ask_again_with_helo_ = false;
    bool esmtp_ = false;
    bool encrypted_ = false;
    bool channel_binding_ = false;
    bool any_command_ = false;
    bool sender_refused_ = false;  // so what else comes of its pipelined group is refused as well
    std::size_t messages_ = 0;
    std::size_t recipients_asked_ = 0;
    std::size_t auth_attempts_ = 0;
    std::string helo_;
    std::string login_;
    Transaction transaction_;
};

}  // namespace postrider::smtpd
