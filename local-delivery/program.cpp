#include "local-delivery/program.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <system_error>

#include "local-delivery/command_line.h"

namespace postrider::local_delivery {

namespace {

using Clock = std::chrono::steady_clock;

// sysexits.h
constexpr int kUsage = 64;
constexpr int kDataError = 65;
constexpr int kNoInput = 66;
constexpr int kNoUser = 67;
constexpr int kNoHost = 68;
constexpr int kUnavailable = 69;
constexpr int kSystemError = 71;
constexpr int kTemporary = 75;
constexpr int kNoPermission = 77;
constexpr int kConfiguration = 78;

/// Both directions of a running program.
struct Pipes {
    Fd input;   // we write
    Fd output;  // we read
};

bool make_pipe(Fd& read_end, Fd& write_end) {
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC) != 0) return false;
    read_end = Fd(ends[0]);
    write_end = Fd(ends[1]);
    return true;
}

void limit(int resource, std::size_t value) {
    if (value == 0) return;
    rlimit present{};
    if (::getrlimit(static_cast<__rlimit_resource>(resource), &present) != 0) return;
    const rlim_t wanted = std::min<rlim_t>(value, present.rlim_max);
    const rlimit both{wanted, wanted};
    static_cast<void>(::setrlimit(static_cast<__rlimit_resource>(resource), &both));
}

void limit_resources(const Program& program) {
    limit(RLIMIT_DATA, program.memory_limit);
    limit(RLIMIT_NPROC, program.process_limit);
    limit(RLIMIT_NOFILE, program.open_file_limit);
    limit(RLIMIT_FSIZE, program.file_size_limit);
    const rlimit none{0, 0};
    static_cast<void>(::setrlimit(RLIMIT_CORE, &none));
}

std::vector<char*> pointers_to(std::vector<std::string>& texts) {
    std::vector<char*> pointers;
    pointers.reserve(texts.size() + 1);
    for (auto& text : texts)
        pointers.push_back(text.data());
    pointers.push_back(nullptr);
    return pointers;
}

/// Becomes the program. If it cannot be started its errno goes to `fault`, which closes when it can.
[[noreturn]] void become(const Program& program, std::vector<std::string> words,
                         std::vector<std::string> environment, const Fd& input, const Fd& output,
                         const Fd& fault) {
    // Its own process group, so that the time limit reaches everything it starts.
    static_cast<void>(::setpgid(0, 0));
    std::signal(SIGPIPE, SIG_DFL);
    const bool placed = ::dup2(input.get(), STDIN_FILENO) >= 0 && ::dup2(output.get(), STDOUT_FILENO) >= 0 &&
                        ::dup2(output.get(), STDERR_FILENO) >= 0;
    constexpr int kFaultPlace = STDERR_FILENO + 1;
    if (!placed || ::dup3(fault.get(), kFaultPlace, O_CLOEXEC) < 0 ||
        ::close_range(kFaultPlace + 1, ~0U, 0) != 0) {
        ::_exit(kSystemError);
    }
    if (program.home.empty() || ::chdir(program.home.c_str()) != 0) static_cast<void>(!::chdir("/"));
    auto variables = pointers_to(environment);
    auto arguments = pointers_to(words);
    limit_resources(program);
    ::environ = variables.data();  // execvp() looks for the program in the PATH of what it is given
    ::execvp(arguments.front(), arguments.data());
    const int reason = errno;
    static_cast<void>(!::write(kFaultPlace, &reason, sizeof reason));
    ::_exit(kSystemError);
}

/// Feeds a program and collects its output, until both are closed or the time is over.
class Conversation {
  public:
    Conversation(Pipes pipes, std::size_t output_limit, Clock::time_point end)
        : pipes_(std::move(pipes)), output_limit_(output_limit), end_(end) {
        static_cast<void>(::fcntl(pipes_.input.get(), F_SETFL, O_NONBLOCK));
        static_cast<void>(::fcntl(pipes_.output.get(), F_SETFL, O_NONBLOCK));
    }

