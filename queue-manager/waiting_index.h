#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "libcommon/base/clock.h"
#include "libcommon/queue_file/queue_id.h"
#include "queue-manager/slab.h"

namespace postrider::queue_manager {

using queue_file::QueueId;

/// The folder a message's file is in; its id tells which of the sixteen of cur/. What is in Hold, Failed and
/// Corrupt is in no index: only its file knows of it. Journal: it has no file yet (intake_journal.h).
enum class Folder : std::uint8_t { New, Cur, Hold, Journal, Failed, Corrupt };

/// A domain or next hop that waiting messages are about, as a number, so that a million messages for one
/// domain do not hold its name a million times. Never 0. Of a topic that no message has any more the number
/// may be given to another one.
using TopicNumber = std::uint32_t;

/// Messages that are on disk only: when they are due and what they are about, in some 100 octets each.
/// Looking one up, changing it and finding the next due one are O(log n) or better; nothing ever walks all of
/// them but a listing of everything. Pure.
///
/// An entry stands in a slab. A hash table of slots finds it by its id, a heap of slots orders all by their
/// times, and a chain of links leads to its topics; a link stands in the list of the topic's messages, too.
///
/// Messages that wait for a destination that is down are parked for it: they form a group with one time, so
/// that a destination costs as much with a hundred thousand of them as with one. When its time has come the
/// queue lets one of the group probe; when the destination is up all of the group are due, again in one step.
/// Each keeps the time at which it is due even so, for its sender has to be told of a delay, or it expires.
/// One that was tried itself, and is due later than the group, belongs to it but does not probe.
class WaitingIndex {
  public:
    /// What is known of one message. `topics` are not known, and `known` is false, after a restart, until it
    /// was read; what its file's time says of them (topic_hint.h) may stand in their place.
    struct Entry {
        UnixMillis due = 0;
        Folder folder = Folder::New;
        bool known = false;
        bool verify = false;       ///< its content has to be checked: its commit may have been interrupted
        bool forced = false;       ///< an administrator wants all of it tried now
        std::uint32_t sender = 0;  ///< its sender's domain (SenderNames); only if it is known
        /// All its deliveries wait for this next hop, which was down at the time; one of `topics`.
        std::optional<TopicNumber> parked_for;
        /// The time of that group, if it has none yet; 0: this message is tried at its own time, or when the
        /// next hop is up.
        UnixMillis parked_until = 0;
        std::vector<TopicNumber> topics;
    };

    /// The number of a name, new or not. Names are compared as they are: give domains in lower case.
    [[nodiscard]] TopicNumber topic(std::string_view name);
    /// The name of a topic that a message in the index has.
    [[nodiscard]] const std::string& topic_name(TopicNumber topic) const { return topics_[topic].name; }
    /// How many messages are about a topic.
    [[nodiscard]] std::size_t count_about(std::string_view name) const;

    /// Adds a message, which must not be in the index.
    void add(QueueId id, const Entry& entry);
    /// Takes a message out; nullopt if it is not in the index. What is returned has no topics: they may be
    /// gone with it.
    std::optional<Entry> take(QueueId id);
    [[nodiscard]] std::optional<Entry> find(QueueId id) const;
    /// Where the file of a message is; nullopt if it is not in the index.
    [[nodiscard]] std::optional<Folder> folder_of(QueueId id) const;

    /// Changes when a message is due.
    void set_due(QueueId id, UnixMillis due);
    /// Makes a message due at `now`, whatever it waits for, and with `force` notes that an administrator
    /// wants it so. False if it is not in the index.
    bool release(QueueId id, UnixMillis now, bool force = false);

    // ---- groups of messages parked for a next hop ----

    /// Makes what is parked for a next hop due at `now`. Returns how many messages.
    std::size_t release_parked(std::string_view next_hop, UnixMillis now);
    /// Puts the time of a group off, also that of one that was released. Without a group it does nothing.
    void park_until(TopicNumber topic, UnixMillis until);
    void park_until(std::string_view next_hop, UnixMillis until);
    /// The group whose time is first, if that is not after `now`; released ones are left out.
    [[nodiscard]] std::optional<TopicNumber> first_group(UnixMillis now) const;
    /// The message that was parked first of a group, one that may probe if there is one; nullopt if there is
    /// no group.
    [[nodiscard]] std::optional<QueueId> first_parked(TopicNumber topic) const;

    /// When the first message or group is due; nullopt if there is none.
    [[nodiscard]] std::optional<UnixMillis> next_due() const;
    /// The message that is due first, older messages first, if its time is not after `now`. It may be one of
    /// a group that was released.
    [[nodiscard]] std::optional<QueueId> first_due(UnixMillis now) const;

