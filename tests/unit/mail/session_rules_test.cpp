#include "libcommon/mail/session_rules.h"

#include <catch2/catch.hpp>

namespace postrider::mail {

namespace {

std::string text_of(const std::optional<Refusal>& refusal) {
    return refusal ? summary(refusal->reply) + " @" + refusal->rule : "";
}

}  // namespace

TEST_CASE("greetings by their form", "[session_rules]") {
    CHECK(text_of(refuse_greeting("a.test", true, 255)).empty());
    CHECK(text_of(refuse_greeting("[192.0.2.1]", true, 255)).empty());
    CHECK(text_of(refuse_greeting("", false, 255)) == "501 5.5.4 A host name is missing @syntax");
    CHECK(text_of(refuse_greeting("a.test and more", false, 255)).empty());
    CHECK(text_of(refuse_greeting("a.test and more", true, 255)) ==
          "501 5.5.2 That is not a host name @syntax");
    CHECK(text_of(refuse_greeting("under_score!", true, 255)) == "501 5.5.2 That is not a host name @syntax");
    CHECK(text_of(refuse_greeting("under_score!", false, 255)).empty());
    CHECK(text_of(refuse_greeting(std::string(256, 'a'), false, 255)) ==
          "501 5.5.2 That is not a host name @syntax");
}

TEST_CASE("what a session needs before MAIL", "[session_rules]") {
    SessionTerms terms;
    CHECK(text_of(refuse_unready(terms)).empty());
    terms.needs_tls = terms.needs_login = true;
    CHECK(text_of(refuse_unready(terms)) == "530 5.7.0 STARTTLS first @tls-required");
    terms.encrypted = true;
    CHECK(text_of(refuse_unready(terms)) == "530 5.7.0 Authentication required @authentication-required");
    terms.logged_in = true;
    CHECK(text_of(refuse_unready(terms)).empty());
}

TEST_CASE("paths by their form", "[session_rules]") {
    SessionTerms terms;
    const auto refusal = [&terms](std::string_view argument, PathRole role) {
        const auto path = read_path(argument, role, terms);
        return path ? text_of(refuse_path(path->path, false, terms)) : text_of(path.error());
    };
    CHECK(refusal("<a@b.test>", PathRole::Sender).empty());
    CHECK(refusal("<>", PathRole::Sender).empty());
    CHECK(refusal("<>", PathRole::Recipient).starts_with("553 5.1.3 "));
    CHECK(refusal("<a b>", PathRole::Sender).starts_with("553 5.1.7 "));
    CHECK(refusal("a@b.test", PathRole::Sender).empty());
    CHECK(refusal("<alice>", PathRole::Recipient).empty());
    CHECK(refusal("<\xc3\xa4@b.test>", PathRole::Recipient) ==
          "553 5.6.7 Addresses beyond ASCII take SMTPUTF8 @smtputf8");
    terms.fully_qualified = true;
    CHECK(refusal("<alice>", PathRole::Recipient) == "501 5.1.7 The address needs a domain @fully-qualified");
    CHECK(refusal("<postmaster>", PathRole::Recipient).empty());
    CHECK(refusal("<>", PathRole::Sender).empty());
    terms.strict = true;
    CHECK(refusal("a@b.test", PathRole::Sender).starts_with("501 5.5.2 "));
}

TEST_CASE("declared sizes", "[session_rules]") {
    SessionTerms terms;
    terms.max_message_size = 1000;
    CHECK(text_of(refuse_size(1000, terms)).empty());
    CHECK(text_of(refuse_size(1001, terms)) == "552 5.3.4 The message is too large @max_message_size");
    CHECK(text_of(refuse_size_for_recipient(1001, 0, "f:1")).empty());
    CHECK(text_of(refuse_size_for_recipient(1001, 1001, "f:1")).empty());
    CHECK(text_of(refuse_size_for_recipient(1001, 1000, "f:1")) ==
          "552 5.3.4 The message is too large for this recipient @f:1");
}

TEST_CASE("verdicts in the codes of their stage", "[session_rules]") {
    const Reply never{550, EnhancedCode{5, 7, 1}, {"no"}};
    const Reply later{450, EnhancedCode{4, 7, 1}, {"later"}};
    CHECK(summary(as_banner(never)) == "554 5.7.1 no");
    CHECK(summary(as_banner(later)) == "421 4.7.1 later");
    CHECK(summary(as_login_refusal(never)) == "535 5.7.1 no");
    CHECK(summary(as_login_refusal(later)) == "454 4.7.1 later");
    CHECK(summary(banner("mx.test")) == "220 mx.test ESMTP Postrider");
}

}  // namespace postrider::mail
