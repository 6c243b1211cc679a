#include <catch2/catch.hpp>

#include "admin/sendmail/options.h"

using namespace postrider;
using namespace postrider::admin;

namespace {

using Words = std::vector<std::string>;

}  // namespace

TEST_CASE("options as programs in the wild give them") {
    struct Case {
        Words arguments;
        SendmailMode mode;
        const char* sender;  // nullptr: none given
        bool from_header;
        bool dot_ends;
        Words recipients;
    };
    const Case cases[] = {
        {{"sendmail", "a@b"}, SendmailMode::Deliver, nullptr, false, true, {"a@b"}},
        {{"/usr/sbin/sendmail", "-t", "-i"}, SendmailMode::Deliver, nullptr, true, false, {}},
        {{"sendmail", "-ti"}, SendmailMode::Deliver, nullptr, true, false, {}},
        {{"sendmail", "-oi", "-fme@x", "you@x"}, SendmailMode::Deliver, "me@x", false, false, {"you@x"}},
        {{"sendmail", "-f", "me@x", "-oem", "you@x"}, SendmailMode::Deliver, "me@x", false, true, {"you@x"}},
        {{"sendmail", "-f", "<>", "you@x"}, SendmailMode::Deliver, "", false, true, {"you@x"}},
        {{"sendmail", "-FCronDaemon", "-i", "-B8BITMIME", "-oem", "root"},
         SendmailMode::Deliver,
         nullptr,
         false,
         false,
         {"root"}},
        {{"sendmail", "-r", "me@x", "-N", "never", "-R", "hdrs", "-V", "id", "a", "b"},
         SendmailMode::Deliver,
         "me@x",
         false,
         true,
         {"a", "b"}},
        {{"sendmail", "-O", "IgnoreDots=True", "-ODeliveryMode=b", "a"},
         SendmailMode::Deliver,
         nullptr,
         false,
         false,
         {"a"}},
        {{"sendmail", "-odb", "-om", "-OErrorMode=print", "a"},
         SendmailMode::Deliver,
         nullptr,
         false,
         true,
         {"a"}},
        {{"sendmail", "-bv", "a", "b@c"}, SendmailMode::Verify, nullptr, false, true, {"a", "b@c"}},
        {{"sendmail", "-q30m", "-t"}, SendmailMode::Deliver, nullptr, true, true, {}},
        {{"sendmail", "-qRx.test"}, SendmailMode::Flush, nullptr, false, true, {}},
        {{"sendmail", "you@x", "-f", "me@x"}, SendmailMode::Deliver, "me@x", false, true, {"you@x"}},
        {{"sendmail", "-i", "--", "-odd@x"}, SendmailMode::Deliver, nullptr, false, false, {"-odd@x"}},
        {{"sendmail", "-bs"}, SendmailMode::Smtp, nullptr, false, true, {}},
        {{"sendmail", "-bp"}, SendmailMode::List, nullptr, false, true, {}},
        {{"sendmail", "-bm", "-q30m", "a"}, SendmailMode::Deliver, nullptr, false, true, {"a"}},
        {{"sendmail", "-q"}, SendmailMode::Flush, nullptr, false, true, {}},
        {{"/usr/bin/mailq"}, SendmailMode::List, nullptr, false, true, {}},
        {{"newaliases"}, SendmailMode::Aliases, nullptr, false, true, {}},
        {{"sendmail", "-bi"}, SendmailMode::Aliases, nullptr, false, true, {}},
    };
    for (const auto& each : cases) {
        CAPTURE(each.arguments);
        auto options = parse_sendmail_options(each.arguments);
        REQUIRE(options.has_value());
        CHECK(options->mode == each.mode);
        CHECK(options->sender.has_value() == (each.sender != nullptr));
        if (each.sender != nullptr) CHECK(options->sender == each.sender);
        CHECK(options->recipients_from_header == each.from_header);
        CHECK(options->dot_ends == each.dot_ends);
        CHECK(options->recipients == each.recipients);
    }
}

