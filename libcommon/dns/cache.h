#pragma once

#include <cstddef>
#include <list>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>

#include "libcommon/base/clock.h"
#include "libcommon/dns/packet.h"

namespace postrider::dns {

/// What is known about a name and a type. That nothing could be learned is not an Answer but a Temporary
/// error.
enum class Outcome {
    Found,       ///< `records` is not empty
    NoSuchName,  ///< the name does not exist, with any type
    NoData,      ///< the name exists, without records of this type
};

struct Answer {
    Outcome outcome = Outcome::NoData;
    Records records;
};

/// Answers by name and type for as long as their TTL says, but never longer than `longest`. It holds at most
/// `capacity` answers; a new one then takes the place of the one that was asked for the longest time ago.
/// Without any I/O or clock of its own.
class Cache {
  public:
    Cache(std::size_t capacity, Seconds longest) : capacity_(capacity), longest_(longest) {}

    /// The answer, or nullptr if there is none that still holds at `now`. It lives until the next call.
    [[nodiscard]] const Answer* find(std::string_view name, Type type, SteadyTime now);

    /// Keeps `answer` for `ttl`; nothing is kept for a TTL of zero.
    void store(std::string_view name, Type type, Answer answer, Seconds ttl, SteadyTime now);

    [[nodiscard]] std::size_t size() const { return entries_.size(); }

  private:
    struct Entry {
        std::string key;
        Answer answer;
        SteadyTime expires;
    };
    static std::string key_of(std::string_view name, Type type);

    std::size_t capacity_;
    Seconds longest_;
    std::list<Entry> entries_;                                                // the most recently used first
    std::unordered_map<std::string_view, std::list<Entry>::iterator> index_;  // keys are those of the entries
};

}  // namespace postrider::dns
