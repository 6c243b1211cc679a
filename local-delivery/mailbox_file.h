#pragma once

#include <string>

#include "libcommon/base/clock.h"
#include "local-delivery/message_text.h"
#include "local-delivery/outcome.h"

namespace postrider::local_delivery {

/// Appends `message` to the mbox file `path` (mbox(5), the "mboxrd" form: every `From ` and `>From ` line
/// gets one more `>`), with the rights of the calling process. /dev/null swallows it. The file is locked with
/// a dot lock and fcntl; after `lock_timeout` without them the delivery is deferred. A lock file older
/// than `lock_stale` was left by a program that died, and is removed. A directory, a symbolic
/// link or a file with several names is refused. When anything fails the file has its old length again.
[[nodiscard]] Outcome append_to_mailbox_file(const std::string& path, const MessageText& message,
                                             UnixMillis arrival, Milliseconds lock_timeout,
                                             Milliseconds lock_stale);

/// Quotes lines that a reader of the mbox would take for the beginning of a message. Takes a text in pieces.
class FromQuoter {
  public:
    /// The quoted part of what has come so far; valid until the next call.
    [[nodiscard]] std::string_view quote(std::string_view piece);
    /// What was held back at the end, with a final LF if the last line had none.
    [[nodiscard]] std::string_view finish();

  private:
    [[nodiscard]] bool undecided() const;
    std::string line_start_;  // the beginning of the current line while it may still become a From_ line
    bool in_line_ = false;    // the current line is decided; copy until LF
    std::string quoted_;
};

}  // namespace postrider::local_delivery
