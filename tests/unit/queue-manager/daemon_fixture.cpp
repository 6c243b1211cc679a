#include "tests/unit/queue-manager/daemon_fixture.h"

#include <catch2/catch.hpp>
#include <fcntl.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <csignal>
#include <cstring>
#include <filesystem>
#include <fstream>

#include "libcommon/base/file.h"
#include "libcommon/ipc/channel.h"
#include "libcommon/ipc/packet.h"
#include "libcommon/queue_file/header.h"

namespace postrider::queue_manager::test {

namespace fs = std::filesystem;
using namespace std::chrono_literals;

namespace {

/// Whom the daemon runs as, and its peers connect as, when the tests run as root: then the whole suite is one
/// ordinary user, as it is when an ordinary user runs the tests.
constexpr uid_t kUser = 64'123;

void give_to_user(const std::string& path) {
    if (::geteuid() == 0) REQUIRE(::chown(path.c_str(), kUser, kUser) == 0);
}

sockaddr_un address_of(const std::string& path) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    REQUIRE(path.size() < sizeof(address.sun_path));
    std::memcpy(address.sun_path, path.c_str(), path.size());
    return address;
}

Fd connect_to(const std::string& path) {
    auto address = address_of(path);
    AsSpoolOwner user;
    Fd socket(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0));
    bool connected = ::connect(socket.get(), reinterpret_cast<sockaddr*>(&address), sizeof(address)) == 0;
    if (!connected) return Fd();
    return socket;
}

wire::Delivery& add_smtp(const wire::Recipient& recipient, const std::string& address,
                         wire::ResolvedRecipient& out) {
    wire::Delivery& delivery = *out.add_deliveries();
    delivery.set_recipient(address);
    delivery.set_original_recipient(recipient.address());
    delivery.set_transport(wire::TRANSPORT_SMTP);
    delivery.set_next_hop(address.substr(address.rfind('@') + 1));
    delivery.set_rule("test:1");
    delivery.set_notify(recipient.notify());
    delivery.set_orcpt(recipient.orcpt());
    return delivery;
}

/// What the router says of one who became two others, or of a list with two members.
void set_expansion(const wire::Recipient& recipient, bool is_list, wire::ResolvedRecipient& out) {
    constexpr std::uint32_t kNever = 1;
    constexpr std::uint32_t kSuccess = 2;
    for (const char* member : {"one@m1.smtp.test", "two@m2.smtp.test"}) {
        wire::Delivery& delivery = add_smtp(recipient, member, out);
        const std::uint32_t rest = recipient.notify() & ~kSuccess;
        delivery.set_notify(rest == 0 && recipient.notify() != 0 ? kNever : rest);
        if (!is_list) continue;
        delivery.set_sender("owner@o.smtp.test");
        delivery.set_has_sender(true);
        delivery.set_notify(0);
        delivery.clear_orcpt();
    }
    if ((recipient.notify() & kSuccess) == 0) return;
    wire::Delivery& success = add_smtp(recipient, recipient.address(), out);
    success.set_transport(is_list ? wire::TRANSPORT_LIST : wire::TRANSPORT_ALIAS);
}

void set_domain_route(const wire::Recipient& recipient, std::uint32_t index, wire::ResolvedRecipient& out) {
    const std::string& address = recipient.address();
    std::string domain = address.substr(address.rfind('@') + 1);
    auto ends = [&](const std::string& end) {
        return domain.size() >= end.size() &&
               domain.compare(domain.size() - end.size(), end.size(), end) == 0;
    };
    out.set_index(index);
    if (domain == "error.test") {
        out.mutable_failure()->set_text("5.1.1 no such user");
        return;
    }
    if (domain == "later.test") {
        out.mutable_failure()->set_temporary(true);
        out.mutable_failure()->set_text("4.4.3 the table cannot be read");
        return;
    }
    if (domain == "several.test" || domain == "list.test")
        return set_expansion(recipient, domain == "list.test", out);
    wire::Delivery& delivery = add_smtp(recipient, address, out);
    if (domain == "discard.test") delivery.set_transport(wire::TRANSPORT_DISCARD);
    if (ends("local.test")) {
        delivery.set_transport(wire::TRANSPORT_MAILDIR);
        delivery.set_next_hop(address.substr(0, address.rfind('@')));
    }
}

void take_detour(wire::Resolved& resolved) {
    for (auto& recipient : *resolved.mutable_recipients()) {
        for (auto& delivery : *recipient.mutable_deliveries()) {
            if (delivery.next_hop().ends_with(".smtp.test")) delivery.set_next_hop("detour.smtp.test");
        }
    }
}

}  // namespace

AsSpoolOwner::AsSpoolOwner() : root_(::geteuid() == 0) {
    if (root_) REQUIRE(::seteuid(kUser) == 0);
}

