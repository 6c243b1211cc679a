#pragma once

#include <functional>
#include <string>

#include "libcommon/base/fd.h"
#include "local-delivery/maildir_size.h"
#include "local-delivery/message_text.h"
#include "local-delivery/outcome.h"

namespace postrider::local_delivery {

/// A mailbox in which every message is a file of its own (maildir(5)). Used with the rights of its owner.
class Maildir {
  public:
    /// `host` becomes part of file names. `make_parents`: folders above the mailbox may be created too, as is
    /// right for a virtual domain's tree, but not for a home directory that may only be unmounted.
    Maildir(std::string path, std::string host, bool make_parents, MailboxQuota quota = {});

    /// Delivers durably: when this returns Delivered, the message survives a power cut. `still_wanted` is
    /// asked last before the message becomes visible: if nobody is left to hear of the delivery it would be
    /// made again, so it is then deferred and nothing is left behind. A mailbox that has no room is 4.2.2, or
    /// 5.2.2 where the quota says so; a message that will never fit fails with 5.2.3.
    [[nodiscard]] Outcome deliver(const MessageText& message, const std::function<bool()>& still_wanted);

  private:
    [[nodiscard]] Outcome prepare() const;
    /// Writes the message to its file in tmp/ and makes it visible.
    [[nodiscard]] Outcome fill(const Fd& file, const std::string& name, const MessageText& message,
                               const std::function<bool()>& still_wanted, MaildirSize& size) const;
    [[nodiscard]] Outcome trouble(const std::string& what, int errno_value) const;
    [[nodiscard]] std::string unique_name();

    std::string path_;
    std::string host_;
    bool make_parents_;
    MailboxQuota quota_;
};

}  // namespace postrider::local_delivery
