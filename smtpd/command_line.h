#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace postrider::smtpd {

/// What stands at the beginning of the received octets.
enum class LineState {
    Incomplete,  ///< no whole line yet
    Complete,    ///< a command line, without its CRLF
    TooLong,     ///< the end of a line that was longer than the limit
    Malformed    ///< a line with a bare CR, a bare LF or a NUL, which no SMTP client sends
};

/// One look at the input.
struct CommandLine {
    LineState state = LineState::Incomplete;
    /// The command, if Complete; otherwise at least the beginning of what stood in its place. Points into the
    /// input, or into the reader until its next call.
    std::string_view text;
    std::size_t consumed = 0;  ///< octets of the input that are done with, line end included
};

/// Cuts what a client sends outside of DATA into command lines.
///
/// Only CRLF ends a command (RFC 5321, 2.3.8). A line that ends in a bare LF is nevertheless taken as one
/// line and refused, so that a person with a simple terminal program sees why, and stays in step. A line
/// beyond the limit is skipped as it comes in and reported once, at its end: memory is bounded, and the
/// session stays in step with the client.
class CommandLineReader {
  public:
    /// The longest lines accepted, in octets, CRLF included: of all commands but AUTH, and of AUTH, which may
    /// have a long response behind it (RFC 4954, 4).
    CommandLineReader(std::size_t limit, std::size_t auth_limit) : limit_(limit), auth_limit_(auth_limit) {}

    /// Looks at `input`, which begins where the last call's `consumed` ended. Also when the result is
    /// Incomplete, `consumed` octets are to be forgotten.
    [[nodiscard]] CommandLine next(std::string_view input);

  private:
    void remember(std::string_view part);

    std::size_t limit_;
    std::size_t auth_limit_;
    bool skipping_ = false;  // inside a line that is too long
    std::string beginning_;  // of the line that is skipped
};

/// Whether the line is, or was meant as, an AUTH command, which may hold a password.
[[nodiscard]] bool begins_with_auth(std::string_view line);

/// Whether a line that was refused may have been meant as DATA or BDAT, so that content may follow it.
/// Someone in front of us may read it so, where we do not, and may see several lines in it.
[[nodiscard]] bool announces_content(std::string_view line);

}  // namespace postrider::smtpd