    /// False when the time is over. A program that closes its input has read enough.
    bool feed(std::string_view piece) {
        while (!piece.empty() && pipes_.input) {
            const ssize_t written = ::write(pipes_.input.get(), piece.data(), piece.size());
            if (written > 0) {
                piece.remove_prefix(static_cast<std::size_t>(written));
            } else if (errno == EAGAIN) {
                if (!wait()) return false;
            } else if (errno != EINTR) {
                pipes_.input.reset();
            }
        }
        return true;
    }

    bool finish() {
        pipes_.input.reset();
        while (pipes_.output) {
            if (!wait()) return false;
        }
        return true;
    }

    [[nodiscard]] const std::string& output() const { return output_; }

  private:
    bool wait() {
        const auto left = std::chrono::duration_cast<Milliseconds>(end_ - Clock::now()).count();
        if (left <= 0) return false;
        std::array<pollfd, 2> waits = {pollfd{pipes_.output.get(), POLLIN, 0},
                                       pollfd{pipes_.input.get(), POLLOUT, 0}};
        constexpr std::int64_t kLongestPoll = 60'000;
        if (::poll(waits.data(), waits.size(), static_cast<int>(std::min<std::int64_t>(left, kLongestPoll))) >
                0 &&
            waits[0].revents != 0) {
            read_output();
        }
        return true;
    }

    void read_output() {
        std::array<char, 4096> block{};
        const ssize_t got = ::read(pipes_.output.get(), block.data(), block.size());
        if (got < 0 && (errno == EAGAIN || errno == EINTR)) return;
        if (got <= 0) {
            pipes_.output.reset();
            return;
        }
        // What is beyond the limit is read and dropped, so that the program does not block.
        const std::size_t room = output_limit_ - std::min(output_limit_, output_.size());
        output_.append(block.data(), std::min(room, static_cast<std::size_t>(got)));
    }

    Pipes pipes_;
    std::size_t output_limit_;
    Clock::time_point end_;
    std::string output_;
};

/// Waits for the end of the program, but not beyond `end`; false if it still runs then.
bool wait_for_end(pid_t program, Clock::time_point end, int& status) {
    while (true) {
        const pid_t got = ::waitpid(program, &status, WNOHANG);
        if (got == program) return true;
        if (Clock::now() >= end) return false;
        static_cast<void>(::poll(nullptr, 0, 10));
    }
}

void kill_group(pid_t program) {
    int status = 0;
    static_cast<void>(::kill(-program, SIGKILL));
    static_cast<void>(::waitpid(program, &status, 0));
}

/// Waits until the program runs (0) or could not be started: its errno.
int start_fault(const Fd& fault) {
    int reason = 0;
    ssize_t got = ::read(fault.get(), &reason, sizeof reason);
    while (got < 0 && errno == EINTR)
        got = ::read(fault.get(), &reason, sizeof reason);
    return got == static_cast<ssize_t>(sizeof reason) ? reason : 0;
}

Outcome not_started(const std::string& name, int reason) {
    std::string text =
        fmt::format("program {} cannot be run: {}", name, std::generic_category().message(reason));
    const bool passes = reason == EAGAIN || reason == ENOMEM || reason == ETXTBSY || reason == EIO ||
                        reason == ENFILE || reason == EMFILE || reason == ESTALE;
    if (passes) return deferred("4.3.0", std::move(text));
    return failed("5.3.0", std::move(text));
}

/// The first lines of what a program said, as one.
std::string first_lines(const std::string& output) {
    constexpr std::size_t kLines = 5;
    constexpr std::size_t kLongest = 1000;
    std::string said;
    std::size_t begin = 0;
    for (std::size_t line = 0; line < kLines && begin < output.size() && said.size() < kLongest; ++line) {
        const std::size_t end = std::min(output.find('\n', begin), output.size());
        if (!said.empty()) said += " / ";
        said += output.substr(begin, std::min(end - begin, kLongest - std::min(kLongest, said.size())));
        begin = end + 1;
    }
    for (char& c : said) {
        if (static_cast<unsigned char>(c) < ' ' || c == '\x7f') c = '?';
    }
    return said;
}

}  // namespace

