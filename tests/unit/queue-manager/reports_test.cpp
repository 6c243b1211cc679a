#include "queue-manager/reports.h"

#include <catch2/catch.hpp>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <string>
#include <vector>

#include "queue-manager/report_text.h"

using namespace postrider;
using namespace postrider::queue_manager;

namespace {

constexpr UnixMillis kArrival = 1'763'759'273'000;  // Fri, 21 Nov 2025 21:07:53 +0000

ReportedRecipient unknown_user() {
    ReportedRecipient recipient;
    recipient.final_recipient = "u@primary.test";
    recipient.original_recipient = "u@primary.test";
    recipient.status = "5.1.1";
    recipient.diagnostic = "550 5.1.1 <u@primary.test>: no such user";
    recipient.remote_host = "mx.primary.test[192.0.2.20]:25";
    recipient.last_attempt_ms = kArrival + 2000;
    return recipient;
}

ReportInput example() {
    ReportInput input;
    input.hostname = "mx.local.test";
    input.report_id = queue_file::QueueId(kArrival + 3000, 2);
    input.original_id = queue_file::QueueId(kArrival, 1);
    input.original.set_sender("s@o.test");
    input.original.set_arrival_ms(kArrival);
    input.to = "s@o.test";
    input.now = kArrival + 3000;
    input.content = "Received: from x\r\nSubject: hello\r\n\r\nfirst line\r\nsecond line\r\n";
    input.content_length = input.content.size();
    input.max_body = 50'000;
    input.recipients.push_back(unknown_user());
    return input;
}

bool has(const Report& report, const std::string& text) {
    return report.content.find(text) != std::string::npos;
}

/// Every line of `content` ends with CRLF, none is longer than SMTP allows, and there is no other CR or LF.
void check_lines(const std::string& content) {
    std::size_t start = 0;
    while (start < content.size()) {
        std::size_t end = content.find('\n', start);
        REQUIRE(end != std::string::npos);
        REQUIRE(end > start);
        CHECK(content[end - 1] == '\r');
        CHECK(end - start <= 999);
        CHECK(content.substr(start, end - 1 - start).find('\r') == std::string::npos);
        start = end + 1;
    }
}

}  // namespace

TEST_CASE("a failure report has all its fields") {
    auto report = compose_report(example());
    check_lines(report.content);
    CHECK(report.envelope.sender().empty());
    CHECK(report.envelope.report());
    CHECK_FALSE(report.envelope.double_bounce());
    CHECK(report.envelope.recipients(0).address() == "s@o.test");
    CHECK(report.envelope.recipients(0).notify() == 1);
    for (const char* text : {
             "From: Mail Delivery System <MAILER-DAEMON@mx.local.test>\r\n",
             "To: <s@o.test>\r\n",
             "Auto-Submitted: auto-replied\r\n",
             "Content-Type: multipart/report; report-type=delivery-status;\r\n",
             "Date: Fri, 21 Nov 2025 21:07:56 +0000\r\n",
             "Reporting-MTA: dns; mx.local.test\r\n",
             "Arrival-Date: Fri, 21 Nov 2025 21:07:53 +0000\r\n",
             "Final-Recipient: rfc822; u@primary.test\r\n",
             "Action: failed\r\n",
             "Status: 5.1.1\r\n",
             "Remote-MTA: dns; mx.primary.test\r\n",
             "Diagnostic-Code: smtp; 550 5.1.1 <u@primary.test>: no such user\r\n",
             "Last-Attempt-Date: Fri, 21 Nov 2025 21:07:55 +0000\r\n",
             "Content-Type: text/rfc822-headers\r\n\r\nReceived: from x\r\nSubject: hello\r\n\r\n--",
         }) {
        INFO(text);
        CHECK(has(report, text));
    }
    CHECK_FALSE(has(report, "first line"));
    CHECK_FALSE(has(report, "Will-Retry-Until"));
    CHECK_FALSE(has(report, "Original-Envelope-Id"));
}

