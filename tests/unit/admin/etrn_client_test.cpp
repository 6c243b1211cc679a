#include "admin/etrn_client.h"

#include <catch2/catch.hpp>

#include <string>
#include <vector>

using namespace postrider;
using namespace postrider::admin;

TEST_CASE("T97_what can be asked for with ETRN") {
    for (const char* name : {"a.test", "@a.test", "A.Test", "#queue", "#1"}) {
        CAPTURE(name);
        CHECK(is_etrn_name(name));
    }
    for (const char* name :
         {"", "@", "#", "a b.test", "a.test\r\nQUIT", "#a b", "#a\n", "[192.0.2.1]", "a..b"}) {
        CAPTURE(name);
        CHECK_FALSE(is_etrn_name(name));
    }
}

TEST_CASE("T97_the exit status of ETRN") {
    struct Row {
        std::vector<int> codes;
        std::string trouble;
        bool lasting;
        int status;
    };
    const std::vector<Row> rows = {
        {{250}, "", false, 0},       {{250, 251, 252, 253}, "", false, 0},
        {{250, 458}, "", false, 75}, {{459}, "", false, 75},
        {{250, 501}, "", false, 69}, {{502}, "", false, 69},
        {{458, 500}, "", false, 69}, {{254}, "", false, 69},
        {{}, "lost", false, 75},     {{250}, "lost", false, 75},
        {{}, "no ETRN", true, 69},   {{550}, "lost", false, 69},
    };
    for (const Row& row : rows) {
        EtrnAnswers answers;
        for (int code : row.codes)
            answers.replies.push_back({"a.test", {mail::ReplyCode::from_number(code).value(), {}, {"x"}}});
        answers.trouble = row.trouble;
        answers.lasting = row.lasting;
        CAPTURE(row.codes, row.trouble);
        CHECK(etrn_status(answers) == row.status);
    }
}