AsSpoolOwner::~AsSpoolOwner() {
    if (root_) static_cast<void>(::seteuid(0));
}

std::size_t count(const std::string& text, const std::string& part) {
    std::size_t found = 0;
    for (std::size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1))
        ++found;
    return found;
}

bool spool_is_empty(const TestDaemon& daemon) {
    return daemon.files("tmp").empty() && daemon.files("new").empty() && daemon.files("cur").empty();
}

bool eventually(const std::function<bool()>& condition, std::chrono::milliseconds patience) {
    auto end = std::chrono::steady_clock::now() + patience;
    while (!condition()) {
        if (std::chrono::steady_clock::now() > end) return false;
        std::this_thread::sleep_for(5ms);
    }
    return true;
}

Scratch::Scratch() {
    std::string pattern = (fs::temp_directory_path() / "queue-manager-test-XXXXXX").string();
    REQUIRE(::mkdtemp(pattern.data()) != nullptr);
    path_ = pattern;
    give_to_user(path_);
}

Scratch::~Scratch() {
    std::error_code ignored;
    fs::remove_all(path_, ignored);
}

// ---- TestPeer ----

TestPeer::TestPeer(const std::string& run_dir, wire::Role role, const std::string& socket) {
    REQUIRE(eventually([&] {
        socket_ = connect_to(run_dir + "/" + socket);
        return static_cast<bool>(socket_);
    }));
    if (role == wire::ROLE_NONE) return;
    wire::QueueRequest hello;
    hello.mutable_hello()->set_role(role);
    send(hello);
}

void TestPeer::send(const wire::QueueRequest& request) {
    std::string bytes = request.SerializeAsString();
    REQUIRE(::send(socket_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL) ==
            static_cast<ssize_t>(bytes.size()));
}

std::optional<TestPeer::Received> TestPeer::receive(std::chrono::milliseconds patience) {
    pollfd waiting{socket_.get(), POLLIN, 0};
    if (::poll(&waiting, 1, static_cast<int>(patience.count())) <= 0) return std::nullopt;
    std::string buffer(ipc::kMaxFrame, '\0');
    ipc::ReceivedPacket packet = ipc::receive_packet(socket_, buffer);
    if (packet.error != 0 || packet.size == 0) return std::nullopt;
    Received received;
    REQUIRE(received.reply.ParseFromArray(buffer.data(), static_cast<int>(packet.size)));
    if (!packet.descriptors.empty()) received.descriptor = std::move(packet.descriptors.front());
    return received;
}

