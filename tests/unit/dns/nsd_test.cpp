// The resolver against NSD, a name server of somebody else's making. Skipped, with a warning, where it is
// missing.

#include <catch2/catch.hpp>
#include <fmt/format.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "libcommon/dns/resolver.h"
#include "tests/unit/async/run.h"

extern char** environ;  // NOLINT: what posix_spawn(3) takes

namespace postrider::dns {
namespace {

constexpr const char* kNsd = "/usr/sbin/nsd";

constexpr const char* kZone = R"($ORIGIN zone.test.
$TTL 300
@       IN SOA ns.zone.test. host.zone.test. 1 3600 600 86400 120
@       IN NS  ns.zone.test.
ns      IN A   127.0.0.1
@       IN MX  10 mx1.zone.test.
@       IN MX  20 mx2.zone.test.
mx1     IN A   192.0.2.1
mx1     IN AAAA 2001:db8::1
alias   IN CNAME mx1
null    IN MX  0 .
many    IN TXT "{0}" "{0}"
many    IN TXT "1{0}" "{0}"
many    IN TXT "2{0}" "{0}"
many    IN TXT "3{0}" "{0}"
)";

/// NSD with one zone, on a free port of the loopback, in a folder of its own.
class Nsd {
  public:
    Nsd() : folder_("/tmp/postrider-nsd-" + std::to_string(::getpid())), port_(free_port()) {
        std::filesystem::create_directories(folder_);
        std::ofstream(folder_ + "/zone") << fmt::format(fmt::runtime(kZone), std::string(200, 'x'));
        std::ofstream(folder_ + "/nsd.conf") << fmt::format(
            "server:\n ip-address: 127.0.0.1@{1}\n username: \"\"\n chroot: \"\"\n zonesdir: \"{0}\"\n"
            " database: \"\"\n pidfile: \"{0}/pid\"\n zonelistfile: \"{0}/list\"\n xfrdfile: \"{0}/xfrd\"\n"
            " xfrdir: \"{0}\"\n server-count: 1\n logfile: \"{0}/log\"\nremote-control:\n control-enable: "
            "no\n"
            "zone:\n name: zone.test\n zonefile: zone\n",
            folder_, port_);
        std::string config = folder_ + "/nsd.conf";
        std::array<char*, 5> arguments = {const_cast<char*>(kNsd), const_cast<char*>("-d"),
                                          const_cast<char*>("-c"), config.data(), nullptr};
        if (::posix_spawn(&pid_, kNsd, nullptr, nullptr, arguments.data(), environ) != 0) pid_ = -1;
    }
    ~Nsd() {
        if (pid_ > 0) {
            ::kill(pid_, SIGTERM);
            ::waitpid(pid_, nullptr, 0);
        }
        std::filesystem::remove_all(folder_);
    }
    Nsd(const Nsd&) = delete;
    Nsd& operator=(const Nsd&) = delete;

    [[nodiscard]] config::Endpoint endpoint() const {
        return *config::Endpoint::parse(fmt::format("127.0.0.1:{}", port_));
    }
    [[nodiscard]] bool running() const { return pid_ > 0; }

  private:
    static int free_port() { return 20000 + ::getpid() % 20000; }

    std::string folder_;
    int port_;
    pid_t pid_ = -1;
};

ResolverOptions options_for(const config::Endpoint& server) {
    ResolverOptions options;
    options.servers = {server};
    options.timeout = Milliseconds(1000);
    options.chain_timeout = Milliseconds(5000);
    options.packet = PacketLimits{10, 100};
    options.cache_entries = 100;
    options.cache_ttl = Seconds(3600);
    options.concurrency = 10;
    return options;
}

async::Task<void> store_lookup(Resolver& resolver, std::string name, Type type,
                               std::optional<Result<Answer>>& result) {
    result = co_await resolver.lookup(std::move(name), type);
}

Result<Answer> look_up(async::Loop& loop, Resolver& resolver, std::string name, Type type) {
    std::optional<Result<Answer>> result;
    async::run_to_end(loop, store_lookup(resolver, std::move(name), type, result));
    return *result;
}

TEST_CASE("the resolver understands NSD") {
    if (::access(kNsd, X_OK) != 0) {
        WARN("there is no nsd on this machine: not tested");
        return;
    }
    Nsd nsd;
    REQUIRE(nsd.running());
    async::Loop loop;
    Resolver resolver(loop, options_for(nsd.endpoint()));

    constexpr int kStartAttempts = 50;
    Result<Answer> answer = look_up(loop, resolver, "ns.zone.test", Type::A);
    for (int i = 0; i < kStartAttempts && !answer; ++i) {
        ::usleep(100'000);
        answer = look_up(loop, resolver, "ns.zone.test", Type::A);
    }
    REQUIRE(answer);

    answer = look_up(loop, resolver, "zone.test", Type::Mx);
    REQUIRE(answer);
    CHECK(answer->records.mx.size() == 2);
    CHECK(answer->records.ttl == 300);

    answer = look_up(loop, resolver, "alias.zone.test", Type::Aaaa);
    REQUIRE(answer);
    CHECK(answer->records.owner == "mx1.zone.test");
    CHECK(answer->records.addresses.at(0).text() == "2001:db8::1");

    answer = look_up(loop, resolver, "null.zone.test", Type::Mx);
    REQUIRE(answer);
    CHECK(answer->records.mx == std::vector<Mx>{{0, ""}});

    CHECK(look_up(loop, resolver, "nothing.zone.test", Type::A)->outcome == Outcome::NoSuchName);
    CHECK(look_up(loop, resolver, "mx1.zone.test", Type::Mx)->outcome == Outcome::NoData);
    CHECK_FALSE(look_up(loop, resolver, "elsewhere.test", Type::A));  // REFUSED

    // More than fits into a datagram.
    std::uint64_t before = resolver.questions_sent();
    answer = look_up(loop, resolver, "many.zone.test", Type::Txt);
    REQUIRE(answer);
    CHECK(answer->records.texts.size() == 4);
    CHECK(resolver.questions_sent() == before + 1);
}

}  // namespace
}  // namespace postrider::dns
