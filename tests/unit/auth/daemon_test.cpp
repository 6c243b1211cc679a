#include <catch2/catch.hpp>
#include <crypt.h>

#include <string>
#include <vector>

#include "smtpd/auth/password_hash.h"
#include "tests/unit/auth/authd_process.h"

// authd as a process, driven over auth.sock as session workers and administrators drive it.
namespace postrider::auth {

using test::AuthdProcess;
using test::AuthPeer;

namespace {

std::string hash_for(const std::string& password) {
    crypt_data work{};
    return ::crypt_r(password.c_str(), "$6$rounds=1000$saltsalt$", &work);
}

std::string scram_for(const std::string& password) {
    return to_text(make_scram_verifier(Secret(password), "0123456789abcdef", 4096));
}

std::uint64_t counter(AuthPeer& admin, const std::string& name) {
    wire::AuthRequest request;
    request.mutable_status();
    const auto reply = admin.ask(request);
    if (!reply) return 0;
    for (const wire::Counter& counter : reply->state().counters()) {
        if (counter.name() == name) return counter.value();
    }
    return 0;
}

}  // namespace

TEST_CASE("users of a password file log in") {
    AuthdProcess authd;
    authd.write("passwords", "Joe:" + hash_for("secret") + "\nann:" + scram_for("pass") + "\nlocked:!\n");
    authd.write("postrider.conf", "auth passwd_file passwords\nerror_delay 1s\n");
    authd.start();
    AuthPeer smtpd(authd, wire::ROLE_SMTPD);
    CHECK(smtpd.offer() == "SCRAM-SHA-256-PLUS SCRAM-SHA-256 PLAIN LOGIN ");

    CHECK(smtpd.plain("joe", "secret") == "accepted joe");
    CHECK(smtpd.plain("JOE", "secret") == "accepted joe");
    CHECK(smtpd.plain("ann", "pass") == "accepted ann");
    CHECK(smtpd.begin("PLAIN", std::nullopt) == "challenge ");
    CHECK(smtpd.respond(std::string("\0joe\0secret", 11)) == "accepted joe");
    CHECK(smtpd.begin("LOGIN", std::nullopt) == "challenge Username:");
    CHECK(smtpd.respond("joe") == "challenge Password:");
    CHECK(smtpd.respond("secret") == "accepted joe");
    CHECK(smtpd.begin("LOGIN", "joe") == "challenge Password:");
    CHECK(smtpd.respond("secret") == "accepted joe");

    CHECK(smtpd.plain("joe", "Secret") == "rejected");
    CHECK(smtpd.plain("nobody", "secret") == "rejected");
    CHECK(smtpd.plain("locked", "!") == "rejected");
    CHECK(smtpd.begin("PLAIN", "joe") == "malformed");
    CHECK(smtpd.begin("GSSAPI", std::nullopt) == "malformed");
    CHECK(smtpd.begin("SCRAM-SHA-256", "n,,n=ann,r=abcdef").starts_with("challenge r=abcdef"));
    CHECK(smtpd.respond("c=biws,r=abcdef,p=AAAA") == "rejected");
    CHECK(smtpd.begin("SCRAM-SHA-256-PLUS", "p=tls-exporter,,n=ann,r=abcdef") == "rejected");

    // A cancelled exchange is forgotten, and so is one of another life.
    CHECK(smtpd.begin("LOGIN", std::nullopt) == "challenge Username:");
    wire::AuthRequest cancel;
    cancel.mutable_cancel()->set_exchange(smtpd.exchange());
    smtpd.send(cancel);
    CHECK(smtpd.respond("joe") == "unavailable");

    AuthPeer admin(authd, wire::ROLE_ADMIN);
    CHECK(counter(admin, "accepted") == 6);
    CHECK(counter(admin, "rejected") == 5);
    CHECK(counter(admin, "cancelled") == 1);
    CHECK(counter(admin, "tracked_clients") == 1);

    authd.signal(SIGTERM);
    CHECK(authd.wait() == 0);
    CHECK(authd.log().find("ecret") == std::string::npos);
}

TEST_CASE("a client that fails too often is locked, and no other one") {
    AuthdProcess authd;
    authd.write("passwords", "joe:" + hash_for("secret") + "\n");
    authd.write("postrider.conf",
                "auth passwd_file passwords\nauth_failures_per_client 5/4s\nauth_failures_per_account 3/1h\n"
                "auth_account_lock 2s\n");
    authd.start();
    AuthPeer one(authd, wire::ROLE_SMTPD);
    AuthPeer two(authd, wire::ROLE_SMTPD);
    for (int i = 0; i < 5; ++i)
        CHECK((i % 2 == 0 ? one : two).plain("user" + std::to_string(i), "x") == "rejected");
    for (AuthPeer* worker : {&one, &two}) {
        CHECK(worker->plain("joe", "secret") == "locked");
        CHECK(worker->begin("LOGIN", std::nullopt) == "locked");
        CHECK(worker->plain("joe", "secret", "192.0.2.2") == "accepted joe");
    }
    // One IPv6 network of 64 bits is one client.
    for (int i = 0; i < 5; ++i)
        CHECK(one.plain("user" + std::to_string(i), "x", "2001:db8::" + std::to_string(i)) == "rejected");
    CHECK(one.plain("joe", "secret", "2001:db8::ffff") == "locked");
    CHECK(one.plain("joe", "secret", "2001:db8:0:1::1") == "accepted joe");
    std::this_thread::sleep_for(std::chrono::milliseconds(4500));
    CHECK(one.plain("joe", "secret") == "accepted joe");

    for (int i = 0; i < 3; ++i)
        CHECK(one.plain("joe", "x", "198.51.100." + std::to_string(i)) == "rejected");
    CHECK(two.plain("joe", "secret", "198.51.100.9") == "locked");
    std::this_thread::sleep_for(std::chrono::milliseconds(2500));
    CHECK(two.plain("joe", "secret", "198.51.100.9") == "accepted joe");
}

TEST_CASE("a password file is read again when it changed, and one with an error is not") {
    AuthdProcess authd;
    authd.write("passwords", "joe:secret\n");
    authd.write("postrider.conf", "auth passwd_file passwords\n");
    CHECK(authd.run({"--check"}) == 78);
    CHECK(authd.log() == authd.path("etc/passwords") +
                             ":1:5: not a hash of a method that is known: $y$, $7$, $6$, $5$, $2b$\n");
    authd.write("passwords", "joe:" + hash_for("secret") + "\n");
    CHECK(authd.run({"--check"}) == 0);
    authd.start();
    AuthPeer smtpd(authd, wire::ROLE_SMTPD);
    CHECK(smtpd.offer() == "PLAIN LOGIN ");
    CHECK(smtpd.begin("SCRAM-SHA-256", std::nullopt) == "malformed");

    authd.write("passwords", "ann:" + scram_for("pass") + "\n");
    CHECK(authd.logs("password_file_loaded"));
    CHECK(smtpd.plain("joe", "secret") == "rejected");
    CHECK(smtpd.offer() == "SCRAM-SHA-256-PLUS SCRAM-SHA-256 PLAIN LOGIN ");
    CHECK(smtpd.plain("ann", "pass") == "accepted ann");

    authd.write("passwords", "bob\n");
    CHECK(authd.logs(":1:1: not a line LOGIN:HASH"));
    CHECK(authd.logs("password_file_not_loaded"));
    CHECK(smtpd.plain("ann", "pass") == "accepted ann");
}

TEST_CASE("peers of authd that break the rules are disconnected") {
    AuthdProcess authd;
    authd.write("passwords", "joe:" + hash_for("secret") + "\n");
    authd.write("postrider.conf", "auth passwd_file passwords\n");
    authd.start();
    AuthPeer admin(authd, wire::ROLE_ADMIN);
    CHECK(admin.plain("joe", "secret") == "none");
    AuthPeer asking(authd, wire::ROLE_SMTPD);
    wire::AuthRequest status;
    status.mutable_status();
    CHECK_FALSE(asking.ask(status).has_value());
    AuthPeer repeating(authd, wire::ROLE_SMTPD);
    CHECK(repeating.begin("LOGIN", std::nullopt) == "challenge Username:");
    wire::AuthRequest again;
    again.mutable_begin()->set_exchange(repeating.exchange());
    again.mutable_begin()->set_mechanism("LOGIN");
    CHECK_FALSE(repeating.ask(again).has_value());
    AuthPeer other(authd, wire::ROLE_SMTPD);
    CHECK(other.plain("joe", "secret") == "accepted joe");
}

TEST_CASE("users of the system log in through PAM, also while a module hangs") {
    if (::geteuid() != 0) {
        WARN("only root can be asked to check passwords of the system");
        return;
    }
    AuthdProcess authd;
    // The test's own services and users, in the view of authd alone.
    std::filesystem::create_directory(authd.path("etc/pam.d"));
    authd.write("pam.d/postrider", "auth [default=ignore] pam_exec.so quiet " + authd.path("etc/wait") +
                                       "\nauth required pam_unix.so\naccount required pam_unix.so\n");
    authd.write("wait", "#!/bin/sh\n[ \"$PAM_USER\" = sleeper ] && sleep 1000\nexit 0\n");
    std::filesystem::permissions(authd.path("etc/wait"), std::filesystem::perms(0755));
    std::ifstream system("/etc/passwd");
    std::stringstream passwd;
    passwd << system.rdbuf();
    const std::string home = ":/nonexistent:/bin/sh\n";
    authd.write("passwd", passwd.str() + "joe:x:64401:64401:" + home + "sleeper:x:64402:64402:" + home +
                              "expired:x:64403:64403:" + home);
    authd.write("shadow", "joe:" + hash_for("secret") + ":19000:0:99999:7:::\nsleeper:" + hash_for("secret") +
                              ":19000:0:99999:7:::\nexpired:" + hash_for("secret") +
                              ":19000:0:99999:7::100:\n");
    authd.write("passwords", "virtual:" + hash_for("secret") + "\njoe:" + hash_for("another") + "\n");
    authd.write("postrider.conf",
                "auth pam\nauth passwd_file passwords\nauth_pam_processes 2\nauth_timeout 3s\n");
    std::string mounts;
    for (const char* name : {"pam.d", "passwd", "shadow"}) {
        if (!mounts.empty()) mounts += " && ";
        mounts += "mount --bind " + authd.path("etc/") + name + " /etc/" + name;
    }
    authd.start(mounts);
    AuthPeer smtpd(authd, wire::ROLE_SMTPD);
    CHECK(smtpd.plain("joe", "secret") == "accepted joe");
    CHECK(smtpd.plain("joe", "wrong") == "rejected");
    // PAM knows joe, so that the password of the file is nobody's.
    CHECK(smtpd.plain("joe", "another") == "rejected");
    CHECK(smtpd.plain("expired", "secret") == "rejected");
    CHECK(smtpd.plain("virtual", "secret") == "accepted virtual");
    CHECK(smtpd.plain("nobody-at-all", "secret") == "rejected");

    AuthPeer slow(authd, wire::ROLE_SMTPD);
    wire::AuthRequest hanging;
    hanging.set_id(1000);
    hanging.mutable_begin()->set_exchange(1000);
    hanging.mutable_begin()->set_mechanism("PLAIN");
    hanging.mutable_begin()->set_has_initial(true);
    hanging.mutable_begin()->set_initial(std::string("\0sleeper\0secret", 15));
    slow.send(hanging);
    const auto begun = std::chrono::steady_clock::now();
    for (int i = 0; i < 10; ++i)
        CHECK(smtpd.plain("joe", "secret") == "accepted joe");
    CHECK(std::chrono::steady_clock::now() - begun < std::chrono::milliseconds(2500));
    CHECK(AuthPeer::text_of(slow.receive()) == "unavailable");
    CHECK(std::chrono::steady_clock::now() - begun > std::chrono::milliseconds(2500));
    AuthPeer admin(authd, wire::ROLE_ADMIN);
    CHECK(counter(admin, "pam_helpers_replaced") == 1);

    // With all helpers hanging, those that wait end in time, too; and afterwards there are new ones.
    for (std::uint64_t i = 2000; i < 2003; ++i) {
        hanging.set_id(i);
        hanging.mutable_begin()->set_exchange(i);
        slow.send(hanging);
    }
    CHECK(smtpd.plain("joe", "secret") == "unavailable");
    for (int i = 0; i < 3; ++i)
        CHECK(AuthPeer::text_of(slow.receive()) == "unavailable");
    CHECK(smtpd.plain("joe", "secret") == "accepted joe");

    // Nothing of what hung is left: the module's program had a session of its own.
    CHECK(std::system(("pgrep -f " + authd.path("etc/[w]ait") + " >/dev/null").c_str()) != 0);
    std::filesystem::remove(authd.path("etc/pam.d/postrider"));
    CHECK(smtpd.plain("joe", "secret") == "unavailable");
    authd.signal(SIGTERM);
    CHECK(authd.wait() == 0);
}

}  // namespace postrider::auth
