#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <vector>

#include "libcommon/base/clock.h"
#include "libcommon/queue_file/queue_id.h"

namespace postrider::queue_manager {

using queue_file::QueueId;

/// The folder a message's file is in; its id tells which of the sixteen of cur/. What is in Hold, Failed and
/// Corrupt is in no index: only its file knows of it. Journal: it has no file yet (intake_journal.h).
enum class Folder : std::uint8_t { New, Cur, Hold, Journal, Failed, Corrupt };

/// A domain or next hop that waiting messages are about, as a number, so that a million messages for one
/// domain do not hold its name a million times.
using TopicNumber = std::uint32_t;

/// Messages that are on disk only: what is known of them is when they are due and what they are about, in
/// less than 250 bytes each. Looking one up, changing it and finding the next due one are O(log n) or better;
/// nothing ever walks all of them but a listing of everything. Pure.
class WaitingIndex {
  public:
    /// What is known of one message. `topics` is empty and `known` false after a restart, until it was read.
    struct Entry {
        UnixMillis due = 0;
        Folder folder = Folder::New;
        bool known = false;
        bool delay_pending = false;  ///< the sender may have to be told of a delay
        std::uint32_t sender = 0;    ///< its sender's domain (SenderNames); only if it is known
        /// All deliveries wait for this next hop, which was down; they go as soon as it is up.
        std::optional<TopicNumber> parked_for;
        std::vector<TopicNumber> topics;
    };

    /// The number of a name, new or not. Names are compared as they are: give domains in lower case.
    [[nodiscard]] TopicNumber topic(std::string_view name);
    /// The name of a topic that a message in the index has.
    [[nodiscard]] const std::string& topic_name(TopicNumber topic) const { return topics_.at(topic).name; }

    /// Adds a message, which must not be in the index.
    void add(QueueId id, Entry entry);
    /// Takes a message out; nullopt if it is not in the index.
    std::optional<Entry> take(QueueId id);
    [[nodiscard]] const Entry* find(QueueId id) const;

    /// Changes when a message is due.
    void set_due(QueueId id, UnixMillis due);
    /// Makes a message due at `now`, wherever it waits for. False if it is not in the index.
    bool release(QueueId id, UnixMillis now);
    /// Makes what is parked for a next hop due at `now`. Returns how many messages.
    std::size_t release_parked(const std::string& next_hop, UnixMillis now);

    /// When the first message is due; nullopt if there is none.
    [[nodiscard]] std::optional<UnixMillis> next_due() const;
    /// The message that is due first, older messages first, if its time is not after `now`.
    [[nodiscard]] std::optional<QueueId> first_due(UnixMillis now) const;

    /// The messages about a topic, and with `subdomains` about all domains below it.
    [[nodiscard]] std::vector<QueueId> about(const std::string& name, bool subdomains = false) const;
    /// All messages, in the order of their ids.
    [[nodiscard]] std::vector<QueueId> all() const;
    /// How many messages are about a topic.
    [[nodiscard]] std::size_t count_about(const std::string& name) const;
    /// The topics there are.
    [[nodiscard]] std::vector<TopicNumber> topics() const;
    /// The messages about one of them; nullptr if it is gone.
    [[nodiscard]] const std::unordered_set<QueueId>* about(TopicNumber topic) const;
    /// Messages whose topics are not known yet.
    [[nodiscard]] const std::unordered_set<QueueId>& unknown() const { return unknown_; }

    [[nodiscard]] std::size_t size() const { return entries_.size(); }

  private:
    struct Topic {
        std::string name;
        std::unordered_set<QueueId> messages;
    };
    void release_topic(TopicNumber number);

    std::unordered_map<QueueId, Entry> entries_;
    std::set<std::pair<UnixMillis, QueueId>> timers_;
    std::unordered_set<QueueId> unknown_;
    std::unordered_map<TopicNumber, Topic> topics_;
    std::unordered_map<std::string, TopicNumber> topic_numbers_;
    TopicNumber next_topic_ = 1;
};

}  // namespace postrider::queue_manager
