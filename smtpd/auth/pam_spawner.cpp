#include "smtpd/auth/pam_spawner.h"

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <fstream>
#include <map>
#include <stdexcept>
#include <vector>

#include "libcommon/log/log.h"

namespace postrider::auth {

namespace {

struct SocketPair {
    Fd ours;
    Fd theirs;
};

SocketPair make_socket_pair() {
    std::array<int, 2> ends{-1, -1};
    if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends.data()) != 0) return {};
    return {Fd(ends[0]), Fd(ends[1])};
}

/// A helper's life: one check after the other, until the socket is closed.
[[noreturn]] void run_helper(const Fd& socket, const PamCheck& check) {
    std::array<char, kMaxPamPacket> packet{};
    while (true) {
        const ssize_t got = ::recv(socket.get(), packet.data(), packet.size(), 0);
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0) ::_exit(0);
        const auto request = parse_pam_request({packet.data(), static_cast<std::size_t>(got)});
        PamReply reply;
        if (request) reply = check(*request);
        ::explicit_bzero(packet.data(), packet.size());
        const std::string answer = encode_pam_reply(reply);
        if (::send(socket.get(), answer.data(), answer.size(), MSG_NOSIGNAL) < 0) ::_exit(0);
    }
}

/// The processes of the slots.
class Helpers {
  public:
    explicit Helpers(const PamCheck& check) : check_(check) {}

    /// The socket of a new helper in the slot; empty if the system gives none.
    Fd replace(std::uint32_t slot, const Fd& control) {
        end(slot);
        SocketPair pair = make_socket_pair();
        if (!pair.ours) return {};
        const pid_t parent = ::getpid();
        const pid_t pid = ::fork();
        if (pid < 0) return {};
        if (pid == 0) {
            // What modules start is to be ended like anything else.
            std::signal(SIGTERM, SIG_DFL);
            std::signal(SIGINT, SIG_DFL);
            // Killed together with the spawner, also if that dies without a word.
            ::prctl(PR_SET_PDEATHSIG, SIGKILL);
            if (::getppid() != parent) ::_exit(0);
            // An end of the control socket here would keep the spawner from seeing that authd is gone.
            ::close(control.get());
            pair.ours.reset();
            run_helper(pair.theirs, check_);
        }
        pids_[slot] = pid;
        return std::move(pair.ours);
    }

    void end_all() {
        while (!pids_.empty())
            end(pids_.begin()->first);
    }

  private:
    void end(std::uint32_t slot) {
        const auto found = pids_.find(slot);
        if (found == pids_.end()) return;
        ::kill(found->second, SIGKILL);
        while (::waitpid(found->second, nullptr, 0) < 0 && errno == EINTR) {
        }
        pids_.erase(found);
        end_strays();
    }

    /// Ends what modules of a helper have started and left behind; with the helper gone it is a child of this
    /// process (PR_SET_CHILD_SUBREAPER), whatever session it has made for itself. What such a process has
    /// started comes after it, hence the loop.
    void end_strays() {
        for (std::vector<pid_t> strays = find_strays(); !strays.empty(); strays = find_strays()) {
            for (const pid_t pid : strays) {
                ::kill(pid, SIGKILL);
                while (::waitpid(pid, nullptr, 0) < 0 && errno == EINTR) {
                }
            }
        }
    }

    [[nodiscard]] std::vector<pid_t> find_strays() const {
        std::vector<pid_t> strays;
        std::ifstream children("/proc/thread-self/children");
        for (pid_t pid = 0; children >> pid;) {
            const bool helper = std::any_of(pids_.begin(), pids_.end(),
                                            [pid](const auto& known) { return known.second == pid; });
            if (!helper) strays.push_back(pid);
        }
        return strays;
    }

    const PamCheck& check_;
    std::map<std::uint32_t, pid_t> pids_;
};

[[noreturn]] void run_spawner(const Fd& control, const PamCheck& check) {
    // It ends with authd, and not before: a signal to all processes at once must not look like a fault.
    std::signal(SIGTERM, SIG_IGN);
    std::signal(SIGINT, SIG_IGN);
    // What PAM modules take from the environment is not for whoever started the suite to say.
    ::clearenv();
    ::setenv("PATH", "/usr/sbin:/usr/bin:/sbin:/bin", 1);
    ::prctl(PR_SET_CHILD_SUBREAPER, 1);
    Helpers helpers(check);
    bool would_block = false;
    while (const auto order = receive_number(control, would_block)) {
        const Fd helper = helpers.replace(order->number, control);
        if (!helper) log::error("pam_helper_not_started").add("reason", std::strerror(errno));
        if (!send_number(control, order->number, helper)) break;
    }
    helpers.end_all();
    ::_exit(0);
}

}  // namespace

Fd start_pam_spawner(const PamCheck& check, const std::function<void()>& confine) {
    SocketPair pair = make_socket_pair();
    if (!pair.ours) throw std::runtime_error(std::string("socketpair: ") + std::strerror(errno));
    const pid_t pid = ::fork();
    if (pid < 0) throw std::runtime_error(std::string("fork: ") + std::strerror(errno));
    if (pid == 0) {
        pair.ours.reset();
        try {
            confine();
            run_spawner(pair.theirs, check);
        } catch (const std::exception& error) {
            log::error("pam_spawner_failed").add("reason", error.what());
        }
        ::_exit(1);
    }
    return std::move(pair.ours);
}

}  // namespace postrider::auth
