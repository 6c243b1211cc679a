#include "remote-delivery/judgement.h"

#include <fmt/format.h>

#include <array>
#include <optional>

namespace postrider::remote_delivery {
namespace {

using wire::DeliveryResult;

/// What a reply code says where no enhanced code does: subject and detail; the class is that of the outcome.
struct Meaning {
    int code;
    std::optional<Stage> stage;  // nullopt: at any stage
    std::string_view subject_and_detail;
};

constexpr std::array kMeanings = {
    Meaning{421, std::nullopt, "3.2"},  // the system takes no network messages
    Meaning{450, Stage::Rcpt, "2.0"},   // something about the mailbox
    Meaning{451, std::nullopt, "3.0"},  // something about the mail system
    Meaning{452, Stage::Rcpt, "5.3"},   // too many recipients
    Meaning{452, std::nullopt, "3.1"},  // the mail system is full
    Meaning{500, std::nullopt, "5.2"},  // syntax
    Meaning{501, std::nullopt, "5.4"},  // arguments
    Meaning{502, std::nullopt, "5.1"},  // command
    Meaning{503, std::nullopt, "5.1"}, Meaning{504, std::nullopt, "5.4"},
    Meaning{521, std::nullopt, "3.2"},                                    // RFC 7504
    Meaning{530, std::nullopt, "7.0"},                                    // RFC 4954
    Meaning{535, std::nullopt, "7.8"}, Meaning{551, Stage::Rcpt, "1.6"},  // the mailbox has moved
    Meaning{552, Stage::Rcpt, "5.3"},   // too many recipients, as old servers say it
    Meaning{552, std::nullopt, "3.4"},  // the message is too big
    Meaning{553, Stage::Mail, "1.7"},   // the sender's address
    Meaning{553, Stage::Rcpt, "1.3"},   // the recipient's address
    Meaning{555, std::nullopt, "5.4"}, Meaning{556, Stage::Rcpt, "1.10"},  // RFC 7504
};

std::string status_of(Stage stage, const mail::Reply& reply, char status_class) {
    if (reply.enhanced && reply.enhanced->code_class() == status_class - '0')
        return reply.enhanced->to_string();
    for (const Meaning& meaning : kMeanings) {
        if (meaning.code != reply.code.value()) continue;
        if (!meaning.stage || meaning.stage == stage)
            return fmt::format("{}.{}", status_class, meaning.subject_and_detail);
    }
    return fmt::format("{}.0.0", status_class);
}

bool too_many_recipients(const mail::Reply& reply) {
    constexpr mail::EnhancedCode kTemporary{4, 5, 3};
    constexpr mail::EnhancedCode kPermanent{5, 5, 3};
    if (reply.code.value() == 452) return !reply.enhanced || reply.enhanced == kTemporary;
    return reply.code.value() == 552 && (!reply.enhanced || reply.enhanced == kPermanent);
}

bool is_before_mail(Stage stage) {
    return stage == Stage::Greeting || stage == Stage::Ehlo;
}

bool is_success(Stage stage, mail::ReplyCode code) {
    if (stage == Stage::Data) return code.value() == 354;
    return code.is_positive();
}

}  // namespace

std::string_view doing(Stage stage) {
    switch (stage) {
        case Stage::Connect:
            return "connecting";
        case Stage::Greeting:
            return "waiting for the greeting";
        case Stage::Ehlo:
            return "sending EHLO";
        case Stage::Mail:
            return "sending MAIL FROM";
        case Stage::Rcpt:
            return "sending RCPT TO";
        case Stage::Data:
            return "sending DATA";
        case Stage::Content:
            return "sending the message";
        case Stage::FinalDot:
            return "sending the end of the message";
        case Stage::Reset:
            return "sending RSET";
        case Stage::Quit:
            return "sending QUIT";
    }
    return "";
}

Judgement judge(Stage stage, const mail::Reply& reply) {
    Judgement judgement;
    if (is_success(stage, reply.code)) {
        judgement.next = Next::Accepted;
        if (stage != Stage::FinalDot) return judgement;  // only the last word is ever shown to anybody
        judgement.outcome = DeliveryResult::RELAYED;
        judgement.status = status_of(stage, reply, '2');
        judgement.text = mail::summary(reply);
        return judgement;
    }
    judgement.text = mail::summary(reply);
    if (stage == Stage::Rcpt && too_many_recipients(reply)) {
        judgement.next = Next::SameHostAgain;
        judgement.status = status_of(stage, reply, '4');
        return judgement;
    }
    if (reply.code.is_permanent() && !is_before_mail(stage)) {
        judgement.outcome = DeliveryResult::FAILED;
        judgement.status = status_of(stage, reply, '5');
        return judgement;
    }
    if (stage != Stage::FinalDot) judgement.next = Next::OtherHost;
    judgement.status = status_of(stage, reply, '4');
    if (!reply.code.is_transient() && !reply.code.is_permanent()) judgement.status = "4.5.0";
    return judgement;
}

Judgement judge_failure(Stage stage, std::string_view problem) {
    bool connecting = stage == Stage::Connect;
    Judgement judgement =
        deferred(connecting ? "4.4.1" : "4.4.2",
                 connecting ? std::string(problem) : fmt::format("{} while {}", problem, doing(stage)));
    // Behind the final dot the server may have the message; the same host is asked again later, since it may
    // know the duplicate by its Message-ID, and nobody else will.
    if (stage != Stage::FinalDot) judgement.next = Next::OtherHost;
    return judgement;
}

Judgement deferred(std::string status, std::string text) {
    Judgement judgement;
    judgement.status = std::move(status);
    judgement.text = std::move(text);
    return judgement;
}

Judgement failed(std::string status, std::string text) {
    Judgement judgement = deferred(std::move(status), std::move(text));
    judgement.outcome = DeliveryResult::FAILED;
    return judgement;
}

}  // namespace postrider::remote_delivery
