#include <fmt/format.h>
#include <getopt.h>

#include <charconv>
#include <csignal>
#include <cstring>
#include <exception>

#include "libcommon/daemon/main.h"
#include "libcommon/log/log.h"
#include "libcommon/mail/date.h"

namespace postrider::daemon {

namespace {

constexpr const char* kDefaultConfig = "/etc/postrider/postrider.conf";

struct Arguments {
    std::string config_file = kDefaultConfig;
    bool check_only = false;
    std::optional<unsigned> worker;
};

/// nullopt: the usage was printed.
std::optional<Arguments> parse_arguments(const Program& program, int argc, char** argv) {
    static const option options[] = {{"config", required_argument, nullptr, 'c'},
                                     {"check", no_argument, nullptr, 'n'},
                                     {"worker", required_argument, nullptr, 'w'},
                                     {nullptr, 0, nullptr, 0}};
    Arguments arguments;
    bool good = true;
    for (int found = 0; (found = ::getopt_long(argc, argv, "c:", options, nullptr)) != -1;) {
        if (found == 'c') {
            arguments.config_file = optarg;
        } else if (found == 'n') {
            arguments.check_only = true;
        } else if (found == 'w' && program.has_workers) {
            unsigned number = 0;
            const char* end = optarg + std::strlen(optarg);
            const auto [rest, error] = std::from_chars(optarg, end, number);
            good = good && error == std::errc() && rest == end;
            arguments.worker = number;
        } else {
            good = false;
        }
    }
    if (good && optind == argc) return arguments;
    fmt::print(stderr, "usage: {} [--config FILE] [--check]{}\n", program.name,
               program.has_workers ? " [--worker N]" : "");
    return std::nullopt;
}

}  // namespace

int run(const Program& program, int argc, char** argv) {
    const auto arguments = parse_arguments(program, argc, argv);
    if (!arguments) return kExitUsage;
    std::signal(SIGPIPE, SIG_IGN);
    try {
        auto loaded = config::load(arguments->config_file);
        for (const auto& error : loaded.errors)
            fmt::print(stderr, "{}\n", error);
        if (!loaded.settings && !arguments->check_only) return kExitConfig;
        const Checked checked = program.check ? program.check(loaded) : Checked::Good;
        if (!loaded.settings || checked == Checked::Errors) return kExitConfig;
        if (arguments->check_only) return checked == Checked::Dangers ? kExitDangers : kExitOk;
        // Before chroot and seccomp, which put the zone's file out of reach.
        mail::load_local_time_zone();
        log::init(program.name, loaded.settings->log_format, loaded.settings->log_level);
        return program.serve(*loaded.settings, arguments->worker);
    } catch (const std::exception& error) {
        fmt::print(stderr, "{}: {}\n", program.name, error.what());
        return kExitSystem;
    }
}

}  // namespace postrider::daemon
