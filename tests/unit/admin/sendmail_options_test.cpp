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

TEST_CASE("what is no option is refused by name") {
    for (const Words& arguments :
         {Words{"sendmail", "-Z"}, Words{"sendmail", "-bz"}, Words{"sendmail", "-f"}}) {
        CAPTURE(arguments);
        auto options = parse_sendmail_options(arguments);
        REQUIRE_FALSE(options.has_value());
        CHECK(options.error().text.find("-") != std::string::npos);
    }
}
