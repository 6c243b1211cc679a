// sendmail, mailq, newaliases: the interface that every Unix program expects.
//
// May do: what its caller may; it is not setuid. Holds: the message it was given.
// Believes: nobody; the server knows the caller by the credentials of the socket, whatever is claimed here.
// When the suite is down: exit 75, and the caller still has the message.

#include <fmt/format.h>
#include <pwd.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <exception>
#include <random>

#include "admin/sendmail/administration.h"
#include "admin/sendmail/from_field.h"
#include "admin/sendmail/message.h"
#include "admin/sendmail/options.h"
#include "admin/sendmail/submission.h"
#include "libcommon/config/settings.h"
#include "libcommon/mail/date.h"

namespace {

using namespace postrider;
using admin::SendmailMode;
using admin::SendmailOptions;

// sysexits.h
constexpr int kExitUsage = 64;
constexpr int kExitData = 65;
constexpr int kExitUnavailable = 69;
constexpr int kExitTemporary = 75;
constexpr int kExitConfig = 78;

struct Caller {
    std::string name;
    std::string full_name;
};

Caller caller() {
    Caller who;
    const passwd* entry = ::getpwuid(::getuid());
    if (entry == nullptr) {
        who.name = fmt::format("uid-{}", ::getuid());
        return who;
    }
    who.name = entry->pw_name;
    who.full_name = entry->pw_gecos == nullptr ? "" : entry->pw_gecos;
    who.full_name.resize(std::min(who.full_name.find(','), who.full_name.size()));
    return who;
}

Result<std::string> read_standard_input(std::size_t limit) {
    std::string text;
    std::array<char, 65536> block{};
    while (true) {
        const ssize_t got = ::read(STDIN_FILENO, block.data(), block.size());
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return system_failure("standard input", errno);
        if (got == 0) return text;
        text.append(block.data(), static_cast<std::size_t>(got));
        if (text.size() > limit) return permanent(fmt::format("the message is larger than {} bytes", limit));
    }
}

std::string socket_path(const config::Settings& settings) {
    for (const auto& listener : settings.listeners) {
        if (listener.kind == config::ListenerKind::Local) return listener.path;
    }
    return {};
}

std::string new_message_id(const std::string& host_name) {
    std::random_device random;
    return fmt::format("<{:x}.{:08x}{:08x}@{}>", unix_millis_now(), random(), random(), host_name);
}

int report(const Error& error) {
    fmt::print(stderr, "sendmail: {}\n", error.text);
    return error.temporary() ? kExitTemporary : kExitUnavailable;
}

int report_usage(const Error& error) {
    fmt::print(stderr, "sendmail: {}\n", error.text);
    return kExitUsage;
}

/// Everybody that the options and the header name, as they are written.
std::vector<std::string> named_recipients(const SendmailOptions& options,
                                          const admin::LocalMessage& message) {
    std::vector<std::string> recipients;
    for (const auto& word : options.recipients) {
        for (auto& address : admin::addresses_in(word))
            recipients.push_back(std::move(address));
    }
    if (options.recipients_from_header) {
        for (auto& address : message.header_recipients())
            recipients.push_back(std::move(address));
    }
    return recipients;
}

/// Hands over a message that is complete but for its header fields.
int submit(const SendmailOptions& options, const config::Settings& settings, admin::LocalMessage& message,
           const std::vector<std::string>& recipients) {
    const Caller who = caller();
    const std::string wanted = options.sender.value_or(who.name);
    auto sender = wanted.empty() ? std::string() : admin::envelope_address(wanted, settings.hostname);
    if (!sender) return report_usage(sender.error());
    admin::Envelope envelope{*sender, {}, options.dsn};
    std::vector<std::string> refused;
    for (const auto& recipient : recipients) {
        auto address = admin::envelope_address(recipient, settings.hostname);
        if (address) envelope.recipients.push_back(std::move(*address));
        if (!address) refused.push_back(address.error().text);
    }
    Result<void> submitted;
    if (!envelope.recipients.empty()) {
        message.remove_bcc();
        const std::string& name = options.full_name.empty() ? who.full_name : options.full_name;
        const std::string from =
            sender->empty() ? fmt::format("{}@{}", who.name, settings.hostname) : *sender;
        message.complete(admin::from_field(name, from), mail::format_date(unix_millis_now()),
                         new_message_id(settings.hostname));
        auto server = admin::connect_to_submission(socket_path(settings));
        if (!server) return report(server.error());
        submitted = admin::submit(std::move(*server), settings.hostname, envelope, message.text(), refused);
    }
    for (const auto& line : refused)
        fmt::print(stderr, "sendmail: {}\n", line);
    if (!submitted) return report(submitted.error());
    return refused.empty() ? 0 : kExitUnavailable;
}

int deliver(const SendmailOptions& options, const config::Settings& settings) {
    auto text = read_standard_input(settings.limits.size(config::Limit::MaxMessageSize));
    if (!text) {
        fmt::print(stderr, "sendmail: {}\n", text.error().text);
        return text.error().temporary() ? kExitTemporary : kExitData;
    }
    admin::LocalMessage message(*text, options.dot_ends);
    const auto checked = message.check_header();
    if (!checked) {
        fmt::print(stderr, "sendmail: {}\n", checked.error().text);
        return kExitData;
    }
    const std::vector<std::string> recipients = named_recipients(options, message);
    if (recipients.empty()) {
        fmt::print(stderr, "sendmail: no recipients\n");
        return kExitUsage;
    }
    return submit(options, settings, message, recipients);
}

int speak_smtp(const config::Settings& settings) {
    auto server = admin::connect_to_submission(socket_path(settings));
    if (!server) return report(server.error());
    auto ended = admin::relay_standard_streams(std::move(*server));
    return ended ? 0 : report(ended.error());
}

int run(const SendmailOptions& options) {
    if (options.mode == SendmailMode::List) return admin::list_queue(options);
    if (options.mode == SendmailMode::Flush) return admin::flush_queue(options);
    if (options.mode == SendmailMode::Verify) return admin::verify(options);
    if (options.mode == SendmailMode::Aliases) return 0;
    auto loaded = config::load(options.config_file);
    for (const auto& error : loaded.errors)
        fmt::print(stderr, "{}\n", error);
    // The caller keeps the message and can try again when the configuration is right.
    if (!loaded.settings) return options.mode == SendmailMode::Deliver ? kExitTemporary : kExitConfig;
    if (socket_path(*loaded.settings).empty()) {
        fmt::print(stderr, "sendmail: {} has no line \"listen PATH local\"\n", options.config_file);
        return kExitConfig;
    }
    return options.mode == SendmailMode::Smtp ? speak_smtp(*loaded.settings)
                                              : deliver(options, *loaded.settings);
}

}  // namespace

int main(int argc, char** argv) {
    std::signal(SIGPIPE, SIG_IGN);
    try {
        auto options = admin::parse_sendmail_options(std::vector<std::string>(argv, argv + argc));
        if (!options) return report_usage(options.error());
        return run(*options);
    } catch (const std::exception& error) {
        fmt::print(stderr, "sendmail: {}\n", error.what());
        return kExitTemporary;
    }
}
