#pragma once

#include <string>
#include <string_view>

#include "libcommon/ipc/queue.pb.h"
#include "libcommon/mail/reply.h"

/// What a reply of a remote server means for a recipient: one table, without any I/O.
namespace postrider::remote_delivery {

/// What we were doing when something happened.
enum class Stage { Connect, Greeting, Ehlo, Mail, Rcpt, Data, Content, FinalDot, Reset, Quit };

/// "sending MAIL FROM", for texts such as "connection lost while ...".
[[nodiscard]] std::string_view doing(Stage stage);

/// What is to be done now.
enum class Next {
    Accepted,       ///< go on with the dialogue
    Settled,        ///< the outcome is final for this attempt
    OtherHost,      ///< another host of the destination may do better; the outcome holds if there is none
    SameHostAgain,  ///< RCPT: the server takes no more recipients now; in the next transaction it will
};

/// The outcome for a recipient, as the report has it.
struct Judgement {
    Next next = Next::Settled;
    wire::DeliveryResult::Outcome outcome = wire::DeliveryResult::DEFERRED;
    std::string status;  ///< enhanced status code
    std::string text;    ///< the reply in one line, or our own explanation
};

/// Judges `reply` to what was sent at `stage`.
///
///  * At the greeting and at EHLO nothing is said about the mail yet, so that even 5xx does not fail it:
///  another
///    host may be better, or this one later (RFC 5321, 3.1 and 5.1).
///  * At MAIL, RCPT and DATA 4xx lets us try another host, 5xx is final.
///  * At RCPT 452, and 552 for too many recipients, ask for another transaction (RFC 5321, 4.5.3.1.10).
///  Whether
///    it makes sense to begin one is the caller's to know: if no recipient was accepted it does not.
///  * At the final dot everything is final: the server has had the message, and another host could make a
///    duplicate of it.
///  * What is accepted has neither status nor text before the final dot: nobody is told.
///  * A reply of the wrong kind (3xx to RCPT, 250 to DATA) defers.
///
/// The status is the enhanced code of the reply; where it has none, what the reply code says (RFC 3463, RFC
/// 5248).
[[nodiscard]] Judgement judge(Stage stage, const mail::Reply& reply);

/// Judges the loss of the connection, a time-out or a broken reply; `problem` says which. `x.4.2` while the
/// connection stands, 4.4.1 for Stage::Connect.
[[nodiscard]] Judgement judge_failure(Stage stage, std::string_view problem);

/// An outcome of our own making.
[[nodiscard]] Judgement deferred(std::string status, std::string text);
[[nodiscard]] Judgement failed(std::string status, std::string text);

}  // namespace postrider::remote_delivery
