#include "smtpd/parameters.h"

#include <catch2/catch.hpp>

#include <string>
#include <vector>

namespace postrider::smtpd {

namespace {

std::string refusal_of(const Verdict& verdict) {
    return mail::summary(*verdict.refusal);
}

}  // namespace

TEST_CASE("the parameters of MAIL") {
    struct Case {
        std::string text;
        std::string expected;  // a summary, or the beginning of the refusal
    };
    const std::vector<Case> cases = {
        {"", "0 7BIT"},
        {"SIZE=1000", "1000 7BIT"},
        {"size=1000 body=8bitmime", "1000 8BIT"},
        {"SIZE=99999999999999999999", "18446744073709551615 7BIT"},
        {"SIZE=abc", "501 5.5.4"},
        {"SIZE=", "501 5.5.4"},
        {"SIZE=999999999999999999999", "501 5.5.4"},
        {"BODY=BINARYMIME", "0 BINARY"},
        {"BODY=9BIT", "501 5.5.4"},
        {"SMTPUTF8", "0 7BIT utf8"},
        {"SMTPUTF8=yes", "501 5.5.4"},
        {"RET=FULL ENVID=QQ314159", "0 7BIT ret=1 envid=QQ314159"},
        {"RET=hdrs", "0 7BIT ret=2"},
        {"RET=ALL", "501 5.5.4"},
        {"ENVID=a+3Db", "0 7BIT envid=a=b"},
        {"ENVID=a+00b", "501 5.5.4"},
        {"ENVID=a+0Ab", "501 5.5.4"},
        {"ENVID=", "501 5.5.4"},
        {"ENVID=" + std::string(101, 'x'), "501 5.5.4"},
        {"SIZE=1 SIZE=2", "501 5.5.4"},
        {"AUTH=<>", "0 7BIT"},
        {"AUTH=e+3Dmc2@example.com", "0 7BIT"},
        {"NOTIFY=NEVER", "555 5.5.4"},
        {"XYZZY=1", "555 5.5.4"},
    };
    KnownExtensions known;
    known.auth = true;
    for (const Case& test : cases) {
        INFO(test.text);
        const auto read = read_mail_parameters(test.text, known);
        std::string found;
        if (!read) {
            found = refusal_of(read.error()).substr(0, test.expected.size());
        } else {
            const bool binary = read->body == wire::Envelope::BINARYMIME;
            const bool eight = read->body == wire::Envelope::EIGHTBITMIME;
            found = std::to_string(read->size.value_or(0)) + (binary ? " BINARY" : eight ? " 8BIT" : " 7BIT");
            if (read->smtputf8) found += " utf8";
            if (read->ret != 0) found += " ret=" + std::to_string(read->ret);
            if (!read->envid.empty()) found += " envid=" + read->envid;
        }
        CHECK(found == test.expected);
    }
}

TEST_CASE("the parameters of RCPT") {
    struct Case {
        std::string text;
        std::string expected;
    };
    const std::vector<Case> cases = {
        {"", "0"},
        {"NOTIFY=NEVER", "1"},
        {"NOTIFY=SUCCESS,failure,DELAY", "14"},
        {"NOTIFY=NEVER,SUCCESS", "501 5.5.4"},
        {"NOTIFY=", "501 5.5.4"},
        {"NOTIFY=SUCCESS,", "501 5.5.4"},
        {"NOTIFY=SOMETIMES", "501 5.5.4"},
        {"ORCPT=rfc822;Bob+2Bx@example.com", "0 rfc822;Bob+x@example.com"},
        {"ORCPT=rfc822;Bob+00@example.com", "501 5.5.4"},
        {"ORCPT=utf-8;j\\x{F6}rg\\x{2B}x@\\x{65E5}.test", "0 utf-8;j\\x{F6}rg\\x{2B}x@\\x{65E5}.test"},
        {"ORCPT=UTF-8;j\xc3\xb6rg@x.test", "0 UTF-8;j\\x{F6}rg@x.test"},
        {"ORCPT=utf-8;j\\x{0A}rg@x.test", "501 5.5.4"},
        {"ORCPT=utf-8;j\\x{D800}rg@x.test", "501 5.5.4"},
        {"ORCPT=utf-8;j\\xF6rg@x.test", "501 5.5.4"},
        {"ORCPT=utf-8;j\xfcrg@x.test", "501 5.5.4"},
        {"ORCPT=rfc822;Bob+0D+0A@example.com", "501 5.5.4"},
        {"ORCPT=rfc822", "501 5.5.4"},
        {"ORCPT=;x", "501 5.5.4"},
        {"ORCPT=rfc822;" + std::string(500, 'x'), "501 5.5.4"},
        {"SIZE=1", "555 5.5.4"},
    };
    for (const Case& test : cases) {
        INFO(test.text);
        const auto read = read_rcpt_parameters(test.text, KnownExtensions());
        std::string found = read ? std::to_string(read->notify) : refusal_of(read.error());
        if (read && !read->orcpt.empty()) found += " " + read->orcpt;
        CHECK(found.substr(0, test.expected.size()) == test.expected);
    }
}

TEST_CASE("the parameters of an extension that is not offered are unknown") {
    KnownExtensions none;
    none.dsn = false;
    none.chunking = false;
    for (const std::string text : {"RET=FULL", "ENVID=x", "AUTH=<>"})
        CHECK(refusal_of(read_mail_parameters(text, none).error()).starts_with("555 5.5.4"));
    CHECK(refusal_of(read_mail_parameters("BODY=BINARYMIME", none).error()).starts_with("501 5.5.4"));
    CHECK(refusal_of(read_rcpt_parameters("NOTIFY=NEVER", none).error()).starts_with("555 5.5.4"));
}

}  // namespace postrider::smtpd
