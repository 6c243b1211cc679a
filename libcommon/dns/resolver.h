#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "libcommon/async/loop.h"
#include "libcommon/async/scope.h"
#include "libcommon/async/sync.h"
#include "libcommon/base/clock.h"
#include "libcommon/base/result.h"
#include "libcommon/config/network.h"
#include "libcommon/config/settings.h"
#include "libcommon/dns/cache.h"
#include "libcommon/dns/packet.h"

namespace postrider::dns {

/// Whom a resolver asks, and what bounds it.
struct ResolverOptions {
    std::vector<config::Endpoint> servers;  ///< recursive servers, asked in this order; at least one
    Milliseconds timeout{0};                ///< of one question to one server
    Milliseconds chain_timeout{0};          ///< of a whole lookup
    PacketLimits packet;
    std::size_t cache_entries = 0;
    Seconds cache_ttl{0};         ///< the longest time that an answer is kept
    Seconds failure_ttl{0};       ///< how long it is kept that there was no usable answer
    std::size_t concurrency = 0;  ///< questions on the wire at the same time

    /// As the configuration says.
    [[nodiscard]] static ResolverOptions from(const config::Settings& settings);
};

/// Looks names up at recursive servers without blocking the loop. Answers are cached; whoever asks what is
/// being asked already waits for the same answer. Each question has a socket, and so a random port, of its
/// own, beside a random id (RFC 5452); while there is no answer it is sent again after a second, and after
/// twice as long each time. A server that times out or fails makes room for the next one, which is then asked
/// first until it fails in turn.
class Resolver {
  public:
    /// Made before the process confines itself. Throws std::invalid_argument without a server, and
    /// std::runtime_error if there are no random numbers.
    Resolver(async::Loop& loop, ResolverOptions options);
    Resolver(const Resolver&) = delete;
    Resolver& operator=(const Resolver&) = delete;

    /// The records of `name` (any case, a final dot is allowed). A text that can be no domain name does not
    /// exist: NoSuchName. Error: always Temporary, when no server gave a usable answer in time, or none until
    /// `deadline`. The look-up then goes on without the caller, for others and for the cache.
    async::Task<Result<Answer>> lookup(std::string name, Type type, async::Deadline deadline = std::nullopt);

    /// What lookup() would return at once; nothing if it would have to ask.
    [[nodiscard]] std::optional<Result<Answer>> known(std::string_view name, Type type);

    /// How many answers are cached.
    [[nodiscard]] std::size_t cached() const { return cache_.size(); }

    /// How many questions went to a server so far.
    [[nodiscard]] std::uint64_t questions_sent() const { return questions_sent_; }

  private:
    /// A lookup that is under way, and those who wait for it.
    struct Flight {
        explicit Flight(async::Loop& loop) : landed(loop) {}
        async::Condition landed;
        std::optional<Result<Answer>> result;
    };

    std::optional<Result<Answer>> known_canonical(std::string_view name, Type type);
    async::Task<void> fly(std::shared_ptr<Flight> flight, std::string key, std::string name, Type type);
    async::Task<Result<Answer>> resolve(std::string name, Type type);
    async::Task<Result<Response>> ask(std::string name, Type type, async::Deadline deadline);
    async::Task<Result<Response>> ask_server(std::size_t server, Question question, async::Deadline deadline);
    async::Task<Result<Response>> ask_udp(config::Endpoint server, Question question, std::string packet,
                                          async::Deadline deadline);
    async::Task<Result<Response>> ask_tcp(config::Endpoint server, Question question, std::string packet,
                                          async::Deadline deadline);

    async::Loop& loop_;
    ResolverOptions options_;
    Cache cache_;
    Cache failures_;  // names and types without a usable answer; the answers in it say nothing
    async::Semaphore places_;
    std::size_t first_server_ = 0;
    std::uint64_t questions_sent_ = 0;
    std::unordered_map<std::string, std::shared_ptr<Flight>> flights_;
    async::Scope scope_;  // the last member: its tasks use the others
};

}  // namespace postrider::dns
