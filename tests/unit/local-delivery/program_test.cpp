#include "local-delivery/program.h"

#include <catch2/catch.hpp>

#include <csignal>
#include <fstream>
#include <thread>

#include "local-delivery/command_line.h"
#include "tests/unit/local-delivery/scratch.h"

using namespace postrider;
using namespace postrider::local_delivery;

namespace {

/// A script of the shell, which the command names, with `arguments`.
Program program_of(const Scratch& scratch, const std::string& script, const std::string& arguments = "") {
    std::ofstream(scratch.path + "/script") << script << '\n';
    std::signal(SIGPIPE, SIG_IGN);  // as the daemon does
    Program program;
    program.command = "/bin/sh " + scratch.path + "/script" + arguments;
    program.user = "alice";
    program.home = scratch.path;
    program.output_limit = 1000;
    program.time_limit = Milliseconds(10'000);
    return program;
}

}  // namespace

TEST_CASE("exit statuses mean what sysexits says") {
    struct Case {
        int status;
        Ending ending;
        const char* code;
    };
    const Case cases[] = {
        {0, Ending::Delivered, "2.0.0"}, {1, Ending::Failed, "5.3.0"},    {64, Ending::Failed, "5.3.5"},
        {65, Ending::Failed, "5.6.0"},   {67, Ending::Failed, "5.1.1"},   {68, Ending::Failed, "5.1.2"},
        {69, Ending::Failed, "5.3.0"},   {71, Ending::Deferred, "4.3.0"}, {75, Ending::Deferred, "4.3.0"},
        {77, Ending::Failed, "5.7.0"},   {78, Ending::Failed, "5.3.5"},   {127, Ending::Failed, "5.3.0"},
    };
    for (const auto& each : cases) {
        CAPTURE(each.status);
        auto outcome = outcome_of_exit(each.status, "first\tline\nsecond\n");
        CHECK(outcome.ending == each.ending);
        CHECK(outcome.status == each.code);
        if (each.status != 0) CHECK(outcome.text.find("first?line") != std::string::npos);
        if (each.status != 0) CHECK(outcome.text.ends_with("first?line / second"));
    }
}

TEST_CASE("a program gets its arguments, the whole message, and a clean environment") {
    Scratch scratch;
    QueuedMessage message(scratch, "Subject: x\r\nMessage-ID: <id@remote.test>\r\n\r\nbody\r\n");
    message.text.original_recipient = "robot@local.test";
    auto outcome = run_program(program_of(scratch,
                                          R"(printf '%s|' "$@" > args; )"
                                          "cat > input; env | sort > env; "
                                          "ls /proc/self/fd > fds; pwd > cwd",
                                          " arg1 'arg two'"),
                               message.text);
    REQUIRE(outcome.ending == Ending::Delivered);
    CHECK(contents(scratch.path + "/args") == "arg1|arg two|");
    CHECK(contents(scratch.path + "/input") ==
          message.text.trace_fields() + "Subject: x\nMessage-ID: <id@remote.test>\n\nbody\n");
    CHECK(contents(scratch.path + "/cwd") == scratch.path + "\n");
    const std::string environment = contents(scratch.path + "/env");
    for (const char* entry : {"SENDER=sender@remote.test\n", "RECIPIENT=alice@local.test\n", "LOCAL=alice\n",
                              "DOMAIN=local.test\n", "QUEUE_ID=", "MESSAGE_ID=<id@remote.test>\n",
                              "EXTENSION=\n", "ORIGINAL_RECIPIENT=robot@local.test\n", "USER=alice\n"}) {
        CAPTURE(entry, environment);
        CHECK(environment.find(entry) != std::string::npos);
    }
    CHECK(environment.find("LD_") == std::string::npos);
    CHECK(contents(scratch.path + "/fds") == "0\n1\n2\n3\n");  // 3 is the listing itself
}

TEST_CASE("a program that reads nothing and exits 0 has delivered") {
    Scratch scratch;
    QueuedMessage message(scratch, std::string(1'000'000, 'x') + "\r\n");
    CHECK(run_program(program_of(scratch, "exit 0"), message.text).ending == Ending::Delivered);
}

TEST_CASE("a program that prints without end does not block, and its output is bounded") {
    Scratch scratch;
    QueuedMessage message(scratch, "x\r\n");
    auto outcome = run_program(
        program_of(scratch, "cat >/dev/null; echo reason; head -c 1000000 /dev/zero; exit 69"), message.text);
    CHECK(outcome.ending == Ending::Failed);
    CHECK(outcome.text.starts_with("program exited with status 69: reason"));
    CHECK(outcome.text.size() < 1100);
}

TEST_CASE("a program that hangs or dies is tried again later") {
    Scratch scratch;
    QueuedMessage message(scratch, "x\r\n");
    // What it started in the background goes with it.
    auto hanging = program_of(scratch, "(sleep 1; touch late) & sleep 600");
    hanging.time_limit = Milliseconds(300);
    auto outcome = run_program(hanging, message.text);
    CHECK(outcome.ending == Ending::Deferred);
    CHECK(outcome.text.find("was killed") != std::string::npos);
    std::this_thread::sleep_for(std::chrono::milliseconds(1200));
    CHECK_FALSE(std::filesystem::exists(scratch.path + "/late"));
    CHECK(run_program(program_of(scratch, "kill -SEGV $$"), message.text).ending == Ending::Deferred);
}

TEST_CASE("a command that does not exist is returned to the sender") {
    Scratch scratch;
    QueuedMessage message(scratch, "x\r\n");
    Program program = program_of(scratch, "");
    program.command = "/nowhere/program";
    auto outcome = run_program(program, message.text);
    CHECK(outcome.ending == Ending::Failed);
    CHECK(outcome.status == "5.3.0");
}

TEST_CASE("a command is split as written, and no shell sees it") {
    using Words = std::vector<std::string>;
    CHECK(*split_command("/opt/t/rec arg1 'arg two'") == Words{"/opt/t/rec", "arg1", "arg two"});
    CHECK(*split_command(R"(a  "b \"c\" \\ \n" '\' d\ e "")") ==
          Words{"a", R"(b "c" \ \n)", R"(\)", "d e", ""});
    CHECK(*split_command("x $HOME `id` ; | > *") == Words{"x", "$HOME", "`id`", ";", "|", ">", "*"});
    CHECK_FALSE(split_command("a 'b"));
    CHECK_FALSE(split_command("  "));
    CHECK_FALSE(split_command("''"));
}

TEST_CASE("a program that takes too much is stopped by its limits") {
    Scratch scratch;
    QueuedMessage message(scratch, "x\r\n");
    Program program = program_of(scratch, "ulimit -d; ulimit -n; ulimit -p; ulimit -c; exit 75");
    program.memory_limit = std::size_t{64} << 20;
    program.open_file_limit = 50;
    program.process_limit = 5000;
    auto outcome = run_program(program, message.text);
    CHECK(outcome.text == "program exited with status 75: 65536 / 50 / 5000 / 0");
    program = program_of(scratch, "head -c 200000 /dev/zero > big; exit 0");
    program.file_size_limit = 100'000;
    static_cast<void>(run_program(program, message.text));
    CHECK(std::filesystem::file_size(scratch.path + "/big") <= 100'000);
}
