#include "libcommon/config/report_templates.h"

#include <catch2/catch.hpp>

#include "libcommon/config/settings.h"
#include "tests/unit/config/memory_files.h"

namespace postrider::config {

namespace {

using Strings = std::vector<std::string>;

struct Read {
    std::optional<ReportTemplate> text;
    Strings errors;
};

Read read_text(std::string_view kind, std::string_view text) {
    Errors errors(10);
    auto parsed = parse_report_template(kind, text, std::make_shared<const std::string>("f"), errors);
    return {std::move(parsed), errors.take()};
}

}  // namespace

TEST_CASE("a template is a subject and a text", "[templates]") {
    struct Case {
        const char* text;
        const char* subject;
        const char* body;
    };
    for (const auto& test : {
             Case{"Subject: Not delivered\n\nSorry.\n", "Not delivered", "Sorry.\n"},
             Case{"Subject:Not delivered \nSorry.", "Not delivered", "Sorry.\n"},
             Case{"Subject: a\r\n\r\n\r\nb\r\n\r\nc\r\n", "a", "b\n\nc\n"},
             Case{"Subject: \xc3\x9cnzustellbar\n\tgr\xc3\xbc\xc3\x9f dich\n", "\xc3\x9cnzustellbar",
                  "\tgr\xc3\xbc\xc3\x9f dich\n"},
             Case{"Subject: at ${hostname}\n\n${sender}, $${sender} costs $5.\n", "at ${hostname}",
                  "${sender}, $${sender} costs $5.\n"},
         }) {
        auto read = read_text("failed", test.text);
        CHECK(read.errors == Strings{});
        REQUIRE(read.text);
        CHECK(read.text->subject == test.subject);
        CHECK(read.text->text == test.body);
    }
}

TEST_CASE("what is wrong in a template is said with its place", "[templates]") {
    struct Case {
        const char* kind;
        std::string text;
        const char* error;
    };
    const std::string names = "hostname, postmaster, queue_id, sender";
    const std::string unknown = "f:3:4: \"hostnam\" is not one of " + names + "; did you mean \"hostname\"?";
    const std::string not_here = "f:2:1: \"will_retry_until\" is not one of " + names;
    for (const auto& test : {
             Case{"failed", "", "f:1:1: there is no text below the subject"},
             Case{"failed", "Subject: x\n\n", "f:2:1: there is no text below the subject"},
             Case{"failed", "Hello\nSubject: x\n", "f:1:1: the first line has to begin with \"Subject:\""},
             Case{"failed", "Subject: \n\nx\n", "f:1:9: the subject is empty"},
             Case{"failed", "Subject: " + std::string(201, 'x') + "\n\nx\n",
                  "f:1:9: the subject has more than 200 octets"},
             Case{"failed", "Subject: x\n\nis ${hostnam}\n", unknown.c_str()},
             Case{"failed", "Subject: x\n${will_retry_until}\n", not_here.c_str()},
             Case{"failed", "Subject: x\n\nis ${hostname\n", "f:3:4: a } is missing"},
             Case{"failed", "Subject: x\n\nab\x1b[31m\n", "f:3:3: a control character, or not UTF-8"},
             Case{"failed", "Subject: x\n\ngr\xfc\xdf\n", "f:3:3: a control character, or not UTF-8"},
         }) {
        auto read = read_text(test.kind, test.text);
        CAPTURE(test.text);
        CHECK_FALSE(read.text);
        CHECK(read.errors == Strings{test.error});
    }
    CHECK(read_text("delayed", "Subject: x\n${will_retry_until}\n").text);
}

TEST_CASE("variables have their values, and nothing in a value is one", "[templates]") {
    const auto value = [](std::string_view name) {
        return name == "sender" ? std::string("${hostname}$") : "<" + std::string(name) + ">";
    };
    CHECK(expand_variables("${sender}${hostname} $${sender} $5 ${queue_id}", value) ==
          "${hostname}$<hostname> ${sender} $5 <queue_id>");
    CHECK(expand_variables("", value).empty());
    CHECK(expand_variables("no variable", value) == "no variable");
}

TEST_CASE("the folder of templates is part of the configuration", "[templates]") {
    std::map<std::string, std::string> files{
        {"/etc/resolv.conf", "nameserver 192.0.2.53\n"},
        {"/c/postrider.conf", "hostname mx.example.net\ndsn_templates dsn\n"},
        {"/c/dsn/failed.txt", "Subject: Not delivered\n\nSorry.\n"},
        {"/c/dsn/double-bounce.txt", "Subject: Twice\n\nSorry, ${postmaster}.\n"},
        {"/c/dsn/failed.txt~", "what an editor leaves"},
        {"/c/dsn/.hidden.txt", "as well"}};
    const auto load_files = [&files] {
        MemoryFiles source(files);
        return load("/c/postrider.conf",
                    Surroundings{&source, [] { return std::string(); }, "/etc/resolv.conf"});
    };
    auto result = load_files();
    CHECK(result.errors == Strings{});
    REQUIRE(result.settings);
    CHECK(result.settings->dsn_templates == "/c/dsn");
    CHECK(result.settings->report_templates.size() == 2);
    CHECK(result.settings->report_templates.at("failed").subject == "Not delivered");

    files["/c/dsn/faild.txt"] = "Subject: x\n\nx\n";
    files["/c/dsn/relayed.txt"] = "Subject: x\n\n${host}\n";
    files["/c/dsn/delayed.txt"] = "Subject: x\n\n" + std::string(20'000, 'x');
    CHECK(load_files().errors ==
          Strings{"/c/dsn/delayed.txt:1:1: is too large",
                  "/c/dsn/faild.txt:1:1: \"faild\" is not one of failed, delayed, delivered, relayed, "
                  "expanded, double-bounce; did you mean \"failed.txt\"?",
                  "/c/dsn/relayed.txt:3:1: \"host\" is not one of hostname, postmaster, queue_id, sender"});
    files["/c/postrider.conf"] = "hostname mx.example.net\ndsn_templates elsewhere\n";
    CHECK(load_files().errors ==
          Strings{"/c/postrider.conf:2:1: /c/elsewhere cannot be listed: No such file or directory"});
}

}  // namespace postrider::config