std::vector<std::string> program_environment(const Program& program, const MessageText& message) {
    const std::size_t at = message.recipient.rfind('@');
    const std::string local = message.recipient.substr(0, at);
    const std::string domain = at == std::string::npos ? "" : message.recipient.substr(at + 1);
    return {
        "PATH=/usr/local/bin:/usr/bin:/bin",
        "SHELL=/bin/sh",
        "HOME=" + program.home,
        "USER=" + program.user,
        "LOGNAME=" + program.user,
        "SENDER=" + message.sender,
        "RECIPIENT=" + message.recipient,
        "ORIGINAL_RECIPIENT=" + message.original_recipient,
        "LOCAL=" + local,
        "DOMAIN=" + domain,
        "EXTENSION=" + program.extension,
        "MESSAGE_ID=" + message.message_id(),
        "QUEUE_ID=" + message.queue_id,
    };
}

Outcome outcome_of_exit(int exit_status, const std::string& output) {
    std::string text = fmt::format("program exited with status {}", exit_status);
    if (const std::string said = first_lines(output); !said.empty()) text += ": " + said;
    switch (exit_status) {
        case 0:
            return delivered("delivered to program");
        case kTemporary:
        case kSystemError:
            return deferred("4.3.0", std::move(text));
        case kUsage:
        case kConfiguration:
            return failed("5.3.5", std::move(text));
        case kDataError:
            return failed("5.6.0", std::move(text));
        case kNoInput:
        case kNoUser:
            return failed("5.1.1", std::move(text));
        case kNoHost:
            return failed("5.1.2", std::move(text));
        case kUnavailable:
            return failed("5.3.0", std::move(text));
        case kNoPermission:
            return failed("5.7.0", std::move(text));
        default:
            return failed("5.3.0", std::move(text));
    }
}

Outcome run_program(const Program& program, const MessageText& message) {
    auto words = split_command(program.command);
    if (!words) return failed("5.3.5", words.error().text);
    Fd child_input;
    Fd child_output;
    Fd fault;
    Fd child_fault;
    Pipes pipes;
    if (!make_pipe(child_input, pipes.input) || !make_pipe(pipes.output, child_output) ||
        !make_pipe(fault, child_fault)) {
        return system_trouble("pipe", errno);
    }
    auto environment = program_environment(program, message);
    const pid_t child = ::fork();
    if (child < 0) return system_trouble("fork", errno);
    if (child == 0) become(program, *words, std::move(environment), child_input, child_output, child_fault);
    static_cast<void>(::setpgid(child, child));  // in both processes: whoever comes first
    child_input.reset();
    child_output.reset();
    child_fault.reset();
    if (const int reason = start_fault(fault); reason != 0) {
        kill_group(child);
        return not_started(words->front(), reason);
    }

    const auto end = Clock::now() + program.time_limit;
    Conversation conversation(std::move(pipes), program.output_limit, end);
    bool in_time = true;
    auto fed = message.write_to([&conversation, &in_time](std::string_view piece) -> Result<void> {
        in_time = conversation.feed(piece);
        if (!in_time) return temporary("time limit");
        return {};
    });
    if (!fed && in_time) {
        kill_group(child);
        return deferred("4.3.0", fed.error().text);
    }
    int status = 0;
    in_time = in_time && conversation.finish() && wait_for_end(child, end, status);
    if (!in_time) {
        kill_group(child);
        return deferred("4.3.0", fmt::format("program did not end within {} s and was killed",
                                             program.time_limit.count() / 1000));
    }
    // What the program left behind in its group would run on without a limit.
    static_cast<void>(::kill(-child, SIGKILL));
    if (WIFSIGNALED(status)) {
        return deferred("4.3.0", fmt::format("program was ended by signal {}", WTERMSIG(status)));
    }
    return outcome_of_exit(WEXITSTATUS(status), conversation.output());
}

}  // namespace postrider::local_delivery
