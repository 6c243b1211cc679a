#include "admin/explain_text.h"

#include <fmt/format.h>

#include <algorithm>
#include <vector>

#include "admin/output.h"
#include "libcommon/config/values.h"

namespace postrider::admin {

namespace {

/// Writes an explanation line by line.
class Text {
  public:
    Text(const ExplainCase& what, const config::Settings& settings) : what_(what), settings_(settings) {}

    std::string run(const Explanation& explanation) {
        for (const wire::ExplainedItem& item : explanation.items)
            add_item(item);
        return std::move(text_);
    }

  private:
    template <typename... Values>
    void add(fmt::format_string<Values...> format, Values&&... values) {
        text_ += printable(fmt::format(format, std::forward<Values>(values)...));
        text_ += '\n';
    }

    /// A heading before the first item of a kind.
    void begin(std::string_view heading) {
        if (heading_ == heading) return;
        heading_ = heading;
        add("{}:", heading);
    }

    void add_item(const wire::ExplainedItem& item) {
        switch (item.item_case()) {
            case wire::ExplainedItem::kClient:
                add_client(item.client());
                break;
            case wire::ExplainedItem::kStage:
                add_stage(item.stage());
                break;
            case wire::ExplainedItem::kLimit: {
                const wire::ExplainedLimit& limit = item.limit();
                begin("limits");
                add("  {}{}{} ({})", limit.name(), limit.value().empty() ? "" : " ", limit.value(),
                    limit.rule());
                break;
            }
            case wire::ExplainedItem::kRate:
                add_rate(item.rate());
                break;
            case wire::ExplainedItem::kStep:
                add_step(item.step());
                break;
            case wire::ExplainedItem::kDelivery:
                add_delivery(item.delivery());
                break;
            case wire::ExplainedItem::ITEM_NOT_SET:
                break;
        }
    }

    void add_client(const wire::Client& client);
    void add_stage(const wire::ExplainedStage& stage);
    void add_rate(const wire::ExplainedRate& rate);
    void add_step(const wire::ExpansionStep& step);
    void add_delivery(const wire::ExplainedDelivery& explained);
    void add_exchangers(const wire::ExplainedDelivery& explained);

    /// The words of the client that a stage is about.
    [[nodiscard]] std::string subject_of(const std::string& stage) const {
        if (stage == "helo") return " " + what_.helo;
        if (stage == "login") return " " + what_.login;
        if (stage == "mail") return " <" + what_.sender + ">";
        if (stage == "rcpt") return " <" + what_.recipient + ">";
        return {};
    }

