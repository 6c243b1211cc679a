// A peer of the queue-manager that says anything: the real daemon, but for its process, with a spool in
// memory, and one peer in one role that sends the frames of the input after its Hello.
//
// Whatever they say, the daemon answers or hangs up, and does no more than the role allows: a message that
// was there before is neither gone nor changed by smtpd; an agent ends only those deliveries whose transport
// it may take. The administrator may do everything; of him only that he cannot break anything is asked.
//
// The first octet is the role; the rest are frames (frame_list.h).

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <optional>
#include <string>

#include "libcommon/ipc/packet.h"
#include "libcommon/log/log.h"
#include "queue-manager/daemon.h"
#include "tests/fuzz/frame_list.h"

using namespace postrider;
using namespace postrider::queue_manager;

namespace {

namespace fs = std::filesystem;

void require(bool condition) {
    if (!condition) std::abort();
}

constexpr std::uint32_t kRemote = 1;  // the number of the delivery to another host
constexpr std::uint32_t kLocal = 2;   // of the one to a mailbox
// The seeds speak of it.
const char* const kPlantedId = "04HMASR0000000ZZ";

/// A folder in memory, which is the working directory.
struct Home {
    Home() {
        log::init("fuzz", log::Format::Text, log::Level::Error);
        std::string pattern = "/dev/shm/queue-frames-XXXXXX";
        require(::mkdtemp(pattern.data()) != nullptr);
        path = pattern;
        require(::chdir(path.c_str()) == 0);
        static std::string to_remove = path;
        std::atexit([] { fs::remove_all(to_remove); });
    }
    std::string path;
};

Settings small_settings() {
    Settings settings;
    settings.hostname = "mx.example.test";
    settings.sync_threads = 1;
    settings.shutdown_grace = Milliseconds(0);
    return settings;
}

wire::Delivery delivery(std::uint32_t number, wire::Transport transport) {
    wire::Delivery planted;
    planted.set_number(number);
    planted.set_recipient("user@example.test");
    planted.set_original_recipient("user@example.test");
    planted.set_transport(transport);
    planted.set_next_hop("example.test");
    return planted;
}

/// A message that waits for both kinds of agents.
void plant(const std::string& spool_path) {
    Spool spool(spool_path, false);
    wire::Envelope envelope;
    envelope.set_sender("sender@example.test");
    envelope.add_recipients()->set_address("user@example.test");
    envelope.set_arrival_ms(unix_millis_now());
    auto committed =
        spool.commit_message(*QueueId::parse(kPlantedId), envelope, "Subject: planted\r\n\r\nHello.\r\n");
    require(committed.has_value());
    wire::JournalRecord record;
    *record.mutable_resolved()->add_deliveries() = delivery(kRemote, wire::TRANSPORT_SMTP);
    *record.mutable_resolved()->add_deliveries() = delivery(kLocal, wire::TRANSPORT_MAILDIR);
    std::uint64_t end = committed->header.journal_offset();
    require(spool.append_journal(committed->header.id, committed->file, end, {record}).has_value());
}

/// Sends the frames as a peer that does not read, until the daemon hangs up or all are sent.
async::Task<void> attack(async::Loop& loop, wire::Role role, std::vector<std::string_view> frames) {
    auto socket = ipc::connect_seqpacket("queue.sock");
    require(socket.has_value());
    {
        async::Watch watch(loop, socket->get());
        wire::QueueRequest hello;
        hello.mutable_hello()->set_role(role);
        const std::string first = hello.SerializeAsString();
        int error = ipc::send_packet(*socket, first, Fd());
        for (const std::string_view frame : frames) {
            if (frame.empty()) continue;
            error = ipc::send_packet(*socket, frame, Fd());
            while (error == EAGAIN) {
                static_cast<void>(co_await watch.writable());
                error = ipc::send_packet(*socket, frame, Fd());
            }
            if (error != 0) break;
        }
        static_cast<void>(::shutdown(socket->get(), SHUT_WR));
        // The daemon closes when it has handled them all.
        std::string block(ipc::kMaxFrame, '\0');
        while (true) {
            auto packet = ipc::receive_packet(*socket, block);
            if (packet.error == 0 && packet.size == 0) break;
            if (packet.error != 0 && packet.error != EAGAIN) break;
            if (packet.error == EAGAIN) static_cast<void>(co_await watch.readable());
        }
    }
    loop.stop();
}

void check_planted(const std::string& spool_path, wire::Role role) {
    if (role == wire::ROLE_ADMIN) return;
    const Spool spool(spool_path, false);
    auto id = *QueueId::parse(kPlantedId);
    auto loaded = spool.load(id, Folder::New, true);
    if (!loaded) loaded = spool.load(id, Folder::Cur, true);
    require(loaded.has_value());
    const auto& deliveries = loaded->contents.journal.deliveries();
    const auto open = [&](std::uint32_t number) {
        return deliveries.at(number).phase == queue_file::DeliveryPhase::Waiting;
    };
    if (role != wire::ROLE_REMOTE_DELIVERY) require(open(kRemote));
    if (role != wire::ROLE_LOCAL_DELIVERY) require(open(kLocal));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    static const Home home;
    static const Settings settings = small_settings();
    if (size == 0) return 0;
    constexpr std::array roles = {wire::ROLE_SMTPD, wire::ROLE_LOCAL_DELIVERY, wire::ROLE_REMOTE_DELIVERY,
                                  wire::ROLE_ADMIN};
    const wire::Role role = roles[data[0] % roles.size()];
    const std::string spool_path = home.path + "/spool";
    fs::remove_all(spool_path);
    fs::create_directory(spool_path);
    plant(spool_path);
    {
        Spool spool(spool_path, false);
        async::Loop loop;
        auto listening = ipc::listen_seqpacket("queue.sock", 0600);
        require(listening.has_value());
        auto readers = ipc::listen_seqpacket("queue-read.sock", 0600);
        require(readers.has_value());
        Daemon::Sockets sockets;
        sockets.all = std::move(*listening);
        sockets.readers = std::move(*readers);
        Daemon daemon(loop, settings, spool, std::move(sockets), ipc::RoleUsers());
        require(daemon.start().has_value());
        async::Scope scope(loop);
        const std::string_view input(reinterpret_cast<const char*>(data) + 1, size - 1);
        scope.spawn(attack(loop, role, fuzz::frames_of(input)));
        loop.run();
        // It may be done at once, and ends a loop that runs.
        async::Timer stop(loop, [&daemon] { daemon.stop(); });
        stop.arm(Milliseconds(0));
        loop.run();
    }
    check_planted(spool_path, role);
    return 0;
}
