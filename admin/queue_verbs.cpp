#include "admin/queue_verbs.h"

#include <fmt/format.h>
#include <pwd.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <limits>
#include <optional>

#include "admin/json_output.h"
#include "admin/output.h"
#include "admin/quarantine.h"
#include "admin/queue_commands.h"
#include "libcommon/base/file.h"

namespace postrider::admin {

namespace {

/// What is selected; says so on standard error if it makes no sense.
std::optional<wire::Selector> selector_of(const Arguments& arguments) {
    auto selector = parse_selector(arguments.selection);
    if (selector) return std::move(*selector);
    fmt::print(stderr, "postrider: {}\n", selector.error().text);
    return std::nullopt;
}

/// The same for verbs that change something: nothing selected is nothing meant.
std::optional<wire::Selector> selector_of_change(const Arguments& arguments) {
    if (arguments.selection.empty() == arguments.all) return selector_of(arguments);
    fmt::print(stderr,
               "postrider: say which messages: --all, or ids, --from, --to, --domain, --age, --state or "
               "--last-reply\n");
    return std::nullopt;
}

/// Ids that somebody gave must be there; what a rule selects may be nothing.
int nothing_matched(const Arguments& arguments) {
    if (arguments.json) return arguments.selection.ids.empty() ? 0 : kExitUnavailable;
    fmt::print("No message matches.\n");
    return arguments.selection.ids.empty() ? 0 : kExitUnavailable;
}

int list_place(const config::Settings& settings, const Arguments& arguments, wire::Place place) {
    auto selector = selector_of(arguments);
    if (!selector) return kExitUsage;
    auto entries = list_queue(settings, *selector, place);
    if (!entries) return report(entries.error());
    if (arguments.json) {
        fmt::print("{}", queue_json(*entries));
    } else if (entries->empty() && !arguments.selection.empty()) {
        fmt::print("No message matches.\n");
    } else if (place == wire::PLACE_QUEUE) {
        fmt::print("{}", queue_text(*entries, unix_millis_now()));
    } else {
        fmt::print("{}", kept_text(*entries, unix_millis_now()));
    }
    return 0;
}

/// How a change is told.
struct Telling {
    const char* done;   ///< "held"
    const char* would;  ///< "would be held"
};

int change(const config::Settings& settings, const Arguments& arguments, wire::Steer asked, Telling telling) {
    auto selector = selector_of_change(arguments);
    if (!selector) return kExitUsage;
    *asked.mutable_selector() = std::move(*selector);
    asked.set_dry_run(arguments.dry_run);
    asked.set_login(caller_login());
    auto steered = steer(settings, asked);
    if (!steered) return report(steered.error());
    if (arguments.json) fmt::print("{}", steered_json(*steered, arguments.dry_run));
    if (steered->messages() == 0) return nothing_matched(arguments);
    if (!arguments.json) {
        const std::uint64_t number = arguments.dry_run ? steered->messages() : steered->changed();
        fmt::print("{} {}\n", counted(number, "message"), arguments.dry_run ? telling.would : telling.done);
        if (steered->gone() > 0) fmt::print("{} ended before\n", counted(steered->gone(), "message"));
    }
    if (steered->failed() == 0) return 0;
    fmt::print(stderr, "postrider: {} could not be changed; the log says why\n", steered->failed());
    return kExitTemporary;
}

wire::Steer steer_of(wire::Steer::Action action, wire::Place place = wire::PLACE_QUEUE) {
    wire::Steer asked;
    asked.set_action(action);
    asked.set_place(place);
    return asked;
}

/// Copies a part of a file to standard output.
int print_part(const Fd& file, std::uint64_t from, std::uint64_t to) {
    constexpr std::size_t kPiece = std::size_t{64} * 1024;
    for (std::uint64_t at = from; at < to;) {
        auto piece = read_at(file, std::min<std::uint64_t>(kPiece, to - at), at);
        if (!piece) return report(piece.error());
        if (piece->empty()) break;
        if (std::fwrite(piece->data(), 1, piece->size(), stdout) != piece->size()) return kExitTemporary;
        at += piece->size();
    }
    return 0;
}

int change_quarantine(const config::Settings& settings, const Arguments& arguments,
                      wire::Quarantine::Action action) {
    auto selector = selector_of_change(arguments);
    if (!selector) return kExitUsage;
    wire::Quarantine change;
    change.set_action(action);
    change.set_dry_run(arguments.dry_run);
    *change.mutable_selector() = std::move(*selector);
    auto changed = admin::change_quarantine(settings, change);
    if (!changed) return report(changed.error());
    const std::uint64_t done = changed->messages() - changed->failed();
    if (arguments.json) {
        fmt::print("{}", flushed_json(done));
    } else if (changed->messages() > 0) {
        fmt::print("{} {}{}\n", counted(done, "message"), arguments.dry_run ? "would be " : "",
                   action == wire::Quarantine::RELEASE ? "released" : "deleted");
    }
    if (changed->messages() == 0) return nothing_matched(arguments);
    if (changed->failed() == 0) return 0;
    fmt::print(stderr, "postrider: {} could not be changed; the log says why\n", changed->failed());
    return kExitTemporary;
}

}  // namespace

int report(const Error& error) {
    fmt::print(stderr, "postrider: {}\n", error.text);
    return error.temporary() ? kExitTemporary : kExitUnavailable;
}

std::string caller_login() {
    const char* sudo = std::getenv("SUDO_USER");
    if (sudo != nullptr && *sudo != '\0') return printable(sudo);
    char name[64];
    if (::getlogin_r(name, sizeof name) == 0) return printable(name);
    const passwd* entry = ::getpwuid(::getuid());
    return entry == nullptr ? std::string() : printable(entry->pw_name);
}

int queue_list(const config::Settings& settings, const Arguments& arguments) {
    // The states of the other two places are not those of the queue.
    const auto& states = arguments.selection.states;
    if (states == std::vector<std::string>{"failed"})
        return list_place(settings, arguments, wire::PLACE_FAILED);
    if (states == std::vector<std::string>{"corrupt"})
        return list_place(settings, arguments, wire::PLACE_CORRUPT);
    return list_place(settings, arguments, wire::PLACE_QUEUE);
}

int queue_show(const config::Settings& settings, const Arguments& arguments) {
    auto file = open_queue_file(settings, arguments.selection.ids.front());
    if (!file) return report(file.error());
    // Only for the eye: the key that proves the journal's records stays with the queue-manager.
    auto message = queue_file::read_queue_file(*file, std::nullopt);
    if (!message) return report(message.error());
    fmt::print("{}", arguments.json ? message_json(*message) : message_text(*message, unix_millis_now()));
    return 0;
}

int queue_cat(const config::Settings& settings, const Arguments& arguments) {
    auto file = open_queue_file(settings, arguments.selection.ids.front());
    if (!file) return report(file.error());
    auto message = queue_file::read_queue_file(*file, std::nullopt);
    if (!message) return report(message.error());
    return print_part(*file, message->header.content_offset(), message->header.journal_offset());
}

int queue_flush(const config::Settings& settings, const Arguments& arguments) {
    auto selector = selector_of_change(arguments);
    if (!selector) return kExitUsage;
    wire::Flush flush;
    *flush.mutable_selector() = std::move(*selector);
    flush.set_dry_run(arguments.dry_run);
    flush.set_login(caller_login());
    auto flushed = flush_queue(settings, flush);
    if (!flushed) return report(flushed.error());
    if (arguments.json) {
        fmt::print("{}", flushed_json(flushed->messages()));
        return 0;
    }
    const bool nothing = flushed->messages() == 0 && flushed->held() == 0 && flushed->suspended() == 0;
    if (nothing && !arguments.selection.empty()) return nothing_matched(arguments);
    const bool one = flushed->messages() == 1;
    fmt::print("{} {} attempted now\n", counted(flushed->messages(), "message"),
               arguments.dry_run ? "would be"
               : one             ? "is"
                                 : "are");
    if (flushed->held() > 0)
        fmt::print("{} held: see postrider queue release\n", counted(flushed->held(), "message"));
    if (flushed->suspended() > 0)
        fmt::print("{} for suspended domains: see postrider domain resume\n",
                   counted(flushed->suspended(), "message"));
    return 0;
}

int queue_hold(const config::Settings& settings, const Arguments& arguments) {
    return change(settings, arguments, steer_of(wire::Steer::HOLD), {"held", "would be held"});
}

int queue_release(const config::Settings& settings, const Arguments& arguments) {
    return change(settings, arguments, steer_of(wire::Steer::RELEASE), {"released", "would be released"});
}

int queue_fail(const config::Settings& settings, const Arguments& arguments) {
    wire::Steer asked = steer_of(wire::Steer::FAIL);
    asked.set_text(arguments.text);
    asked.set_silent(arguments.silent);
    return change(settings, arguments, std::move(asked), {"failed", "would fail"});
}

int queue_delete(const config::Settings& settings, const Arguments& arguments) {
    return change(settings, arguments, steer_of(wire::Steer::DELETE), {"deleted", "would be deleted"});
}

int queue_reroute(const config::Settings& settings, const Arguments& arguments) {
    return change(settings, arguments, steer_of(wire::Steer::REROUTE), {"rerouted", "would be rerouted"});
}

int failed_list(const config::Settings& settings, const Arguments& arguments) {
    return list_place(settings, arguments, wire::PLACE_FAILED);
}

int failed_requeue(const config::Settings& settings, const Arguments& arguments) {
    return change(settings, arguments, steer_of(wire::Steer::REQUEUE, wire::PLACE_FAILED),
                  {"requeued", "would be requeued"});
}

int failed_delete(const config::Settings& settings, const Arguments& arguments) {
    return change(settings, arguments, steer_of(wire::Steer::DELETE, wire::PLACE_FAILED),
                  {"deleted", "would be deleted"});
}

int corrupt_list(const config::Settings& settings, const Arguments& arguments) {
    return list_place(settings, arguments, wire::PLACE_CORRUPT);
}

int corrupt_show(const config::Settings& settings, const Arguments& arguments) {
    Arguments one = arguments;
    auto selector = selector_of(one);
    if (!selector) return kExitUsage;
    auto entries = list_queue(settings, *selector, wire::PLACE_CORRUPT);
    if (!entries) return report(entries.error());
    if (entries->empty()) return nothing_matched(arguments);
    fmt::print("{}", arguments.json ? queue_json(*entries) : kept_text(*entries, unix_millis_now()));
    return 0;
}

int corrupt_export(const config::Settings& settings, const Arguments& arguments) {
    auto file = open_queue_file(settings, arguments.selection.ids.front());
    if (!file) return report(file.error());
    return print_part(*file, 0, std::numeric_limits<std::uint64_t>::max());
}

int corrupt_delete(const config::Settings& settings, const Arguments& arguments) {
    return change(settings, arguments, steer_of(wire::Steer::DELETE, wire::PLACE_CORRUPT),
                  {"deleted", "would be deleted"});
}

int quarantine_list(const config::Settings& settings, const Arguments& arguments) {
    auto selector = selector_of(arguments);
    if (!selector) return kExitUsage;
    auto entries = list_quarantine(settings, *selector);
    if (!entries) return report(entries.error());
    fmt::print("{}", arguments.json ? queue_json(*entries) : quarantine_text(*entries, unix_millis_now()));
    return 0;
}

int quarantine_release(const config::Settings& settings, const Arguments& arguments) {
    return change_quarantine(settings, arguments, wire::Quarantine::RELEASE);
}

int quarantine_delete(const config::Settings& settings, const Arguments& arguments) {
    return change_quarantine(settings, arguments, wire::Quarantine::DELETE);
}

}  // namespace postrider::admin