TEST_CASE("what the caller wants to hear of the delivery") {
    struct Case {
        Words options;
        DsnRequest request;
    };
    const std::vector<Case> cases = {
        {{}, {}},
        {{"-Nnever"}, {"NEVER", "", ""}},
        {{"-N", "success,failure,delay"}, {"SUCCESS,FAILURE,DELAY", "", ""}},
        {{"-N", "Delay"}, {"DELAY", "", ""}},
        {{"-Rfull"}, {"", "FULL", ""}},
        {{"-R", "HDRS"}, {"", "HDRS", ""}},
        {{"-V", "plain.id"}, {"", "", "plain.id"}},
        {{"-V", "a b+c=d"}, {"", "", "a+20b+2Bc+3Dd"}},
        {{"-V", "\xC3\xBC"}, {"", "", "+C3+BC"}},
        {{"-V", std::string(100, 'x')}, {"", "", std::string(100, 'x')}},
        {{"-Nnever", "-N", "failure"}, {"FAILURE", "", ""}},
    };
    for (const Case& each : cases) {
        CAPTURE(each.options);
        Words arguments = {"sendmail", "you@x"};
        arguments.insert(arguments.end(), each.options.begin(), each.options.end());
        auto options = parse_sendmail_options(arguments);
        REQUIRE(options.has_value());
        CHECK(options->dsn == each.request);
    }
}

TEST_CASE("parts of the queue that -q attempts") {
    struct Case {
        const char* option;
        Words flush;
    };
    const Case cases[] = {
        {"-q", {"--all"}},
        {"-qff", {"--all"}},
        {"-qRremote.test", {"--domain", "remote.test"}},
        {"-qR@remote.test", {"--domain", "remote.test"}},
        {"-qI0123456789ABCDEF", {"--id", "0123456789ABCDEF"}},
        {"-qSme@x", {"--sender", "me@x"}},
    };
    for (const auto& each : cases) {
        CAPTURE(each.option);
        auto options = parse_sendmail_options({"sendmail", each.option});
        REQUIRE(options.has_value());
        CHECK(options->mode == SendmailMode::Flush);
        CHECK(options->flush == each.flush);
    }
}

TEST_CASE("what is no option or no value is refused, and what is allowed is said") {
    struct Case {
        Words options;
        const char* says;
    };
    const std::vector<Case> cases = {
        {{"-Z"}, "-Z"},
        {{"-bz"}, "-bz is not supported: -b takes"},
        {{"-bd"}, "daemons are not started"},
        {{"-b"}, "-b takes"},
        {{"-f"}, "-f needs a value"},
        {{"-N", "never,failure"}, "-N takes \"never\", or a list"},
        {{"-N", "sometimes"}, "-N takes"},
        {{"-N", "success,"}, "-N takes"},
        {{"-N", "success,success"}, "-N takes"},
        {{"-N", ""}, "-N takes"},
        {{"-N", "failure\r\nRCPT TO:<x@y>"}, "-N takes"},
        {{"-R", "some"}, "-R takes \"full\" or \"hdrs\""},
        {{"-R", ""}, "-R takes"},
        {{"-V", ""}, "-V takes 1 to 100"},
        {{"-V", std::string(101, 'x')}, "-V takes 1 to 100"},
        {{"-V", std::string(34, ' ')}, "-V takes 1 to 100"},
        {{"-V", "a\nb"}, "-V takes 1 to 100 printable"},
        {{"-V", "\xFF"}, "-V takes 1 to 100 printable"},
        {{"-N"}, "-N needs a value"},
        {{"-qRfred@x"}, "recipient domain"},
        {{"-qR"}, "recipient domain"},
        {{"-qI"}, "queue id"},
        {{"-qI--all"}, "queue id"},
        {{"-q!Ix"}, "-q!Ix is not supported"},
        {{"-q30m"}, "by itself"},
        {{"a@b\nx <c@d>"}, "a@b?x <c@d>: control characters"},
        {{"-t", "a@b\t"}, "control characters"},
        {{"-bv"}, "-bv needs addresses"},
        {{"-oQ/tmp/queue", "a"}, "postrider.conf"},
        {{"-o", "a"}, "-o needs a value"},
        {{"-O", "queuedirectory=/tmp", "a"}, "QueueDirectory"},
    };
    for (const Case& each : cases) {
        CAPTURE(each.options);
        Words arguments = {"sendmail"};
        arguments.insert(arguments.end(), each.options.begin(), each.options.end());
        auto options = parse_sendmail_options(arguments);
        REQUIRE_FALSE(options.has_value());
        CHECK_FALSE(options.error().temporary());
        CAPTURE(options.error().text);
        CHECK(options.error().text.find(each.says) != std::string::npos);
    }
}