bool TestPeer::disconnected() {
    while (true) {
        pollfd waiting{socket_.get(), POLLIN, 0};
        if (::poll(&waiting, 1, 10'000) <= 0) return false;
        char byte = 0;
        ssize_t got = ::recv(socket_.get(), &byte, 1, MSG_TRUNC);
        if (got <= 0) return true;
    }
}

TestPeer::Received TestPeer::answer() {
    while (true) {
        auto received = receive();
        REQUIRE(received);
        if (!received->reply.has_intake()) return std::move(*received);
    }
}

std::vector<wire::QueueEntry> TestPeer::listing(const wire::QueueRequest& request, std::size_t* frames) {
    send(request);
    std::vector<wire::QueueEntry> entries;
    while (true) {
        Received received = answer();
        REQUIRE(received.reply.has_listing());
        if (frames != nullptr) ++*frames;
        for (const auto& entry : received.reply.listing().entries())
            entries.push_back(entry);
        if (!received.reply.more()) return entries;
    }
}

std::string TestPeer::open(const wire::Envelope& envelope) {
    // Recipients that do not fit into the first frame follow in others.
    wire::QueueRequest request;
    request.set_id(next_id_++);
    *request.mutable_open()->mutable_envelope() = envelope;
    request.mutable_open()->mutable_envelope()->clear_recipients();
    constexpr int kPerFrame = 500;
    int first = 0;
    for (int i = 0; i < std::min(kPerFrame, envelope.recipients_size()); ++i, ++first) {
        *request.mutable_open()->mutable_envelope()->add_recipients() = envelope.recipients(i);
    }
    request.mutable_open()->set_more(first < envelope.recipients_size());
    send(request);
    while (first < envelope.recipients_size()) {
        wire::QueueRequest more;
        more.set_id(request.id());
        for (int i = 0; i < kPerFrame && first < envelope.recipients_size(); ++i, ++first) {
            *more.mutable_more_recipients()->add_recipients() = envelope.recipients(first);
        }
        more.mutable_more_recipients()->set_more(first < envelope.recipients_size());
        send(more);
    }
    auto opened = answer();
    CHECK(opened.reply.id() == request.id());
    if (!opened.reply.has_opened()) return {};
    return opened.reply.opened().queue_id();
}

std::string TestPeer::open(const wire::Envelope& envelope, const std::string& content) {
    const std::string id = open(envelope);
    if (id.empty()) return id;
    wire::QueueRequest place;
    place.set_id(next_id_++);
    place.mutable_open_content()->set_queue_id(id);
    send(place);
    auto given = answer();
    if (!given.reply.has_content_opened()) return {};
    REQUIRE(given.descriptor);
    REQUIRE(write_all(given.descriptor, content));
    return id;
}

wire::QueueReply TestPeer::commit_small(const std::string& id, const std::string& content) {
    wire::QueueRequest request;
    request.set_id(next_id_++);
    request.mutable_commit()->set_queue_id(id);
    request.mutable_commit()->set_content(content);
    send(request);
    return answer().reply;
}

wire::QueueReply TestPeer::commit(const std::string& id, const std::string& content) {
    wire::QueueRequest request;
    request.set_id(next_id_++);
    request.mutable_commit()->set_queue_id(id);
    request.mutable_commit()->set_content_length(content.size());
    request.mutable_commit()->set_content_xxh3(queue_file::content_hash(content));
    send(request);
    return answer().reply;
}

std::string TestPeer::submit(const std::string& sender, const std::vector<std::string>& recipients,
                             const std::string& content) {
    wire::Envelope envelope;
    envelope.set_sender(sender);
    for (const auto& recipient : recipients)
        envelope.add_recipients()->set_address(recipient);
    std::string id = open(envelope);
    REQUIRE_FALSE(id.empty());
    auto committed = commit_small(id, content);
    INFO(committed.failure().text());
    REQUIRE(committed.has_committed());
    return id;
}

void TestPeer::ready(std::vector<wire::Transport> transports, std::uint32_t capacity) {
    wire::QueueRequest request;
    for (auto transport : transports)
        request.mutable_agent_ready()->add_transports(transport);
    request.mutable_agent_ready()->set_capacity(capacity);
    send(request);
}

std::string TestPeer::Job::content() const {
    auto read = read_at(file, frame.content_length(), frame.content_offset());
    REQUIRE(read);
    return *read;
}

std::optional<TestPeer::Job> TestPeer::job(std::chrono::milliseconds patience) {
    auto received = receive(patience);
    if (!received) return std::nullopt;
    REQUIRE(received->reply.has_deliver());
    REQUIRE(received->descriptor);
    return Job{received->reply.deliver(), std::move(received->descriptor)};
}

void TestPeer::report(const wire::DeliverJob& job, wire::DeliveryResult::Outcome outcome,
                      const std::string& status, const std::string& text, bool destination_down) {
    wire::QueueRequest request;
    request.mutable_report()->set_job(job.job());
    request.mutable_report()->set_queue_id(job.queue_id());
    for (const auto& delivery : job.deliveries()) {
        auto* result = request.mutable_report()->add_results();
        result->set_number(delivery.number());
        result->set_outcome(outcome);
        result->set_status(status);
        result->set_text(text);
        result->set_destination_down(destination_down);
        if (!destination_down) result->set_remote_host("mx." + delivery.next_hop() + "[192.0.2.1]:25");
    }
    send(request);
}

// ---- TestRouter ----

TestRouter::TestRouter(const std::string& run_dir) : stop_(::eventfd(0, EFD_CLOEXEC)) {
    std::string path = run_dir + "/router.sock";
    static_cast<void>(::unlink(path.c_str()));
    auto address = address_of(path);
    listening_ = Fd(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0));
    REQUIRE(::bind(listening_.get(), reinterpret_cast<sockaddr*>(&address), sizeof(address)) == 0);
    REQUIRE(::listen(listening_.get(), 16) == 0);
    REQUIRE(::chmod(path.c_str(), 0666) == 0);
    thread_ = std::thread([this] { serve(); });
}

TestRouter::~TestRouter() {
    std::uint64_t one = 1;
    static_cast<void>(::write(stop_.get(), &one, sizeof(one)) == sizeof(one));
    thread_.join();
}

void TestRouter::serve() {
    while (true) {
        std::vector<pollfd> waiting = {{stop_.get(), POLLIN, 0}, {listening_.get(), POLLIN, 0}};
        for (const auto& client : clients_)
            waiting.push_back({client.get(), POLLIN, 0});
        if (::poll(waiting.data(), waiting.size(), -1) < 0) continue;
        if (waiting[0].revents != 0) return;
        for (std::size_t i = 2; i < waiting.size(); ++i) {
            if (waiting[i].revents != 0) answer(waiting[i].fd);
        }
        if (waiting[1].revents != 0) {
            clients_.emplace_back(::accept4(listening_.get(), nullptr, nullptr, SOCK_CLOEXEC));
        }
    }
}

void TestRouter::answer(int socket) {
    std::string buffer(ipc::kMaxFrame, '\0');
    ssize_t got = ::recv(socket, buffer.data(), buffer.size(), 0);
    if (got <= 0) {
        std::erase_if(clients_, [socket](const Fd& client) { return client.get() == socket; });
        return;
    }
    wire::RouterRequest request;
    if (!request.ParseFromArray(buffer.data(), static_cast<int>(got)) || !request.has_resolve()) return;
    // Several frames, to see that the answer is put together.
    constexpr int kPerFrame = 100;
    int count = request.resolve().recipients_size();
    for (int first = 0; first < count; first += kPerFrame) {
        wire::RouterReply reply;
        reply.set_id(request.id());
        reply.set_more(first + kPerFrame < count);
        for (int i = first; i < std::min(count, first + kPerFrame); ++i) {
            set_domain_route(request.resolve().recipients(i), static_cast<std::uint32_t>(i),
                             *reply.mutable_resolved()->add_recipients());
            if (detour_) take_detour(*reply.mutable_resolved());
        }
        std::string bytes = reply.SerializeAsString();
        static_cast<void>(::send(socket, bytes.data(), bytes.size(), MSG_NOSIGNAL));
    }
    questions_ += static_cast<std::size_t>(count);
}

// ---- TestDaemon ----

TestDaemon::TestDaemon(const std::string& settings) {
    for (const std::string& folder : {run_dir(), spool_dir(), scratch_.path() + "/state"}) {
        REQUIRE(fs::create_directory(folder));
        give_to_user(folder);
    }
    std::ofstream config(scratch_.path() + "/postrider.conf");
    config << "hostname mx.local.test\nspool_dir spool\nrun_dir run\nstate_dir state\n"
              "local_domain local.test\nlisten 127.0.0.1:2525 smtp\nresolver 127.0.0.1\n"
           << settings;
    // The machine that runs the tests may have little space left.
    if (settings.find("intake_journal") == std::string::npos) config << "intake_journal_max 0\n";
    if (settings.find("min_free") == std::string::npos) config << "min_free_space 0%\nmin_free_inodes 0%\n";
}

TestDaemon::~TestDaemon() {
    kill_hard();
}

void TestDaemon::add_settings(const std::string& settings) {
    std::ofstream config(scratch_.path() + "/postrider.conf", std::ios::app);
    config << settings;
}

void TestDaemon::start() {
    std::string config = scratch_.path() + "/postrider.conf";
    std::string log_path = scratch_.path() + "/log";
    pid_ = ::fork();
    REQUIRE(pid_ >= 0);
    if (pid_ > 0) return;
    Fd log(::open(log_path.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0666));
    bool ready = ::dup2(log.get(), STDERR_FILENO) >= 0;
    if (::geteuid() == 0) ready = ready && ::setgid(kUser) == 0 && ::setuid(kUser) == 0;
    if (ready) ::execl(QUEUE_MANAGER, "queue-manager", "--config", config.c_str(), nullptr);
    ::_exit(127);
}

void TestDaemon::kill_hard() {
    if (pid_ < 0) return;
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
    pid_ = -1;
}

bool TestDaemon::alive() const {
    return pid_ > 0 && ::waitpid(pid_, nullptr, WNOHANG) == 0;
}

int TestDaemon::stop() {
    ::kill(pid_, SIGTERM);
    int status = 0;
    bool ended = eventually([&] { return ::waitpid(pid_, &status, WNOHANG) == pid_; }, 40s);
    REQUIRE(ended);
    pid_ = -1;
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

std::vector<std::string> TestDaemon::files(const std::string& folder) const {
    std::vector<std::string> names;
    std::error_code ignored;
    for (fs::recursive_directory_iterator entry(spool_dir() + "/" + folder, ignored), end; entry != end;
         entry.increment(ignored)) {
        if (entry->is_regular_file(ignored)) names.push_back(entry->path().filename().string());
    }
    std::sort(names.begin(), names.end());
    return names;
}

std::uint64_t TestDaemon::counter(const std::string& name) const {
    TestPeer admin = connect(wire::ROLE_ADMIN);
    wire::QueueRequest request;
    request.set_id(1);
    request.mutable_status();
    admin.send(request);
    auto answer = admin.answer();
    for (const auto& counter : answer.reply.state().counters()) {
        if (counter.name() == name) return counter.value();
    }
    FAIL("no counter " << name);
    return 0;
}

std::string TestDaemon::log() const {
    auto read = read_file(scratch_.path() + "/log", std::size_t{64} << 20);
    return read ? *read : "";
}

}  // namespace postrider::queue_manager::test
