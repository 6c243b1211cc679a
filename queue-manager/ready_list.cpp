#include "queue-manager/ready_list.h"

#include <algorithm>
#include <iterator>
#include <utility>

namespace postrider::queue_manager {

ReadyList::Sender& ReadyList::sender(const std::string& name, bool report) {
    if (report) return reports_;
    Sender& found = senders_[name];
    found.name = name;
    return found;
}

std::size_t ReadyList::share(std::size_t limit) const {
    const std::size_t sharing = senders_.size() + (reports_.idle() ? 0 : 1);
    return std::max<std::size_t>(1, limit / std::max<std::size_t>(1, sharing));
}

void ReadyList::forget_if_idle(const std::string& name) {
    const auto found = senders_.find(name);
    if (found != senders_.end() && found->second.idle()) senders_.erase(found);
}

bool ReadyList::add(const std::string& name, bool report, ReadyMessage message, std::size_t limit) {
    Sender& owner = sender(name, report);
    if (owner.called > 0) --owner.called;
    if (messages_ >= limit && owner.messages.size() >= share(limit)) {
        if (owner.outside == nullptr) owner.outside = std::make_unique<std::deque<QueueId>>();
        owner.outside->push_back(message.message);
        return false;
    }
    if (owner.messages.empty() && !report) owner.turn = turns_.insert(turns_.end(), &owner);
    std::reverse(message.deliveries.begin(), message.deliveries.end());
    owner.messages.push_back(std::move(message));
    ++messages_;
    return true;
}

void ReadyList::give_back(const std::string& name, bool report, ReadyMessage message) {
    Sender& owner = sender(name, report);
    if (!report && owner.messages.empty()) {
        owner.turn = turns_.insert(turns_.begin(), &owner);
    } else if (!report) {
        turns_.splice(turns_.begin(), turns_, owner.turn);
    }
    std::reverse(message.deliveries.begin(), message.deliveries.end());
    owner.messages.push_front(std::move(message));
    ++messages_;
}

ReadyList::Taken ReadyList::take(std::size_t most, std::size_t frame_bytes) {
    const bool report =
        turns_.empty() || (!reports_.messages.empty() && messages_since_report_ >= kMessagesPerReport);
    if (report || reports_.messages.empty()) messages_since_report_ = 0;
    if (!report && !reports_.messages.empty()) ++messages_since_report_;
    Sender& owner = report ? reports_ : *turns_.front();
    ReadyMessage& message = owner.messages.front();

    auto& deliveries = message.deliveries;
    std::size_t count = 0;
    std::size_t bytes = 0;
    while (count < deliveries.size() && count < most) {
        bytes += deliveries[deliveries.size() - 1 - count].frame_bytes;
        if (count > 0 && bytes > frame_bytes) break;
        ++count;
    }
    Taken taken;
    taken.sender = owner.name;
    taken.report = report;
    taken.message.message = message.message;
    taken.message.deliveries.assign(deliveries.rbegin(),
                                    std::next(deliveries.rbegin(), static_cast<std::ptrdiff_t>(count)));
    deliveries.resize(deliveries.size() - count);

    if (deliveries.empty()) {
        owner.messages.pop_front();
        --messages_;
    } else {
        owner.messages.splice(owner.messages.end(), owner.messages, owner.messages.begin());
    }
    if (report) return taken;
    if (owner.messages.empty()) {
        turns_.pop_front();
        forget_if_idle(taken.sender);
    } else {
        turns_.splice(turns_.end(), turns_, turns_.begin());
    }
    return taken;
}

std::vector<QueueId> ReadyList::take_called(const std::string& name, bool report, std::size_t limit) {
    std::vector<QueueId> called;
    const auto found = senders_.find(name);
    Sender* owner = report ? &reports_ : found == senders_.end() ? nullptr : &found->second;
    if (owner == nullptr || owner->outside == nullptr) return called;
    const std::size_t room = share(limit);
    // Those that were called and are still away when all others have gone will not come.
    if (owner->messages.empty()) owner->called = 0;
    if (owner->messages.size() + owner->called > room / 2) return called;
    const std::size_t count = std::min(owner->outside->size(), room - owner->messages.size() - owner->called);
    const auto end = std::next(owner->outside->begin(), static_cast<std::ptrdiff_t>(count));
    called.assign(owner->outside->begin(), end);
    owner->outside->erase(owner->outside->begin(), end);
    owner->called += count;
    if (owner->outside->empty()) {
        owner->outside.reset();
        owner->called = 0;
    }
    if (!report) forget_if_idle(name);
    return called;
}

std::vector<ReadyMessage> ReadyList::take_all() {
    std::vector<ReadyMessage> taken;
    taken.reserve(messages_);
    const auto take_from = [&taken](Sender& owner) {
        for (ReadyMessage& message : owner.messages) {
            std::reverse(message.deliveries.begin(), message.deliveries.end());
            taken.push_back(std::move(message));
        }
        owner.messages.clear();
    };
    for (Sender* owner : turns_) {
        take_from(*owner);
        forget_if_idle(std::string(owner->name));
    }
    turns_.clear();
    take_from(reports_);
    messages_ = 0;
    return taken;
}

}  // namespace postrider::queue_manager
