#include "libcommon/config/key_files.h"

#include <catch2/catch.hpp>

#include "tests/unit/config/memory_files.h"

namespace postrider::config {

namespace {

using Strings = std::vector<std::string>;

/// The lines that an `include k as …` makes of two keys, or the errors.
Strings lines_for(const std::string& configuration) {
    MemoryFiles source({{"/c/main", configuration}, {"/c/k", "a.test\nb.test\n"}});
    Errors errors(100);
    const ParsedFiles parsed =
        parse_files("/c/main", source, {.include_depth = 4, .total_size = 10'000, .files = 20}, errors);
    Strings lines;
    for (const Directive& line : lines_of_keys(parsed.key_files, parsed.directives, errors)) {
        std::string text = line.position.line_text() + " " + line.name;
        for (const Word& word : line.words)
            text += " " + word.text;
        lines.push_back(std::move(text));
    }
    return errors.empty() ? lines : errors.take();
}

Strings both(const std::string& kind, const std::string& name) {
    return {"/c/k:1 " + kind + " a.test use " + name, "/c/k:2 " + kind + " b.test use " + name};
}

}  // namespace

TEST_CASE("the kind of the lines follows from the class", "[key_files]") {
    struct Case {
        std::string items;
        std::string kind;
    };
    const std::vector<Case> cases = {
        {"relay dnsbl=use", "rcpt"},
        {"relay dnsbl=bl.test", "net"},
        {"dnsbl=off", "net"},
        {"relay rcptdns=require", "net"},
        {"local", "rcpt"},
        {"mx=backup reject \"relay\"", "rcpt"},
        {"norelay", "sender"},
        {"relay use inner", "rcpt"},
        {"rely maxsize=1M dnsbl=use", "rcpt"},  // the router says what is wrong with the class
        {"strict quirks=oneline accept", "helo"},
        {"maxrcpt=3 quirks=oneline fqdn", "port"},
    };
    for (const Case& c : cases) {
        CAPTURE(c.items);
        CHECK(lines_for("include k as one\nclass one " + c.items + "\nclass inner verify=on use one\n") ==
              both(c.kind, "one"));
    }
}

TEST_CASE("where the class is for several kinds the line says which", "[key_files]") {
    const std::string customer = "class customer relay rate=3/1h rcptrate=6/1h maxsize=30M\n";
    CHECK(lines_for(customer + "include k as net customer\n") == both("net", "customer"));
    CHECK(lines_for(customer + "include k as auth customer\n") == both("login", "customer"));
    CHECK(lines_for(customer + "include k as customer\n") ==
          Strings{"/c/main:2:14: the keys may be those of net or login lines: write include FILE as net "
                  "customer"});
    CHECK(lines_for(customer + "include k as rcpt customer\n") ==
          Strings{"/c/main:2:19: some items of class customer are not for rcpt lines"});
    CHECK(lines_for(customer + "include k as nett customer\n") ==
          Strings{"/c/main:2:14: expected one of net, rdns, helo, login, port, sender, rcpt"});
}

TEST_CASE("classes that do not do", "[key_files]") {
    CHECK(lines_for("include k as client\nclass clients relay\n") ==
          Strings{"/c/main:1:14: there is no class client; did you mean \"clients\"?"});
    CHECK(lines_for("include k as a\nclass a norelay verify=on\n") ==
          Strings{"/c/main:1:14: no kind of line can have all items of class a"});
    // A class that leads back to itself is the router's to report.
    CHECK(lines_for("include k as a\nclass a local use b\nclass b use a\n") == both("rcpt", "a"));
}

}  // namespace postrider::config
