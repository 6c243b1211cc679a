#include <catch2/catch.hpp>
#include <sys/stat.h>
#include <sys/wait.h>

#include <vector>

#include "local-delivery/mailbox_file.h"
#include "local-delivery/maildir.h"
#include "tests/unit/local-delivery/scratch.h"

using namespace postrider;
using namespace postrider::local_delivery;

namespace {

constexpr Milliseconds kLockStale{600'000};
constexpr Milliseconds kLockTimeout{2000};

bool wanted() {
    return true;
}

std::vector<std::string> files_in(const std::string& folder) {
    std::vector<std::string> names;
    for (const auto& entry : std::filesystem::directory_iterator(folder))
        names.push_back(entry.path());
    return names;
}

}  // namespace

TEST_CASE("a message arrives in new/, complete, private, and nothing is left in tmp/") {
    Scratch scratch;
    QueuedMessage message(scratch, "Subject: x\r\n\r\nbody\r\n");
    const std::string path = scratch.path + "/mail/local.test/alice";
    Maildir mailbox(path, "mx.example.org", true);
    for (int n = 0; n < 3; ++n)
        CHECK(mailbox.deliver(message.text, wanted).ending == Ending::Delivered);
    const auto names = files_in(path + "/new");
    REQUIRE(names.size() == 3);
    CHECK(files_in(path + "/tmp").empty());
    CHECK(contents(names[0]) == message.text.trace_fields() + "Subject: x\n\nbody\n");
    struct stat status {};
    REQUIRE(::stat(names[0].c_str(), &status) == 0);
    CHECK((status.st_mode & 0777) == 0600);
}

TEST_CASE("a delivery of which nobody will hear is not made") {
    Scratch scratch;
    QueuedMessage message(scratch, "Subject: x\r\n\r\nbody\r\n");
    const std::string path = scratch.path + "/alice";
    auto outcome = Maildir(path, "mx.example.org", true).deliver(message.text, [] { return false; });
    CHECK(outcome.ending == Ending::Deferred);
    CHECK(files_in(path + "/new").empty());
    CHECK(files_in(path + "/tmp").empty());
}

TEST_CASE("a mailbox whose home is not there is deferred, not made") {
    Scratch scratch;
    QueuedMessage message(scratch, "\r\n");
    Maildir mailbox(scratch.path + "/home/alice/Maildir", "mx.example.org", false);
    auto outcome = mailbox.deliver(message.text, wanted);
    CHECK(outcome.ending == Ending::Deferred);
    CHECK(outcome.text.find("No such file") != std::string::npos);
    CHECK_FALSE(std::filesystem::exists(scratch.path + "/home"));
}

TEST_CASE("a queue file that cannot be read whole leaves nothing behind") {
    Scratch scratch;
    QueuedMessage message(scratch, "Subject: x\r\n");
    message.text.length += 100;
    const std::string path = scratch.path + "/alice";
    CHECK(Maildir(path, "mx.example.org", true).deliver(message.text, wanted).ending == Ending::Deferred);
    CHECK(files_in(path + "/new").empty());
    CHECK(files_in(path + "/tmp").empty());
}

TEST_CASE("From_ lines are quoted wherever the pieces are cut") {
    struct Case {
        std::string in;
        std::string out;
    };
    const Case cases[] = {
        {"", ""},
        {"From me\n", ">From me\n"},
        {">From me\n>>From me\n", ">>From me\n>>>From me\n"},
        {"From\nFrom: x\n From x\n", "From\nFrom: x\n From x\n"},
        {"a From b\n\nFrom c", "a From b\n\n>From c\n"},
        {"no end", "no end\n"},
        {">", ">\n"},
    };
    for (const auto& each : cases) {
        for (std::size_t cut = 0; cut <= each.in.size(); ++cut) {
            CAPTURE(each.in, cut);
            FromQuoter quoter;
            std::string out(quoter.quote(std::string_view(each.in).substr(0, cut)));
            out += quoter.quote(std::string_view(each.in).substr(cut));
            out += quoter.finish();
            CHECK(out == each.out);
        }
    }
}

TEST_CASE("an mbox file takes messages from many processes at once") {
    Scratch scratch;
    QueuedMessage message(scratch, "Subject: x\r\n\r\nFrom here\r\n");
    const std::string path = scratch.path + "/mbox";
    std::vector<pid_t> writers;
    for (int n = 0; n < 10; ++n) {
        pid_t writer = ::fork();
        if (writer == 0) {
            auto outcome = append_to_mailbox_file(path, message.text, 0, Milliseconds(20'000), kLockStale);
            ::_exit(outcome.ending == Ending::Delivered ? 0 : 1);
        }
        writers.push_back(writer);
    }
    for (pid_t writer : writers) {
        int status = 0;
        REQUIRE(::waitpid(writer, &status, 0) == writer);
        CHECK(status == 0);
    }
    const std::string one = "From sender@remote.test Thu Jan  1 00:00:00 1970\n" +
                            message.text.trace_fields() + "Subject: x\n\n>From here\n\n";
    std::string all;
    for (int n = 0; n < 10; ++n)
        all += one;
    CHECK(contents(path) == all);
    CHECK_FALSE(std::filesystem::exists(path + ".lock"));
}

TEST_CASE("what is no mbox file is refused and not written") {
    Scratch scratch;
    QueuedMessage message(scratch, "\r\n");
    const std::string target = scratch.path + "/target";
    std::ofstream(target) << "precious";
    std::filesystem::create_symlink(target, scratch.path + "/symlink");
    std::ofstream(scratch.path + "/two-names") << "precious";
    std::filesystem::create_hard_link(scratch.path + "/two-names", scratch.path + "/other-name");
    for (const char* name : {"/symlink", "/two-names", ""}) {
        CAPTURE(name);
        auto outcome = append_to_mailbox_file(scratch.path + name, message.text, 0, kLockTimeout, kLockStale);
        CHECK(outcome.ending == Ending::Failed);
        CHECK(outcome.status == "5.2.0");
    }
    CHECK(contents(target) == "precious");
    CHECK(contents(scratch.path + "/two-names") == "precious");
    CHECK(append_to_mailbox_file("/dev/null", message.text, 0, kLockTimeout, kLockStale).ending ==
          Ending::Delivered);
}

TEST_CASE("a locked or truncated delivery leaves the mbox as it was") {
    Scratch scratch;
    QueuedMessage message(scratch, "Subject: x\r\n");
    const std::string path = scratch.path + "/mbox";
    std::ofstream(path) << "before\n";
    std::ofstream(path + ".lock") << "";
    auto locked = append_to_mailbox_file(path, message.text, 0, Milliseconds(150), kLockStale);
    CHECK(locked.ending == Ending::Deferred);
    std::filesystem::remove(path + ".lock");
    message.text.length += 100;
    CHECK(append_to_mailbox_file(path, message.text, 0, kLockTimeout, kLockStale).ending == Ending::Deferred);
    CHECK(contents(path) == "before\n");
}
