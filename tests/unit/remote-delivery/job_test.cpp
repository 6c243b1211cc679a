#include "remote-delivery/job.h"

#include <catch2/catch.hpp>

#include "tests/unit/remote-delivery/job_bench.h"
#include "tests/unit/remote-delivery/scripted_smtp_server.h"

namespace postrider::remote_delivery {
namespace {

using test::JobBench;
using test::ScriptedSmtpServer;
using Lines = std::vector<std::string>;

const Lines kExtensions = {"PIPELINING", "SIZE 1000000", "8BITMIME", "SMTPUTF8", "DSN"};

std::vector<std::string> recipients(int count) {
    std::vector<std::string> list;
    for (int i = 1; i <= count; ++i)
        list.push_back("u" + std::to_string(i) + "@y.test");
    return list;
}

TEST_CASE("a message is sent, with and without PIPELINING") {
    bool pipelining = GENERATE(true, false);
    JobBench bench;
    ScriptedSmtpServer server(bench.loop, pipelining ? Lines{"PIPELINING"} : Lines{});
    auto report =
        bench.deliver(server.next_hop(), {"a@y.test", "b@y.test"}, "Subject: x\r\n\r\n.dot\r\n..\r\nend\r\n");
    CHECK(JobBench::outcomes(report) == "R2.0.0 R2.0.0");
    CHECK(report.job() == 7);
    CHECK(report.results(0).number() == 1);
    CHECK(report.results(1).number() == 2);
    CHECK(report.results(0).text() == "250 2.0.0 taken");
    CHECK(report.results(0).remote_host() == "[127.0.0.1]:" + std::to_string(server.port()));
    CHECK_FALSE(report.results(0).destination_down());
    CHECK(server.lines() == Lines{"1 EHLO client.test", "1 MAIL FROM:<sender@client.test>",
                                  "1 RCPT TO:<a@y.test>", "1 RCPT TO:<b@y.test>", "1 DATA"});
    CHECK(server.messages() == Lines{"Subject: x\r\n\r\n.dot\r\n..\r\nend\r\n"});
    CHECK_FALSE(server.bare_line_end());
}

TEST_CASE("a server that knows DSN takes the reports over") {
    bool dsn = GENERATE(true, false);
    JobBench bench;
    ScriptedSmtpServer server(bench.loop, dsn ? Lines{"DSN", "PIPELINING"} : Lines{"PIPELINING"},
                              [](int, const std::string& line) {
                                  return line.find("<b@") != std::string::npos ? "550 5.1.1 who?" : "";
                              });
    std::string content = "x\r\n";
    auto job = JobBench::job_to(server.next_hop(), {"a@y.test", "b@y.test"}, content);
    job.mutable_deliveries(0)->set_notify(2);
    auto report = bench.deliver(job, content);
    CHECK(report.results(0).dsn_passed_on() == dsn);
    CHECK_FALSE(report.results(1).dsn_passed_on());
    CHECK(server.lines_with("RCPT")[0] ==
          (dsn ? "1 RCPT TO:<a@y.test> NOTIFY=SUCCESS" : "1 RCPT TO:<a@y.test>"));
}

TEST_CASE("HELO is said where EHLO is not known") {
    JobBench bench;
    ScriptedSmtpServer server(bench.loop, {}, [](int, const std::string& line) {
        return line.starts_with("EHLO") ? "502 what" : "";
    });
    CHECK(JobBench::outcomes(bench.deliver(server.next_hop(), {"a@y.test"})) == "R2.0.0");
    CHECK(server.lines_with("HELO") == Lines{"1 HELO client.test"});
}

TEST_CASE("each recipient has its own outcome") {
    bool pipelining = GENERATE(true, false);
    JobBench bench;
    ScriptedSmtpServer server(bench.loop, pipelining ? Lines{"PIPELINING"} : Lines{},
                              [](int, const std::string& line) {
                                  if (line.find("<b@") != std::string::npos) return "450 4.2.1 later";
                                  if (line.find("<c@") != std::string::npos) return "550 5.1.1 who?";
                                  return "";
                              });
    auto report = bench.deliver(server.next_hop(), {"a@y.test", "b@y.test", "c@y.test"});
    CHECK(JobBench::outcomes(report) == "R2.0.0 D4.2.1 F5.1.1");
    CHECK(report.results(2).text() == "550 5.1.1 who?");
    CHECK(server.messages().size() == 1);
    CHECK(server.connections() == 1);
}

TEST_CASE("nothing is sent when every recipient is refused") {
    bool pipelining = GENERATE(true, false);
    JobBench bench;
    ScriptedSmtpServer server(
        bench.loop, pipelining ? Lines{"PIPELINING"} : Lines{},
        [](int, const std::string& line) { return line.starts_with("RCPT") ? "550 5.1.1 who?" : ""; });
    CHECK(JobBench::outcomes(bench.deliver(server.next_hop(), {"a@y.test", "b@y.test"})) == "F5.1.1 F5.1.1");
    CHECK(server.messages().empty());
    CHECK(server.lines_with("RSET").size() == 1);
    CHECK(server.lines_with("DATA").size() == (pipelining ? 1 : 0));
    CHECK(bench.sessions.size() == 1);
}

TEST_CASE("a server that wants content for nobody gets none") {
    JobBench bench;
    ScriptedSmtpServer server(bench.loop, {"PIPELINING"}, [](int, const std::string& line) {
        if (line.starts_with("RCPT")) return "550 5.1.1 who?";
        return line == "DATA" ? "354 go ahead" : "";
    });
    CHECK(JobBench::outcomes(bench.deliver(server.next_hop(), {"a@y.test"})) == "F5.1.1");
    CHECK(server.messages() == Lines{""});
    // The session has kept its order.
    CHECK(JobBench::outcomes(bench.deliver(server.next_hop(), {"b@y.test"})) == "F5.1.1");
    CHECK(server.connections() == 1);
}

TEST_CASE("a refused sender fails every recipient") {
    bool pipelining = GENERATE(true, false);
    JobBench bench;
    ScriptedSmtpServer server(bench.loop, pipelining ? Lines{"PIPELINING"} : Lines{},
                              [](int, const std::string& line) {
                                  if (line.starts_with("MAIL")) return "550 5.7.1 not you";
                                  if (line.starts_with("RCPT") || line == "DATA")
                                      return "503 5.5.1 MAIL first";
                                  return "";
                              });
    CHECK(JobBench::outcomes(bench.deliver(server.next_hop(), {"a@y.test", "b@y.test"})) == "F5.7.1 F5.7.1");
    CHECK(bench.sessions.size() == 1);
}

TEST_CASE("large messages arrive as they are") {
    std::string content = "Subject: x\r\n\r\n";
    for (int i = 0; i < 20000; ++i)
        content += "." + std::to_string(i) + " line\r\n";
    JobBench bench;
    ScriptedSmtpServer server(bench.loop, kExtensions);
    CHECK(JobBench::outcomes(bench.deliver(server.next_hop(), {"a@y.test"}, content)) == "R2.0.0");
    REQUIRE(server.messages().size() == 1);
    CHECK(server.messages()[0] == content);
}

TEST_CASE("no bare line end leaves this host") {
    JobBench bench;
    ScriptedSmtpServer server(bench.loop, kExtensions);
    CHECK(JobBench::outcomes(bench.deliver(server.next_hop(), {"a@y.test"}, "a\nb\rc\n.\nd")) == "R2.0.0");
    CHECK(server.messages() == Lines{"a\r\nb\r\nc\r\n.\r\nd\r\n"});
    CHECK_FALSE(server.bare_line_end());
}

TEST_CASE("a message is sent in transactions of so many recipients") {
    JobBench bench;
    bench.limits.set(config::Limit::RecipientsPerTransaction, 50);
    ScriptedSmtpServer server(bench.loop, kExtensions);
    auto report = bench.deliver(server.next_hop(), recipients(120));
    CHECK(report.results_size() == 120);
    CHECK(server.connections() == 1);
    CHECK(server.lines_with("RCPT").size() == 120);
    REQUIRE(server.lines_with("MAIL").size() == 3);
    CHECK(server.messages().size() == 3);
}

TEST_CASE("recipients that were too many follow at once") {
    bool pipelining = GENERATE(true, false);
    JobBench bench;
    int accepted = 0;
    ScriptedSmtpServer server(bench.loop, pipelining ? Lines{"PIPELINING"} : Lines{},
                              [&accepted](int, const std::string& line) {
                                  if (line.starts_with("MAIL")) accepted = 0;
                                  if (!line.starts_with("RCPT")) return "";
                                  return ++accepted > 10 ? "452 4.5.3 too many" : "";
                              });
    auto report = bench.deliver(server.next_hop(), recipients(25));
    for (const auto& result : report.results())
        CHECK(result.outcome() == wire::DeliveryResult::RELAYED);
    CHECK(server.messages().size() == 3);
    CHECK(server.connections() == 1);
}

TEST_CASE("a server that takes no recipient at all is not asked again and again") {
    JobBench bench;
    ScriptedSmtpServer server(bench.loop, kExtensions, [](int, const std::string& line) {
        return line.starts_with("RCPT") ? "452 4.5.3 too many" : "";
    });
    CHECK(JobBench::outcomes(bench.deliver(server.next_hop(), recipients(3))) == "D4.5.3 D4.5.3 D4.5.3");
    CHECK(server.lines_with("RCPT").size() == 3);
}

TEST_CASE("recipients with senders of their own have transactions of their own") {
    JobBench bench;
    ScriptedSmtpServer server(bench.loop, kExtensions);
    std::string content = "x\r\n";
    auto job = JobBench::job_to(server.next_hop(), recipients(4), content);
    job.set_envid("QQ=1");
    for (int i : {1, 3})
        job.mutable_deliveries(i)->set_has_sender(true);
    job.mutable_deliveries(1)->set_sender("owner@list.test");
    // He wrote to his own list: what he asked for as a sender is not what he asks for as its owner.
    job.mutable_deliveries(3)->set_sender("sender@client.test");
    CHECK(JobBench::outcomes(bench.deliver(job, content)) == "R2.0.0 R2.0.0 R2.0.0 R2.0.0");
    CHECK(server.lines_with("MAIL") == Lines{"1 MAIL FROM:<sender@client.test> SIZE=3 ENVID=QQ+3D1",
                                             "1 MAIL FROM:<owner@list.test> SIZE=3",
                                             "1 MAIL FROM:<sender@client.test> SIZE=3"});
}

TEST_CASE("what the server cannot take is not sent") {
    JobBench bench;
    ScriptedSmtpServer server(bench.loop, {"SIZE 10"});
    CHECK(JobBench::outcomes(bench.deliver(server.next_hop(), {"a@y.test"}, "more than ten\r\n")) ==
          "F5.3.4");
    CHECK(server.lines_with("MAIL").empty());
}

TEST_CASE("addresses that would forge commands are not sent") {
    JobBench bench;
    ScriptedSmtpServer server(bench.loop, {});
    auto report = bench.deliver(server.next_hop(), {"a@y.test>\r\nRCPT TO:<b@z.test", "c@y.test"});
    CHECK(JobBench::outcomes(report) == "F5.1.3 R2.0.0");
    CHECK(server.lines_with("RCPT") == Lines{"1 RCPT TO:<c@y.test>"});
}

TEST_CASE("a refused connection marks the destination as down") {
    JobBench bench;
    auto report = bench.deliver("[127.0.0.1]:1", {"a@y.test"});
    CHECK(JobBench::outcomes(report) == "D4.4.1");
    CHECK(report.results(0).destination_down());
    CHECK(report.results(0).remote_host() == "[127.0.0.1]:1");
    CHECK(report.results(0).text() == "[127.0.0.1]:1: connect: Connection refused");
}

TEST_CASE("a server that will not talk marks the destination as down") {
    std::string greeting =
        GENERATE(as<std::string>(), "421 4.3.2 busy", "554 5.7.1 go away", "close", "silence", "hello");
    JobBench bench;
    bench.limits.set(config::Limit::GreetingTimeout, 300);
    ScriptedSmtpServer server(bench.loop, {}, [&greeting](int, const std::string& line) {
        return line.empty() ? greeting : std::string();
    });
    auto report = bench.deliver(server.next_hop(), {"a@y.test"});
    CAPTURE(greeting, report.results(0).text());
    CHECK(report.results(0).outcome() == wire::DeliveryResult::DEFERRED);
    CHECK(report.results(0).destination_down());
    CHECK(server.lines_with("MAIL").empty());
}

TEST_CASE("sessions are used again") {
    JobBench bench;
    bench.limits.set(config::Limit::ConnectionMessages, 3);
    ScriptedSmtpServer server(bench.loop, kExtensions);
    for (int i = 0; i < 7; ++i) {
        CHECK(JobBench::outcomes(bench.deliver(server.next_hop(), {"a@y.test"})) == "R2.0.0");
    }
    CHECK(server.messages().size() == 7);
    CHECK(server.connections() == 3);
    CHECK(bench.sessions.size() == 1);
}

TEST_CASE("an idle session that is dead costs nothing") {
    SECTION("closed while nobody looked") {
        JobBench bench;
        ScriptedSmtpServer server(bench.loop, kExtensions);
        CHECK(JobBench::outcomes(bench.deliver(server.next_hop(), {"a@y.test"})) == "R2.0.0");
        server.hang_up();
        CHECK(JobBench::outcomes(bench.deliver(server.next_hop(), {"a@y.test"})) == "R2.0.0");
        CHECK(server.connections() == 2);
    }
    SECTION("closed, or refused, when MAIL comes") {
        std::string reply = GENERATE(as<std::string>(), "close", "421 4.4.2 idle for too long");
        JobBench bench;
        int mails = 0;
        ScriptedSmtpServer server(bench.loop, kExtensions, [&](int connection, const std::string& line) {
            if (!line.starts_with("MAIL") || connection > 1) return std::string();
            return ++mails == 2 ? reply : std::string();
        });
        CHECK(JobBench::outcomes(bench.deliver(server.next_hop(), {"a@y.test"})) == "R2.0.0");
        CHECK(JobBench::outcomes(bench.deliver(server.next_hop(), {"a@y.test"})) == "R2.0.0");
        CHECK(server.connections() == 2);
        CHECK(server.messages().size() == 2);
    }
}

TEST_CASE("a recipient that is deferred on an idle session is not tried again at the same host") {
    JobBench bench;
    ScriptedSmtpServer server(bench.loop, kExtensions, [](int, const std::string& line) {
        return line.find("<later@") != std::string::npos ? "450 4.2.1 later" : "";
    });
    CHECK(JobBench::outcomes(bench.deliver(server.next_hop(), {"a@y.test"})) == "R2.0.0");
    CHECK(JobBench::outcomes(bench.deliver(server.next_hop(), {"later@y.test"})) == "D4.2.1");
    CHECK(server.lines_with("RCPT").size() == 2);
    CHECK(server.connections() == 1);
}

TEST_CASE("whoever hangs up in the middle defers") {
    std::string verb = GENERATE(as<std::string>(), "MAIL", "RCPT", "DATA", ".");
    std::string reply = GENERATE(as<std::string>(), "close", "421 4.3.2 closing", "nonsense");
    bool pipelining = GENERATE(true, false);
    JobBench bench;
    ScriptedSmtpServer server(
        bench.loop, pipelining ? Lines{"PIPELINING"} : Lines{},
        [&](int, const std::string& line) { return line.starts_with(verb) ? reply : std::string(); });
    auto report = bench.deliver(server.next_hop(), {"a@y.test", "b@y.test"});
    CAPTURE(verb, reply, report.results(0).text());
    for (const auto& result : report.results()) {
        CHECK(result.outcome() == wire::DeliveryResult::DEFERRED);
        CHECK(result.status() == (reply.starts_with("421") ? "4.3.2" : "4.4.2"));
        CHECK_FALSE(result.destination_down());
    }
    CHECK(server.connections() == 1);
    CHECK(bench.sessions.size() == 0);
}

TEST_CASE("a server that has seen enough is heard") {
    JobBench bench;
    ScriptedSmtpServer server(bench.loop, kExtensions, [](int, const std::string& line) {
        return line == "middle" ? "552 5.3.4 that is enough" + std::string(ScriptedSmtpServer::kClose) : "";
    });
    server.interrupt_content_after(1000);
    std::string content;
    for (int i = 0; i < 500'000; ++i)
        content += "a long message\r\n";
    bench.limits.set(config::Limit::MaxMessageSize, 100'000'000);
    auto job = JobBench::job_to(server.next_hop(), {"a@y.test"}, content);
    std::string outcome = JobBench::outcomes(bench.deliver(job, content));
    // A reset by the peer can overtake its reply; then the message is deferred.
    CHECK((outcome == "F5.3.4" || outcome == "D4.4.2"));
}

TEST_CASE("time-outs are those of the limits table") {
    struct Case {
        const char* verb;
        config::Limit limit;
    };
    const Case cases[] = {{"EHLO", config::Limit::EhloTimeout},
                          {"MAIL", config::Limit::MailTimeout},
                          {"RCPT", config::Limit::RcptTimeout},
                          {"DATA", config::Limit::DataTimeout},
                          {".", config::Limit::FinalDotTimeout}};
    for (const Case& entry : cases) {
        CAPTURE(entry.verb);
        JobBench bench;
        bench.limits.set(entry.limit, 200);
        ScriptedSmtpServer server(bench.loop, {}, [&entry](int, const std::string& line) {
            return line.starts_with(entry.verb) ? ScriptedSmtpServer::kSilence : "";
        });
        SteadyTime start = bench.loop.now();
        CHECK(JobBench::outcomes(bench.deliver(server.next_hop(), {"a@y.test"})) == "D4.4.2");
        CHECK(bench.loop.now() - start < Seconds(10));
    }
}

TEST_CASE("replies are cut so that all results fit into a frame") {
    JobBench bench;
    ScriptedSmtpServer server(bench.loop, {"PIPELINING"}, [](int, const std::string& line) {
        return line.starts_with("RCPT") ? "550 5.1.1 " + std::string(2000, 'x') : std::string();
    });
    auto report = bench.deliver(server.next_hop(), recipients(300));
    CHECK(report.ByteSizeLong() < 60'000);
    CHECK(report.results(299).text().starts_with("550 5.1.1 xxx"));
}

TEST_CASE("T10_that we are the best MX fails mail at once, but where we are the backup it waits") {
    JobBench bench;
    auto job = JobBench::job_to("[192.0.2.10]", {"a@y.test", "b@y.test"}, "x\r\n");
    job.mutable_deliveries(1)->set_backup(true);
    const auto report = bench.deliver(job, "x\r\n");
    CHECK(JobBench::outcomes(report) == "F5.4.6 D4.4.6");
    // No host was tried, so none is down.
    CHECK_FALSE(report.results(1).destination_down());
}

}  // namespace
}  // namespace postrider::remote_delivery
