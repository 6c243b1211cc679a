#pragma once

#include <functional>
#include <string>

#include "local-delivery/message_text.h"
#include "local-delivery/outcome.h"

namespace postrider::local_delivery {

/// A mailbox in which every message is a file of its own (maildir(5)). Used with the rights of its owner.
class Maildir {
  public:
    /// `host` becomes part of file names. `make_parents`: folders above the mailbox may be created too, as is
    /// right for a virtual domain's tree, but not for a home directory that may only be unmounted.
    Maildir(std::string path, std::string host, bool make_parents);

    /// Delivers durably: when this returns Delivered, the message survives a power cut. `still_wanted` is
    /// asked last before the message becomes visible: if nobody is left to hear of the delivery it would be
    /// made again, so it is then deferred and nothing is left behind.
    [[nodiscard]] Outcome deliver(const MessageText& message, const std::function<bool()>& still_wanted);

  private:
    [[nodiscard]] Outcome prepare() const;
    [[nodiscard]] std::string unique_name();

    std::string path_;
    std::string host_;
    bool make_parents_;
};

}  // namespace postrider::local_delivery
