#include "libcommon/config/language.h"

#include <catch2/catch.hpp>
#include <fmt/format.h>

namespace postrider::config {

namespace {

struct Parsed {
    std::vector<Directive> directives;
    std::vector<std::string> errors;
};

Parsed parse(std::string_view text) {
    Errors errors(100);
    Parsed parsed;
    parsed.directives = parse_text(text, std::make_shared<const std::string>("f"), errors);
    parsed.errors = errors.take();
    return parsed;
}

/// One line a directive: name@line:column, then [word]@…, "quoted"@…, key=<value>@….
std::string describe(const std::vector<Directive>& directives) {
    auto at = [](const Position& p) { return fmt::format("@{}:{}", p.line, p.column); };
    std::string out;
    for (const auto& directive : directives) {
        if (!out.empty()) out += " | ";
        out += directive.name + at(directive.position);
        for (const auto& word : directive.words) {
            std::string text = word.quoted ? "\"" + word.text + "\"" : "[" + word.text + "]";
            out += " " + text + at(word.position);
        }
        for (const auto& option : directive.options) {
            out += fmt::format(" {}=<{}>{}", option.key, option.value, at(option.position));
        }
    }
    return out;
}

}  // namespace

TEST_CASE("texts that parse", "[language]") {
    struct Case {
        std::string_view text;
        std::string_view expected;
    };
    const Case cases[] = {
        {"", ""},
        {"\n\n  \t\n# only\n", ""},
        {"hostname mx.example.org", "hostname@1:1 [mx.example.org]@1:10"},
        {"hostname mx.example.org\n", "hostname@1:1 [mx.example.org]@1:10"},
        {"  a b\n\tc  d\t", "a@1:3 [b]@1:5 | c@2:2 [d]@2:5"},
        {"a b\r\nc d\r\n", "a@1:1 [b]@1:3 | c@2:1 [d]@2:3"},
        {"a b # c d", "a@1:1 [b]@1:3"},
        {"a b#c", "a@1:1 [b#c]@1:3"},
        {"a \"b # c\" d", "a@1:1 \"b # c\"@1:3 [d]@1:11"},
        {"a \"\"", "a@1:1 \"\"@1:3"},
        {R"(a "say \"hi\" \\ there")", R"(a@1:1 "say "hi" \ there"@1:3)"},
        {"a b \\\n  c", "a@1:1 [b]@1:3 [c]@2:3"},
        {"a b\\\nc", "a@1:1 [b]@1:3 [c]@2:1"},
        {"a b \\\r\n c\r\nd", "a@1:1 [b]@1:3 [c]@2:2 | d@3:1"},
        {"a b \\\n\nc", "a@1:1 [b]@1:3 | c@3:1"},
        {"a b \\", "a@1:1 [b]@1:3"},
        {"a # comment \\\nb", "a@1:1 | b@2:1"},
        {"a \\name \\", "a@1:1 [\\name]@1:3"},
        {"a k=v b", "a@1:1 [b]@1:7 k=<v>@1:3"},
        {"a k=v=w", "a@1:1 k=<v=w>@1:3"},
        {"a k=", "a@1:1 k=<>@1:3"},
        {"a k=\"v w\" b", "a@1:1 [b]@1:11 k=<v w>@1:3"},
        {"a \"k=v\"", "a@1:1 \"k=v\"@1:3"},
        {"a K=v x-y=z =v 1k=v", "a@1:1 [K=v]@1:3 [x-y=z]@1:7 [=v]@1:13 [1k=v]@1:16"},
        {"alias_domain a.example -> b.example",
         "alias_domain@1:1 [a.example]@1:14 [->]@1:24 [b.example]@1:27"},
        {"redirect robot@example.org \"|/usr/local/bin/robot --quiet\"",
         "redirect@1:1 [robot@example.org]@1:10 \"|/usr/local/bin/robot --quiet\"@1:28"},
        {"redirect+copy boss@example.org \\self $user",
         "redirect+copy@1:1 [boss@example.org]@1:15 [\\self]@1:32 "
         "[$user]@1:38"},
        {"default rcpt reject \"550 5.7.1 relaying denied\"",
         "default@1:1 [rcpt]@1:9 [reject]@1:14 \"550 5.7.1 relaying denied\"@1:21"},
        {"a d\xc3\xbc.example b", "a@1:1 [d\xc3\xbc.example]@1:3 [b]@1:15"},
    };
    for (const auto& c : cases) {
        INFO(c.text);
        auto parsed = parse(c.text);
        CHECK(parsed.errors == std::vector<std::string>{});
        CHECK(describe(parsed.directives) == c.expected);
    }
}

TEST_CASE("errors of the language name the place and cost one line", "[language]") {
    struct Case {
        std::string_view text;
        std::vector<std::string> errors;
        std::string_view expected;
    };
    const std::string escape = "in quotes only \\\" and \\\\ are known after a \\";
    const Case cases[] = {
        {"a \"b\nc d", {"f:1:3: a quote that is not closed on its line"}, "c@2:1 [d]@2:3"},
        {"a b\n  c \"d", {"f:2:5: a quote that is not closed on its line"}, "a@1:1 [b]@1:3"},
        {"a \"b \\\nc\" d\ne", {"f:1:6: " + escape}, "e@3:1"},
        {"a \"b\\nc\"", {"f:1:5: " + escape}, ""},
        {"a \"b\"c", {"f:1:6: a closing quote in the middle of a word; write \\\" for a quote"}, ""},
        {"a b\"c\" d", {"f:1:4: a quote inside a word; quote the whole word"}, ""},
        {"\"a\" b", {"f:1:1: a line begins with the plain name of a directive"}, ""},
        {"a=b c\nd", {"f:1:1: a line begins with the plain name of a directive"}, "d@2:1"},
        {"a b\001c", {"f:1:4: control character 0x01"}, ""},
        {"a b\rc", {"f:1:4: control character 0x0d"}, ""},
        {"a \"b\177\"", {"f:1:5: control character 0x7f"}, ""},
        {"a b \\  \nc", {"f:1:5: blanks after the \\ that should continue the line"}, "c@2:1"},
        {"a \"b\"c \\\n d\ne",
         {"f:1:6: a closing quote in the middle of a word; write \\\" for a quote"},
         "e@3:1"},
        {"\"x\"\n\"y\"",
         {"f:1:1: a line begins with the plain name of a directive",
          "f:2:1: a line begins with the plain name of a directive"},
         ""},
    };
    for (const auto& c : cases) {
        INFO(c.text);
        auto parsed = parse(c.text);
        CHECK(parsed.errors == c.errors);
        CHECK(describe(parsed.directives) == c.expected);
    }
    CHECK(parse(std::string_view("a b\0c", 5)).errors ==
          std::vector<std::string>{"f:1:4: control character 0x00"});
}

TEST_CASE("options and flags of a directive", "[language]") {
    auto parsed = parse("listen strict smtp strict \"loose\" tls=off");
    const Directive& directive = parsed.directives.at(0);
    REQUIRE(directive.option("tls") != nullptr);
    CHECK(directive.option("tls")->value == "off");
    CHECK(directive.option("proxy") == nullptr);
    CHECK(directive.has_flag("strict", 2));
    CHECK(directive.has_flag("smtp"));
    CHECK_FALSE(directive.has_flag("smtp", 2));
    CHECK_FALSE(directive.has_flag("loose"));
}

TEST_CASE("positions", "[language]") {
    Position position{std::make_shared<const std::string>("/etc/postrider/domains"), 3, 7};
    CHECK(position.text() == "/etc/postrider/domains:3:7");
    CHECK(position.line_text() == "/etc/postrider/domains:3");
    CHECK(position.directory() == "/etc/postrider");
    CHECK_FALSE(position.is_default());
    CHECK(Position{}.is_default());
    CHECK(Position{}.text() == "default");
    CHECK(Position{}.line_text() == "default");
    CHECK(Position{std::make_shared<const std::string>("domains"), 1, 1}.directory() == ".");
    CHECK(Position{std::make_shared<const std::string>("/domains"), 1, 1}.directory() == "/");
}

TEST_CASE("errors beyond the capacity are counted", "[language]") {
    Errors errors(2);
    for (int i = 0; i < 5; ++i)
        errors.add("f", "wrong");
    CHECK(errors.take() == std::vector<std::string>{"f:1:1: wrong", "f:1:1: wrong", "3 more errors"});
    CHECK(errors.empty());
}

TEST_CASE("the nearest word", "[language]") {
    const std::vector<std::string_view> names{"hostname", "listen", "local_domain", "retry", "log_to"};
    struct Case {
        std::string_view word;
        std::string_view expected;
    };
    const Case cases[] = {
        {"hostnam", "hostname"},
        {"hsotname", "hostname"},
        {"lisen", "listen"},
        {"local-domain", "local_domain"},
        {"localdomain", "local_domain"},
        {"rtery", "retry"},
        {"lgo_to", "log_to"},
        {"", ""},
        {"completely_else", ""},
        {"x", ""},
    };
    for (const auto& c : cases) {
        INFO(c.word);
        CHECK(nearest(c.word, names) == c.expected);
    }
    CHECK(nearest(std::string(100000, 'a'), names).empty());
}

}  // namespace postrider::config
