// Measures what idle TLS sessions cost a process: tls_memory_bench [SESSIONS]. The clients live in a process
// of their own. Prints the growth of the resident memory for each session.

#include <fmt/format.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <memory>
#include <vector>

#include "libcommon/async/scope.h"
#include "libcommon/tls/server_layer.h"
#include "tests/unit/tls/test_client.h"

namespace {

using namespace postrider;

long resident_kib() {
    std::ifstream file("/proc/self/statm");
    long all = 0;
    long resident = 0;
    file >> all >> resident;
    return resident * ::sysconf(_SC_PAGESIZE) / 1024;
}

struct Bench {
    async::Loop& loop;
    std::shared_ptr<const tls::ServerContext> context;
    std::vector<std::unique_ptr<async::Stream>> streams;
    async::Scope waiting;
};

/// As a session worker waits for the next command.
async::Task<void> wait_for_input(async::Stream& stream, async::Deadline deadline) {
    auto more = co_await stream.fill(4096, deadline);
    static_cast<void>(more);
}

async::Task<void> accept_all(Bench& bench, int control, int sessions, int version) {
    const long before = resident_kib();
    for (int made = 0; made < sessions; ++made) {
        int ends[2] = {-1, -1};
        if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) std::abort();
        Fd client(ends[1]);
        // The client's end goes to the other process.
        char octet = 0;
        iovec data{&octet, 1};
        alignas(cmsghdr) char space[CMSG_SPACE(sizeof(int))] = {};
        msghdr message{};
        message.msg_iov = &data;
        message.msg_iovlen = 1;
        message.msg_control = space;
        message.msg_controllen = sizeof(space);
        cmsghdr* header = CMSG_FIRSTHDR(&message);
        header->cmsg_level = SOL_SOCKET;
        header->cmsg_type = SCM_RIGHTS;
        header->cmsg_len = CMSG_LEN(sizeof(int));
        *reinterpret_cast<int*>(CMSG_DATA(header)) = client.get();
        if (::sendmsg(control, &message, 0) != 1) std::abort();
        client.reset();
        auto stream = std::make_unique<async::Stream>(bench.loop, Fd(ends[0]));
        auto facts = co_await tls::accept(*stream, bench.context, bench.loop.after(Milliseconds(10'000)));
        if (!facts) std::abort();
        auto more = co_await stream->fill(4096, bench.loop.after(Milliseconds(10'000)));
        if (!more || !*more) std::abort();
        stream->consume(stream->buffered().size());
        stream->put("250 ok\r\n");
        auto sent = co_await stream->flush(bench.loop.after(Milliseconds(10'000)));
        if (!sent) std::abort();
        bench.waiting.spawn(wait_for_input(*stream, bench.loop.after(Milliseconds(600'000))));
        bench.streams.push_back(std::move(stream));
    }
    const long grown = resident_kib() - before;
    fmt::print("TLS 1.{}: {} idle sessions, {} KiB more resident memory, {:.1f} KiB each\n",
               version == TLS1_3_VERSION ? 3 : 2, sessions, grown,
               static_cast<double>(grown) / static_cast<double>(sessions));
    bench.loop.stop();
}

void be_clients(int control, int version) {
    std::vector<std::unique_ptr<tls::test::TestClient>> clients;
    while (true) {
        char octet = 0;
        iovec data{&octet, 1};
        alignas(cmsghdr) char space[CMSG_SPACE(sizeof(int))] = {};
        msghdr message{};
        message.msg_iov = &data;
        message.msg_iovlen = 1;
        message.msg_control = space;
        message.msg_controllen = sizeof(space);
        if (::recvmsg(control, &message, 0) != 1) return;
        Fd socket(*reinterpret_cast<int*>(CMSG_DATA(CMSG_FIRSTHDR(&message))));
        tls::test::ClientOptions options{.version = version, .server_name = "mx.test"};
        clients.push_back(std::make_unique<tls::test::TestClient>(std::move(socket), options));
        if (!clients.back()->connect() || !clients.back()->send("EHLO client.test\r\n")) std::abort();
        static_cast<void>(clients.back()->receive(8));
    }
}

void measure(int sessions, int version) {
    int control[2] = {-1, -1};
    if (::socketpair(AF_UNIX, SOCK_STREAM, 0, control) != 0) std::abort();
    const pid_t child = ::fork();
    if (child == 0) {
        ::close(control[0]);
        be_clients(control[1], version);
        ::_exit(0);
    }
    ::close(control[1]);
    {
        const auto pair = tls::test::make_certificate({"mx.test", {"mx.test"}});
        const auto certificate = tls::Certificate::parse(pair.chain, pair.key, "");
        auto ring = std::make_shared<const tls::KeyRing>(
            tls::KeyRing{{*certificate}, {tls::TicketKey::random(), std::nullopt}, {}});
        tls::ServerOptions options;
        options.endpoint = "bench";
        options.ticket_lifetime = Seconds(3600);
        async::Loop loop;
        Bench bench{loop, *tls::ServerContext::make(ring, options), {}, async::Scope(loop)};
        async::Scope scope(loop);
        scope.spawn(accept_all(bench, control[0], sessions, version));
        loop.run();
    }
    ::close(control[0]);
    ::waitpid(child, nullptr, 0);
}

}  // namespace

int main(int argc, char** argv) {
    const int sessions = argc > 1 ? std::atoi(argv[1]) : 10'000;
    rlimit descriptors{};
    ::getrlimit(RLIMIT_NOFILE, &descriptors);
    descriptors.rlim_cur = descriptors.rlim_max;
    ::setrlimit(RLIMIT_NOFILE, &descriptors);
    tls::prepare_library();
    for (const int version : {TLS1_3_VERSION, TLS1_2_VERSION}) {
        // Each in a process of its own: the second would find the memory that the first has freed.
        const pid_t child = ::fork();
        if (child == 0) {
            measure(sessions, version);
            std::fflush(stdout);
            ::_exit(0);
        }
        ::waitpid(child, nullptr, 0);
    }
    return 0;
}
