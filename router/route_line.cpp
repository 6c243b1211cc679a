#include "router/route_line.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <limits>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "libcommon/config/network.h"
#include "libcommon/config/values.h"
#include "libcommon/mail/ascii.h"
#include "libcommon/mail/domain.h"
#include "libcommon/mail/utf8.h"

namespace postrider::router {

namespace {

using config::Errors;
using config::Word;

constexpr std::string_view kSmtpPort = "25";

/// `[ADDRESS]` or `HOST` in front of the port, in the form of Delivery.next_hop.
Result<std::string> parse_host(std::string_view host) {
    if (host.starts_with('[')) {
        const Result<config::IpAddress> address = config::IpAddress::parse(host);
        if (!address) return failure(address.error());
        return fmt::format("[{}]", address->text());
    }
    if (config::IpAddress::parse(host)) return permanent("an address is written in brackets");
    const Result<mail::Domain> domain = mail::parse_domain(host);
    if (!domain) return failure(domain.error());
    return domain->name();
}

Result<std::string> parse_next_hop(std::string_view text) {
    std::string_view host = text;
    std::string_view port = kSmtpPort;
    const std::size_t colon = text.rfind(':');
    const std::size_t bracket = text.rfind(']');
    if (colon != std::string_view::npos && (bracket == std::string_view::npos || colon > bracket)) {
        host = text.substr(0, colon);
        port = text.substr(colon + 1);
    }
    std::uint16_t number = 0;
    const auto [stop, error] = std::from_chars(port.data(), port.data() + port.size(), number);
    if (error != std::errc() || stop != port.data() + port.size() || number == 0) {
        return permanent("the port is a number from 1 to 65535");
    }
    Result<std::string> parsed = parse_host(host);
    if (!parsed) return failure(std::move(parsed).error());
    return fmt::format("{}:{}", *parsed, number);
}

/// `5.1.2`: a class and two numbers of up to three digits (RFC 3463, 2).
bool is_enhanced_code(std::string_view text) {
    constexpr std::size_t kLongest = 9;
    if (text.size() > kLongest || std::count(text.begin(), text.end(), '.') != 2) return false;
    if (text.front() == '.' || text.back() == '.' || text.find("..") != std::string_view::npos) return false;
    return std::all_of(text.begin(), text.end(),
                       [](char octet) { return octet == '.' || mail::is_digit(octet); });
}

/// Fills code, enhanced code and text from `550 5.1.2 text`.
Result<void> parse_reply(std::string_view reply, Route& route) {
    constexpr std::string_view kForm = "expected a reply such as \"550 5.1.2 no such domain\"";
    const std::size_t first = reply.find(' ');
    const std::size_t second = first == std::string_view::npos ? first : reply.find(' ', first + 1);
    if (first != 3 || second == std::string_view::npos || second + 1 == reply.size()) {
        return permanent(std::string(kForm));
    }
    const std::string_view code = reply.substr(0, first);
    const std::string_view enhanced = reply.substr(first + 1, second - first - 1);
    if (!std::all_of(code.begin(), code.end(), mail::is_digit) || (code[0] != '4' && code[0] != '5') ||
        !is_enhanced_code(enhanced)) {
        return permanent(std::string(kForm));
    }
    if (code[0] != enhanced[0] || enhanced[1] != '.') {
        return permanent("the reply code and the enhanced code begin with the same digit");
    }
    if (!mail::is_printable_utf8(reply)) return permanent("control character in a reply");
    std::from_chars(code.data(), code.data() + code.size(), route.code);
    route.enhanced = enhanced;
    route.text = reply.substr(second + 1);
    return {};
}

/// Milliseconds as the seconds of a frame: at least one, at most what fits.
std::uint32_t to_seconds(Milliseconds time) {
    const auto seconds = std::max<std::int64_t>(1, std::chrono::duration_cast<Seconds>(time).count());
    return static_cast<std::uint32_t>(
        std::min<std::int64_t>(seconds, std::numeric_limits<std::uint32_t>::max()));
}

/// `every:1h` or `daily:02:00`; nothing if it is neither.
std::optional<wire::RouteSchedule> parse_times(std::string_view text) {
    wire::RouteSchedule schedule;
    const std::size_t colon = text.find(':');
    if (colon == std::string_view::npos) return std::nullopt;
    const std::string_view value = text.substr(colon + 1);
    if (text.substr(0, colon) == "every") {
        const Result<Milliseconds> time = config::parse_duration(value);
        if (!time || time->count() < 1000) return std::nullopt;
        schedule.set_kind(wire::RouteSchedule::EVERY);
        schedule.set_seconds(to_seconds(*time));
        return schedule;
    }
    const bool is_time = value.size() == 5 && value[2] == ':' && mail::is_digit(value[0]) &&
                         mail::is_digit(value[1]) && mail::is_digit(value[3]) && mail::is_digit(value[4]);
    if (text.substr(0, colon) != "daily" || !is_time) return std::nullopt;
    const auto number = [value](std::size_t at) {
        return static_cast<std::uint32_t>((value[at] - '0') * 10 + (value[at + 1] - '0'));
    };
    if (number(0) > 23 || number(3) > 59) return std::nullopt;
    schedule.set_kind(wire::RouteSchedule::DAILY);
    schedule.set_seconds((number(0) * 60 + number(3)) * 60);
    return schedule;
}

bool parse_schedule(const config::Directive& line, Route& route, Errors& errors) {
    const config::Option* option = line.option("schedule");
    if (option == nullptr) return true;
    if (route.hold) {
        errors.add(option->position, "hold is schedule=manual: one of them is enough");
        return false;
    }
    const std::string_view value = option->value;
    if (value == "immediate") return true;
    if (value == "manual" || value == "never") {
        route.hold = true;
        if (value == "never") route.schedule.set_kind(wire::RouteSchedule::NEVER);
        return true;
    }
    const std::optional<wire::RouteSchedule> times = parse_times(value);
    if (!times) {
        errors.add(option->position,
                   fmt::format("a schedule is immediate, manual, never, every:1h or daily:02:00, not \"{}\"",
                               value));
        return false;
    }
    if (const config::Option* retry = line.option("retry")) {
        errors.add(retry->position,
                   "what is not delivered waits for the next time of schedule=, not of retry=");
        return false;
    }
    route.schedule = *times;
    return true;
}

/// A bound of the route: a number from 1 on; 0 if the option is not there.
bool parse_bound(const config::Directive& line, std::string_view name, std::uint32_t& bound, Errors& errors) {
    constexpr std::uint64_t kMost = 100'000;
    const config::Option* option = line.option(name);
    if (option == nullptr) return true;
    const Result<std::uint64_t> count = config::parse_count(option->value);
    if (!count || *count == 0 || *count > kMost) {
        errors.add(option->position, fmt::format("{}= is a number from 1 to {}", name, kMost));
        return false;
    }
    bound = static_cast<std::uint32_t>(*count);
    return true;
}

bool parse_limits(const config::Directive& line, Route& route, Errors& errors) {
    constexpr std::uint64_t kMostRate = 1'000'000'000;
    std::uint32_t connections = 0;
    std::uint32_t recipients = 0;
    std::uint32_t messages = 0;
    bool valid = parse_bound(line, "maxconn", connections, errors);
    valid &= parse_bound(line, "rcpts", recipients, errors);
    valid &= parse_bound(line, "msgs", messages, errors);
    route.limits.set_connections(connections);
    route.limits.set_recipients(recipients);
    route.limits.set_messages(messages);
    const config::Option* option = line.option("rate");
    if (option == nullptr) return valid;
    const Result<config::Rate> rate = config::parse_rate(option->value);
    if (!rate || rate->count == 0 || rate->count > kMostRate || rate->period < Seconds(1)) {
        errors.add(option->position, "rate= is so many messages in a time, such as 300/1h");
        return false;
    }
    route.limits.set_rate(static_cast<std::uint32_t>(rate->count));
    route.limits.set_rate_seconds(to_seconds(rate->period));
    return valid;
}

/// The flags and options that need a route which mail can leave by.
bool parse_leaving(const config::Directive& line, Route& route, Errors& errors) {
    route.hold = line.has_flag("hold", 2);
    route.compulsory = line.has_flag("compulsory", 2);
    const bool leaves = route.kind == Route::Kind::Mx || route.kind == Route::Kind::Via;
    if ((route.hold || route.compulsory) && !leaves) {
        errors.add(line.position, "hold and compulsory are for routes by mx or via");
        return false;
    }
    for (const std::string_view name : {"schedule", "maxconn", "rcpts", "msgs", "rate"}) {
        const config::Option* option = line.option(name);
        if (option == nullptr || leaves) continue;
        errors.add(option->position, fmt::format("{}= is for routes by mx or via", name));
        return false;
    }
    if (!parse_schedule(line, route, errors) || !parse_limits(line, route, errors)) return false;
    if (route.compulsory && (route.kind != Route::Kind::Via || line.words.front().text != "*")) {
        errors.add(line.position, "compulsory is for the way of everything: route * via HOST compulsory");
        return false;
    }
    const config::Option* expire = line.option("hold_expire");
    if (expire == nullptr) return true;
    if (!route.hold || line.option("lifetime") != nullptr) {
        errors.add(expire->position, route.hold ? "hold_expire= stands in place of lifetime=, not beside it"
                                                : "hold_expire= needs hold, or schedule=manual or never");
        return false;
    }
    route.never_expires = expire->value == "never";
    if (route.never_expires) return true;
    const Result<Milliseconds> time = config::parse_duration(expire->value);
    if (!time || time->count() == 0) {
        errors.add(expire->position, "hold_expire= is never, or a time such as 30d");
        return false;
    }
    route.lifetime_seconds = to_seconds(*time);
    return true;
}

bool parse_options(const config::Directive& line, Route& route, Errors& errors) {
    bool valid = parse_leaving(line, route, errors);
    if (const config::Option* retry = line.option("retry")) {
        const Result<std::vector<Milliseconds>> times = config::parse_durations(retry->value);
        if (!times) errors.add(retry->position, times.error().text);
        valid = valid && times.has_value();
        if (times) {
            std::transform(times->begin(), times->end(), std::back_inserter(route.retry_seconds), to_seconds);
        }
    }
    if (const config::Option* lifetime = line.option("lifetime")) {
        const Result<Milliseconds> time = config::parse_duration(lifetime->value);
        if (!time || time->count() == 0) {
            errors.add(lifetime->position, time ? "a lifetime is more than nothing" : time.error().text);
            return false;
        }
        route.lifetime_seconds = to_seconds(*time);
    }
    return valid;
}

/// The targets, with the number of words that each takes behind its name.
struct Target {
    std::string_view name;
    Route::Kind kind;
    std::size_t words;
};
constexpr Target kTargets[] = {{"mx", Route::Kind::Mx, 0},
                               {"via", Route::Kind::Via, 1},
                               {"discard", Route::Kind::Discard, 0},
                               {"error", Route::Kind::Error, 1},
                               {"none", Route::Kind::None, 0}};

const Target* find_target(const Word& word, Errors& errors) {
    std::vector<std::string_view> names;
    for (const Target& target : kTargets) {
        if (!word.quoted && word.text == target.name) return &target;
        names.push_back(target.name);
    }
    const std::string_view near = config::nearest(word.text, names);
    errors.add(word.position,
               fmt::format("a route is mx, via, discard, error or none, not \"{}\"{}", word.text,
                           near.empty() ? "" : fmt::format("; did you mean {}?", near)));
    return nullptr;
}

}  // namespace

std::optional<Route> parse_route(const config::Directive& line, Errors& errors) {
    const Word& name = line.words.at(1);
    const Target* target = find_target(name, errors);
    if (target == nullptr) return std::nullopt;
    const auto is_flag = [&](std::size_t i) {
        return !line.words[i].quoted && (line.words[i].text == "hold" || line.words[i].text == "compulsory");
    };
    std::size_t words = line.words.size();
    while (words > 2 + target->words && is_flag(words - 1))
        --words;
    const bool argument_is_flag = words == 3 && is_flag(2);
    if (words != 2 + target->words || argument_is_flag) {
        const std::string_view expected = target->words == 0 ? "nothing" : "one word";
        errors.add(name.position, fmt::format("behind {} stands {}", target->name, expected));
        return std::nullopt;
    }
    Route route;
    route.kind = target->kind;
    route.position = line.position;
    if (target->words > 0) {
        const Word& argument = line.words[2];
        Result<void> parsed;
        if (route.kind == Route::Kind::Error) {
            parsed = parse_reply(argument.text, route);
        } else if (Result<std::string> next_hop = parse_next_hop(argument.text)) {
            route.next_hop = std::move(*next_hop);
        } else {
            parsed = failure(std::move(next_hop).error());
        }
        if (!parsed) {
            errors.add(argument.position, parsed.error().text);
            return std::nullopt;
        }
    }
    if (!parse_options(line, route, errors)) return std::nullopt;
    return route;
}

}  // namespace postrider::router