TEST_CASE("what the sender gave for its report is in it") {
    auto input = example();
    input.original.set_envid("QQ=1");
    input.recipients[0].orcpt = "rfc822;Bob@x.test";
    auto report = compose_report(input);
    CHECK(has(report, "Original-Envelope-Id: QQ=1\r\n"));
    CHECK(has(report, "Original-Recipient: rfc822;Bob@x.test\r\n"));
}

TEST_CASE("how much is returned depends on RET, the setting and the kind") {
    struct Case {
        ReportKind kind;
        std::uint32_t ret;
        bool return_full;
        std::size_t max_body;
        const char* part;
        bool body;
    };
    for (const auto& test : {
             Case{ReportKind::Failed, 0, false, 50'000, "text/rfc822-headers", false},
             Case{ReportKind::Failed, 0, true, 50'000, "message/rfc822", true},
             Case{ReportKind::Failed, 1, false, 50'000, "message/rfc822", true},
             Case{ReportKind::Failed, 2, true, 50'000, "text/rfc822-headers", false},
             Case{ReportKind::Failed, 1, true, 0, "text/rfc822-headers", false},
             Case{ReportKind::Delayed, 1, true, 50'000, "text/rfc822-headers", false},
             Case{ReportKind::Delivered, 1, true, 50'000, "text/rfc822-headers", false},
             Case{ReportKind::Relayed, 1, true, 50'000, "text/rfc822-headers", false},
             Case{ReportKind::DoubleBounce, 0, true, 50'000, "message/rfc822", true},
         }) {
        auto input = example();
        input.kind = test.kind;
        input.original.set_ret(test.ret);
        input.return_full = test.return_full;
        input.max_body = test.max_body;
        auto report = compose_report(input);
        check_lines(report.content);
        CHECK(has(report, std::string("Content-Type: ") + test.part + "\r\n"));
        CHECK(has(report, "second line") == test.body);
    }
}

TEST_CASE("a body that is too long is cut at a line") {
    auto input = example();
    input.return_full = true;
    input.max_body = 20;
    auto report = compose_report(input);
    CHECK(has(report, "first line\r\n"));
    CHECK_FALSE(has(report, "second line"));
    input.max_body = 5;
    CHECK_FALSE(has(compose_report(input), "first line"));
}

TEST_CASE("a delay report says until when it is tried") {
    auto input = example();
    input.kind = ReportKind::Delayed;
    input.recipients.push_back(unknown_user());
    for (auto& recipient : input.recipients)
        recipient.status = "4.4.1";
    input.recipients[0].will_retry_until = kArrival + 432'000'000;
    input.recipients[1].will_retry_until = kArrival + 432'001'000;
    auto report = compose_report(input);
    CHECK(has(report, "Action: delayed\r\n"));
    CHECK(has(report, "Status: 4.4.1\r\n"));
    CHECK(has(report, "Will-Retry-Until: Wed, 26 Nov 2025 21:07:53 +0000\r\n"));
    CHECK(has(report, "Will-Retry-Until: Wed, 26 Nov 2025 21:07:54 +0000\r\n"));
    CHECK(has(report, "it will be tried until\r\nWed, 26 Nov 2025 21:07:54 +0000.\r\n"));
    // Mail that never expires has no such time.
    input.recipients[1].will_retry_until = 0;
    report = compose_report(input);
    CHECK(has(report, "it will be tried until\r\nit can be delivered.\r\n"));
    CHECK_FALSE(has(report, "1970"));
}

TEST_CASE("each kind of report has its action and its subject, and only failures return the body") {
    struct Case {
        ReportKind kind;
        const char* action;
        const char* subject;
        bool body;
    };
    for (const auto& test :
         {Case{ReportKind::Failed, "failed", "Undelivered mail: could not be delivered", true},
          Case{ReportKind::DoubleBounce, "failed",
               "Postmaster notice: undeliverable mail from the null sender", true},
          Case{ReportKind::Delayed, "delayed", "Delayed mail: still being tried", false},
          Case{ReportKind::Delivered, "delivered", "Delivered mail", false},
          Case{ReportKind::Relayed, "relayed", "Relayed mail: no further reports", false},
          Case{ReportKind::Expanded, "expanded", "Mail sent on to several addresses", false}}) {
        auto input = example();
        input.kind = test.kind;
        input.original.set_ret(1);
        auto report = compose_report(input);
        CAPTURE(test.action, report.content);
        CHECK(has(report, std::string("\r\nAction: ") + test.action + "\r\n"));
        CHECK(has(report, std::string("\r\nSubject: ") + test.subject + "\r\n"));
        CHECK(has(report, "first line") == test.body);
    }
}

TEST_CASE("the status fits the action whatever was reported") {
    struct Case {
        ReportKind kind;
        const char* status;
        const char* written;
    };
    for (const auto& test : {
             Case{ReportKind::Failed, "5.4.7", "5.4.7"},
             Case{ReportKind::Failed, "4.4.1", "5.4.1"},
             Case{ReportKind::Failed, "", "5.0.0"},
             Case{ReportKind::Failed, "550", "5.0.0"},
             Case{ReportKind::Failed, "5.1", "5.0.0"},
             Case{ReportKind::Failed, "5..1", "5.0.0"},
             Case{ReportKind::Failed, "5.1.1\r\nX: y", "5.0.0"},
             Case{ReportKind::Delayed, "", "4.0.0"},
             Case{ReportKind::Relayed, "2.0.0", "2.0.0"},
             Case{ReportKind::Delivered, "9.9.9", "2.0.0"},
             Case{ReportKind::Expanded, "2.0.0", "2.0.0"},
             Case{ReportKind::Expanded, "5.1.1", "2.1.1"},
         }) {
        auto input = example();
        input.kind = test.kind;
        input.recipients[0].status = test.status;
        CHECK(has(compose_report(input), std::string("Status: ") + test.written + "\r\n"));
    }
}

TEST_CASE("nothing that a remote host says can add a field or a part") {
    auto input = example();
    input.recipients[0].diagnostic = "550 no\r\nAction: delivered\r\n\r\n--=_boundary\nX\x00Y\x1b[31m";
    input.recipients[0].remote_host = "evil\r\nStatus: 2.0.0[1.2.3.4]:25";
    input.recipients[0].final_recipient = "a\r\nb@primary.test";
    input.original.set_envid("x\r\nAction: delivered");
    auto report = compose_report(input);
    check_lines(report.content);
    CHECK_FALSE(has(report, "\nAction: delivered"));
    CHECK_FALSE(has(report, "\nStatus: 2.0.0"));
    CHECK_FALSE(has(report, "\x1b"));
}

TEST_CASE("only what a host replied is called its reply") {
    auto input = example();
    auto report = compose_report(input);
    CHECK(has(report, "    host mx.primary.test[192.0.2.20]:25 said:\r\n"));
    input.recipients[0].diagnostic = "the message needs SMTPUTF8, which the server does not offer";
    report = compose_report(input);
    CHECK(has(report, "    host mx.primary.test[192.0.2.20]:25:\r\n"));
    CHECK(has(report, "Diagnostic-Code: x-postrider; the message needs SMTPUTF8"));
    CHECK(has(report, "Remote-MTA: dns; mx.primary.test\r\n"));
    input.recipients[0].remote_host.clear();
    input.recipients[0].diagnostic = "550 is what we say ourselves";
    CHECK(has(compose_report(input), "Diagnostic-Code: x-postrider; 550 is what we say ourselves\r\n"));
}

TEST_CASE("a reply of any length stays within SMTP's lines") {
    auto input = example();
    input.recipients[0].diagnostic = std::string(5000, 'x');
    check_lines(compose_report(input).content);
    input.recipients[0].diagnostic.clear();
    for (int i = 0; i < 500; ++i)
        input.recipients[0].diagnostic += "word ";
    check_lines(compose_report(input).content);
}

TEST_CASE("the boundary does not occur in what is returned") {
    auto input = example();
    input.return_full = true;
    input.content += "--=_" + input.report_id.text() + "\r\n--=_" + input.report_id.text() + "_1\r\n";
    auto report = compose_report(input);
    CHECK(has(report, "boundary=\"=_" + input.report_id.text() + "_2\"\r\n"));
}

TEST_CASE("a report to an address in UTF-8 has UTF-8 in its fields") {
    auto input = example();
    input.to = "\xc3\xa4@o.test";
    input.original.set_sender(input.to);
    input.recipients[0].final_recipient = "j\xc3\xb6rg@primary.test";
    input.recipients[0].orcpt = "utf-8;j\\x{F6}rg\\x{2B}x@primary.test";
    auto report = compose_report(input);
    check_lines(report.content);
    CHECK(report.envelope.smtputf8());
    CHECK(report.envelope.body() == wire::Envelope::EIGHTBITMIME);
    for (const char* text : {"To: <\xc3\xa4@o.test>\r\n", "Content-Type: message/global-delivery-status\r\n",
                             "Final-Recipient: utf-8; j\xc3\xb6rg@primary.test\r\n",
                             "Original-Recipient: utf-8;j\xc3\xb6rg+x@primary.test\r\n",
                             "Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n",
                             "\r\n<j\xc3\xb6rg@primary.test>"}) {
        INFO(text);
        CHECK(has(report, text));
    }
    // An address of ASCII keeps its type; nothing that is no UTF-8 gets in.
    input.recipients[0] = unknown_user();
    input.recipients[0].diagnostic = "550 gr\xfc\xdf gr\xc3\xbc\xc3\x9f";
    report = compose_report(input);
    CHECK(has(report, "Final-Recipient: rfc822; u@primary.test\r\n"));
    CHECK(has(report, "Diagnostic-Code: smtp; 550 gr?? gr\xc3\xbc\xc3\x9f\r\n"));
}

TEST_CASE("a report to an address of ASCII can be taken by any host") {
    auto input = example();
    input.original.set_smtputf8(true);
    input.content = "Subject: gr\xc3\xbc\xc3\x9f\r\n\r\nbody\r\n";
    input.recipients[0].final_recipient = "j\xc3\xb6rg@primary.test";
    input.recipients[0].original_recipient = "j\xc3\xb6rg@alias.test";
    input.recipients[0].orcpt = "utf-8;j\\x{F6}rg\\x{2B}x@primary.test";
    input.recipients[0].diagnostic = "550 gr\xc3\xbc\xc3\x9f";
    auto report = compose_report(input);
    check_lines(report.content);
    CHECK_FALSE(report.envelope.smtputf8());
    CHECK(report.envelope.body() == wire::Envelope::SEVENBIT);
    CHECK(std::all_of(report.content.begin(), report.content.end(),
                      [](char c) { return static_cast<unsigned char>(c) < 0x80; }));
    for (const char* text :
         {"Content-Type: message/delivery-status\r\n", "Final-Recipient: utf-8; j\\x{F6}rg@primary.test\r\n",
          "Original-Recipient: utf-8;j\\x{F6}rg\\x{2B}x@primary.test\r\n",
          "Diagnostic-Code: smtp; 550 gr????\r\n", "Content-Transfer-Encoding: quoted-printable\r\n",
          "<j=C3=B6rg@primary.test> (for <j=C3=B6rg@alias.test>)\r\n", "Subject: gr=C3=BC=C3=9F\r\n"}) {
        INFO(text);
        CHECK(has(report, text));
    }
}

TEST_CASE("only a body that is returned can need 8BITMIME") {
    auto input = example();
    input.content = "Subject: gr\xfc\xdf\r\n\r\nbody\r\n";
    CHECK(compose_report(input).envelope.body() == wire::Envelope::SEVENBIT);
    input.content = "Subject: x\r\n\r\ngr\xfc\xdf\r\n";
    input.return_full = true;
    auto report = compose_report(input);
    CHECK(report.envelope.body() == wire::Envelope::EIGHTBITMIME);
    CHECK(has(report, "Content-Transfer-Encoding: 8bit\r\n"));
    CHECK_FALSE(report.envelope.smtputf8());
}

TEST_CASE("an original that was BINARYMIME makes no invalid report") {
    auto input = example();
    input.original.set_body(wire::Envelope::BINARYMIME);
    input.return_full = true;
    input.content = std::string("Subject: x\r\nX: a\0b\r\n\r\nbody\0\n\r", 29);
    input.content_length = input.content.size();
    auto report = compose_report(input);
    check_lines(report.content);
    CHECK(report.envelope.body() == wire::Envelope::SEVENBIT);
    CHECK(report.content.find('\0') == std::string::npos);
    CHECK(has(report, "X: a=00b\r\n"));
    CHECK_FALSE(has(report, "body"));
}

TEST_CASE("a message of 200 kB makes a report of less than 60 kB") {
    auto input = example();
    input.original.set_ret(1);
    input.max_body = 51'200;
    for (int i = 0; i < 4000; ++i)
        input.content += "a line of fifty octets, which are not all the same\r\n";
    input.content_length = input.content.size();
    input.content.resize(65536 + input.max_body);
    auto report = compose_report(input);
    check_lines(report.content);
    CHECK(report.content.size() < 60'000);
    CHECK(report.content.size() > 50'000);
}

TEST_CASE("the texts of the administrator replace those that are built in") {
    config::ReportTemplates templates;
    templates["failed"] = {"${queue_id}: \xc3\x9cnzustellbar",
                           "${sender}, gr\xc3\xbc\xc3\x9f ${postmaster} at ${hostname}.\n\n=_x\n"};
    auto input = example();
    input.postmaster = "postmaster@local.test";
    input.templates = &templates;
    auto report = compose_report(input);
    check_lines(report.content);
    CHECK(report.envelope.body() == wire::Envelope::SEVENBIT);
    CHECK(has(report, "Subject: =?UTF-8?B?"));
    CHECK(has(report, "<s@o.test>, gr=C3=BC=C3=9F postmaster@local.test at mx.local.test.\r\n\r\n=3D_x\r\n"));
    CHECK(has(report, "<u@primary.test>"));
    input.kind = ReportKind::Delivered;
    CHECK(has(compose_report(input), "As you asked: your message was delivered.\r\n"));
}

TEST_CASE("the samples in etc/dsn say what is built in") {
    for (auto kind : {ReportKind::Failed, ReportKind::Delayed, ReportKind::Delivered, ReportKind::Relayed,
                      ReportKind::Expanded, ReportKind::DoubleBounce}) {
        const std::string name(name_of(kind));
        const std::string path = POSTRIDER_SOURCE_DIR "/etc/dsn/" + name + ".txt";
        std::ifstream file(path);
        const std::string text((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
        config::Errors errors(10);
        auto read =
            config::parse_report_template(name, text, std::make_shared<const std::string>(path), errors);
        CAPTURE(path);
        CHECK(errors.take() == std::vector<std::string>{});
        REQUIRE(read);
        CHECK(read->subject == built_in_template(kind).subject);
        CHECK(read->text == built_in_template(kind).text);
    }
}

TEST_CASE("a report about odd content is well formed") {
    for (const char* content :
         {"", "\r\nbody only\r\n", "Subject: header only\r\n", "no colon", "a: b\r\n\r\n"}) {
        for (bool full : {false, true}) {
            auto input = example();
            input.content = content;
            input.return_full = full;
            auto report = compose_report(input);
            CHECK(report.content.substr(report.content.size() - 4) == "--\r\n");
        }
    }
}

TEST_CASE("python's email package reads a report as RFC 3464 means it") {
    if (std::system("python3 -c 'import email' >/dev/null 2>&1") != 0) return;
    auto input = example();
    input.return_full = true;
    input.recipients.push_back(unknown_user());
    input.recipients[1].final_recipient = "second@primary.test";
    std::string path = "reports_test.eml";
    std::ofstream(path) << compose_report(input).content;
    const char* script =
        "python3 -c '\n"
        "import email, email.policy\n"
        "m = email.message_from_binary_file(open(\"reports_test.eml\",\"rb\"), policy=email.policy.SMTP)\n"
        "assert m.get_content_type() == \"multipart/report\" and m.get_param(\"report-type\") == "
        "\"delivery-status\"\n"
        "parts = list(m.iter_parts())\n"
        "assert [p.get_content_type() for p in parts] == "
        "[\"text/plain\", \"message/delivery-status\", \"message/rfc822\"], parts\n"
        "blocks = parts[1].get_payload()\n"
        "assert len(blocks) == 3, blocks\n"
        "assert blocks[0][\"Reporting-MTA\"] == \"dns; mx.local.test\"\n"
        "assert blocks[2][\"Final-Recipient\"] == \"rfc822; second@primary.test\"\n"
        "assert blocks[1][\"Diagnostic-Code\"].startswith(\"smtp; 550\")\n"
        "assert parts[2].get_payload(0)[\"Subject\"] == \"hello\"\n"
        "assert not any(p.defects for p in m.walk()), [p.defects for p in m.walk()]\n"
        "'";
    CHECK(std::system(script) == 0);
    static_cast<void>(std::remove(path.c_str()));
}

TEST_CASE("programs of others read every kind of report, whatever it tells of and returns") {
    struct Variant {
        const char* name;
        const char* to;
        const char* recipient;
        const char* orcpt;
        std::string content;
    };
    const std::string header = "Subject: hello\r\n\r\n";
    const Variant variants[] = {
        {"plain", "s@o.test", "u@primary.test", "", header + "body\r\n"},
        {"orcpt", "s@o.test", "u@primary.test", "rfc822;other@x.test", header + "body\r\n"},
        {"utf8", "s@o.test", "j\xc3\xb6rg@primary.test", "utf-8;j\\x{F6}rg@primary.test",
         "Subject: gr\xc3\xbc\xc3\x9f\r\n\r\nbody\r\n"},
        {"global", "\xc3\xa4@o.test", "j\xc3\xb6rg@primary.test", "utf-8;j\\x{F6}rg@primary.test",
         "Subject: gr\xc3\xbc\xc3\x9f\r\n\r\nbody\r\n"},
        {"latin", "s@o.test", "u@primary.test", "", "Subject: gr\xfc\xdf\r\n\r\ngr\xfc\xdf\r\n"},
        {"binary", "s@o.test", "u@primary.test", "", header + std::string("a\0b\n\r", 5)},
        {"cut", "s@o.test", "u@primary.test", "",
         "MIME-Version: 1.0\r\nContent-Type: multipart/mixed; "
         "boundary=\"b\"\r\n\r\n--b\r\n\r\nfirst\r\n--b\r\n\r\n" +
             std::string(900, 'x') + "\r\n" + std::string(900, 'y') + "\r\n--b--\r\n"},
        {"empty", "s@o.test", "u@primary.test", "", ""},
    };
    const std::string folder = "reports_test.folder";
    std::filesystem::create_directory(folder);
    for (auto kind : {ReportKind::Failed, ReportKind::Delayed, ReportKind::Delivered, ReportKind::Relayed,
                      ReportKind::Expanded, ReportKind::DoubleBounce}) {
        for (const Variant& variant : variants) {
            auto input = example();
            input.kind = kind;
            input.hostname = "mx2.test";
            input.to = variant.to;
            input.original.set_envid("QQ=1");
            input.return_full = true;
            input.max_body = 1000;
            input.content = variant.content;
            input.content_length = variant.content.size();
            input.recipients.push_back(unknown_user());
            input.recipients[0].final_recipient = variant.recipient;
            input.recipients[0].orcpt = variant.orcpt;
            for (auto& recipient : input.recipients)
                recipient.will_retry_until = kArrival + 432'000'000;
            const auto name = kind == ReportKind::DoubleBounce ? "failed-twice" : std::string(name_of(kind));
            std::ofstream(folder + "/" + name + "-" + variant.name + ".eml") << compose_report(input).content;
        }
    }
    const std::string command =
        "/usr/bin/python3 " POSTRIDER_SOURCE_DIR "/tests/unit/queue-manager/read_reports.py " + folder;
    CHECK(std::system(command.c_str()) == 0);
    std::filesystem::remove_all(folder);
}
