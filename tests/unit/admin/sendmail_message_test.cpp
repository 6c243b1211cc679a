#include <catch2/catch.hpp>

#include "admin/sendmail/message.h"

using namespace postrider;
using namespace postrider::admin;

namespace {

using List = std::vector<std::string>;

}  // namespace

TEST_CASE("addresses are found in lists as people write them") {
    struct Case {
        const char* list;
        List addresses;
    };
    const Case cases[] = {
        {"", {}},
        {"a@b", {"a@b"}},
        {" a@b , c@d\n", {"a@b", "c@d"}},
        {"Fred <a@b>, \"Doe, J. <x@y>\" <c@d>", {"a@b", "c@d"}},
        {"a@b (Fred, the first), (c) c@d", {"a@b", "c@d"}},
        {"friends: a@b, c@d;, e@f", {"a@b", "c@d", "e@f"}},
        {"undisclosed-recipients:;", {}},
        {"\"odd local, part\"@b", {"\"odd local, part\"@b"}},
        {"<a@b> trailing, c@d", {"a@b", "trailing", "c@d"}},
        {"fred", {"fred"}},
        {"<@x,@y:a@b>", {"@x,@y:a@b"}},
        {"a@b (nested (comment) here)", {"a@b"}},
    };
    for (const auto& each : cases) {
        CAPTURE(each.list);
        CHECK(addresses_in(each.list) == each.addresses);
    }
}

TEST_CASE("a message is completed, and nothing else is changed") {
    struct Case {
        const char* in;
        bool dot_ends;
        const char* out;
    };
    const Case cases[] = {
        {"Subject: x\n\nbody\n", true, "Subject: x\nFrom: f\nDate: d\nMessage-ID: m\n\nbody\n"},
        {"from: me\r\ndate: now\r\nMessage-Id: <1>\r\n\r\nbody\r\n", true,
         "from: me\ndate: now\nMessage-Id: <1>\n\nbody\n"},
        {"just text\nmore\n", true, "From: f\nDate: d\nMessage-ID: m\n\njust text\nmore\n"},
        {"Subject: x\n folded\n\nb", true, "Subject: x\n folded\nFrom: f\nDate: d\nMessage-ID: m\n\nb\n"},
        {"Subject: x\n\na\n.\nb\n", true, "Subject: x\nFrom: f\nDate: d\nMessage-ID: m\n\na\n"},
        {"Subject: x\n\na\n.\nb\n", false, "Subject: x\nFrom: f\nDate: d\nMessage-ID: m\n\na\n.\nb\n"},
        {"", true, "From: f\nDate: d\nMessage-ID: m\n\n"},
        {"From alice Sun Nov 22 10:00:00 2026\nSubject: x\n\nFrom me\n", true,
         "Subject: x\nFrom: f\nDate: d\nMessage-ID: m\n\nFrom me\n"},
        {"From : me\n\nb\n", true, "From : me\nDate: d\nMessage-ID: m\n\nb\n"},
        {"Subject: x\n\n\n\n a\rb\n..\n", true,
         "Subject: x\nFrom: f\nDate: d\nMessage-ID: m\n\n\n\n a\rb\n..\n"},
        {"Bcc: secret@x,\n more@x\nSubject: x\n\nb\n", true,
         "Subject: x\nFrom: f\nDate: d\nMessage-ID: m\n\nb\n"},
    };
    for (const auto& each : cases) {
        CAPTURE(each.in);
        LocalMessage message(each.in, each.dot_ends);
        message.remove_bcc();
        message.complete("f", "d", "m");
        CHECK(message.text() == each.out);
    }
}

TEST_CASE("recipients come from the header, and from Resent fields alone where there are any") {
    LocalMessage plain("To: a@x, B <b@x>\nCc: c@x\nBcc: d@x,\n e@x\nReply-To: no@x\n\nTo: not@x\n", true);
    CHECK(plain.header_recipients() == List{"a@x", "b@x", "c@x", "d@x", "e@x"});
    LocalMessage resent("To: a@x\nResent-To: r@x\n\n", true);
    CHECK(resent.header_recipients() == List{"r@x"});
}

TEST_CASE("addresses are whole though their field is folded") {
    LocalMessage message("To: \"a,\r\n b\" <a@x>,\n\tb@x\nCc:\n c@x\n\n", true);
    CHECK(message.header_recipients() == List{"a@x", "b@x", "c@x"});
}

TEST_CASE("a header that others could read otherwise is refused") {
    struct Case {
        std::string text;
        bool good;
    };
    const std::vector<Case> cases = {
        {"To: a@x\n\nbody \r and \r\n", true},   {"To: a@x\r\n\r\n", true},
        {"To: a@x\rBcc: b@x\n\n", false},        {"To: a@x\r\r\n\n", false},
        {"To: a@x\n folded \r here\n\n", false}, {std::string("To: a@x\0\n\n", 10), false},
    };
    for (const Case& each : cases) {
        CAPTURE(each.text);
        CHECK(LocalMessage(each.text, true).check_header().has_value() == each.good);
    }
}
