// Quotas by Maildir++ (maildirsize).

#include "local-delivery/maildir_size.h"

#include <catch2/catch.hpp>
#include <sys/stat.h>

#include <optional>
#include <string>
#include <vector>

#include "local-delivery/maildir.h"
#include "tests/unit/local-delivery/scratch.h"

using namespace postrider;
using namespace postrider::local_delivery;

namespace {

bool still_wanted() {
    return true;
}

void put(const std::string& path, const std::string& text) {
    std::filesystem::create_directories(std::filesystem::path(path).parent_path());
    std::ofstream(path, std::ios::binary) << text;
}

}  // namespace

TEST_CASE("what a maildirsize says") {
    struct Row {
        std::string text;
        std::optional<MaildirUsage> usage;
    };
    const std::vector<Row> rows = {
        {"1000S\n", MaildirUsage{0, 0}},
        {"1000S\n10 1\n20 1\n", MaildirUsage{30, 2}},
        {"1000S\n  100    2 \n-40 -1\n", MaildirUsage{60, 1}},
        {"2000S\n10 1\n", std::nullopt},      // counted for another quota
        {"1000S,50C\n10 1\n", std::nullopt},  // the same
        {"1000S\n10 1\n20", std::nullopt},    // torn
        {"1000S\n10\n", std::nullopt},        // no count
        {"1000S\n10 1 1\n", std::nullopt},    // too much
        {"1000S\nx 1\n", std::nullopt},       // no number
        {"1000S\n-10 -1\n", std::nullopt},    // less than nothing
        {"1000S\n9223372036854775807 1\n1 1\n", std::nullopt},
        {"1000S\n9223372036854775808 1\n", std::nullopt},
        {"", std::nullopt},
        {"1000S", std::nullopt},
        {"1000S\n" + std::string(6000, '1'), std::nullopt},  // large enough to be counted anew
    };
    for (const Row& row : rows) {
        CAPTURE(row.text);
        CHECK(parse_maildir_size(row.text, 1000) == row.usage);
    }
}

TEST_CASE("the size in the name of a message") {
    const std::vector<std::pair<std::string, std::optional<std::uint64_t>>> rows = {
        {"1.M2P3.host,S=1234", 1234},
        {"1.M2P3.host,S=1234,W=1300:2,S", 1234},
        {"1.M2P3.host,W=1300,S=7:2,", 7},
        {"1.M2P3.host:2,S", std::nullopt},
        {"1.M2P3.host:2,S=5", std::nullopt},
        {"1.M2P3.host,S=", std::nullopt},
        {"1.M2P3.host,S=-1", std::nullopt},
        {"1.M2P3.host,S=12x", std::nullopt},
        {"1.M2P3.host,S=99999999999999999999", std::nullopt},
    };
    for (const auto& [name, size] : rows) {
        CAPTURE(name);
        CHECK(size_in_name(name) == size);
    }
}

