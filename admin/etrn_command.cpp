#include "admin/etrn_command.h"

#include <fmt/format.h>

#include <cstdio>
#include <optional>

#include "admin/etrn_client.h"
#include "admin/exit_status.h"
#include "admin/json_output.h"
#include "admin/output.h"
#include "libcommon/config/settings.h"
#include "libcommon/config/values.h"
#include "libcommon/mail/domain.h"

namespace postrider::admin {

namespace {

/// The request; nothing with the error printed.
std::optional<EtrnRequest> request_of(const EtrnArguments& arguments) {
    const auto refuse = [](const std::string& text) {
        fmt::print(stderr, "postrider: {}\n", printable(text));
        return std::nullopt;
    };
    EtrnRequest request;
    request.host = arguments.host;
    constexpr unsigned kLastPort = 65535;
    if (arguments.port == 0 || arguments.port > kLastPort) return refuse("a port is from 1 to 65535");
    request.port = static_cast<std::uint16_t>(arguments.port);
    for (const std::string& name : arguments.names) {
        if (!is_etrn_name(name)) return refuse("expected DOMAIN, @DOMAIN or #QUEUE, not " + name);
    }
    request.names = arguments.names;
    request.helo = arguments.helo;
    if (!mail::parse_domain(request.helo)) return refuse("no name of a host: " + request.helo);
    request.tls = arguments.tls || !arguments.ca_file.empty();
    request.ca_file = arguments.ca_file;
    const Result<Milliseconds> timeout = config::parse_duration(arguments.timeout);
    if (!timeout || timeout->count() == 0) return refuse("no duration: " + arguments.timeout);
    request.timeout = *timeout;
    return request;
}

}  // namespace

int etrn(const EtrnArguments& arguments) {
    EtrnArguments complete = arguments;
    if (complete.helo.empty()) {
        const auto loaded = config::load(arguments.config_file);
        for (const auto& error : loaded.errors)
            fmt::print(stderr, "{}\n", error);
        if (!loaded.settings) return kExitConfig;
        complete.helo = loaded.settings->hostname;
    }
    const std::optional<EtrnRequest> request = request_of(complete);
    if (!request) return kExitUsage;
    const EtrnAnswers answers = ask_with_etrn(*request);
    if (arguments.json) {
        fmt::print("{}", etrn_json(*request, answers));
    } else {
        for (const auto& [name, reply] : answers.replies)
            fmt::print("{}: {}\n", name, printable(mail::summary(reply)));
    }
    if (!answers.trouble.empty()) {
        fmt::print(stderr, "postrider: {}: {}\n", request->host, printable(answers.trouble));
        for (std::size_t i = answers.replies.size(); i < request->names.size(); ++i)
            fmt::print(stderr, "postrider: {} was not asked for\n", request->names[i]);
    }
    return etrn_status(answers);
}

}  // namespace postrider::admin
