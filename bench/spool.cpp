// Fills a spool with messages that wait, without a session for each: queue files as the queue-manager leaves
// them after a first attempt that was deferred.
//
//     bench_spool [--user UID] [--due SECONDS] [--spread SECONDS] [--size OCTETS] [--plain]
//                 SPOOL MESSAGES DOMAINS SUFFIX
//
// The spool is made, or added to. Message number n is for user@dM.SUFFIX, with M = n modulo DOMAINS, and by
// MX, so that the domain is the next hop as well. It is due SECONDS from now (which may be in the past: -60),
// plus an even share of the spread. --plain leaves out the hints of the topics, as a copy would. Nothing is
// synced: it is for measuring.

#include "queue-manager/spool.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <getopt.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <optional>
#include <stdexcept>
#include <string>

#include "libcommon/base/clock.h"
#include "queue-manager/message.h"
#include "queue-manager/topic_hint.h"

namespace {

using namespace postrider;
using namespace postrider::queue_manager;

struct Order {
    uid_t user = 0;
    long due = 3600;
    long spread = 0;
    std::size_t size = 1024;
    bool plain = false;
    std::string spool;
    long messages = 0;
    long domains = 1;
    std::string suffix;
};

wire::Envelope envelope_to(const std::string& recipient, UnixMillis arrival) {
    wire::Envelope envelope;
    envelope.set_sender("sender@client.test");
    envelope.add_recipients()->set_address(recipient);
    envelope.set_client_address("10.0.0.5");
    envelope.set_helo("client.test");
    envelope.set_protocol("ESMTP");
    envelope.set_arrival_ms(arrival);
    return envelope;
}

/// The recipient was resolved, and deferred once by a server that had no room.
std::vector<wire::JournalRecord> history(const std::string& recipient, const std::string& domain,
                                         UnixMillis now) {
    std::vector<wire::JournalRecord> records(2);
    wire::Delivery* delivery = records[0].mutable_resolved()->add_deliveries();
    delivery->set_number(1);
    delivery->set_recipient(recipient);
    delivery->set_original_recipient(recipient);
    delivery->set_transport(wire::TRANSPORT_SMTP);
    delivery->set_next_hop(domain);
    wire::AttemptRecord* attempt = records[1].mutable_attempt();
    attempt->set_time_ms(now);
    // The delivery itself may be tried at any time: the file's time decides, as for one that waits because
    // its destination is down.
    attempt->set_next_attempt_ms(now);
    wire::DeliveryResult* result = attempt->add_results();
    result->set_number(1);
    result->set_status("4.2.2");
    result->set_text("452 4.2.2 mailbox full");
    return records;
}

template <typename T>
T must(Result<T> result) {
    if (!result) throw std::runtime_error(result.error().text);
    if constexpr (!std::is_void_v<T>) return std::move(*result);
}

void write_message(Spool& spool, const Order& order, long number, UnixMillis now,
                   const std::string& content) {
    const std::string domain = fmt::format("d{}.{}", number % order.domains, order.suffix);
    const std::string recipient = "user@" + domain;
    // Ids of the last hour, all different.
    const QueueId id(now - 3'600'000 + static_cast<UnixMillis>(number) % 3'600'000,
                     static_cast<std::uint32_t>(number) * 2'654'435'761U);
    const auto share = static_cast<long>(static_cast<double>(order.spread) * 1000 *
                                         static_cast<double>(number) / static_cast<double>(order.messages));
    const auto due = static_cast<UnixMillis>(static_cast<long>(now) + order.due * 1000 + share);
    auto incoming = must(spool.create(id, envelope_to(recipient, now)));
    if (::write(incoming.writer.get(), content.data(), content.size()) !=
        static_cast<ssize_t>(content.size()))
        throw std::runtime_error("write");
    const std::string header =
        queue_file::complete_header(incoming.header, content.size(), queue_file::content_hash(content));
    if (::pwrite(incoming.file.get(), header.data(), header.size(), 0) != static_cast<ssize_t>(header.size()))
        throw std::runtime_error("write");
    const auto complete = must(queue_file::decode_header(header));
    std::uint64_t end = complete.journal_offset();
    must(spool.append_journal(id, incoming.file, end, history(recipient, domain, now)));
    const std::string name = id.text();
    if (::rename(fmt::format("{}/tmp/{}", order.spool, name).c_str(),
                 fmt::format("{}/new/{}", order.spool, name).c_str()) != 0)
        throw std::runtime_error("rename");
    must(spool.wait_until(id, Folder::New, incoming.file, due, order.plain ? 0 : hint_of({domain})));
}

std::optional<Order> read_order(int argc, char** argv) {
    static const option kOptions[] = {
        {"user", required_argument, nullptr, 'u'},   {"due", required_argument, nullptr, 'd'},
        {"spread", required_argument, nullptr, 's'}, {"size", required_argument, nullptr, 'z'},
        {"plain", no_argument, nullptr, 'p'},        {nullptr, 0, nullptr, 0}};
    Order order;
    for (int found = 0; (found = ::getopt_long(argc, argv, "", kOptions, nullptr)) != -1;) {
        if (found == 'u') order.user = static_cast<uid_t>(std::atol(optarg));
        if (found == 'd') order.due = std::atol(optarg);
        if (found == 's') order.spread = std::atol(optarg);
        if (found == 'z') order.size = static_cast<std::size_t>(std::atol(optarg));
        if (found == 'p') order.plain = true;
        if (found == '?') return std::nullopt;
    }
    if (argc - optind != 4) return std::nullopt;
    order.spool = argv[optind];
    order.messages = std::atol(argv[optind + 1]);
    order.domains = std::max(1L, std::atol(argv[optind + 2]));
    order.suffix = argv[optind + 3];
    return order;
}

void fill(const Order& order) {
    ::umask(077);
    if (::mkdir(order.spool.c_str(), 0700) != 0 && errno != EEXIST) throw std::runtime_error("mkdir");
    if (order.user != 0) {
        if (::chown(order.spool.c_str(), order.user, order.user) != 0 ||
            ::setresgid(order.user, order.user, order.user) != 0 ||
            ::setresuid(order.user, order.user, order.user) != 0)
            throw std::runtime_error("become the owner of the spool");
    }
    Spool spool(order.spool, false);
    const UnixMillis now = unix_millis_now();
    std::string content = "Subject: waiting\r\nFrom: <sender@client.test>\r\n\r\n";
    while (content.size() < order.size)
        content += "This line stands in for the text of a message.\r\n";
    for (long number = 0; number < order.messages; ++number)
        write_message(spool, order, number, now, content);
}

}  // namespace

int main(int argc, char** argv) {
    const auto order = read_order(argc, argv);
    if (!order) {
        std::fputs("usage: bench_spool [OPTION]... SPOOL MESSAGES DOMAINS SUFFIX\n", stderr);
        return 64;
    }
    try {
        fill(*order);
    } catch (const std::exception& error) {
        std::fprintf(stderr, "bench_spool: %s\n", error.what());
        return 71;
    }
    return 0;
}