TEST_CASE("T86_a mailbox fills up, and takes mail again when there is room") {
    Scratch scratch;
    QueuedMessage message(scratch, "Subject: x\r\n\r\n" + std::string(900, 'b') + "\r\n");
    const std::string path = scratch.path + "/mail";
    Maildir mailbox(path, "mx.example.org", true, MailboxQuota{2'500, false});
    CHECK(mailbox.deliver(message.text, still_wanted).ending == Ending::Delivered);
    CHECK(mailbox.deliver(message.text, still_wanted).ending == Ending::Delivered);
    const Outcome full = mailbox.deliver(message.text, still_wanted);
    CHECK(full.ending == Ending::Deferred);
    CHECK(full.status == "4.2.2");
    CHECK(std::filesystem::is_empty(path + "/tmp"));
    Maildir strict(path, "mx.example.org", true, MailboxQuota{2'500, true});
    CHECK(strict.deliver(message.text, still_wanted).status == "5.2.2");
    // One that will never fit need not wait.
    QueuedMessage large(scratch, "Subject: x\r\n\r\n" + std::string(3'000, 'b') + "\r\n");
    const Outcome never = mailbox.deliver(large.text, still_wanted);
    CHECK(never.ending == Ending::Failed);
    CHECK(never.status == "5.2.3");
    // The owner deletes a message with a program that does not know maildirsize.
    std::filesystem::remove(std::filesystem::directory_iterator(path + "/new")->path());
    CHECK(mailbox.deliver(message.text, still_wanted).ending == Ending::Delivered);
    // What the file says is what is there.
    const auto usage = parse_maildir_size(contents(path + "/maildirsize"), 2'500);
    REQUIRE(usage);
    std::int64_t octets = 0;
    for (const auto& entry : std::filesystem::directory_iterator(path + "/new")) {
        octets += static_cast<std::int64_t>(entry.file_size());
        CHECK(size_in_name(entry.path().filename().string()) == entry.file_size());
    }
    CHECK(*usage == MaildirUsage{octets, 2});
}

TEST_CASE("all folders of a mailbox count, and nothing else") {
    Scratch scratch;
    const std::string path = scratch.path + "/mail";
    put(path + "/new/a", std::string(10, 'x'));
    put(path + "/cur/b,S=20:2,S", "");  // the name is believed
    put(path + "/tmp/c", std::string(100'000, 'x'));
    put(path + "/.Sent/cur/d", std::string(30, 'x'));
    put(path + "/.Sent/cur/.hidden", std::string(100'000, 'x'));
    put(path + "/.Deep.er/new/e", std::string(40, 'x'));
    put(path + "/other/cur/f", std::string(100'000, 'x'));
    put(scratch.path + "/elsewhere/cur/g", std::string(100'000, 'x'));
    std::filesystem::create_directory_symlink(scratch.path + "/elsewhere", path + "/.link");
    std::filesystem::create_symlink(scratch.path + "/elsewhere/cur/g", path + "/cur/h");
    MaildirSize size(path, MailboxQuota{1'000, false});
    CHECK(size.admit(900).ending == Ending::Delivered);
    CHECK(contents(path + "/maildirsize") == "1000S\n100 4\n");
    CHECK(size.admit(901).status == "4.2.2");
    size.add(5);
    CHECK(contents(path + "/maildirsize") == "1000S\n100 4\n5 1\n");
}

TEST_CASE("what an owner may have put in the place of maildirsize harms nobody") {
    Scratch scratch;
    const std::string path = scratch.path + "/mail";
    const std::string file = path + "/maildirsize";
    put(path + "/new/a", std::string(10, 'x'));
    std::filesystem::create_directory(path + "/tmp");
    const std::string victim = scratch.path + "/victim";
    put(victim, "1000S\n5 1\n");
    const auto check = [&] {
        MaildirSize size(path, MailboxQuota{1'000, false});
        CHECK(size.admit(990).ending == Ending::Delivered);
        CHECK(size.admit(991).status == "4.2.2");
        size.add(1);
        CHECK(contents(victim) == "1000S\n5 1\n");
    };
    SECTION("a link") {
        std::filesystem::create_symlink(victim, file);
        check();
    }
    SECTION("a pipe") {
        REQUIRE(::mkfifo(file.c_str(), 0600) == 0);
        check();
    }
    SECTION("a folder") {
        std::filesystem::create_directory(file);
        check();
    }
    SECTION("a lie") {
        put(file, "1000S\n-5 -1\n");
        check();
    }
}

TEST_CASE("without a quota nothing is counted") {
    Scratch scratch;
    QueuedMessage message(scratch, "Subject: x\r\n\r\nbody\r\n");
    Maildir mailbox(scratch.path + "/mail", "mx.example.org", true);
    CHECK(mailbox.deliver(message.text, still_wanted).ending == Ending::Delivered);
    CHECK_FALSE(std::filesystem::exists(scratch.path + "/mail/maildirsize"));
}
