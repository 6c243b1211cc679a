#pragma once

#include <sys/types.h>

#include <cstddef>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "libcommon/base/fd.h"
#include "libcommon/base/result.h"

namespace postrider::local_delivery {

/// Mail is for its owner's eyes.
constexpr mode_t kMailFileMode = 0600;

/// A message as local programs and mailboxes want it: trace fields on top, lines that end with LF.
struct MessageText {
    int file = -1;                          ///< the queue file, only borrowed
    std::size_t offset = 0;                 ///< where the content begins in it
    std::size_t length = 0;                 ///< octets of content, with CRLF
    std::string sender;                     ///< envelope sender, empty for <>
    std::string recipient;                  ///< whom it is delivered to
    std::string original_recipient;         ///< the address at RCPT
    std::vector<std::string> forwarded_by;  ///< whose forward files led here, the first one first
    std::string queue_id;

    /// The fields that the delivery adds: Return-Path (RFC 5321, 4.4), Delivered-To, and X-Original-To where
    /// the address was another one at RCPT.
    [[nodiscard]] std::string trace_fields() const;

    /// Passes the trace fields and the content, CRLF turned into LF, to `sink` in pieces of at most 64 KiB.
    /// Ends with the first error that `sink` returns, or a Temporary error when the queue file is shorter
    /// than it should be or cannot be read.
    [[nodiscard]] Result<void> write_to(const std::function<Result<void>(std::string_view)>& sink) const;

    /// The value of the header's Message-ID field; empty if there is none or the file cannot be read.
    [[nodiscard]] std::string message_id() const;

    /// True if a Delivered-To field of the header names the recipient: this delivery happened before, and
    /// what came of it led back here.
    [[nodiscard]] Result<bool> was_delivered_here() const;

  private:
    [[nodiscard]] Result<bool> find_line(const std::function<bool(std::string_view)>& wanted) const;
};

/// Turns CRLF into LF in a text that comes in pieces; a CR that ends one piece waits for the next.
class LineEndConverter {
  public:
    /// The converted part of what has come so far; valid until the next call.
    [[nodiscard]] std::string_view convert(std::string_view piece);
    /// A CR that was left over at the end.
    [[nodiscard]] std::string_view finish();

  private:
    bool pending_cr_ = false;
    std::string converted_;
};

}  // namespace postrider::local_delivery
