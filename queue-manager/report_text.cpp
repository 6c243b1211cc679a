#include "queue-manager/report_text.h"

#include <algorithm>
#include <array>
#include <chrono>

#include "libcommon/mail/date.h"
#include "libcommon/mail/utf8.h"
#include "queue-manager/reports.h"

namespace postrider::queue_manager {

namespace {

/// In the order of ReportKind, which is that of config::kReportKinds.
const std::array<config::ReportTemplate, config::kReportKinds.size()>& built_in_templates() {
    static const std::array<config::ReportTemplate, config::kReportKinds.size()> templates{
        {{"Undelivered mail: could not be delivered",
          "This is the mail system at ${hostname}.\n"
          "\n"
          "Your message could not be delivered to one or more recipients.\n"
          "It will not be tried again.\n"},
         {"Delayed mail: still being tried",
          "This is the mail system at ${hostname}.\n"
          "\n"
          "Your message has not been delivered yet to one or more recipients.\n"
          "You need not do anything: it will be tried until\n"
          "${will_retry_until}.\n"},
         {"Delivered mail",
          "This is the mail system at ${hostname}.\n"
          "\n"
          "As you asked: your message was delivered.\n"},
         {"Relayed mail: no further reports",
          "This is the mail system at ${hostname}.\n"
          "\n"
          "As you asked: your message was handed on to a mail system\n"
          "that does not send reports about delivery.\n"},
         {"Mail sent on to several addresses",
          "This is the mail system at ${hostname}.\n"
          "\n"
          "As you asked: your message has reached an address that stands for\n"
          "several others, and was sent on to these. Delivery to them is not reported.\n"},
         {"Postmaster notice: undeliverable mail from the null sender",
          "This is the mail system at ${hostname}.\n"
          "\n"
          "A message could not be delivered, and nobody can be told, because it\n"
          "is a report itself or has the null sender.\n"}}};
    return templates;
}

std::string value_of(const ReportInput& input, std::string_view variable) {
    if (variable == "hostname") return input.hostname;
    if (variable == "postmaster") return input.postmaster;
    if (variable == "queue_id") return input.original_id.text();
    if (variable == "sender") return mail::make_printable("<" + input.original.sender() + ">");
    if (variable != "will_retry_until") return {};
    UnixMillis last = 0;
    for (const ReportedRecipient& recipient : input.recipients) {
        if (recipient.will_retry_until == 0) return "it can be delivered";
        last = std::max(last, recipient.will_retry_until);
    }
    return mail::format_date(last, std::chrono::minutes(0));
}

}  // namespace

std::string_view name_of(ReportKind kind) {
    return config::kReportKinds.at(static_cast<std::size_t>(kind));
}

const config::ReportTemplate& built_in_template(ReportKind kind) {
    return built_in_templates().at(static_cast<std::size_t>(kind));
}

TextForPeople text_for_people(const ReportInput& input) {
    const config::ReportTemplate* chosen = &built_in_template(input.kind);
    if (input.templates != nullptr) {
        const auto own = input.templates->find(name_of(input.kind));
        if (own != input.templates->end()) chosen = &own->second;
    }
    const auto value = [&input](std::string_view variable) { return value_of(input, variable); };
    TextForPeople result;
    result.subject = config::expand_variables(chosen->subject, value);
    for (const char c : config::expand_variables(chosen->text, value)) {
        if (c == '\n') result.text += '\r';
        result.text += c;
    }
    return result;
}

}  // namespace postrider::queue_manager
