#include "admin/mxbackup_commands.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <optional>
#include <utility>

#include "admin/json_output.h"
#include "libcommon/mail/domain.h"

namespace postrider::admin {

namespace {

// sysexits.h
constexpr int kUsage = 64;
constexpr int kUnavailable = 69;
constexpr int kTemporary = 75;
constexpr int kConfig = 78;

/// The canonical domain of the arguments; empty if none was given. Nothing, after a message, if it is none.
std::optional<std::string> domain_of(const MxbackupArguments& arguments) {
    if (!arguments.has_domain) return std::string();
    const Result<mail::Domain> domain = mail::parse_domain(arguments.domain);
    if (domain && !domain->is_literal()) return domain->name();
    fmt::print(stderr, "postrider: \"{}\": {}\n", arguments.domain,
               domain ? "an address literal is no domain" : domain.error().text);
    return std::nullopt;
}

int print_list(BackupList list, const std::string& only, bool json) {
    if (!only.empty()) {
        std::erase_if(list.lines, [&](const BackupLine& line) { return line.domain != only; });
    }
    const std::string text = json ? backup_list_json(list) : backup_list_text(list);
    fmt::print("{}", text);
    if (only.empty() || !list.lines.empty()) return 0;
    fmt::print(stderr, "postrider: there is no mxbackup line of {}\n", only);
    return kUnavailable;
}

}  // namespace

int mxbackup_list(const MxbackupArguments& arguments) {
    const std::optional<std::string> domain = domain_of(arguments);
    if (!domain) return kUsage;
    config::LoadResult loaded = config::load(arguments.config_file);
    for (const std::string& error : loaded.errors)
        fmt::print(stderr, "{}\n", error);
    if (!loaded.settings) return kConfig;
    return print_list(backup_list(*loaded.settings), *domain, arguments.json);
}

int mxbackup_change(const MxbackupArguments& arguments, BackupChange::Kind kind) {
    const std::optional<std::string> domain = domain_of(arguments);
    if (!domain) return kUsage;
    BackupChange change;
    change.kind = kind;
    change.domain = *domain;
    change.subdomains = arguments.subdomains;
    const Result<BackupList> list = change_list(arguments.config_file, change);
    if (!list) {
        fmt::print(stderr, "postrider: {}\n", list.error().text);
        return list.error().temporary() ? kTemporary : kUnavailable;
    }
    if (kind == BackupChange::Kind::Delete) {
        if (arguments.json) return print_list(*list, "", true);
        fmt::print("{} is deleted\n", *domain);
        return 0;
    }
    return print_list(*list, *domain, arguments.json);
}

}  // namespace postrider::admin
