#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace postrider::mail {

/// What was wrong with content that was received. Of several faults one is reported.
enum class DataFault { None, BareCr, BareLf, Nul, LineTooLong };

/// One line for the reply to the client: "bare LF in content". Empty for None.
[[nodiscard]] std::string_view describe(DataFault fault);

/// Takes the stream of a DATA command (RFC 5321 4.5.2) in pieces of any size, removes the dots that were
/// stuffed, and finds the end.
///
/// Only CRLF.CRLF ends the content. Servers that also take LF.LF or CR.CR for the end can be made to see two
/// messages where another server sees one, and the second then passes for mail of the first server (SMTP
/// smuggling). So an end that is spelt otherwise is content with a fault: the decoder reads on to the real
/// end, where the caller refuses the message. Nothing of it is ever taken for a command.
class DataDecoder {
  public:
    /// Reads `input`, which continues where the last call stopped, and appends its content to `output`.
    /// Returns how many octets it has used: all of them, unless the end came before, when the rest are
    /// commands. After a fault nothing is appended any more.
    [[nodiscard]] std::size_t feed(std::string_view input, std::string& output);

    /// Whether the end has been seen.
    [[nodiscard]] bool done() const { return state_ == State::Done; }

    [[nodiscard]] DataFault fault() const { return fault_; }

    /// Octets of content so far, without stuffed dots and the final dot; what SIZE is compared with. After a
    /// fault they are still counted, though not appended.
    [[nodiscard]] std::uint64_t octets() const { return octets_; }

  private:
    enum class State {
        LineStart,
        Dot,            // A line began with a dot, which is not content.
        DotCr,          // A line began with a dot and CR; the CR is not appended yet.
        InLine,         // Somewhere behind the start of a line.
        InLineAfterCr,  // As InLine, and the last octet, already content, was a CR.
        Done,
    };

    /// Advances over `input` at `position` as far as the state allows.
    void step(std::string_view input, std::size_t& position);
    void step_in_line(std::string_view input, std::size_t& position);
    void end_of_line();
    void note(DataFault fault);

    State state_ = State::LineStart;
    DataFault fault_ = DataFault::None;
    std::uint64_t octets_ = 0;
    std::size_t line_length_ = 0;
};

/// Looks at content that comes in chunks (RFC 3030), which needs no dots and has no end of its own, for the
/// same faults.
class ChunkChecker {
  public:
    /// BINARYMIME may hold any octets in any order; then nothing is a fault.
    explicit ChunkChecker(bool binary) : binary_(binary) {}

    /// Looks at the next octets, wherever chunks begin and end.
    void feed(std::string_view input);
    /// To be called at the end of the last chunk.
    void finish();

    [[nodiscard]] DataFault fault() const { return fault_; }

  private:
    void note(DataFault fault);

    bool binary_;
    bool after_cr_ = false;  // The last octet was a CR.
    std::size_t line_length_ = 0;
    DataFault fault_ = DataFault::None;
};

/// Makes the stream of a DATA command from the content of a message in pieces of any size: dots stuffed,
/// ending in CRLF.CRLF. Every CR, LF and CRLF goes out as CRLF, so that no bare one can leave this host.
class DataEncoder {
  public:
    /// Appends the encoded form of `input`, the next piece of content, to `output`.
    void encode(std::string_view input, std::string& output);

    /// Appends the end: CRLF if the last line has none, then the final dot.
    void finish(std::string& output);

  private:
    bool at_line_start_ = true;
    bool after_cr_ = false;  // A CR was sent as CRLF, and an LF that follows is part of it.
};

}  // namespace postrider::mail
