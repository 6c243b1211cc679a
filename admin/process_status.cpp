#include "admin/process_status.h"

#include <fmt/format.h>

#include <charconv>
#include <filesystem>
#include <sstream>

#include "libcommon/base/file.h"

namespace postrider::admin {

namespace {

constexpr std::size_t kFileMost = std::size_t{64} * 1024;

/// The text behind "KEY:" up to the end of its line, without leading blanks.
std::string_view field(std::string_view text, std::string_view key) {
    while (!text.empty()) {
        const std::size_t end = text.find('\n');
        std::string_view line = text.substr(0, end);
        text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
        if (!line.starts_with(key) || line.substr(key.size(), 1) != ":") continue;
        line.remove_prefix(key.size() + 1);
        line.remove_prefix(std::min(line.find_first_not_of(" \t"), line.size()));
        return line;
    }
    return {};
}

template <typename Number>
Number number(std::string_view text) {
    Number value = 0;
    std::from_chars(text.data(), text.data() + text.size(), value);
    return value;
}

int count_descriptors(pid_t pid) {
    std::error_code error;
    std::filesystem::directory_iterator folder(fmt::format("/proc/{}/fd", pid), error);
    if (error) return -1;
    return static_cast<int>(std::distance(begin(folder), end(folder)));
}

}  // namespace

std::vector<ProcessStatus> parse_daemon_file(std::string_view text) {
    std::vector<ProcessStatus> daemons;
    std::istringstream lines{std::string(text)};
    for (std::string line; std::getline(lines, line);) {
        std::istringstream words(line);
        ProcessStatus daemon;
        if (words >> daemon.name >> daemon.pid >> daemon.restarts && daemon.pid > 0) {
            daemons.push_back(std::move(daemon));
        }
    }
    return daemons;
}

void parse_proc_status(std::string_view text, ProcessStatus& into) {
    into.running = true;
    into.uid = number<std::uint32_t>(field(text, "Uid"));
    into.gid = number<std::uint32_t>(field(text, "Gid"));
    into.capabilities = field(text, "CapEff");
    into.seccomp = number<int>(field(text, "Seccomp"));
    into.no_new_privileges = field(text, "NoNewPrivs") == "1";
    into.resident_kib = number<std::uint64_t>(field(text, "VmRSS"));
}

std::vector<ProcessStatus> running_daemons() {
    auto list = read_file("daemons", kFileMost);
    if (!list) return {};
    auto daemons = parse_daemon_file(*list);
    for (auto& daemon : daemons) {
        auto status = read_file(fmt::format("/proc/{}/status", daemon.pid), kFileMost);
        if (!status) continue;
        parse_proc_status(*status, daemon);
        daemon.descriptors = count_descriptors(daemon.pid);
    }
    return daemons;
}

}  // namespace postrider::admin
