#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "libcommon/base/result.h"

namespace postrider::mail {

/// What is wrong with a header as a whole.
enum class HeaderFault { None, TooLarge, TooManyFields };

/// One line for the reply to the client: "header larger than 262144 octets". Empty for None.
[[nodiscard]] std::string describe(HeaderFault fault);

/// Watches the header of a message go by and keeps what the loop checks and limits need. It takes the
/// unstuffed content from its first octet in pieces of any size, and holds a bounded amount of it.
///
/// The header ends at the first empty line, or before the first line that is no header field (the body of a
/// message without header). Folded fields count once.
class HeaderScanner {
  public:
    /// `hostname` is the name that our own Received fields bear behind `by`.
    explicit HeaderScanner(std::string hostname) : hostname_(std::move(hostname)) {}

    /// Looks at the next piece of content. Costs nothing once the header is complete.
    void feed(std::string_view content);

    /// To be called at the end of the content: a message that consists of a header has no empty line.
    void finish();

    /// Whether the end of the header has been seen, or a fault makes the rest of it immaterial.
    [[nodiscard]] bool complete() const { return complete_; }

    [[nodiscard]] HeaderFault fault() const { return fault_; }

    /// Octets of the header, the empty line included.
    [[nodiscard]] std::size_t octets() const { return octets_; }
    /// Whether the header ended with an empty line, and not with the first line of a body or the message.
    [[nodiscard]] bool ended_by_empty_line() const { return ended_by_empty_line_; }
    /// Whether there was such a field (RFC 5322, 3.6.1 and 3.6.4).
    [[nodiscard]] bool has_date() const { return has_date_; }
    [[nodiscard]] bool has_message_id() const { return has_message_id_; }
    [[nodiscard]] std::size_t fields() const { return fields_; }
    /// Received fields: the hops of the message so far (RFC 5321 6.3).
    [[nodiscard]] std::size_t received() const { return received_; }
    /// Received fields of our own: how often the message has been here.
    [[nodiscard]] std::size_t received_by_us() const { return received_by_us_; }
    /// The values of the Delivered-To fields from the top, without blanks around them.
    [[nodiscard]] const std::vector<std::string>& delivered_to() const { return delivered_to_; }

  private:
    /// What the line being read is, as far as it has been read.
    [[nodiscard]] bool begins_field() const;
    [[nodiscard]] bool continues_field() const;
    void end_line();
    void begin_field(std::string_view line);
    void end_field();
    void end_header(HeaderFault fault);

    std::string hostname_;
    std::string line_;   // The line being read, cut at kMaxFieldKept.
    std::string field_;  // The field being read, unfolded, cut at kMaxFieldKept.
    std::size_t octets_ = 0;
    std::size_t line_octets_ = 0;
    std::size_t fields_ = 0;
    std::size_t received_ = 0;
    std::size_t received_by_us_ = 0;
    std::vector<std::string> delivered_to_;
    bool complete_ = false;
    bool ended_by_empty_line_ = false;
    bool has_date_ = false;
    bool has_message_id_ = false;
    HeaderFault fault_ = HeaderFault::None;
};

}  // namespace postrider::mail
