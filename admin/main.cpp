// postrider, the administrator's command: looks at the queue and steers it, asks why, checks the
// configuration.
//
// May do: what its caller may; it has no rights of its own. Holds: nothing between two calls.
// Believes: the queue-manager and the router, which in turn serve only root (or, where the suite runs as one
// ordinary user, that user). What they pass on from outside is printed without control characters.

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <exception>
#include <filesystem>
#include <optional>

#include "admin/etrn_command.h"
#include "admin/explain.h"
#include "admin/explain_text.h"
#include "admin/json_output.h"
#include "admin/mxbackup_commands.h"
#include "admin/output.h"
#include "admin/process_status.h"
#include "admin/quarantine.h"
#include "admin/queue_commands.h"
#include "libcommon/base/file.h"

namespace {

using namespace postrider;

// sysexits.h
constexpr int kExitDangers = 1;
constexpr int kExitUsage = 64;
constexpr int kExitUnavailable = 69;
constexpr int kExitTemporary = 75;
constexpr int kExitConfig = 78;

/// Everything that can stand on the command line.
struct Arguments {
    std::string config_file = "/etc/postrider/postrider.conf";
    bool json = false;
    bool all = false;
    bool dry_run = false;
    std::vector<std::string> ids;
    std::string domain;
    std::string sender;
    std::string recipient;
    std::string name;
    std::string address;
    std::vector<std::string> words;
    admin::MxbackupArguments mxbackup;
    admin::EtrnArguments etrn;
};

wire::Selector selector_of(const Arguments& arguments) {
    wire::Selector selector;
    for (const auto& id : arguments.ids)
        selector.add_queue_ids(id);
    selector.set_domain(arguments.domain);
    if (arguments.sender == "<>") {
        selector.set_null_sender(true);
    } else {
        selector.set_sender(arguments.sender);
    }
    selector.set_recipient(arguments.recipient);
    return selector;
}

int report(const Error& error) {
    fmt::print(stderr, "postrider: {}\n", error.text);
    return error.temporary() ? kExitTemporary : kExitUnavailable;
}

std::optional<config::Settings> load_settings(const Arguments& arguments) {
    auto loaded = config::load(arguments.config_file);
    for (const auto& error : loaded.errors)
        fmt::print(stderr, "{}\n", error);
    return std::move(loaded.settings);
}

/// Loads the settings and goes to run_dir, where the sockets are.
std::optional<config::Settings> settings_of_running_suite(const Arguments& arguments) {
    auto settings = load_settings(arguments);
    if (!settings) return std::nullopt;
    if (::chdir(settings->run_dir.c_str()) != 0) {
        fmt::print(stderr, "postrider: {}: {}\n", settings->run_dir, std::strerror(errno));
        return std::nullopt;
    }
    return settings;
}

int queue_list(const config::Settings& settings, const Arguments& arguments) {
    auto entries = admin::list_queue(settings, selector_of(arguments));
    if (!entries) return report(entries.error());
    const std::string text =
        arguments.json ? admin::queue_json(*entries) : admin::queue_text(*entries, unix_millis_now());
    fmt::print("{}", text);
    return 0;
}

int queue_show(const config::Settings& settings, const Arguments& arguments) {
    auto file = admin::open_queue_file(settings, arguments.ids.front());
    if (!file) return report(file.error());
    // Only for the eye: the key that proves the journal's records stays with the queue-manager.
    auto message = queue_file::read_queue_file(*file, std::nullopt);
    if (!message) return report(message.error());
    fmt::print("{}", admin::message_text(*message, unix_millis_now()));
    return 0;
}

int queue_cat(const config::Settings& settings, const Arguments& arguments) {
    auto file = admin::open_queue_file(settings, arguments.ids.front());
    if (!file) return report(file.error());
    auto message = queue_file::read_queue_file(*file, std::nullopt);
    if (!message) return report(message.error());
    constexpr std::size_t kPiece = std::size_t{64} * 1024;
    const std::size_t end = message->header.journal_offset();
    for (std::size_t at = message->header.content_offset(); at < end;) {
        auto piece = read_at(*file, std::min(kPiece, end - at), at);
        if (!piece) return report(piece.error());
        if (piece->empty()) break;
        if (std::fwrite(piece->data(), 1, piece->size(), stdout) != piece->size()) return kExitTemporary;
        at += piece->size();
    }
    return 0;
}

int queue_flush(const config::Settings& settings, const Arguments& arguments) {
    const bool selected = !arguments.ids.empty() || !arguments.domain.empty() || !arguments.sender.empty();
    if (selected == arguments.all) {
        fmt::print(stderr, "postrider: say which messages: --all, or --id, --domain, --sender\n");
        return kExitUsage;
    }
    auto flushed = admin::flush_queue(settings, selector_of(arguments));
    if (!flushed) return report(flushed.error());
    if (arguments.json) {
        fmt::print("{}", admin::flushed_json(*flushed));
    } else {
        fmt::print("{} {} attempted now\n", admin::counted(*flushed, "message"),
                   *flushed == 1 ? "is" : "are");
    }
    return 0;
}

int quarantine_list(const config::Settings& settings, const Arguments& arguments) {
    auto entries = admin::list_quarantine(settings, selector_of(arguments));
    if (!entries) return report(entries.error());
    const std::string text =
        arguments.json ? admin::queue_json(*entries) : admin::quarantine_text(*entries, unix_millis_now());
    fmt::print("{}", text);
    return 0;
}

int change_quarantine(const config::Settings& settings, const Arguments& arguments,
                      wire::Quarantine::Action action) {
    const bool selected = !arguments.ids.empty() || !arguments.domain.empty() || !arguments.sender.empty() ||
                          !arguments.recipient.empty();
    if (selected == arguments.all) {
        fmt::print(stderr, "postrider: say which messages: --all, or ids, --from, --to, --domain\n");
        return kExitUsage;
    }
    wire::Quarantine change;
    change.set_action(action);
    change.set_dry_run(arguments.dry_run);
    *change.mutable_selector() = selector_of(arguments);
    auto changed = admin::change_quarantine(settings, change);
    if (!changed) return report(changed.error());
    const std::uint64_t done = changed->messages() - changed->failed();
    if (arguments.json) {
        fmt::print("{}", admin::flushed_json(done));
    } else {
        fmt::print("{} {}{}\n", admin::counted(done, "message"), arguments.dry_run ? "would be " : "",
                   action == wire::Quarantine::RELEASE ? "released" : "deleted");
    }
    if (changed->failed() == 0) return 0;
    fmt::print(stderr, "postrider: {} could not be changed; the log says why\n", changed->failed());
    return kExitTemporary;
}

int quarantine_release(const config::Settings& settings, const Arguments& arguments) {
    return change_quarantine(settings, arguments, wire::Quarantine::RELEASE);
}

int quarantine_delete(const config::Settings& settings, const Arguments& arguments) {
    return change_quarantine(settings, arguments, wire::Quarantine::DELETE);
}

int status(const config::Settings& settings, const Arguments& arguments) {
    const auto daemons = admin::running_daemons();
    auto counters = admin::queue_counters(settings);
    const admin::Counters known = counters ? *counters : admin::Counters();
    const std::string text =
        arguments.json ? admin::status_json(daemons, known) : admin::status_text(daemons, known);
    fmt::print("{}", text);
    return counters ? 0 : report(counters.error());
}

int explain(const config::Settings& settings, const Arguments& arguments) {
    auto what = admin::parse_explain_words(arguments.address, arguments.words);
    if (!what) {
        fmt::print(stderr, "postrider: {}\n", what.error().text);
        return kExitUsage;
    }
    auto explained = admin::explain(settings, *what);
    if (!explained) return report(explained.error());
    fmt::print("{}", arguments.json ? admin::explain_json(*explained, *what, settings)
                                    : admin::explain_text(*explained, *what, settings));
    if (explained->refused) return kExitUnavailable;
    return explained->deferred ? kExitTemporary : 0;
}

int mx_check(const config::Settings& settings, const Arguments& arguments) {
    auto found = admin::check_mx(settings, arguments.domain);
    if (!found) return report(found.error());
    if (arguments.json) {
        fmt::print("{}", admin::lines_json(found->lines));
    } else {
        for (const auto& line : found->lines)
            fmt::print("{}\n", admin::printable(line));
    }
    if (found->unclear) return kExitTemporary;
    return found->wrong ? kExitDangers : 0;
}

/// Has a daemon check the files that it reads; its exit status.
int check_by(const std::string& daemon, const Arguments& arguments) {
    std::error_code error;
    const auto program = std::filesystem::read_symlink("/proc/self/exe", error).parent_path() / daemon;
    const char* const argv[] = {daemon.c_str(), "--config", arguments.config_file.c_str(), "--check",
                                nullptr};
    pid_t child = 0;
    const int reason =
        ::posix_spawn(&child, program.c_str(), nullptr, nullptr, const_cast<char* const*>(argv), environ);
    if (reason != 0) {
        fmt::print(stderr, "postrider: cannot run {}: {}\n", program.string(), std::strerror(reason));
        return kExitUnavailable;
    }
    int status = 0;
    if (::waitpid(child, &status, 0) != child || !WIFEXITED(status)) return kExitUnavailable;
    return WEXITSTATUS(status);
}

/// The daemons check what they read. The router reads the general settings and the tables, so that all errors
/// in them are found at once; passwords and certificates are looked for where these say.
int check(const Arguments& arguments) {
    int worst = check_by("router", arguments);
    const auto settings = config::load(arguments.config_file).settings;
    if (!settings) return worst;
    if (!settings->tls_certificates.empty()) worst = std::max(worst, check_by("keyd", arguments));
    if (!settings->auth.empty()) worst = std::max(worst, check_by("authd", arguments));
    return worst;
}

template <admin::BackupChange::Kind kind>
int mxbackup_change(const Arguments& arguments) {
    return admin::mxbackup_change(arguments.mxbackup, kind);
}

int mxbackup_list(const Arguments& arguments) {
    return admin::mxbackup_list(arguments.mxbackup);
}

int etrn(const Arguments& arguments) {
    admin::EtrnArguments complete = arguments.etrn;
    complete.config_file = arguments.config_file;
    complete.json = arguments.json;
    return admin::etrn(complete);
}

int show_config(const Arguments& arguments) {
    auto settings = load_settings(arguments);
    if (!settings) return kExitConfig;
    const std::string text = config::render(*settings, arguments.name);
    fmt::print("{}", text);
    if (!text.empty()) return 0;
    fmt::print(stderr, "postrider: there is no setting {}\n", arguments.name);
    return kExitUsage;
}

void add_selector(CLI::App& command, Arguments& arguments) {
    command.add_option("--id", arguments.ids, "messages with these queue ids");
    command.add_option("--domain", arguments.domain, "messages that wait for this recipient domain");
    command.add_option("--sender", arguments.sender, "messages of this envelope sender");
}

/// Defines the commands; returns the function of the one that was called, through `chosen`.
using Command = int (*)(const config::Settings&, const Arguments&);
struct Chosen {
    Command needs_suite = nullptr;
    int (*alone)(const Arguments&) = nullptr;
};

void define_queue(CLI::App& app, Arguments& arguments, Chosen& chosen) {
    auto* queue = app.add_subcommand("queue", "look at the queue and steer it")->require_subcommand(1);
    auto* list = queue->add_subcommand("list", "messages that wait, oldest first");
    add_selector(*list, arguments);
    list->callback([&chosen] { chosen.needs_suite = queue_list; });
    auto* show = queue->add_subcommand("show", "envelope and history of one message");
    show->add_option("ID", arguments.ids, "queue id")->required()->expected(1);
    show->callback([&chosen] { chosen.needs_suite = queue_show; });
    auto* cat = queue->add_subcommand("cat", "content of one message, as received");
    cat->add_option("ID", arguments.ids, "queue id")->required()->expected(1);
    cat->callback([&chosen] { chosen.needs_suite = queue_cat; });
    auto* flush = queue->add_subcommand("flush", "attempt messages now");
    add_selector(*flush, arguments);
    flush->add_flag("--all", arguments.all, "every message");
    flush->callback([&chosen] { chosen.needs_suite = queue_flush; });
}

void define_quarantine(CLI::App& app, Arguments& arguments, Chosen& chosen) {
    auto* quarantine =
        app.add_subcommand("quarantine", "messages that the policy keeps back")->require_subcommand(1);
    const auto define = [&](const char* name, const char* what, Command command) {
        auto* verb = quarantine->add_subcommand(name, what);
        verb->add_option("ID,--id", arguments.ids, "messages with these queue ids");
        verb->add_option("--from,--sender", arguments.sender, "messages of this envelope sender, or <>");
        verb->add_option("--to", arguments.recipient, "messages to this recipient");
        verb->add_option("--domain", arguments.domain, "messages for this recipient domain");
        verb->callback([&chosen, command] { chosen.needs_suite = command; });
        return verb;
    };
    define("list", "what is kept back, and why", quarantine_list);
    auto* show = quarantine->add_subcommand("show", "envelope of one message");
    show->add_option("ID", arguments.ids, "queue id")->required()->expected(1);
    show->callback([&chosen] { chosen.needs_suite = queue_show; });
    for (auto* verb : {define("release", "deliver messages", quarantine_release),
                       define("delete", "remove messages for good", quarantine_delete)}) {
        verb->add_flag("--all", arguments.all, "every message in quarantine");
        verb->add_flag("--dry-run", arguments.dry_run, "only say how many");
    }
}

void define_others(CLI::App& app, Arguments& arguments, Chosen& chosen) {
    app.add_subcommand("status", "daemons, their rights, and counters")->callback([&chosen] {
        chosen.needs_suite = status;
    });
    auto* explain_command = app.add_subcommand("explain", "what happens to mail for an address, and why");
    explain_command->add_option("ADDRESS", arguments.address, "recipient")->required();
    explain_command->add_option(
        "WORDS", arguments.words,
        "client=ADDRESS helo=NAME from=ADDRESS login=NAME port=NUMBER tls=yes|no size=SIZE");
    explain_command->callback([&chosen] { chosen.needs_suite = explain; });
    auto* mx_command = app.add_subcommand("mx-check", "the exchangers of a domain, and our place among them");
    mx_command->add_option("DOMAIN", arguments.domain, "domain")->required();
    mx_command->callback([&chosen] { chosen.needs_suite = mx_check; });
    app.add_subcommand("check", "look for errors and dangers in the configuration")->callback([&chosen] {
        chosen.alone = check;
    });
    auto* config_command =
        app.add_subcommand("config", "the configuration in force, with the origin of each value");
    config_command->add_option("NAME", arguments.name, "one setting");
    config_command->callback([&chosen] { chosen.alone = show_config; });
}

void define_mxbackup(CLI::App& app, Arguments& arguments, Chosen& chosen) {
    using Kind = admin::BackupChange::Kind;
    auto* list = app.add_subcommand("mxbackup", "the domains this host is a backup MX for");
    list->require_subcommand(1);
    const auto define = [&](const char* name, const char* help, bool needs_domain,
                            int (*command)(const Arguments&)) {
        auto* verb = list->add_subcommand(name, help);
        auto* domain = verb->add_option("DOMAIN", arguments.mxbackup.domain, "the domain");
        if (needs_domain) domain->required();
        verb->callback([&arguments, &chosen, domain, command] {
            arguments.mxbackup.has_domain = domain->count() > 0;
            chosen.alone = command;
        });
        return verb;
    };
    define("add", "accept mail for a domain", true, mxbackup_change<Kind::Add>)
        ->add_flag("--subdomains", arguments.mxbackup.subdomains, "and for all below it");
    define("del", "delete a domain from the list", true, mxbackup_change<Kind::Delete>);
    define("enable", "accept mail again, for one domain or at all", false, mxbackup_change<Kind::Enable>);
    define("disable", "accept no more mail, for one domain or at all", false, mxbackup_change<Kind::Disable>);
    define("list", "the list", false, mxbackup_list);
}

void define_etrn(CLI::App& app, Arguments& arguments, Chosen& chosen) {
    admin::EtrnArguments& etrn_arguments = arguments.etrn;
    auto* command = app.add_subcommand("etrn", "have another host send what it keeps for domains");
    command->add_option("HOST", etrn_arguments.host, "the host")->required();
    command->add_option("DOMAIN", etrn_arguments.names, "DOMAIN, @DOMAIN or #QUEUE")->required();
    command->add_option("--port", etrn_arguments.port, "port of the host");
    command->add_flag("--tls", etrn_arguments.tls, "only under TLS, with a certificate for the host");
    command->add_option("--ca", etrn_arguments.ca_file, "certificates that are believed; implies --tls");
    command->add_option("--helo", etrn_arguments.helo, "name to greet with");
    command->add_option("--timeout", etrn_arguments.timeout, "how long to wait for each reply");
    command->callback([&chosen] { chosen.alone = etrn; });
}

int run(int argc, char** argv) {
    Arguments arguments;
    Chosen chosen;
    CLI::App app("postrider: the administrator's command of the Postrider mail suite", "postrider");
    app.require_subcommand(1);
    app.fallthrough();
    app.add_option("--config", arguments.config_file, "configuration file");
    app.add_flag("--json", arguments.json, "print JSON");
    define_queue(app, arguments, chosen);
    define_quarantine(app, arguments, chosen);
    define_others(app, arguments, chosen);
    define_mxbackup(app, arguments, chosen);
    define_etrn(app, arguments, chosen);
    try {
        app.parse(argc, argv);
    } catch (const CLI::ParseError& error) {
        return app.exit(error) == 0 ? 0 : kExitUsage;
    }
    arguments.mxbackup.config_file = arguments.config_file;
    arguments.mxbackup.json = arguments.json;
    if (chosen.alone != nullptr) return chosen.alone(arguments);
    auto settings = settings_of_running_suite(arguments);
    return settings ? chosen.needs_suite(*settings, arguments) : kExitConfig;
}

}  // namespace

int main(int argc, char** argv) {
    try {
        return run(argc, argv);
    } catch (const std::exception& error) {
        fmt::print(stderr, "postrider: {}\n", error.what());
        return kExitTemporary;
    }
}
