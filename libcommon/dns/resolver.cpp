#include "libcommon/dns/resolver.h"

#include <fmt/format.h>
#include <openssl/rand.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <optional>
#include <stdexcept>
#include <utility>

#include "libcommon/async/connect.h"
#include "libcommon/async/stream.h"
#include "libcommon/async/watch.h"
#include "libcommon/dns/name.h"
#include "libcommon/log/log.h"

namespace postrider::dns {
namespace {

using async::Deadline;
using async::Task;

constexpr int kRounds = 2;                        // how often each server is asked, as resolv.conf(5) has it
constexpr std::size_t kPacketOctets = 65535;      // what two octets of length can say (RFC 1035, 4.2.2)
constexpr std::size_t kWaitingForEachPlace = 10;  // look-ups under way or waiting, above which none is begun
constexpr Milliseconds kFirstPatience{1'000};  // then a question is sent once more; each time twice as long
constexpr std::size_t kForeignPackets = 64;  // an attacker who floods the port gets a time-out, not our time

Deadline earlier(Deadline a, Deadline b) {
    if (!a) return b;
    if (!b) return a;
    return std::min(*a, *b);
}

std::uint16_t random_id() {
    std::array<unsigned char, 2> bytes{};
    if (RAND_bytes(bytes.data(), static_cast<int>(bytes.size())) != 1) {
        throw std::runtime_error("no random numbers");  // without them every answer could be forged
    }
    return static_cast<std::uint16_t>(bytes[0] << 8 | bytes[1]);
}

/// What one recv() on a UDP socket brought.
enum class Received { Packet, Nothing, Failure };

Received receive(const Fd& socket, std::string& packet) {
    thread_local std::array<char, kPacketOctets> block;
    ssize_t got = ::recv(socket.get(), block.data(), block.size(), 0);
    if (got < 0) return errno == EAGAIN || errno == EINTR ? Received::Nothing : Received::Failure;
    packet.assign(block.data(), static_cast<std::size_t>(got));
    return Received::Packet;
}

constexpr std::size_t kLengthOctets = 2;  // in front of each packet on TCP

std::string with_length(std::string_view packet) {
    std::string framed;
    framed += static_cast<char>(packet.size() >> 8);
    framed += static_cast<char>(packet.size() & 0xff);
    framed += packet;
    return framed;
}

/// The packet that `received` begins with, if all of it is there.
std::optional<std::string_view> whole_answer(std::string_view received) {
    if (received.size() < kLengthOctets) return std::nullopt;
    auto high = static_cast<unsigned char>(received[0]);
    auto low = static_cast<unsigned char>(received[1]);
    std::size_t length = static_cast<std::size_t>(high) << 8 | low;
    if (received.size() < kLengthOctets + length) return std::nullopt;
    return received.substr(kLengthOctets, length);
}

}  // namespace

ResolverOptions ResolverOptions::from(const config::Settings& settings) {
    using config::Limit;
    const config::Limits& limits = settings.limits;
    ResolverOptions options;
    options.servers = settings.resolvers;
    options.servers.resize(std::min(options.servers.size(), limits.size(Limit::DnsServers)));
    options.timeout = limits.time(Limit::DnsTimeout);
    options.chain_timeout = limits.time(Limit::DnsChainTimeout);
    options.packet.cnames = limits.size(Limit::DnsCnames);
    options.packet.mx = limits.size(Limit::DnsMx);
    options.cache_entries = limits.size(Limit::DnsCacheEntries);
    options.cache_ttl = std::chrono::duration_cast<Seconds>(limits.time(Limit::DnsCacheTtl));
    options.failure_ttl = std::chrono::duration_cast<Seconds>(limits.time(Limit::DnsFailureTtl));
    options.concurrency = limits.size(Limit::DnsQuestions);
    return options;
}

Resolver::Resolver(async::Loop& loop, ResolverOptions options)
    : loop_(loop),
      options_(std::move(options)),
      cache_(options_.cache_entries, options_.cache_ttl),
      failures_(options_.cache_entries, options_.failure_ttl),
      places_(loop, options_.concurrency),
      scope_(loop) {
    if (options_.servers.empty()) throw std::invalid_argument("a resolver needs a DNS server");
    // OpenSSL reads its configuration when it is first used, which a confined process cannot do later.
    static_cast<void>(random_id());
}

std::optional<Result<Answer>> Resolver::known(std::string_view name, Type type) {
    const Result<std::string> canonical = canonical_name(name);
    if (canonical && !canonical->empty()) return known_canonical(*canonical, type);
    Answer nothing;
    nothing.outcome = Outcome::NoSuchName;
    return nothing;
}

std::optional<Result<Answer>> Resolver::known_canonical(std::string_view name, Type type) {
    if (const Answer* known = cache_.find(name, type, loop_.now())) return *known;
    if (failures_.find(name, type, loop_.now()) == nullptr) return std::nullopt;
    return temporary(fmt::format("{} {}: there was no usable answer just now", name, type_name(type)));
}

Task<Result<Answer>> Resolver::lookup(std::string name, Type type, Deadline deadline) {
    std::optional<Result<Answer>> at_once = known(name, type);
    if (at_once) co_return std::move(*at_once);
    auto canonical = canonical_name(name);
    std::string key = fmt::format("{} {}", type_name(type), *canonical);
    std::shared_ptr<Flight> flight;
    if (auto found = flights_.find(key); found != flights_.end()) {
        flight = found->second;
    } else {
        if (flights_.size() >= options_.concurrency * kWaitingForEachPlace) {
            co_return temporary("too many DNS questions at once");
        }
        flight = std::make_shared<Flight>(loop_);
        flights_.emplace(key, flight);
        // In a scope of the resolver's own: that the first who asked gives up must not fail the others.
        scope_.spawn(fly(flight, std::move(key), std::move(*canonical), type));
    }
    while (!flight->result) {
        bool landed = co_await flight->landed.wait(deadline);
        if (!landed) {
            // The next one who is as impatient need not wait as well.
            if (!flight->result)
                failures_.store(*canonical_name(name), type, Answer(), options_.failure_ttl, loop_.now());
            co_return temporary(fmt::format("{}: no answer in time", name));
        }
    }
    co_return *flight->result;
}

Task<void> Resolver::fly(std::shared_ptr<Flight> flight, std::string key, std::string name, Type type) {
    bool admitted = co_await places_.acquire(loop_.after(options_.chain_timeout));
    if (admitted) {
        Result<Answer> answer = co_await resolve(std::move(name), type);
        places_.release();
        flight->result = std::move(answer);
    } else {
        flight->result = temporary("too many DNS questions at once");
    }
    flights_.erase(key);
    flight->landed.notify_all();
}

Task<Result<Answer>> Resolver::resolve(std::string name, Type type) {
    Deadline deadline = loop_.after(options_.chain_timeout);
    std::string asked = name;
    std::size_t cnames = 0;
    std::uint32_t ttl = UINT32_MAX;
    while (true) {
        Result<Response> response = co_await ask(asked, type, deadline);
        if (!response) {
            log::warning("dns")
                .add("name", asked)
                .add("type", type_name(type))
                .add("error", response.error().text);
            failures_.store(name, type, Answer(), options_.failure_ttl, loop_.now());
            co_return failure(response.error());
        }
        cnames += response->cnames;
        if (cnames > options_.packet.cnames) {
            failures_.store(name, type, Answer(), options_.failure_ttl, loop_.now());
            co_return temporary(fmt::format("{}: too many CNAMEs", name));
        }
        ttl = std::min(ttl, response->records.ttl);
        if (response->verdict == Verdict::Redirected) {
            asked = response->records.owner;
            continue;
        }
        Answer answer;
        answer.records = std::move(response->records);
        answer.records.ttl = ttl;
        if (response->verdict == Verdict::Found) {
            answer.outcome = Outcome::Found;
        } else {
            bool exists = response->verdict == Verdict::NoData;
            answer.outcome = exists ? Outcome::NoData : Outcome::NoSuchName;
            // Where no SOA says how long that holds, it is no better than a failure; but not every client of
            // an address without a name may cost a question.
            const auto unsaid = static_cast<std::uint32_t>(options_.failure_ttl.count());
            ttl = std::min(ttl, response->negative_ttl == 0 ? unsaid : response->negative_ttl);
        }
        cache_.store(name, type, answer, Seconds(ttl), loop_.now());
        co_return answer;
    }
}

Task<Result<Response>> Resolver::ask(std::string name, Type type, Deadline deadline) {
    std::string problem = "no server answered in time";
    std::size_t attempts = options_.servers.size() * kRounds;
    for (std::size_t attempt = 0; attempt < attempts && loop_.now() < *deadline; ++attempt) {
        std::size_t server = first_server_;
        Question question;
        question.id = random_id();
        question.name = name;
        question.type = type;
        Result<Response> response = co_await ask_server(server, std::move(question), deadline);
        if (response && response->verdict != Verdict::Unusable) co_return response;
        problem = fmt::format("{} {}: {} from {}", name, type_name(type),
                              response ? response->problem : response.error().text,
                              options_.servers[server].text());
        // Only if nobody else has moved on from this server meanwhile.
        if (first_server_ == server) first_server_ = (server + 1) % options_.servers.size();
    }
    co_return temporary(std::move(problem));
}

Task<Result<Response>> Resolver::ask_server(std::size_t server, Question question, Deadline deadline) {
    config::Endpoint endpoint = options_.servers[server];
    Result<std::string> packet = build_query(question);
    if (!packet) co_return failure(packet.error());
    Deadline until = earlier(deadline, loop_.after(options_.timeout));
    ++questions_sent_;
    Result<Response> response = co_await ask_udp(endpoint, question, *packet, until);
    if (!response || response->verdict != Verdict::Truncated) co_return response;
    until = earlier(deadline, loop_.after(options_.timeout));
    co_return co_await ask_tcp(endpoint, std::move(question), std::move(*packet), until);
}

Task<Result<Response>> Resolver::ask_udp(config::Endpoint server, Question question, std::string packet,
                                         Deadline deadline) {
    sockaddr_storage address{};
    socklen_t length = server.to_socket(address);
    // Connected, so that the kernel drops what comes from elsewhere and reports a closed port.
    Result<Fd> socket = co_await async::connect_socket(loop_, SOCK_DGRAM, address, length, deadline);
    if (!socket) co_return failure(socket.error());
    async::Watch watch(loop_, socket->get());
    std::size_t foreign = 0;
    // What is lost, as in the queue of a server that many ask at the same time, is sent again, by and by
    // later.
    Milliseconds patience = kFirstPatience;
    Deadline next_sending = loop_.now();
    while (foreign < kForeignPackets) {
        if (loop_.now() >= *next_sending) {
            if (::send(socket->get(), packet.data(), packet.size(), MSG_NOSIGNAL) < 0)
                co_return system_failure("send", errno);
            next_sending = loop_.after(patience);
            patience *= 2;
        }
        auto ready = co_await watch.readable(earlier(deadline, next_sending));
        if (ready == async::Ready::TimedOut) {
            if (loop_.now() >= *deadline) co_return temporary("no answer in time");
            continue;
        }
        std::string received;
        Received what = receive(*socket, received);
        if (what == Received::Failure) co_return system_failure("receive", errno);
        if (what == Received::Nothing) continue;
        Response response = parse_response(received, question, options_.packet);
        if (response.verdict != Verdict::Foreign) co_return response;
        ++foreign;
    }
    co_return temporary("too many answers to other questions");
}

Task<Result<Response>> Resolver::ask_tcp(config::Endpoint server, Question question, std::string packet,
                                         Deadline deadline) {
    sockaddr_storage address{};
    socklen_t length = server.to_socket(address);
    Result<Fd> socket = co_await async::connect_socket(loop_, SOCK_STREAM, address, length, deadline);
    if (!socket) co_return failure(socket.error());
    async::Stream stream(loop_, std::move(*socket));
    stream.put(with_length(packet));
    Result<void> sent = co_await stream.flush(deadline);
    if (!sent) co_return failure(sent.error());
    while (!whole_answer(stream.buffered())) {
        Result<bool> more = co_await stream.fill(kLengthOctets + kPacketOctets, deadline);
        if (!more) co_return failure(more.error());
        if (!*more) co_return temporary("connection closed before the answer");
    }
    Response response = parse_response(*whole_answer(stream.buffered()), question, options_.packet);
    if (response.verdict == Verdict::Foreign || response.verdict == Verdict::Truncated) {
        co_return temporary("answer to another question");
    }
    co_return response;
}

}  // namespace postrider::dns
