#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <list>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "libcommon/queue_file/queue_id.h"

namespace postrider::queue_manager {

using queue_file::QueueId;

/// A delivery that can be offered now.
struct ReadyDelivery {
    std::uint32_t number = 0;
    std::uint32_t frame_bytes = 0;  ///< what it adds to the frame of its job
};

/// Deliveries of one message that wait for their turn.
struct ReadyMessage {
    QueueId message;
    std::vector<ReadyDelivery> deliveries;
};

/// What is ready for one destination, and in which order it goes.
///
/// Senders take turns, one job a turn. In its turn a sender's next message gives the deliveries of one job,
/// and if more of it are left it goes behind the sender's other messages. Reports of our own go when there is
/// nothing else, and after kMessagesPerReport jobs of messages in any case. Each step is O(1).
///
/// So, while S other senders have something ready, a message with one recipient whose sender has M others
/// ready goes after at most (M + 1) * S + M jobs of messages, and one report for each kMessagesPerReport of
/// these: one message of a new sender after S jobs, however many messages the others have. A report goes
/// after at most kMessagesPerReport jobs of messages for each report before it and for itself.
///
/// The list is bounded: when it holds `limit` messages, a sender who has his share of them, or more, gets no
/// more in. What is turned away stays on disk; the list remembers its id, and calls for it when half of the
/// share has gone.
class ReadyList {
  public:
    static constexpr unsigned kMessagesPerReport = 16;

    /// Appends a message. `sender` is whoever has to take turns with others. False if it was turned away;
    /// take_called() will name it when there is room.
    [[nodiscard]] bool add(const std::string& sender, bool report, ReadyMessage message, std::size_t limit);
    /// Puts back what take() gave, to be first again.
    void give_back(const std::string& sender, bool report, ReadyMessage message);

    /// What goes next, and of whom.
    struct Taken {
        ReadyMessage message;
        std::string sender;
        bool report = false;
    };
    /// Takes at most `most` deliveries, of together `frame_bytes` unless a single one is larger. The list
    /// must not be empty.
    [[nodiscard]] Taken take(std::size_t most, std::size_t frame_bytes);

    /// After a job of `sender` ended: the messages turned away for which there is room now.
    [[nodiscard]] std::vector<QueueId> take_called(const std::string& sender, bool report, std::size_t limit);

    /// Empties the list, but for the ids of what was turned away.
    [[nodiscard]] std::vector<ReadyMessage> take_all();

    /// Whether nothing is ready.
    [[nodiscard]] bool empty() const { return messages_ == 0; }
    /// Messages that are ready.
    [[nodiscard]] std::size_t size() const { return messages_; }
    /// Whether nothing is ready and nothing was turned away.
    [[nodiscard]] bool idle() const { return senders_.empty() && reports_.idle(); }

  private:
    struct Sender {
        std::string name;
        std::list<ReadyMessage> messages;              // with their deliveries in reverse: the next one last
        std::list<Sender*>::iterator turn;             // in turns_, if there are messages and it is no report
        std::unique_ptr<std::deque<QueueId>> outside;  // turned away; mostly there is nothing
        std::size_t called = 0;                        // of these, called and not back yet
        [[nodiscard]] bool idle() const { return messages.empty() && outside == nullptr; }
    };

    Sender& sender(const std::string& name, bool report);
    [[nodiscard]] std::size_t share(std::size_t limit) const;
    void forget_if_idle(const std::string& name);

    std::unordered_map<std::string, Sender> senders_;
    std::list<Sender*> turns_;  // those with something ready
    Sender reports_;
    unsigned messages_since_report_ = 0;
    std::size_t messages_ = 0;
};

}  // namespace postrider::queue_manager
