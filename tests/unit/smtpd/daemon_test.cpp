#include <catch2/catch.hpp>

#include <random>

#include "tests/unit/smtpd/daemon_fixture.h"

/// The real executable, listener and workers, between a fake router and a fake queue-manager.
namespace postrider::smtpd {

namespace {

using test::Client;
using test::SmtpdFixture;

// One message on an open session; the reply to its end.
std::string send_message(Client& client, const std::string& body = "Subject: x\r\n\r\nhello\r\n") {
    client.send("MAIL FROM:<a@client.test>\r\nRCPT TO:<bob@local.test>\r\nDATA\r\n");
    for (const char* expected : {"250 ", "250 ", "354 "}) {
        std::string reply = client.reply();
        if (!reply.starts_with(expected)) return reply;
    }
    client.send(body + ".\r\n");
    return client.reply();
}

std::string greet(Client& client) {
    const std::string banner = client.reply();
    return banner.starts_with("220 ") ? client.ask("EHLO client.test") : banner;
}

// Repeats `attempt` until its result begins with `expected`; returns the last result.
template <typename Attempt>
std::string eventually(const std::string& expected, Attempt attempt) {
    std::string result;
    for (int time = 0; time < 200; ++time) {
        result = attempt();
        if (result.starts_with(expected)) break;
        std::this_thread::sleep_for(Milliseconds(100));
    }
    return result;
}

std::string status_line(pid_t pid, const std::string& name) {
    std::ifstream status(fmt::format("/proc/{}/status", pid));
    for (std::string line; std::getline(status, line);) {
        if (line.starts_with(name + ":\t")) return line.substr(name.size() + 2);
    }
    return "";
}

}  // namespace

TEST_CASE("smtpd takes messages from the network and from local users") {
    SmtpdFixture suite;
    suite.start();
    Client client(suite.port());
    CHECK(greet(client) == "250 HELP");
    CHECK(send_message(client) == "250 2.0.0 queued as ID1");
    CHECK(client.ask("MAIL FROM:<a@client.test>").starts_with("250 "));
    CHECK(client.ask("RCPT TO:<tomy@hotmail.com>") == "550 5.7.1 Relaying denied");
    CHECK(client.ask("QUIT").starts_with("221 "));
    CHECK(client.reply() == "closed");
    CHECK(suite.queue.message("ID1").content.ends_with("Subject: x\r\n\r\nhello\r\n"));
    CHECK(suite.queue.message("ID1").envelope.client_address() == "127.0.0.1");

    Client local(suite.submit_socket());
    CHECK(greet(local) == "250 HELP");
    CHECK(send_message(local) == "250 2.0.0 queued as ID2");
    CHECK(suite.queue.message("ID2").envelope.login() == fmt::format("uid:{}", ::getuid()));
    struct stat status {};
    REQUIRE(::stat(suite.submit_socket().c_str(), &status) == 0);
    CHECK((status.st_mode & 0777) == 0666);

    for (const pid_t pid : {suite.listener.pid(), suite.workers.front().pid()}) {
        CHECK(status_line(pid, "Seccomp") == "2");
        CHECK(status_line(pid, "NoNewPrivs") == "1");
        CHECK(status_line(pid, "CapEff") == "0000000000000000");
        if (::geteuid() == 0)
            CHECK(status_line(pid, "Uid") == fmt::format("{0}\t{0}\t{0}\t{0}", test::kSmtpdUid));
    }
    CHECK(suite.listener.end(SIGTERM) == 0);
    CHECK(suite.workers.front().wait() == 0);
}

TEST_CASE("a thousand recipients in one pipelined group") {
    SmtpdFixture suite;
    suite.start();
    Client client(suite.port());
    REQUIRE(greet(client) == "250 HELP");
    std::string commands = "MAIL FROM:<a@client.test>\r\n";
    const std::string padding(150, 'x');
    for (int number = 0; number < 1000; ++number)
        commands += fmt::format("RCPT TO:<{}{}@local.test>\r\n", padding, number);
    std::thread sender([&]() { client.send(commands + "RCPT TO:<one.more@local.test>\r\nDATA\r\n"); });
    int accepted = 0;
    for (int reply = 0; reply < 1001; ++reply)
        accepted += client.reply().starts_with("250 ") ? 1 : 0;
    CHECK(accepted == 1001);
    CHECK(client.reply().starts_with("452 4.5.3"));
    CHECK(client.reply().starts_with("354 "));
    sender.join();
    CHECK(client.ask("text\r\n.") == "250 2.0.0 queued as ID1");
    CHECK(suite.queue.message("ID1").envelope.recipients_size() == 1000);
}

TEST_CASE("a message of any size is streamed") {
    SmtpdFixture suite;
    suite.start();
    Client client(suite.port());
    REQUIRE(greet(client) == "250 HELP");
    std::string body = "Subject: large\r\n\r\n";
    while (body.size() < 8'000'000)
        body += "..0123456789012345678901234567890123456789\r\n";
    CHECK(send_message(client, body) == "250 2.0.0 queued as ID1");
    CHECK(suite.queue.message("ID1").content.size() > 7'800'000);
}

TEST_CASE("smtpd survives its peers, and they it") {
    SmtpdFixture suite;
    suite.start();
    Client client(suite.port());
    REQUIRE(greet(client) == "250 HELP");
    CHECK(send_message(client).starts_with("250 2.0.0"));

    suite.stop_router();
    CHECK(eventually("451 4.3.0", [&]() {
              std::string reply = client.ask("MAIL FROM:<a@client.test>");
              static_cast<void>(client.ask("RSET"));
              return reply;
          }).starts_with("451 4.3.0"));
    Client other(suite.port());
    CHECK(greet(other) == "250 HELP");
    CHECK(other.ask("MAIL FROM:<a@client.test>").starts_with("451 4.3.0"));
    suite.start_router();
    CHECK(eventually("250 2.0.0", [&]() { return send_message(other); }).starts_with("250 2.0.0"));

    suite.stop_queue();
    CHECK(eventually("451 4.3.0", [&]() { return send_message(other); }).starts_with("451 4.3.0"));
    const std::size_t before = suite.queue.committed();
    suite.start_queue();
    CHECK(eventually("250 2.0.0", [&]() { return send_message(other); }).starts_with("250 2.0.0"));
    CHECK(suite.queue.committed() == before + 1);

    // The queue-manager goes away between the end of the content and the commit of a message it opened.
    CHECK(client.ask("MAIL FROM:<a@client.test>").starts_with("250 "));
    CHECK(client.ask("RCPT TO:<bob@local.test>").starts_with("250 "));
    CHECK(client.ask("DATA").starts_with("354 "));
    suite.stop_queue();
    CHECK(client.ask("text\r\n.").starts_with("451 4.3.0"));
    CHECK(client.ask("NOOP").starts_with("250 "));
}

TEST_CASE("connections are limited, and a closed one frees its place") {
    SmtpdFixture suite("max_connections_per_client 2\n");
    suite.start();
    // The probe of wait_for_port() must have left.
    Client first = [&]() {
        std::this_thread::sleep_for(Milliseconds(500));
        return Client(suite.port());
    }();
    REQUIRE(greet(first) == "250 HELP");
    Client second(suite.port());
    REQUIRE(greet(second) == "250 HELP");
    Client third(suite.port());
    CHECK(third.reply() == "421 4.7.0 Too many connections from your address");
    CHECK(third.reply() == "closed");
    first.close();
    CHECK(eventually("220", [&]() { return Client(suite.port()).reply(); }).starts_with("220"));
    // Local clients have no address to be counted by.
    Client local(suite.submit_socket());
    CHECK(greet(local) == "250 HELP");
}

TEST_CASE("clients wait while there is no worker") {
    SmtpdFixture suite;
    suite.start_listener();
    suite.wait_for_port();
    Client client(suite.port());
    suite.start_worker();
    CHECK(greet(client) == "250 HELP");
    suite.start_worker();
    REQUIRE(suite.workers.front().end(SIGKILL) == -SIGKILL);
    CHECK(client.reply() == "closed");
    Client again(suite.port());
    CHECK(greet(again) == "250 HELP");
    CHECK(send_message(again).starts_with("250 2.0.0"));
}

TEST_CASE("SIGTERM ends idle sessions and lets messages be completed") {
    SmtpdFixture suite;
    suite.start();
    Client idle(suite.port());
    REQUIRE(greet(idle) == "250 HELP");
    Client busy(suite.port());
    REQUIRE(greet(busy) == "250 HELP");
    CHECK(busy.ask("MAIL FROM:<a@client.test>").starts_with("250 "));
    CHECK(busy.ask("RCPT TO:<bob@local.test>").starts_with("250 "));
    CHECK(busy.ask("DATA").starts_with("354 "));
    suite.workers.front().signal(SIGTERM);
    CHECK(idle.reply().starts_with("421 4.3.2"));
    CHECK(idle.reply() == "closed");
    CHECK(busy.ask("text\r\n.").starts_with("250 2.0.0"));
    CHECK(busy.reply().starts_with("421 4.3.2"));
    CHECK(suite.workers.front().wait() == 0);
    CHECK(suite.queue.committed() == 1);
}

TEST_CASE("workers end when the listener dies") {
    SmtpdFixture suite;
    suite.start();
    Client client(suite.port());
    REQUIRE(greet(client) == "250 HELP");
    suite.listener.end(SIGKILL);
    CHECK(client.reply().starts_with("421 4.3.2"));
    CHECK(suite.workers.front().wait() == 0);
}

TEST_CASE("listening sockets can come from the starter") {
    SmtpdFixture suite;
    const Fd socket(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(suite.port());
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    REQUIRE(::bind(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0);
    REQUIRE(::listen(socket.get(), 16) == 0);
    // The shell puts its own number, which exec keeps, into the environment.
    const std::string command =
        fmt::format("LISTEN_FDS=1 LISTEN_PID=$$ exec {} --config {}", SMTPD_EXECUTABLE, suite.config());
    suite.listener = test::Process({"/bin/sh", "-c", command}, socket.get());
    suite.start_worker();
    Client client(suite.port());
    CHECK(greet(client) == "250 HELP");
}

TEST_CASE("no octets that a client sends end the process") {
    SmtpdFixture suite("error_delay 0\nerror_delay_max 0\n");
    suite.start();
    Client good(suite.port());
    REQUIRE(greet(good) == "250 HELP");
    std::mt19937 random(1);
    for (int session = 0; session < 100; ++session) {
        Client bad(suite.port());
        std::string junk(session % 10 == 0 ? 200'000 : 500, ' ');
        for (char& octet : junk)
            octet = static_cast<char>(random());
        bad.send(session % 2 == 0
                     ? junk
                     : "EHLO x\r\nMAIL FROM:<a@b.test>\r\nRCPT TO:<bob@local.test>\r\nDATA\r\n" + junk);
    }
    CHECK(send_message(good).starts_with("250 2.0.0"));
    CHECK(suite.listener.end(SIGTERM) == 0);
    CHECK(suite.workers.front().wait() == 0);
}

TEST_CASE("--check tells whether the configuration can be used") {
    SmtpdFixture suite;
    CHECK(test::Process({SMTPD_EXECUTABLE, "--config", suite.config(), "--check"}).wait() == 0);
    std::ofstream(suite.config()) << "hostname mx.test\nlisten nonsense\n";
    CHECK(test::Process({SMTPD_EXECUTABLE, "--config", suite.config(), "--check"}).wait() == 78);
    CHECK(test::Process({SMTPD_EXECUTABLE, "--nonsense"}).wait() == 64);
}

}  // namespace postrider::smtpd
