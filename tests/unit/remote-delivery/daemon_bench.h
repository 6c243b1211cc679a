#pragma once

#include <sys/types.h>

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "libcommon/async/scope.h"
#include "libcommon/async/sync.h"
#include "libcommon/async/watch.h"
#include "libcommon/ipc/channel.h"
#include "libcommon/ipc/queue.pb.h"

namespace postrider::remote_delivery::test {

/// A program that was started, and is ended with the test.
class Program {
  public:
    /// Its standard output and error go to `output`.
    Program(const std::vector<std::string>& command, const std::string& output);
    ~Program();
    Program(const Program&) = delete;
    Program& operator=(const Program&) = delete;

    void signal(int number) const;
    /// Its exit status; -1 if it was killed, or still runs.
    [[nodiscard]] int wait(Milliseconds limit);

  private:
    pid_t pid_ = -1;
};

/// A folder under /tmp that goes with the test.
class ScratchFolder {
  public:
    explicit ScratchFolder(const std::string& name);
    ~ScratchFolder();
    ScratchFolder(const ScratchFolder&) = delete;
    ScratchFolder& operator=(const ScratchFolder&) = delete;

    [[nodiscard]] std::string path(const std::string& name) const { return folder_ + "/" + name; }
    void write(const std::string& name, const std::string& text) const;
    [[nodiscard]] std::string read(const std::string& name) const;

  private:
    std::string folder_;
};

/// The queue-manager's side of queue.sock: takes one agent at a time, sends it jobs, collects its reports.
class FakeQueueManager {
  public:
    FakeQueueManager(async::Loop& loop, const std::string& run_folder);

    /// Sends a job with its file.
    void send(const wire::DeliverJob& job, const std::string& content);
    /// Sends any frame, with or without a descriptor.
    void send(const wire::QueueReply& frame, Fd descriptor = Fd());
    /// Closes the connection to the agent.
    void drop_agent() { agents_.cancel_all(); }

    [[nodiscard]] const std::vector<wire::QueueRequest>& frames() const { return frames_; }
    [[nodiscard]] const std::vector<wire::DeliveryReport>& reports() const { return reports_; }
    /// The capacity that the agent last announced; nothing before that.
    [[nodiscard]] std::optional<std::uint32_t> capacity() const { return capacity_; }
    void forget_agent() { capacity_.reset(); }

  private:
    async::Task<void> accept_agents();
    async::Task<void> serve(Fd socket);

    async::Loop& loop_;
    Fd listening_;
    async::Watch watch_;
    ipc::Channel* agent_ = nullptr;
    std::vector<wire::QueueRequest> frames_;
    std::vector<wire::DeliveryReport> reports_;
    std::optional<std::uint32_t> capacity_;
    async::Scope agents_;
    async::Scope acceptor_;
};

}  // namespace postrider::remote_delivery::test
