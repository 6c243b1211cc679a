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

#include "admin/arguments.h"
#include "admin/etrn_command.h"
#include "admin/explain.h"
#include "admin/explain_text.h"
#include "admin/json_output.h"
#include "admin/mxbackup_commands.h"
#include "admin/output.h"
#include "admin/overview_verbs.h"
#include "admin/process_status.h"
#include "admin/queue_commands.h"
#include "admin/queue_verbs.h"

namespace {

using namespace postrider;

using admin::Arguments;
using admin::Command;
using admin::kExitConfig;
using admin::kExitDangers;
using admin::kExitTemporary;
using admin::kExitUnavailable;
using admin::kExitUsage;

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

int status(const config::Settings& settings, const Arguments& arguments) {
    const auto daemons = admin::running_daemons();
    auto counters = admin::queue_counters(settings);
    const admin::Counters known = counters ? *counters : admin::Counters();
    const std::string text =
        arguments.json ? admin::status_json(daemons, known) : admin::status_text(daemons, known);
    fmt::print("{}", text);
    return counters ? 0 : admin::report(counters.error());
}

int explain(const config::Settings& settings, const Arguments& arguments) {
    auto what = admin::parse_explain_words(arguments.address, arguments.words);
    if (!what) {
        fmt::print(stderr, "postrider: {}\n", what.error().text);
        return kExitUsage;
    }
    auto explained = admin::explain(settings, *what);
    if (!explained) return admin::report(explained.error());
    fmt::print("{}", arguments.json ? admin::explain_json(*explained, *what, settings)
                                    : admin::explain_text(*explained, *what, settings));
    if (explained->refused) return kExitUnavailable;
    return explained->deferred ? kExitTemporary : 0;
}

int mx_check(const config::Settings& settings, const Arguments& arguments) {
    auto found = admin::check_mx(settings, arguments.domain);
    if (!found) return admin::report(found.error());
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

/// Defines the commands; returns the function of the one that was called, through `chosen`.
struct Chosen {
    Command needs_suite = nullptr;
    int (*alone)(const Arguments&) = nullptr;
};

/// Adds verbs to a command, and to verbs the options that several of them have.
class Verbs {
  public:
    Verbs(CLI::App& app, Arguments& arguments, Chosen& chosen, const char* name, const char* what)
        : arguments_(arguments), chosen_(chosen), command_(*app.add_subcommand(name, what)) {
        command_.require_subcommand(1);
    }

    CLI::App& add(const char* name, const char* what, Command command) {
        CLI::App* verb = command_.add_subcommand(name, what);
        verb->callback([&chosen = chosen_, command] { chosen.needs_suite = command; });
        return *verb;
    }

    /// A verb for one message.
    CLI::App& add_for_one(const char* name, const char* what, Command command) {
        CLI::App& verb = add(name, what, command);
        verb.add_option("ID", arguments_.selection.ids, "queue id")->required()->expected(1);
        return verb;
    }

    /// A verb for all messages that match.
    CLI::App& add_for_many(const char* name, const char* what, Command command) {
        CLI::App& verb = add(name, what, command);
        admin::SelectorWords& words = arguments_.selection;
        verb.add_option("ID,--id", words.ids, "messages with these queue ids");
        verb.add_option("--from,--sender", words.from, "of this envelope sender: ADDRESS, <> or @DOMAIN");
        verb.add_option("--to", words.to, "to this recipient: ADDRESS or @DOMAIN");
        verb.add_option("--domain", words.domain, "that wait for this domain or next hop; .DOMAIN: or below");
        verb.add_option("--age", words.ages, "of this age: \">2h\", \"<10m\"")->allow_extra_args(false);
        verb.add_option("--state", words.states, "in one of these states")->allow_extra_args(false);
        verb.add_option("--last-reply", words.last_reply, "whose last reply has this text in it");
        return verb;
    }

    /// The same for one that changes them.
    CLI::App& add_change(const char* name, const char* what, Command command) {
        CLI::App& verb = add_for_many(name, what, command);
        verb.add_flag("--all", arguments_.all, "every message");
        verb.add_flag("--dry-run", arguments_.dry_run, "only say how many");
        return verb;
    }

  private:
    Arguments& arguments_;
    Chosen& chosen_;
    CLI::App& command_;
};

void define_queue(CLI::App& app, Arguments& arguments, Chosen& chosen) {
    Verbs queue(app, arguments, chosen, "queue", "look at the queue and steer it");
    queue.add_for_many("list", "messages that wait or are held, oldest first", admin::queue_list);
    queue.add_for_one("show", "envelope and history of one message", admin::queue_show);
    queue.add_for_one("cat", "content of one message, as received", admin::queue_cat);
    queue.add_change("flush", "attempt messages now", admin::queue_flush);
    queue.add_change("hold", "attempt messages no more until they are released", admin::queue_hold);
    queue.add_change("release", "give held messages back to the queue", admin::queue_release);
    CLI::App& fail = queue.add_change("fail", "return messages to their senders", admin::queue_fail);
    fail.add_option("--text", arguments.text, "what the sender is told");
    fail.add_flag("--silent", arguments.silent, "tell nobody");
    queue.add_change("delete", "remove messages without a report", admin::queue_delete);
    queue.add_change("reroute", "resolve the recipients that still wait again", admin::queue_reroute);
    queue.add_change("requeue", "as failed requeue", admin::failed_requeue);
    CLI::App& shape = queue.add("shape", "how many messages wait for what, by age", admin::queue_shape_table);
    shape.add_flag("--senders", arguments.senders, "by domain of the sender");
    shape.add_option("--top", arguments.top, "so many rows; 0: all");

    Verbs failed(app, arguments, chosen, "failed", "messages neither delivered nor returned");
    failed.add_for_many("list", "what there is", admin::failed_list);
    failed.add_for_one("show", "envelope and history of one message", admin::queue_show);
    failed.add_change("requeue", "try again, with a fresh lifetime", admin::failed_requeue);
    failed.add_change("delete", "remove messages for good", admin::failed_delete);

    Verbs corrupt(app, arguments, chosen, "corrupt", "files of the spool that cannot be read");
    corrupt.add_for_many("list", "what there is", admin::corrupt_list);
    corrupt.add_for_one("show", "what is known of one of them", admin::corrupt_show);
    corrupt.add_for_one("export", "one of them, as it is", admin::corrupt_export);
    corrupt.add_change("delete", "remove files for good", admin::corrupt_delete);

    Verbs quarantine(app, arguments, chosen, "quarantine", "messages that the policy keeps back");
    quarantine.add_for_many("list", "what is kept back, and why", admin::quarantine_list);
    quarantine.add_for_one("show", "envelope of one message", admin::queue_show);
    quarantine.add_change("release", "deliver messages", admin::quarantine_release);
    quarantine.add_change("delete", "remove messages for good", admin::quarantine_delete);
}

void define_overview(CLI::App& app, Arguments& arguments, Chosen& chosen) {
    Verbs domain(app, arguments, chosen, "domain", "domains that no mail is sent to for now");
    for (CLI::App* verb :
         {&domain.add("suspend", "make no attempt for domains or next hops", admin::domain_suspend),
          &domain.add("resume", "make attempts again", admin::domain_resume)}) {
        verb->add_option("DOMAIN", arguments.domains, "domains or next hops")->required();
        verb->add_flag("--dry-run", arguments.dry_run, "only say what would change");
    }
    domain.add("list", "which they are", admin::domain_list);

    Verbs destination(app, arguments, chosen, "destination", "where mail is sent, and how that goes");
    destination.add("list", "all that are in use", admin::destination_list);
    destination.add("show", "one of them", admin::destination_show)
        .add_option("NAME", arguments.name, "its next hop")
        ->required();

    CLI::App* trace = app.add_subcommand("trace", "what became of a message, step by step");
    trace->add_option("ID", arguments.name, "queue id")->required();
    trace->callback([&chosen] { chosen.needs_suite = admin::trace_message; });
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
    define_overview(app, arguments, chosen);
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
