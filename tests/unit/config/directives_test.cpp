#include "libcommon/config/directives.h"

#include <catch2/catch.hpp>

#include <set>

#include "libcommon/config/settings_builder.h"

namespace postrider::config {

namespace {

using Strings = std::vector<std::string>;

Strings check(std::string_view text) {
    Errors errors(100);
    auto directives = parse_text(text, std::make_shared<const std::string>("f"), errors);
    static_cast<void>(check_directives(std::move(directives), errors));
    return errors.take();
}

}  // namespace

TEST_CASE("the directive table is complete", "[directives]") {
    std::set<std::string_view> names;
    for (const auto& row : directive_table()) {
        INFO(row.name);
        CHECK(names.insert(row.name).second);
        CHECK(find_directive(row.name) == &row);
        CHECK_FALSE(row.arguments.empty());
        CHECK(row.doc.ends_with('.'));
        CHECK(row.least_words <= row.most_words);
        CHECK_FALSE(reader_name(row.reader).empty());
        // What is marked as implemented is read by something.
        if (row.status == Status::Implemented) CHECK(SettingsBuilder::knows(row));
    }
    for (const auto& limit : limit_table())
        CHECK((find_directive(limit.name) != nullptr) == limit.settable);
    CHECK(find_directive("nothing") == nullptr);
}

TEST_CASE("lines that the table allows", "[directives]") {
    const std::string_view texts[] = {
        "hostname mx.example.org\nlisten 0.0.0.0:25 smtp strict\nlisten submit.sock local",
        "local_domain a.example b.example\nlocal_domain c.example",
        "virtual_domain shop.example maildir:/var/mail/%d/%u owner=vmail users=shop.users",
        "virtual_domain shop.example",
        "route * via smart.example:587 retry=5m,30m lifetime=3d\nroute a.example mx",
        "net 192.0.2.0/24 relay",
        "net 192.0.2.0/24 use customer reject \"550 5.7.1 no\" maxsize=1M",
        "class customer relay strict maxsize=30M\ndefault rcpt reject",
        "auth fred relay\nlogin * maxsize=1M\nauth \"pam\" reject",
        "self_address 192.0.2.1 192.0.2.2\nself_address 2001:db8::1",
        "command_timeout 60s overload=10s\nmax_message_size 30M",
        "min_free_space 5% 1G",
        "listen 0.0.0.0:465 submission strict tls=implicit client_cert=request",
        "tls_certificate a b name=*.example.org\ntls_certificate c d",
    };
    for (auto text : texts) {
        INFO(text);
        CHECK(check(text) == Strings{});
    }
}

TEST_CASE("errors against the table", "[directives]") {
    struct Case {
        std::string_view text;
        Strings errors;
    };
    const Case cases[] = {
        {"hostnam mx.example.org", {"f:1:1: unknown directive \"hostnam\"; did you mean \"hostname\"?"}},
        {"comand_timeout 5m",
         {"f:1:1: unknown directive \"comand_timeout\"; did you mean \"command_timeout\"?"}},
        {"quite_unheard_of x", {"f:1:1: unknown directive \"quite_unheard_of\""}},
        {"Hostname x", {"f:1:1: unknown directive \"Hostname\"; did you mean \"hostname\"?"}},
        {"hostname a.b\n# c\n hostname c.d", {"f:3:2: hostname was already given at f:1:1"}},
        {"max_hops 20\nmax_hops 30", {"f:2:1: max_hops was already given at f:1:1"}},
        {"hostname", {"f:1:1: incomplete: hostname NAME"}},
        {"hostname a.b c.d", {"f:1:14: unexpected word \"c.d\""}},
        {"listen 0.0.0.0:25",
         {"f:1:1: incomplete: listen ADDRESS:PORT smtp|submission [strict] [tls=] [client_cert=] [auth=] "
          "| PATH local"}},
        {"listen 0.0.0.0:25 smtp strit", {"f:1:24: unexpected word \"strit\"; did you mean \"strict\"?"}},
        {"listen 0.0.0.0:25 smtp \"strict\"",
         {"f:1:24: unexpected word \"strict\"; did you mean \"strict\"?"}},
        {"listen 0.0.0.0:25 smtp tsl=off", {"f:1:24: listen has no option \"tsl\"; did you mean \"tls\"?"}},
        {"listen 0.0.0.0:25 smtp proxy=x", {"f:1:24: listen proxy= is not implemented yet"}},
        {"hostname a.b k=v", {"f:1:14: hostname takes no option \"k\" (quote the word if it is none)"}},
        {"max_hops 20 overload=10",
         {"f:1:13: max_hops takes no option \"overload\" (quote the word if it is none)"}},
        {"virtual_domain d owner=a owner=b", {"f:1:26: owner= was already given at f:1:18"}},
        {"virtual_domain d owner=", {"f:1:18: owner= has no value"}},
        {"tls_certificate a", {"f:1:1: incomplete: tls_certificate CHAIN KEY [name=NAME]"}},
        {"redirect a@b scop=any c", {"f:1:14: redirect has no option \"scop\"; did you mean \"scope\"?"}},
        {"mxbackup d subdomain", {"f:1:12: unexpected word \"subdomain\"; did you mean \"subdomains\"?"}},
        {"sender x.test spf=tag", {"f:1:15: sender spf= is not implemented yet"}},
        {"port 587 conns=5", {"f:1:10: port has no option \"conns\""}},
        {"default", {"f:1:1: incomplete: default KIND ITEM …"}},
        {"net 10.0.0.0/8 relay filter=off", {"f:1:22: net filter= is not implemented yet"}},
        {"route d via [192.0.2.40]:25 lmtp", {"f:1:29: route lmtp is not implemented yet"}},
        {"route d via h tls=require auth=f",
         {"f:1:15: route tls= is not implemented yet", "f:1:27: route auth= is not implemented yet"}},
        {"config_size 1G", {"f:1:1: unknown directive \"config_size\""}},
    };
    for (const auto& c : cases) {
        INFO(c.text);
        CHECK(check(c.text) == c.errors);
    }
}

TEST_CASE("a long unknown word does not fill the log", "[directives]") {
    auto errors = check(std::string(5000, 'x'));
    REQUIRE(errors.size() == 1);
    CHECK(errors[0].size() < 120);
}

}  // namespace postrider::config
