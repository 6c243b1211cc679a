#include "router/check_routes.h"

#include <catch2/catch.hpp>

#include <string>
#include <vector>

#include "tests/unit/router/table_fixture.h"

namespace postrider::router {

namespace {

struct Found {
    std::vector<std::string> doubts;
    std::vector<std::string> bypasses;
};

/// What is found in a configuration, whose lines begin in line 3 of the file `f`.
Found check(const std::string& lines) {
    const std::string text = "hostname mx2.test\nlocal_domain local.test\n" + lines;
    test::MemoryFiles files({{"/etc/postrider/postrider.conf", text}});
    const config::Settings settings = test::read_settings(files);
    const auto tables = test::tables_of(text);
    Found found{find_doubtful_routes(settings, *tables), find_bypasses(settings, *tables)};
    const std::string path = "/etc/postrider/postrider.conf";
    for (auto* list : {&found.doubts, &found.bypasses}) {
        for (std::string& line : *list) {
            for (std::size_t at = line.find(path); at != std::string::npos; at = line.find(path))
                line.replace(at, path.size(), "f");
        }
    }
    return found;
}

using Lines = std::vector<std::string>;

}  // namespace

TEST_CASE("T07_the check says which domains go past the default smarthost") {
    CHECK(check("mxbackup primary.test subdomains\nroute * via smart.test\n").bypasses ==
          Lines{"f:4: default smarthost bypassed for primary.test, .primary.test"});
    CHECK(check("mxbackup a.test\nmxbackup b.test\nroute b.test via [192.0.2.1]\nroute * via smart.test\n")
              .bypasses == Lines{"f:6: default smarthost bypassed for a.test"});
    CHECK(check("mxbackup a.test\nroute * mx\n").bypasses.empty());
    CHECK(check("mxbackup a.test\n").bypasses.empty());
    CHECK(check("route * via smart.test\n").bypasses.empty());
    std::string many = "route * via smart.test\n";
    for (int n = 0; n < 25; ++n)
        many += "mxbackup d" + std::to_string(n) + ".test\n";
    CHECK(check(many).bypasses.at(0).ends_with(", d19.test and 5 more"));
}

TEST_CASE("a compulsory smarthost leaves backed-up domains without a way out") {
    const std::string smarthost = "route * via smart.test compulsory\n";
    CHECK(check(smarthost + "mxbackup a.test\n").doubts ==
          Lines{"f:4: mail leaves by smart.test:25 only (f:3), which would send it back here: a.test needs a "
                "route of its own, such as route a.test via [ADDRESS]:2525"});
    CHECK(check(smarthost + "mxbackup a.test\nroute a.test via [192.0.2.1]:2525\n").doubts.empty());
    CHECK(check(smarthost + "route b.test mx\n").doubts ==
          Lines{"f:4: mail leaves by smart.test:25 only (f:3), so that none of b.test can go to its MX"});
    CHECK(check("route * via smart.test\nmxbackup a.test\n").doubts.empty());
}

TEST_CASE("lines that another one makes void are found") {
    struct Case {
        std::string lines;
        Lines doubts;
    };
    const std::vector<Case> cases = {
        {"mxbackup local.test\n", {"f:3: local.test is a local domain, so the line has no effect"}},
        {"mxbackup local.test subdomains\n",
         {"f:3: local.test is a local domain, so the line holds for those below it only"}},
        {"mxbackup com subdomains\n", {"f:3: everybody may send mail to all of *.com"}},
        {"relay_domain *.a.test\nmxbackup x.a.test disabled\n",
         {"f:4: mail for x.a.test is accepted all the same, by the relay_domain line at f:3"}},
        {"relay_domain a.test\nmxbackup a.test\nmxbackup_enabled no\n",
         {"f:4: mail for a.test is accepted all the same, by the relay_domain line at f:3"}},
        {"mxbackup a.test subdomains\nmxbackup x.a.test\n",
         {"f:4: x.a.test is covered by the mxbackup line at f:3 already"}},
        {"mxbackup a.test subdomains\nmxbackup x.a.test disabled\n", {}},
        {"mxbackup a.test\nmxbackup x.a.test\n", {}},
        {"relay_domain *.a.test a.test\n",
         {"f:3: a.test is covered by the relay_domain line at f:3 already"}},
        {"relay_domain .a.test\nrelay_domain x.y.a.test a.test\n",
         {"f:4: x.y.a.test is covered by the relay_domain line at f:3 already"}},
        {"relay_domain .a.test a.test\n", {}},
        {"route *.a.test mx\nroute a.test discard\nroute .a.test none\n",
         {"f:3: the routes at f:4 and f:5 leave nothing of *.a.test"}},
        {"route *.a.test mx\nroute a.test discard\n", {}},
    };
    for (const auto& c : cases) {
        INFO(c.lines);
        CHECK(check(c.lines).doubts == c.doubts);
    }
}

}  // namespace postrider::router
