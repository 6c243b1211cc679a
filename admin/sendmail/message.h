#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "libcommon/base/result.h"

/// The message that a program gives to sendmail. All functions are pure.
namespace postrider::admin {

/// The addresses in an address list (RFC 5322, 3.4): display names, comments and group names are left out.
/// What is no address comes out as it stands, for the server to refuse by name.
[[nodiscard]] std::vector<std::string> addresses_in(std::string_view list);

/// A message as lines that end with LF. Its body is kept octet for octet, but for CRLF line ends.
class LocalMessage {
  public:
    /// `text` may have LF or CRLF line ends. With `dot_ends` a line with nothing but a dot ends it. The line
    /// "From USER DATE" that begins a message in a mailbox file, and that some programs send, is left out.
    LocalMessage(std::string_view text, bool dot_ends);

    /// Whether the header can be sent. Error (Permanent): a field has a NUL, or a CR that ends no line, where
    /// other programs could see another header than this one.
    [[nodiscard]] Result<void> check_header() const;

    /// The recipients in To, Cc and Bcc; Resent-To, -Cc and -Bcc instead, if there are any (RFC 5322, 3.6.6).
    [[nodiscard]] std::vector<std::string> header_recipients() const;

    /// Takes the Bcc (and Resent-Bcc) fields out, so that nobody sees them.
    void remove_bcc();

    /// Adds From, Date and Message-ID where they are missing (RFC 6409, 8). `from` is a whole field body.
    void complete(const std::string& from, const std::string& date, const std::string& message_id);

    /// Header, empty line and body.
    [[nodiscard]] std::string text() const;

  private:
    [[nodiscard]] bool has(std::string_view name) const;
    [[nodiscard]] std::vector<std::string> recipients_of(const std::vector<std::string_view>& names) const;

    std::vector<std::string> fields_;  // each with its continuation lines and last LF
    std::string body_;
};

}  // namespace postrider::admin
