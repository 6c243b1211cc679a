#include "admin/sendmail/administration.h"

#include <fmt/format.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <string>
#include <vector>

#include "admin/sendmail/message.h"

namespace postrider::admin {

namespace {

// sysexits.h
constexpr int kExitSystem = 71;

/// Runs postrider, from the folder that this program stands in, with these words.
int run_postrider(const SendmailOptions& options, const std::vector<std::string>& words) {
    std::error_code error;
    const auto program = std::filesystem::read_symlink("/proc/self/exe", error).parent_path() / "postrider";
    if (error) {
        fmt::print(stderr, "sendmail: cannot find postrider: {}\n", error.message());
        return kExitSystem;
    }
    std::vector<std::string> arguments = {"postrider", "--config", options.config_file};
    arguments.insert(arguments.end(), words.begin(), words.end());
    std::vector<char*> pointers;
    for (auto& argument : arguments)
        pointers.push_back(argument.data());
    pointers.push_back(nullptr);
    pid_t child = 0;
    const int reason = ::posix_spawn(&child, program.c_str(), nullptr, nullptr, pointers.data(), environ);
    if (reason != 0) {
        fmt::print(stderr, "sendmail: cannot run {}: {}\n", program.string(), std::strerror(reason));
        return kExitSystem;
    }
    int status = 0;
    while (::waitpid(child, &status, 0) < 0) {
        if (errno != EINTR) return kExitSystem;
    }
    return WIFEXITED(status) ? WEXITSTATUS(status) : kExitSystem;
}

}  // namespace

int list_queue(const SendmailOptions& options) {
    return run_postrider(options, {"queue", "list"});
}

int flush_queue(const SendmailOptions& options) {
    std::vector<std::string> words = {"queue", "flush"};
    words.insert(words.end(), options.flush.begin(), options.flush.end());
    return run_postrider(options, words);
}

int verify(const SendmailOptions& options) {
    int worst = 0;
    for (const auto& word : options.recipients) {
        for (const auto& address : addresses_in(word)) {
            const int status = run_postrider(options, {"explain", "--", address});
            if (worst == 0) worst = status;
        }
    }
    return worst;
}

}  // namespace postrider::admin
