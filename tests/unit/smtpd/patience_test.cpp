#include "smtpd/patience.h"

#include <catch2/catch.hpp>

#include <vector>

namespace postrider::smtpd {

TEST_CASE("errors are answered more and more slowly, and then not at all") {
    const config::Limits limits;
    Patience patience(limits, config::Load::Normal);
    // 5 are free, then 1 s doubling to 10 s; the 15th is the last.
    const std::vector<int> seconds = {0, 0, 0, 0, 0, 1, 2, 4, 8, 10, 10, 10, 10, 10};
    for (const int expected : seconds) {
        patience.count_errors(1);
        INFO(patience.errors());
        CHECK(patience.delay_of_refusal(true) == Seconds(expected));
        CHECK_FALSE(patience.exhausted());
    }
    patience.count_errors(1);
    CHECK(patience.exhausted());
}

TEST_CASE("a message makes up for all errors") {
    const config::Limits limits;
    Patience patience(limits, config::Load::Normal);
    patience.count_errors(14);
    patience.reset();
    patience.count_errors(5);
    CHECK(patience.delay_of_refusal(true) == Milliseconds(0));
    CHECK_FALSE(patience.exhausted());
}

TEST_CASE("in a tarpit every refusal takes longer than the one before") {
    const config::Limits limits;
    Patience patience(limits, config::Load::Normal);
    CHECK(patience.delay_of_refusal(false) == Milliseconds(0));
    wire::Tarpit tarpit;
    tarpit.set_first_ms(1000);
    tarpit.set_growth_percent(100);
    tarpit.set_most_ms(4000);
    patience.set_tarpit(tarpit);
    for (const int expected : {1, 2, 4, 4})
        CHECK(patience.delay_of_refusal(expected == 2) == Seconds(expected));
}

TEST_CASE("commands that bring no mail are limited") {
    config::Limits limits;
    limits.set(config::Limit::NonMailCommands, 3);
    Patience patience(limits, config::Load::Normal);
    for (int command = 0; command < 3; ++command)
        patience.count_non_mail_command();
    CHECK_FALSE(patience.exhausted());
    patience.count_non_mail_command();
    CHECK(patience.exhausted());
}

TEST_CASE("temporary refusals are no errors, but not without end") {
    config::Limits limits;
    limits.set(config::Limit::SessionRefusals, 3);
    Patience patience(limits, config::Load::Normal);
    for (int refusal = 0; refusal < 3; ++refusal)
        patience.count_excused_refusal();
    CHECK_FALSE(patience.exhausted());
    patience.count_excused_refusal();
    CHECK(patience.exhausted());
    patience.reset();
    CHECK_FALSE(patience.exhausted());
}

TEST_CASE("under overload there is hardly any patience") {
    const config::Limits limits;
    Patience patience(limits, config::Load::Overload);
    CHECK_FALSE(patience.exhausted());
    patience.count_errors(1);
    CHECK(patience.exhausted());
}

}  // namespace postrider::smtpd
