#pragma once

#include <sys/types.h>

#include <atomic>
#include <chrono>
#include <functional>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "libcommon/base/fd.h"
#include "libcommon/ipc/queue.pb.h"
#include "libcommon/ipc/router.pb.h"

/// A real queue-manager in a directory of its own, and peers that speak to it as smtpd, agents, an
/// administrator and the router would.
namespace postrider::queue_manager::test {

/// A folder that is removed with everything in it.
class Scratch {
  public:
    Scratch();
    ~Scratch();
    Scratch(const Scratch&) = delete;
    Scratch& operator=(const Scratch&) = delete;
    [[nodiscard]] const std::string& path() const { return path_; }

  private:
    std::string path_;
};

/// Acts as the daemon's user for as long as it exists, when the tests run as root: for files in the spool,
/// and for connecting.
class AsSpoolOwner {
  public:
    AsSpoolOwner();
    ~AsSpoolOwner();
    AsSpoolOwner(const AsSpoolOwner&) = delete;
    AsSpoolOwner& operator=(const AsSpoolOwner&) = delete;

  private:
    bool root_;
};

/// A peer of the queue-manager. Blocks, but never for long.
class TestPeer {
  public:
    /// Connects to queue.sock in `run_dir` and says Hello (not with ROLE_NONE).
    TestPeer(const std::string& run_dir, wire::Role role, const std::string& socket = "queue.sock");

    struct Received {
        wire::QueueReply reply;
        Fd descriptor;
    };
    void send(const wire::QueueRequest& request);
    /// The next frame; nullopt when none comes within the time or the peer was disconnected.
    std::optional<Received> receive(std::chrono::milliseconds patience = std::chrono::seconds(10));
    /// Whether the queue-manager ends the connection.
    bool disconnected();
    [[nodiscard]] const Fd& socket() const { return socket_; }

    /// The next frame but notices about the intake.
    Received answer();

    // ---- as an administrator ----

    /// All entries of the listing that answers a request. `frames` counts the frames, if it is given.
    std::vector<wire::QueueEntry> listing(const wire::QueueRequest& request, std::size_t* frames = nullptr);

    // ---- as smtpd ----

    /// Opens a message; its id, or nothing if it was refused.
    std::string open(const wire::Envelope& envelope);
    /// The same, and writes the content to a file, but does not commit it.
    std::string open(const wire::Envelope& envelope, const std::string& content);
    /// Commits what was written.
    wire::QueueReply commit(const std::string& id, const std::string& content);
    /// Commits what travels with it.
    wire::QueueReply commit_small(const std::string& id, const std::string& content);
    /// All of it, as smtpd does with small messages; the id of a message that was committed.
    std::string submit(const std::string& sender, const std::vector<std::string>& recipients,
                       const std::string& content);

    // ---- as an agent ----

    void ready(std::vector<wire::Transport> transports, std::uint32_t capacity);
    struct Job {
        wire::DeliverJob frame;
        Fd file;
        /// The content that the agent would send.
        [[nodiscard]] std::string content() const;
    };
    /// The next job; nullopt if none is offered within the time.
    std::optional<Job> job(std::chrono::milliseconds patience = std::chrono::seconds(10));
    /// Reports the same outcome for each delivery of a job.
    void report(const wire::DeliverJob& job, wire::DeliveryResult::Outcome outcome, const std::string& status,
                const std::string& text, bool destination_down = false);

  private:
    Fd socket_;
    std::uint64_t next_id_ = 1;
};

/// Answers resolve questions from a thread of its own. Where an address goes depends on its domain:
///     *.smtp.test     by SMTP to that domain
///     *.local.test    into the Maildir of the local part
///     discard.test, error.test, later.test   discarded, refused (5.1.1), not decided
///     several.test    to one@m1.smtp.test and two@m2.smtp.test, and told as RFC 3461 says
///     list.test       to the same as members of a list of owner@o.smtp.test, likewise
class TestRouter {
  public:
    explicit TestRouter(const std::string& run_dir);
    ~TestRouter();
    TestRouter(const TestRouter&) = delete;
    TestRouter& operator=(const TestRouter&) = delete;
    /// Recipients that were asked about so far.
    [[nodiscard]] std::size_t questions() const { return questions_; }
    /// From now on mail for *.smtp.test goes to the next hop detour.smtp.test.
    void change_routes() { detour_ = true; }

  private:
    void serve();
    void answer(int socket);
    Fd listening_;
    Fd stop_;
    std::vector<Fd> clients_;
    std::atomic<std::size_t> questions_{0};
    std::atomic<bool> detour_{false};
    std::thread thread_;
};

/// The daemon, as a process.
class TestDaemon {
  public:
    /// `settings` are more lines for the configuration; unless they speak of the intake journal there is
    /// none, so that messages are in the folders of the spool. Does not start it yet.
    explicit TestDaemon(const std::string& settings = "");
    ~TestDaemon();
    TestDaemon(const TestDaemon&) = delete;
    TestDaemon& operator=(const TestDaemon&) = delete;

    /// More lines for the configuration, from the next start on.
    void add_settings(const std::string& settings);
    void start();
    void kill_hard();
    /// SIGTERM; the exit status, or -1 if it was ended by a signal.
    int stop();
    [[nodiscard]] pid_t pid() const { return pid_; }
    /// Whether the process that was started last still runs.
    [[nodiscard]] bool alive() const;

    [[nodiscard]] TestPeer connect(wire::Role role) const { return {run_dir(), role}; }
    [[nodiscard]] TestPeer connect_reader(wire::Role role = wire::ROLE_READER) const {
        return {run_dir(), role, "queue-read.sock"};
    }
    [[nodiscard]] std::string run_dir() const { return scratch_.path() + "/run"; }
    [[nodiscard]] std::string spool_dir() const { return scratch_.path() + "/spool"; }
    /// The files of a folder of the spool; of all sixteen for "cur".
    [[nodiscard]] std::vector<std::string> files(const std::string& folder) const;
    [[nodiscard]] std::uint64_t counter(const std::string& name) const;
    /// What it logged so far.
    [[nodiscard]] std::string log() const;

  private:
    Scratch scratch_;
    pid_t pid_ = -1;
};

/// How often `part` stands in `text`.
[[nodiscard]] std::size_t count(const std::string& text, const std::string& part);

/// Whether nothing is being received, or waits, as a file.
[[nodiscard]] bool spool_is_empty(const TestDaemon& daemon);

/// Whether `condition` becomes true within some seconds.
bool eventually(const std::function<bool()>& condition,
                std::chrono::milliseconds patience = std::chrono::seconds(10));

}  // namespace postrider::queue_manager::test
