#include "tests/unit/remote-delivery/daemon_bench.h"

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>
#include <iterator>
#include <stdexcept>

#include "libcommon/base/file.h"
#include "tests/unit/remote-delivery/memory_content.h"

extern char** environ;  // NOLINT: what posix_spawn(3) takes

namespace postrider::remote_delivery::test {

Program::Program(const std::vector<std::string>& command, const std::string& output) {
    std::vector<std::string> words = command;
    std::vector<char*> arguments;
    arguments.reserve(words.size() + 1);
    for (std::string& word : words)
        arguments.push_back(word.data());
    arguments.push_back(nullptr);
    posix_spawn_file_actions_t actions{};
    ::posix_spawn_file_actions_init(&actions);
    ::posix_spawn_file_actions_addopen(&actions, 1, output.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0600);
    ::posix_spawn_file_actions_adddup2(&actions, 1, 2);
    int error = ::posix_spawn(&pid_, command[0].c_str(), &actions, nullptr, arguments.data(), environ);
    ::posix_spawn_file_actions_destroy(&actions);
    if (error != 0) throw std::runtime_error("cannot start " + command[0]);
}

Program::~Program() {
    if (pid_ < 0) return;
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
}

void Program::signal(int number) const {
    ::kill(pid_, number);
}

int Program::wait(Milliseconds limit) {
    auto deadline = std::chrono::steady_clock::now() + limit;
    while (std::chrono::steady_clock::now() < deadline) {
        int status = 0;
        if (::waitpid(pid_, &status, WNOHANG) == pid_) {
            pid_ = -1;
            return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
        }
        ::usleep(10'000);
    }
    return -1;
}

ScratchFolder::ScratchFolder(const std::string& name)
    : folder_("/tmp/postrider-" + name + "-" + std::to_string(::getpid())) {
    std::filesystem::remove_all(folder_);
    std::filesystem::create_directories(folder_);
}

ScratchFolder::~ScratchFolder() {
    std::error_code error;
    std::filesystem::remove_all(folder_, error);
}

void ScratchFolder::write(const std::string& name, const std::string& text) const {
    std::ofstream(path(name)) << text;
}

std::string ScratchFolder::read(const std::string& name) const {
    std::ifstream file(path(name));
    return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

FakeQueueManager::FakeQueueManager(async::Loop& loop, const std::string& run_folder)
    : loop_(loop),
      listening_(*ipc::listen_seqpacket(run_folder + "/queue.sock", 0666)),
      watch_(loop, listening_.get()),
      agents_(loop),
      acceptor_(loop) {
    acceptor_.spawn(accept_agents());
}

async::Task<void> FakeQueueManager::accept_agents() {
    while (true) {
        co_await watch_.readable();
        Fd socket(::accept4(listening_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
        if (socket) agents_.spawn(serve(std::move(socket)));
    }
}

async::Task<void> FakeQueueManager::serve(Fd socket) {
    ipc::Channel channel(loop_, std::move(socket));
    agent_ = &channel;
    while (true) {
        auto frame = co_await channel.receive();
        if (!frame || !*frame) co_return;
        wire::QueueRequest request;
        if (!request.ParseFromString((*frame)->data)) throw std::runtime_error("a frame that does not parse");
        if (request.has_agent_ready()) capacity_ = request.agent_ready().capacity();
        if (request.has_report()) reports_.push_back(request.report());
        frames_.push_back(std::move(request));
    }
}

void FakeQueueManager::send(const wire::DeliverJob& job, const std::string& content) {
    wire::QueueReply frame;
    *frame.mutable_deliver() = job;
    send(frame, memory_file(content));
}

void FakeQueueManager::send(const wire::QueueReply& frame, Fd descriptor) {
    if (!agent_->post(frame, std::move(descriptor))) throw std::runtime_error("the agent is gone");
}

}  // namespace postrider::remote_delivery::test
