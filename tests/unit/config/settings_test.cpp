#include "libcommon/config/settings.h"

#include <catch2/catch.hpp>
#include <unistd.h>

#include "tests/unit/config/memory_files.h"

namespace postrider::config {

namespace {

using Strings = std::vector<std::string>;

constexpr const char* kHosts =
    "# comment\nnameserver 192.0.2.53\nnameserver fe80::1%eth0\nnameserver\t2001:db8::53 \n";

LoadResult load_texts(std::map<std::string, std::string> texts, std::string host_name = "mx.example.net") {
    texts.try_emplace("/etc/resolv.conf", kHosts);
    MemoryFiles files(std::move(texts));
    return load("/c/postrider.conf", Surroundings{&files, [&] { return host_name; }, "/etc/resolv.conf"});
}

LoadResult load_text(const std::string& text) {
    return load_texts({{"/c/postrider.conf", text}});
}

}  // namespace

TEST_CASE("an empty configuration has all defaults", "[settings]") {
    auto result = load_text("");
    CHECK(result.errors == Strings{});
    REQUIRE(result.settings);
    const Settings& s = *result.settings;
    CHECK(s.config_file == "/c/postrider.conf");
    CHECK(s.hostname == "mx.example.net");
    REQUIRE(s.listeners.size() == 3);
    CHECK(s.listeners[0].endpoint_text() == "0.0.0.0:25");
    CHECK(s.listeners[1].endpoint_text() == "[::]:25");
    CHECK(s.listeners[2].endpoint_text() == "/run/postrider/submit.sock");
    CHECK(s.listeners[2].kind == ListenerKind::Local);
    CHECK(s.spool_dir == "/var/spool/postrider");
    CHECK(s.run_dir == "/run/postrider");
    CHECK(s.state_dir == "/var/lib/postrider");
    CHECK(s.user("smtpd")->name == "pr-smtpd");
    CHECK(s.user("queue-manager")->name == "pr-queue");
    CHECK(s.user("local-delivery") == nullptr);
    REQUIRE(s.resolvers.size() == 2);
    CHECK(s.resolvers[0].text() == "192.0.2.53:53");
    CHECK(s.resolvers[1].text() == "[2001:db8::53]:53");
    CHECK(s.self_addresses.empty());
    CHECK(s.recipient_delimiter == "+");
    CHECK(s.min_free_space.percent == 5);
    CHECK(s.double_bounce_to == "postmaster");
    CHECK(s.delay_warning == std::chrono::hours(4));
    CHECK(s.dsn_aggregate == std::chrono::seconds(60));
    CHECK(s.dsn_only_to == DsnOnlyTo::Any);
    CHECK(s.dsn_templates.empty());
    CHECK(format_durations(s.retry) == "5m,15m,30m,1h,2h,4h");
    CHECK(s.log_level == LogLevel::Info);
    CHECK(s.files == Strings{"/c/postrider.conf"});
    CHECK(s.origin("hostname").is_default());
}

TEST_CASE("a whole suite in one directory", "[settings]") {
    auto result =
        load_texts({{"/c/postrider.conf",
                     "hostname MX.example.org\n"
                     "listen 127.0.0.1:2525 smtp strict\n"
                     "listen [::1]:2587 submission\n"
                     "spool_dir spool/\nrun_dir ./run\nstate_dir /abs//state\n"
                     "user smtpd 1001\nresolver 127.0.0.1:5353\nresolver ::1\n"
                     "self_address 198.51.100.7 2001:db8::7\n"
                     "recipient_delimiter -\nmax_message_size 30M\n"
                     "max_connections_per_client 50 overload=10\n"
                     "min_free_space 1G 10%\nmin_free_inodes 1000\nqueue_directory_sync yes\n"
                     "dsn_return full\ndouble_bounce_to dump@example.org\nretry 1m,2m\nlifetime 3d\n"
                     "log_format json\nlog_to stderr\nlog_level debug\n"
                     "include tables/domains\n"},
                    {"/c/tables/domains",
                     "local_domain example.org\nalias_file example.org aliases\n"
                     "mailbox example.org maildir:~/Maildir\n"
                     "virtual_domain shop.example maildir:mail/%d/%u owner=vmail users=../shop.users\n"
                     "virtual_domain other.example maildir:/var/mail/%d/%u\n"}});
    CHECK(result.errors == Strings{});
    REQUIRE(result.settings);
    const Settings& s = *result.settings;
    CHECK(s.hostname == "mx.example.org");
    REQUIRE(s.listeners.size() == 3);
    CHECK(s.listeners[0].strict);
    CHECK(s.listeners[0].port == 2525);
    CHECK(s.listeners[0].position.text() == "/c/postrider.conf:2:1");
    CHECK(s.listeners[1].kind == ListenerKind::Submission);
    CHECK(s.listeners[2].path == "/c/run/submit.sock");
    CHECK(s.spool_dir == "/c/spool");
    CHECK(s.run_dir == "/c/run");
    CHECK(s.state_dir == "/abs/state");
    CHECK(s.user("smtpd")->name == "1001");
    CHECK(s.user("router")->name == "pr-router");
    CHECK(s.resolvers.at(0).text() == "127.0.0.1:5353");
    CHECK(s.resolvers.at(1).text() == "[::1]:53");
    CHECK(s.self_addresses.size() == 2);
    CHECK(s.recipient_delimiter == "-");
    CHECK(s.limits.get(Limit::MaxMessageSize) == 30U * 1024 * 1024);
    CHECK(s.limits.get(Limit::MaxConnectionsPerClient, Load::Overload) == 10);
    CHECK(s.limits.time(Limit::Lifetime) == std::chrono::hours(72));
    CHECK(s.min_free_space.percent == 10);
    CHECK(s.min_free_space.amount == 1024U * 1024 * 1024);
    CHECK(s.min_free_inodes.percent == 0);
    CHECK(s.min_free_inodes.amount == 1000);
    CHECK(s.queue_directory_sync == DirectorySync::Yes);
    CHECK(s.dsn_return == DsnReturn::Full);
    CHECK(s.log_format == LogFormat::Json);
    CHECK(s.origin("lifetime").line_text() == "/c/postrider.conf:20");
    CHECK(s.files == Strings{"/c/postrider.conf", "/c/tables/domains"});
    CHECK(s.tables.size() == 5);
    CHECK(s.table("alias_file").at(0)->words[1].text == "/c/tables/aliases");
    CHECK(s.table("mailbox").at(0)->words[1].text == "maildir:~/Maildir");
    CHECK(s.table("virtual_domain").at(0)->words[1].text == "maildir:/c/tables/mail/%d/%u");
    CHECK(s.table("virtual_domain").at(0)->option("users")->value == "/c/shop.users");
    CHECK(s.table("virtual_domain").at(1)->words[1].text == "maildir:/var/mail/%d/%u");
}

TEST_CASE("errors of settings", "[settings]") {
    struct Case {
        std::string text;
        Strings errors;
    };
    const std::string f = "/c/postrider.conf:";
    const Case cases[] = {
        {"hostname mx", {f + "1:10: \"mx\" is not a host name: it must contain a dot"}},
        {"listen 25 smtp", {f + "1:8: \"25\" is not ADDRESS:PORT or [ADDRESS]:PORT"}},
        {"listen 0.0.0.0:25 smtps",
         {f + "1:19: \"smtps\" is not one of smtp, submission, local; did you mean \"smtp\"?"}},
        {"listen 0.0.0.0:24 lmtp", {f + "1:19: listen lmtp is not implemented yet"}},
        {"listen 0.0.0.0:25 smtp\nlisten 0.0.0.0:25 submission",
         {f + "2:1: listen 0.0.0.0:25 was already given at " + f + "1:1"}},
        {"user smptd x",
         {f + "1:6: \"smptd\" is not one of smtpd, router, queue-manager, remote-delivery, authd; did you "
              "mean \"smtpd\"?"}},
        {"auth ldap x", {f + "1:6: \"ldap\" is not one of pam, passwd_file, dovecot"}},
        {"auth pam x", {f + "1:10: unexpected word \"x\""}},
        {"auth pam service=../x", {f + "1:10: not the name of a PAM service"}},
        {"auth passwd_file", {f + "1:1: incomplete: auth passwd_file PATH"}},
        {"auth passwd_file f service=x", {f + "1:20: service= is for auth pam"}},
        {"auth dovecot s\nauth dovecot ./s", {f + "2:1: this method was already given at " + f + "1:1"}},
        {"auth_on_25 maybe", {f + "1:12: \"maybe\" is neither yes nor no"}},
        {"auth_failures_per_client 20", {f + "1:26: \"20\" is not a rate such as 300/1h"}},
        {"auth_failures_per_account 2000/1h", {f + "1:27: the number must be from 1 to 1000"}},
        {"listen 0.0.0.0:25 smtp auth=tls", {f + "1:24: \"tls\" is not one of encrypted, always, off"}},
        {"listen /s local auth=always", {f + "1:17: nobody logs in on a local socket"}},
        {"user smtpd a\nuser smtpd b", {f + "2:1: user smtpd was already given at " + f + "1:1"}},
        {"user smtpd \"a b\"", {f + "1:12: not the name of a user"}},
        {"spool_dir \"\"", {f + "1:11: an empty path"}},
        {"resolver localhost", {f + "1:10: \"localhost\" is not ADDRESS:PORT or [ADDRESS]:PORT"}},
        {"self_address 192.0.2.1 me", {f + "1:24: \"me\" is not an IP address"}},
        {"recipient_delimiter ab", {f + "1:21: \"ab\" is not one of +-_=#%!&*~^. or \"\""}},
        {"min_free_space x", {f + "1:16: \"x\" is not a size such as 512, 64k, 30M or 1G"}},
        {"min_free_space 5% 6%",
         {f + "1:16: the second word must be of the other kind, a percentage or an amount"}},
        {"queue_directory_sync maybe", {f + "1:22: \"maybe\" is not one of auto, yes, no"}},
        {"dsn_return header",
         {f + "1:12: \"header\" is not one of headers, full; did you mean \"headers\"?"}},
        {"dsn_only_to spf-pass",
         {f + "1:13: spf-pass is not implemented yet, since SPF is not; there are any and local"}},
        {"dsn_only_to locals", {f + "1:13: \"locals\" is not one of any, local; did you mean \"local\"?"}},
        {"dsn_aggregate 2h", {f + "1:15: at most 1h"}},
        {"delay_warning never", {f + "1:15: \"never\" is not a duration such as 90s, 15m, 2h or 5d"}},
        {"dsn_templates none", {f + "1:1: /c/none cannot be listed: No such file or directory"}},
        {"double_bounce_to \"\"", {f + "1:18: not an address"}},
        {"retry 5m,0", {f + "1:7: a duration of zero is not allowed in a list"}},
        {"log_to syslog", {f + "1:8: log_to syslog is not implemented yet; only stderr is"}},
        {"log_level loud", {f + "1:11: \"loud\" is not one of debug, info, warning, error"}},
        {"max_message_size 1k", {f + "1:18: max_message_size must be from 64k to 1T, not 1k"}},
        {"command_timeout 10s overload=20s",
         {f + "1:21: overload= must not be larger than the value in normal times"}},
        {"alias_file * ldap:aliases",
         {f + "1:14: there are no tables from ldap:; there are regex:, glob:, cdb: and lmdb:"}},
        {"alias_file * cdb:", {f + "1:14: an empty path"}},
        {"virtual_domain d users=\"\"", {f + "1:18: users= has no value"}},
        // All errors at once, whatever kind they are of.
        {"hostname mx\nlisen x\nretry 5\ninclude none\n\"",
         {f + "4:9: /c/none cannot be opened: No such file or directory",
          f + "5:1: a quote that is not closed on its line",
          f + "2:1: unknown directive \"lisen\"; did you mean \"listen\"?",
          f + "1:10: \"mx\" is not a host name: it must contain a dot",
          f + "3:7: \"5\" is not a duration such as 90s, 15m, 2h or 5d"}},
    };
    for (const auto& c : cases) {
        INFO(c.text);
        auto result = load_text(c.text);
        CHECK_FALSE(result.settings.has_value());
        Strings expected = c.errors;
        std::sort(expected.begin(), expected.end());
        std::sort(result.errors.begin(), result.errors.end());
        CHECK(result.errors == expected);
    }
}

TEST_CASE("the system's name must do when none is given", "[settings]") {
    auto result = load_texts({{"/c/postrider.conf", ""}}, "localhost");
    CHECK(result.errors ==
          Strings{"/c/postrider.conf:1:1: hostname is not set, and the system's name will not do: "
                  "\"localhost\" is not a host name: it must contain a dot"});
    CHECK(load_texts({{"/c/postrider.conf", "hostname mx.example.org"}}, "localhost").errors == Strings{});
}

TEST_CASE("without resolv.conf the resolver is on the loopback", "[settings]") {
    auto result = load_texts({{"/c/postrider.conf", ""}, {"/etc/resolv.conf", "search example.org\n"}});
    REQUIRE(result.settings);
    REQUIRE(result.settings->resolvers.size() == 1);
    CHECK(result.settings->resolvers[0].text() == "127.0.0.1:53");
}

TEST_CASE("a missing configuration is an error", "[settings]") {
    auto result = load_texts({});
    CHECK(result.errors == Strings{"/c/postrider.conf:1:1: cannot be opened: No such file or directory"});
    CHECK(result.files == Strings{"/c/postrider.conf"});
    CHECK_FALSE(result.watch.empty());
}

TEST_CASE("a large file of something else gives a bounded list of errors", "[settings]") {
    std::string text = "hostname mx.example.org\n";
    for (int i = 0; i < 200000; ++i)
        text += "quite_another_thing\n";
    auto result = load_text(text);
    CHECK(result.errors.size() == Limits().size(Limit::ConfigErrors) + 1);
    CHECK(result.errors.back() == "199000 more errors");
}

TEST_CASE("rendering names the origin of each value", "[settings]") {
    auto result = load_text(
        "hostname mx.example.org\nmax_hops 60\nrecipient_delimiter \"\"\n"
        "virtual_domain d \"maildir:/a b\" users=u\nresolver 127.0.0.1\nnet 10.0.0.0/8 relay\n"
        "command_timeout 60s\nuser smtpd 7\nsender_login_check no\naccount_message_rate 300/1d\n"
        "auth \"pam\" reject \"550 no\"\n");
    REQUIRE(result.settings);
    auto line = [&](std::string_view name) {
        std::string text = render(*result.settings, name);
        std::string packed;  // runs of blanks as one
        for (char c : text) {
            if (c != ' ' || !packed.ends_with(' ')) packed += c;
        }
        return packed;
    };
    CHECK(line("hostname") == "hostname mx.example.org # /c/postrider.conf:1\n");
    CHECK(line("max_hops") == "max_hops 60 # /c/postrider.conf:2\n");
    CHECK(line("max_recipients") == "max_recipients 1000 # default\n");
    CHECK(line("recipient_delimiter") == "recipient_delimiter \"\" # /c/postrider.conf:3\n");
    CHECK(line("virtual_domain") == "virtual_domain d \"maildir:/a b\" users=/c/u # /c/postrider.conf:4\n");
    CHECK(line("resolver") == "resolver 127.0.0.1:53 # /c/postrider.conf:5\n");
    CHECK(line("net") == "net 10.0.0.0/8 relay # /c/postrider.conf:6\n");
    CHECK(line("command_timeout") == "command_timeout 1m overload=30s # /c/postrider.conf:7\n");
    CHECK(line("listen") ==
          "listen 0.0.0.0:25 smtp # default\nlisten [::]:25 smtp # default\n"
          "listen /run/postrider/submit.sock local # default\n");
    CHECK(line("user").find("user smtpd 7 # /c/postrider.conf:8\n") == 0);
    CHECK(line("sender_login_check") == "sender_login_check no # /c/postrider.conf:9\n");
    CHECK(line("account_message_rate") == "account_message_rate 300/1d # /c/postrider.conf:10\n");
    CHECK(line("account_recipient_rate") == "account_recipient_rate off # default\n");
    CHECK(line("login") == "login \"pam\" reject \"550 no\" # /c/postrider.conf:11\n");
    CHECK(line("nothing").empty());
}

TEST_CASE("what is rendered can be read again and means the same", "[settings]") {
    auto first = load_text(
        "listen 127.0.0.1:25 smtp strict\nmin_free_space 3% 2G\nlocal_domain a.example\n"
        "route * via \"[192.0.2.1]:25\" retry=5m,1h\nalias_file * \"a \\\"b\\\" \\\\c\"\nmailbox a.example "
        "maildir:~/Maildir\n");
    REQUIRE(first.settings);
    std::string rendered = render(*first.settings);
    auto again = load_text(rendered);
    CHECK(again.errors == Strings{});
    REQUIRE(again.settings);
    // The origins differ, the values do not.
    auto values = [](const std::string& text) {
        Strings lines;
        for (std::size_t at = 0; at < text.size(); at = text.find('\n', at) + 1) {
            lines.push_back(text.substr(at, text.find(" # ", at) - at));
        }
        return lines;
    };
    CHECK(values(render(*again.settings)) == values(rendered));
}

TEST_CASE("users", "[settings]") {
    auto root = resolve_user("root");
    REQUIRE(root);
    CHECK(root->uid == 0);
    auto numeric = resolve_user("54321");
    REQUIRE(numeric);
    CHECK(numeric->uid == 54321);
    CHECK(numeric->gid == 54321);
    for (const char* name : {"", "no-such-user-here", "12x", "4294967295", "4294967296"}) {
        INFO(name);
        auto user = resolve_user(name);
        REQUIRE_FALSE(user);
        CHECK_FALSE(user.error().temporary());
    }
}

TEST_CASE("the sample configuration is valid", "[settings]") {
    DiskFiles files;
    auto result =
        load(POSTRIDER_SOURCE_DIR "/etc/postrider.conf",
             Surroundings{&files, [] { return std::string("mx.example.org"); }, "/etc/resolv.conf"});
    CHECK(result.errors == Strings{});
    CHECK(result.settings.has_value());
}

}  // namespace postrider::config
