// The real executable, between a queue-manager and mail servers that the test plays, or that are somebody
// else's.

#include <catch2/catch.hpp>
#include <signal.h>
#include <unistd.h>

#include <functional>

#include "tests/unit/async/run.h"
#include "tests/unit/remote-delivery/daemon_bench.h"
#include "tests/unit/remote-delivery/job_bench.h"
#include "tests/unit/remote-delivery/scripted_smtp_server.h"

namespace postrider::remote_delivery {
namespace {

using test::FakeQueueManager;
using test::JobBench;
using test::Program;
using test::ScratchFolder;
using test::ScriptedSmtpServer;

constexpr Milliseconds kPatience{20'000};

async::Task<void> poll(async::Loop& loop, std::function<bool()> condition, bool& met) {
    auto deadline = loop.now() + kPatience;
    met = condition();
    while (!met && loop.now() < deadline) {
        co_await async::Sleep(loop, Milliseconds(10));
        met = condition();
    }
}

/// Runs the loop until `condition` holds; false if it does not come to that.
bool wait_until(async::Loop& loop, std::function<bool()> condition) {
    bool met = false;
    async::run_to_end(loop, poll(loop, std::move(condition), met));
    return met;
}

/// The daemon with a configuration of its own, as an ordinary process.
class DaemonBench {
  public:
    DaemonBench() : folder_("remote-delivery"), config_(folder_.path("postrider.conf")) {
        std::filesystem::create_directories(folder_.path("run"));
        std::filesystem::permissions(folder_.path("run"), std::filesystem::perms(0755));
        folder_.write("postrider.conf",
                      "hostname client.test\nrun_dir run\nspool_dir spool\nstate_dir state\n"
                      "user remote-delivery 65534\nresolver 127.0.0.1:1\nshutdown_grace 5s\n");
        queue.emplace(loop, folder_.path("run"));
    }
    void start() {
        daemon.emplace(std::vector<std::string>{POSTRIDER_DAEMON, "--config", config_}, folder_.path("log"));
        ready();
    }
    void ready() {
        INFO(log());
        REQUIRE(wait_until(loop, [this] { return queue->capacity().value_or(0) > 0; }));
    }
    /// Sends a message and waits for its report.
    wire::DeliveryReport deliver(const std::string& next_hop, const std::string& content) {
        std::size_t before = queue->reports().size();
        queue->send(JobBench::job_to(next_hop, {"a@y.test"}, content), content);
        bool reported = wait_until(loop, [&] { return queue->reports().size() > before; });
        INFO(log());
        REQUIRE(reported);
        return queue->reports().back();
    }
    int end() {
        daemon->signal(SIGTERM);
        int status = -1;
        wait_until(loop, [&] { return (status = daemon->wait(Milliseconds(5))) >= 0; });
        return status;
    }
    [[nodiscard]] std::string log() const { return folder_.read("log"); }
    [[nodiscard]] std::string path(const std::string& name) const { return folder_.path(name); }

  private:
    ScratchFolder folder_;
    std::string config_;

  public:
    async::Loop loop;
    std::optional<FakeQueueManager> queue;
    std::optional<Program> daemon;
};

TEST_CASE("the daemon announces itself, delivers, reports, and ends clean") {
    DaemonBench bench;
    ScriptedSmtpServer server(bench.loop, {"PIPELINING", "SIZE"});
    bench.start();
    REQUIRE(bench.queue->frames().size() >= 2);
    CHECK(bench.queue->frames()[0].hello().role() == wire::ROLE_REMOTE_DELIVERY);
    REQUIRE(bench.queue->frames()[1].agent_ready().transports_size() == 1);
    CHECK(bench.queue->frames()[1].agent_ready().transports(0) == wire::TRANSPORT_SMTP);

    CHECK(JobBench::outcomes(bench.deliver(server.next_hop(), "one\r\n")) == "R2.0.0");
    CHECK(JobBench::outcomes(bench.deliver(server.next_hop(), "two\r\n")) == "R2.0.0");
    CHECK(server.messages() == std::vector<std::string>{"one\r\n", "two\r\n"});
    CHECK(server.connections() == 1);
    CHECK(JobBench::outcomes(bench.deliver("nowhere.test", "x\r\n")) == "D4.4.3");
    int status = bench.end();
    INFO(bench.log());
    CHECK(status == 0);
    CHECK(bench.queue->capacity() == 0);
    CHECK(server.lines_with("QUIT").size() == 1);
}

TEST_CASE("idle sessions are closed after a while") {
    DaemonBench bench;
    ScriptedSmtpServer server(bench.loop, {"PIPELINING"});
    bench.start();
    CHECK(JobBench::outcomes(bench.deliver(server.next_hop(), "one\r\n")) == "R2.0.0");
    CHECK(server.lines_with("QUIT").empty());
    CHECK(wait_until(bench.loop, [&] { return server.lines_with("QUIT").size() == 1; }));
    CHECK(bench.end() == 0);
}

TEST_CASE("the daemon survives its queue-manager, and drops what that gave it") {
    DaemonBench bench;
    ScriptedSmtpServer server(bench.loop, {"PIPELINING"}, [](int connection, const std::string& line) {
        return connection == 1 && line == "DATA" ? ScriptedSmtpServer::kSilence : "";
    });
    bench.start();
    bench.queue->send(JobBench::job_to(server.next_hop(), {"a@y.test"}, "x\r\n"), "x\r\n");
    REQUIRE(wait_until(bench.loop, [&] { return !server.lines_with("DATA").empty(); }));
    bench.queue->forget_agent();
    bench.queue->drop_agent();
    bench.ready();
    CHECK(JobBench::outcomes(bench.deliver(server.next_hop(), "one\r\n")) == "R2.0.0");
    CHECK(bench.queue->reports().size() == 1);
    CHECK(bench.end() == 0);
}

TEST_CASE("frames that make no sense do no harm") {
    DaemonBench bench;
    ScriptedSmtpServer server(bench.loop, {"PIPELINING"});
    bench.start();
    wire::QueueReply stray;
    stray.mutable_opened()->set_queue_id("x");
    bench.queue->send(stray, test::memory_file("x"));
    wire::QueueReply without_file;
    *without_file.mutable_deliver() = JobBench::job_to(server.next_hop(), {"a@y.test"}, "x");
    bench.queue->send(without_file);
    REQUIRE(wait_until(bench.loop, [&] { return bench.queue->reports().size() == 1; }));
    CHECK(JobBench::outcomes(bench.queue->reports()[0]) == "D4.3.0");
    CHECK(JobBench::outcomes(bench.deliver("", "x\r\n")) == "F5.1.2");
    CHECK(JobBench::outcomes(bench.deliver(server.next_hop(), "one\r\n")) == "R2.0.0");
    CHECK(bench.end() == 0);
}

TEST_CASE("SIGTERM lets a job end, but not for ever") {
    bool ends = GENERATE(true, false);
    DaemonBench bench;
    bool answer = false;
    ScriptedSmtpServer server(bench.loop, {"PIPELINING"}, [&](int, const std::string& line) {
        return line == "." && !answer ? ScriptedSmtpServer::kSilence : "";
    });
    bench.start();
    bench.queue->send(JobBench::job_to(server.next_hop(), {"a@y.test"}, "x\r\n"), "x\r\n");
    REQUIRE(wait_until(bench.loop, [&] { return !server.messages().empty(); }));
    bench.daemon->signal(SIGTERM);
    REQUIRE(wait_until(bench.loop, [&] { return bench.queue->capacity() == 0; }));
    CHECK(bench.queue->reports().empty());
    if (ends) {
        server.hang_up();
        REQUIRE(wait_until(bench.loop, [&] { return bench.queue->reports().size() == 1; }));
        CHECK(JobBench::outcomes(bench.queue->reports()[0]) == "D4.4.2");
    }
    int status = bench.end();
    INFO(bench.log());
    CHECK(status == 0);
    CHECK(bench.queue->reports().size() == (ends ? 1 : 0));
}

TEST_CASE("--check reads the configuration and says what is wrong") {
    ScratchFolder folder("remote-check");
    auto check = [&](const std::string& text) {
        folder.write("c", text);
        Program program({POSTRIDER_DAEMON, "--config", folder.path("c"), "--check"}, folder.path("log"));
        return program.wait(kPatience);
    };
    CHECK(check("hostname client.test\n") == 0);
    CHECK(check("hostname client.test\nno_such_thing 1\n") == 78);
    CHECK(folder.read("log").find("no_such_thing") != std::string::npos);
}

/// A free port, as far as one can know.
std::uint16_t free_port() {
    async::Loop loop;
    return ScriptedSmtpServer(loop, {}).port();
}

void exchange_with(const std::vector<std::string>& command, const std::string& next_hop, DaemonBench& bench) {
    Program peer(command, bench.path("peer.log"));
    bench.start();
    std::string content = "Subject: test\r\n\r\n.a line with a dot\r\n" + std::string(900, 'x') + "\r\n";
    std::string outcome;
    for (int attempt = 0; attempt < 50 && !outcome.starts_with('R'); ++attempt) {
        outcome = JobBench::outcomes(bench.deliver(next_hop, content));
        if (!outcome.starts_with('R')) ::usleep(200'000);
    }
    CHECK(outcome.starts_with("R2."));
    for (int i = 0; i < 50; ++i)
        CHECK(JobBench::outcomes(bench.deliver(next_hop, content)).starts_with("R2."));
    CHECK(bench.end() == 0);
}

TEST_CASE("mail for aiosmtpd") {
    const char* python = "/usr/bin/python3";
    DaemonBench bench;
    if (Program({python, "-c", "import aiosmtpd"}, bench.path("probe")).wait(kPatience) != 0) {
        WARN("there is no aiosmtpd on this machine: not tested");
        return;
    }
    std::string address = "127.0.0.1:" + std::to_string(free_port());
    exchange_with({python, "-m", "aiosmtpd", "-n", "-l", address, "-c", "aiosmtpd.handlers.Mailbox",
                   bench.path("mailbox")},
                  "[127.0.0.1]" + address.substr(address.find(':')), bench);
    std::size_t messages = 0;
    for (const auto& file : std::filesystem::directory_iterator(bench.path("mailbox/new"))) {
        messages += file.is_regular_file() ? 1 : 0;
    }
    CHECK(messages == 51);
}

TEST_CASE("mail for Postfix's smtp-sink") {
    std::string sink = std::string(POSTRIDER_SOURCE) + "/tests/.peers/postfix/usr/sbin/smtp-sink";
    if (::access(sink.c_str(), X_OK) != 0) {
        WARN("tests/.peers has no postfix (tests/e2e/peers.py fetches it): not tested");
        return;
    }
    std::string libraries = std::string(POSTRIDER_SOURCE) + "/tests/.peers/postfix/usr/lib/postfix";
    std::string option = GENERATE(as<std::string>(), "-v", "-p", "-e");  // as it is, no PIPELINING, no ESMTP
    std::uint16_t port = free_port();
    DaemonBench bench;
    std::vector<std::string> command = {"/usr/bin/env", "LD_LIBRARY_PATH=" + libraries, sink, option};
    if (::geteuid() == 0) command.insert(command.end(), {"-u", "nobody"});  // it refuses to run as root
    command.insert(command.end(), {"127.0.0.1:" + std::to_string(port), "100"});
    exchange_with(command, "[127.0.0.1]:" + std::to_string(port), bench);
}

}  // namespace
}  // namespace postrider::remote_delivery
