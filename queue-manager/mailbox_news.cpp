#include "queue-manager/mailbox_news.h"

namespace postrider::queue_manager {

MailboxNews::News MailboxNews::after(const wire::Delivery& delivery, const wire::DeliveryResult& result,
                                     UnixMillis now) {
    const bool about_mailbox = delivery.transport() == wire::TRANSPORT_MAILDIR && time_ > 0;
    if (!about_mailbox) return News::None;
    const std::string& path = delivery.local().path();
    if (result.outcome() == wire::DeliveryResult::DELIVERED)
        return full_.erase(path) > 0 ? News::Room : News::None;
    if (!result.status().ends_with(".2.2")) return News::None;
    if (full_.size() >= kMaxMailboxes)
        std::erase_if(full_, [now](const auto& entry) { return entry.second <= now; });
    if (full_.size() < kMaxMailboxes) full_[path] = now + time_;
    return News::Full;
}

}  // namespace postrider::queue_manager