    /// The messages about a topic, and with `subdomains` about all domains below it.
    [[nodiscard]] std::vector<QueueId> about(const std::string& name, bool subdomains = false) const;
    /// All messages, in no order.
    [[nodiscard]] std::vector<QueueId> all() const;

    /// A message as it is passed by.
    struct Glance {
        QueueId id;
        bool known = false;
        std::uint32_t sender = 0;
        std::vector<TopicNumber> topics;
    };
    /// Shows up to `most` messages from place `from` on, and returns the place that is next, or nullopt at
    /// the end; the first place is 0. Of messages that come or go between two calls some may be left out, but
    /// none is shown twice unless it went and came back.
    std::optional<std::size_t> pass(std::size_t from, std::size_t most,
                                    const std::function<void(const Glance&)>& show) const;

    // ---- messages that are not known ----

    [[nodiscard]] std::size_t unknown() const { return unhinted_.count + hinted_.count; }
    /// Those that have no topics at all, and with `hinted` also those that have some from their hints.
    [[nodiscard]] std::vector<QueueId> unknown_ids(bool hinted) const;
    /// At most `most` of them, those without topics first, each in the order in which they were added.
    [[nodiscard]] std::vector<QueueId> first_unknown(std::size_t most) const;

    [[nodiscard]] std::size_t size() const { return records_.size(); }

  private:
    using Slot = std::uint32_t;
    using LinkNumber = std::uint32_t;
    static constexpr std::uint32_t kNone = 0;

    /// Records that are chained by their `next` and `previous`.
    struct List {
        Slot first = kNone;
        Slot last = kNone;
        std::uint32_t count = 0;
    };
    struct Record {
        std::uint64_t milliseconds = 0;  // of its id
        UnixMillis due = 0;
        std::uint32_t random = 0;  // of its id
        std::uint32_t in_heap = 0;
        LinkNumber links = kNone;
        Slot next = kNone;  // of the group, or of those that are not known
        Slot previous = kNone;
        TopicNumber parked_for = kNone;
        std::uint32_t sender = 0;
        Folder folder = Folder::New;
        bool known = false;
        bool verify = false;
        bool forced = false;
        bool tried = false;  // it does not probe for its group
        [[nodiscard]] QueueId id() const { return {milliseconds, random}; }
    };
    /// That a message has a topic.
    struct Link {
        TopicNumber topic = kNone;
        Slot slot = kNone;
        LinkNumber next = kNone;  // of the same topic
        LinkNumber previous = kNone;
        LinkNumber next_topic = kNone;  // of the same message
    };
    struct Topic {
        std::string name;
        LinkNumber first = kNone;
        std::uint32_t count = 0;
        // The group, which stands in waiting_groups_ if something of it may probe, or in released_groups_.
        List parked;
        List tried;
        UnixMillis group_due = 0;
        bool released = false;
        [[nodiscard]] std::uint32_t group_size() const { return parked.count + tried.count; }
    };
    using Groups = std::set<std::pair<UnixMillis, TopicNumber>>;

    [[nodiscard]] const Topic* find_topic(std::string_view name) const;
    [[nodiscard]] std::vector<TopicNumber> topics_of(const Record& record) const;
    [[nodiscard]] static Entry entry_of(const Record& record);
    [[nodiscard]] static std::size_t hash_of(QueueId id);
    [[nodiscard]] std::size_t place_of(QueueId id) const;
    [[nodiscard]] Slot slot_of(QueueId id) const;
    void insert_hash(Slot slot);
    void erase_hash(QueueId id);
    void grow_hash();
    [[nodiscard]] bool before(Slot left, Slot right) const;
    void place_in_heap(std::size_t position, Slot slot);
    void sift(std::size_t position);
    void erase_from_heap(Slot slot);
    void link(Slot slot, TopicNumber topic);
    void unlink_all(Record& record);
    void append(List& list, Slot slot);
    void remove(List& list, Slot slot);
    void park(Slot slot, TopicNumber number, UnixMillis until);
    void unpark(Slot slot);
    void set_group(TopicNumber number, UnixMillis due, bool released);
    void append_about(const Topic& topic, std::vector<QueueId>& ids) const;
    void append_ids(const List& list, std::size_t most, std::vector<QueueId>& ids) const;

    Slab<Record> records_;
    std::vector<Slot> hash_;  // open addressing; its size is a power of two
    std::vector<Slot> heap_;  // each has kWidth children
    Slab<Link> links_;
    Slab<Topic> topics_;
    std::unordered_map<std::string_view, TopicNumber> topic_numbers_;  // the names are in topics_
    Groups waiting_groups_;
    Groups released_groups_;
    List unhinted_;
    List hinted_;
};

}  // namespace postrider::queue_manager
