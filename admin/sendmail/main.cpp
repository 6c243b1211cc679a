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
#include <cstring>
#include <exception>
#include <filesystem>
#include <random>

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
constexpr int kExitSystem = 71;
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

/// A display name in quotes, unless it is harmless (RFC 5322, 3.2.4).
std::string from_field(const std::string& full_name, const std::string& address) {
    if (full_name.empty()) return address;
    std::string quoted;
    for (char c : full_name) {
        if (static_cast<unsigned char>(c) < ' ') continue;
        if (c == '"' || c == '\\') quoted += '\\';
        quoted += c;
    }
    return fmt::format("\"{}\" <{}>", quoted, address);
}

std::string new_message_id(const std::string& host_name) {
    std::random_device random;
    return fmt::format("<{:x}.{:08x}{:08x}@{}>", unix_millis_now(), random(), random(), host_name);
}

int report(const Error& error) {
    fmt::print(stderr, "sendmail: {}\n", error.text);
    return error.temporary() ? kExitTemporary : kExitUnavailable;
}

int deliver(const SendmailOptions& options, const config::Settings& settings) {
    auto text = read_standard_input(settings.limits.size(config::Limit::MaxMessageSize));
    if (!text) {
        fmt::print(stderr, "sendmail: {}\n", text.error().text);
        return text.error().temporary() ? kExitTemporary : kExitData;
    }
    admin::LocalMessage message(*text, options.dot_ends);
    std::vector<std::string> recipients;
    for (const auto& word : options.recipients) {
        for (auto& address : admin::addresses_in(word))
            recipients.push_back(std::move(address));
    }
    if (options.recipients_from_header) {
        for (auto& address : message.header_recipients())
            recipients.push_back(std::move(address));
    }
    if (recipients.empty()) {
        fmt::print(stderr, "sendmail: no recipients\n");
        return kExitUsage;
    }
    message.remove_bcc();

    const Caller who = caller();
    // A name without a domain is one of this host.
    auto qualified = [&settings](const std::string& address) {
        if (address.empty() || address.find('@') != std::string::npos) return address;
        return address + "@" + settings.hostname;
    };
    const std::string sender = qualified(options.sender.value_or(who.name));
    for (auto& recipient : recipients)
        recipient = qualified(recipient);
    const std::string& full_name = options.full_name.empty() ? who.full_name : options.full_name;
    message.complete(from_field(full_name, sender.empty() ? qualified(who.name) : sender),
                     mail::format_date(unix_millis_now()), new_message_id(settings.hostname));

    auto server = admin::connect_to_submission(socket_path(settings));
    if (!server) return report(server.error());
    std::vector<std::string> refused;
    auto submitted =
        admin::submit(std::move(*server), settings.hostname, sender, recipients, message.text(), refused);
    for (const auto& line : refused)
        fmt::print(stderr, "sendmail: {}\n", line);
    if (!submitted) return report(submitted.error());
    return refused.empty() ? 0 : kExitUnavailable;
}

int speak_smtp(const config::Settings& settings) {
    auto server = admin::connect_to_submission(socket_path(settings));
    if (!server) return report(server.error());
    auto ended = admin::relay_standard_streams(std::move(*server));
    return ended ? 0 : report(ended.error());
}

int run_postrider(const SendmailOptions& options, const char* verb, const char* argument) {
    std::error_code error;
    const auto program = std::filesystem::read_symlink("/proc/self/exe", error).parent_path() / "postrider";
    const char* const argv[] = {"postrider", "--config", options.config_file.c_str(), "queue", verb,
                                argument,    nullptr};
    ::execv(program.c_str(), const_cast<char* const*>(argv));
    fmt::print(stderr, "sendmail: cannot run {}: {}\n", program.string(), std::strerror(errno));
    return kExitSystem;
}

int run(const SendmailOptions& options) {
    if (options.mode == SendmailMode::List) return run_postrider(options, "list", nullptr);
    if (options.mode == SendmailMode::Flush) return run_postrider(options, "flush", "--all");
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
        if (!options) {
            fmt::print(stderr, "sendmail: {}\n", options.error().text);
            return kExitUsage;
        }
        return run(*options);
    } catch (const std::exception& error) {
        fmt::print(stderr, "sendmail: {}\n", error.what());
        return kExitTemporary;
    }
}