    const ExplainCase& what_;
    const config::Settings& settings_;
    std::string text_;
    std::string_view heading_;
};

void Text::add_client(const wire::Client& client) {
    if (client.address().empty()) {
        add("client: local user {}", client.login());
        return;
    }
    std::string text = "client: " + client.address();
    if (!client.name().empty()) text += fmt::format(" ({})", client.name());
    for (const std::string& name : client.unconfirmed_names())
        text += fmt::format(" ({}, unconfirmed)", name);
    add("{} at port {} for {}{}", text, client.port(), client.kind(), client.tls() ? ", encrypted" : "");
}

std::string_view state_text(const wire::ExplainedListing& listing) {
    switch (listing.state()) {
        case wire::ExplainedListing::LISTED:
            return "listed";
        case wire::ExplainedListing::UNCLEAR:
            return "no answer, so not listed";
        default:
            return "not listed";
    }
}

void Text::add_stage(const wire::ExplainedStage& stage) {
    const wire::Verdict& verdict = stage.verdict();
    add("{}{}: {} {}{}{} ({}){}", stage.name(), subject_of(stage.name()), verdict.code(), verdict.enhanced(),
        verdict.enhanced().empty() ? "" : " ", verdict.text(), verdict.rule(),
        stage.reached() ? "" : ", if it came that far");
    if (verdict.fate() != wire::Verdict::DELIVER) {
        const std::string reason = verdict.fate_reason().empty() ? "" : ": " + verdict.fate_reason();
        add("  then {}{} ({})", verdict.fate() == wire::Verdict::QUARANTINE ? "kept back" : "discarded",
            reason, verdict.fate_rule());
    }
    for (const wire::ExplainedLine& line : stage.lines())
        add("  {}{} line: {}", line.is_default() ? "default " : "", line.kind(), line.position());
    for (const wire::ExplainedListing& listing : stage.listings()) {
        add("  {} list {}: {}{}{}", listing.allows() ? "allow" : "block", listing.zone(), state_text(listing),
            listing.text().empty() ? "" : ": ", listing.text());
    }
}

void Text::add_rate(const wire::ExplainedRate& rate) {
    begin("rates");
    add("  {} {}: {} of {} {} in {} used, more is {} ({})", rate.kind(), rate.who(), rate.used(),
        rate.count(), rate.things(), config::format_duration(Milliseconds(rate.period_ms())),
        rate.rejects() ? "rejected" : "deferred", rate.rule());
}

void Text::add_step(const wire::ExpansionStep& step) {
    begin("expansion");
    std::string text = step.address();
    if (!text.empty()) text += ": ";
    if (step.step() == "remote") {
        text += "leaves this host";
    } else if (step.step() == "circle") {
        text += "leads back to itself, dropped";
    } else if (step.step() == "known") {
        text += "is in the list already";
    } else if (step.step() == "failure") {
        text += step.detail();
    } else {
        text += step.step() + (step.detail().empty() ? "" : " " + step.detail());
    }
    add("  {:{}}{} ({})", "", 2 * std::min<std::uint32_t>(step.depth(), 100), text, step.rule());
}

/// What may take the place of a delivery; only its user's process can see whether it is there.
std::string forward_text(const wire::LocalTarget& local) {
    std::string text;
    for (const auto& path : local.forward_files())
        text += (text.empty() ? ", unless there is " : " or ") + path;
    return text;
}

std::string target_text(const wire::ExplainedDelivery& explained) {
    const wire::Delivery& delivery = explained.delivery();
    const wire::LocalTarget& local = delivery.local();
    switch (delivery.transport()) {
        case wire::TRANSPORT_SMTP:
            return fmt::format("smtp {}", explained.route() == "mx" ? "by the MX of " + delivery.next_hop()
                                                                    : explained.route());
        case wire::TRANSPORT_DISCARD:
            return "discarded";
        case wire::TRANSPORT_ERROR:
            return fmt::format("fails: {}", delivery.error_text());
        default:
            return fmt::format("{} {} of {} (uid {}){}", transport_name(delivery.transport()), local.path(),
                               local.user(), local.uid(), forward_text(local));
    }
}

/// When the route lets mail be tried, and what its hosts get, as its line says it.
std::string route_options_text(const wire::Delivery& delivery) {
    std::string text;
    const std::string schedule = schedule_text(delivery);
    if (schedule == "manual") text += " hold";
    if (schedule != "manual" && schedule != "immediate") text += " schedule=" + schedule;
    const wire::RouteLimits& limits = delivery.limits();
    if (limits.connections() != 0) text += fmt::format(" maxconn={}", limits.connections());
    if (limits.recipients() != 0) text += fmt::format(" rcpts={}", limits.recipients());
    if (limits.messages() != 0) text += fmt::format(" msgs={}", limits.messages());
    if (limits.rate() != 0) {
        text += fmt::format(" rate={}/{}", limits.rate(),
                            config::format_duration(Seconds(limits.rate_seconds())));
    }
    return text;
}

void Text::add_delivery(const wire::ExplainedDelivery& explained) {
    begin("deliveries");
    if (explained.has_failure()) {
        const wire::Failure& failed = explained.failure();
        add("  none, {}: {}", failed.temporary() ? "for now" : "for good", failed.text());
        return;
    }
    const wire::Delivery& delivery = explained.delivery();
    std::string text = fmt::format("  {}: {}", delivery.recipient(), target_text(explained));
    if (delivery.transport() == wire::TRANSPORT_SMTP) {
        text += fmt::format(" retry={}", config::format_durations(retry_of(delivery, settings_)));
        text += delivery.never_expires()
                    ? " hold_expire=never"
                    : fmt::format(" lifetime={}", config::format_duration(lifetime_of(delivery, settings_)));
        text += route_options_text(delivery);
        if (delivery.backup()) text += ", as its backup";
    }
    if (delivery.has_sender()) text += fmt::format(", from <{}>", delivery.sender());
    add("{} ({})", text, delivery.rule());
    add_exchangers(explained);
}

void Text::add_exchangers(const wire::ExplainedDelivery& explained) {
    if (explained.route() != "mx") return;
    for (const wire::ExplainedExchanger& host : explained.exchangers()) {
        std::string line = fmt::format("    {} {}", host.preference(), host.host());
        for (const auto& address : host.addresses())
            line += " " + address;
        if (host.more_addresses()) line += " and more";
        if (host.unclear()) line += " (the DNS does not answer)";
        if (host.addresses().empty() && !host.unclear()) line += " (no address)";
        add("{}{}", line, host.is_us() ? " = this host" : "");
    }
    if (explained.more_exchangers()) add("    and more");
    const std::optional<OwnPosition> own = own_position(explained);
    if (!own) {
        add("    {}",
            explained.exchangers().empty() ? "no exchanger was found" : "this host is none of them");
    } else if (own->is_best) {
        add("    this host is the best of them: there is no way on");
    } else {
        add("    this host is number {} of them: the mail goes to better ones only", own->rank);
    }
}

}  // namespace

std::string explain_text(const Explanation& explanation, const ExplainCase& what,
                         const config::Settings& settings) {
    return Text(what, settings).run(explanation);
}

std::string_view action_name(wire::Verdict::Action action) {
    if (action == wire::Verdict::REJECT) return "reject";
    return action == wire::Verdict::DEFER ? "defer" : "accept";
}

std::string_view fate_name(wire::Verdict::Fate fate) {
    if (fate == wire::Verdict::QUARANTINE) return "quarantine";
    return fate == wire::Verdict::DISCARD ? "discard" : "deliver";
}

std::string_view transport_name(wire::Transport transport) {
    switch (transport) {
        case wire::TRANSPORT_SMTP:
            return "smtp";
        case wire::TRANSPORT_MAILDIR:
            return "maildir";
        case wire::TRANSPORT_PROGRAM:
            return "program";
        case wire::TRANSPORT_FILE:
            return "file";
        case wire::TRANSPORT_DISCARD:
            return "discard";
        case wire::TRANSPORT_ERROR:
            return "error";
        default:
            return "unknown";
    }
}

std::string schedule_text(const wire::Delivery& delivery) {
    const std::uint32_t seconds = delivery.schedule().seconds();
    switch (delivery.schedule().kind()) {
        case wire::RouteSchedule::NEVER:
            return "never";
        case wire::RouteSchedule::EVERY:
            return fmt::format("every:{}", config::format_duration(Seconds(seconds)));
        case wire::RouteSchedule::DAILY:
            return fmt::format("daily:{:02}:{:02}", seconds / 3600, seconds / 60 % 60);
        default:
            return delivery.hold() ? "manual" : "immediate";
    }
}

std::vector<Milliseconds> retry_of(const wire::Delivery& delivery, const config::Settings& settings) {
    if (delivery.retry_seconds().empty()) return settings.retry;
    std::vector<Milliseconds> waits;
    for (const std::uint32_t seconds : delivery.retry_seconds())
        waits.emplace_back(Seconds(seconds));
    return waits;
}

Milliseconds lifetime_of(const wire::Delivery& delivery, const config::Settings& settings) {
    if (delivery.lifetime_seconds() == 0) return settings.limits.time(config::Limit::Lifetime);
    return Seconds(delivery.lifetime_seconds());
}

std::optional<OwnPosition> own_position(const wire::ExplainedDelivery& delivery) {
    const auto& hosts = delivery.exchangers();
    const auto own = std::find_if(hosts.begin(), hosts.end(), [](const auto& host) { return host.is_us(); });
    if (own == hosts.end()) return std::nullopt;
    OwnPosition position;
    position.preference = own->preference();
    const auto better = std::count_if(hosts.begin(), hosts.end(), [&](const auto& host) {
        return host.preference() < position.preference;
    });
    position.rank = static_cast<int>(better) + 1;
    position.is_best = better == 0;
    return position;
}

}  // namespace postrider::admin
