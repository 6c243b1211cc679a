#pragma once

#include <chrono>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>

/// The log of every daemon: one line per event, `key=value`, on standard error.
///
///     2026-11-21T21:07:53.123Z queue-manager[123] info delivered id=0H3... to=<a@b> delay=0.012
///
/// or, with Format::Json, the same keys as one JSON object per line:
///
///     {"time":"2026-...","daemon":"queue-manager","pid":123,"level":"info","event":"delivered","id":...}
///
/// Usage, always as one statement:
///
///     log::info("delivered").add("id", id).add_address("to", recipient).add("delay", waited);
///
/// What may come from a peer is safe as a value: control characters, bytes that are no UTF-8 and characters
/// that turn a terminal's line around are escaped, so that no peer can forge a line. Secrets and message
/// content are never given to the log; that is the caller's duty.
namespace postrider::log {

enum class Format { Text, Json };
enum class Level { Debug, Info, Warning, Error };

/// A value longer than this, with its escapes, is cut at a character's boundary, and `...` marks the cut.
constexpr std::size_t kMaximumValue = 1024;

/// A line longer than this loses its last pairs and ends with truncated=yes. It is PIPE_BUF, up to which the
/// writes of several processes into one pipe are not mixed.
constexpr std::size_t kMaximumLine = 4096;

/// Says who speaks, in which format, and below which level nothing is written. Called once by main(), after
/// standard error is what it will be and before the first thread; until then lines are Text, from Info on,
/// by "postrider". Where standard error is the journal (JOURNAL_STREAM names it) lines carry its priority
/// prefix and no time, because journald has its own. Descriptor 2 is only borrowed.
void init(std::string_view daemon_name, Format format, Level minimum);

/// Whether a line of this level would be written; for values that are costly to compute.
[[nodiscard]] bool enabled(Level level);

/// Lines that were lost so far because standard error took none (full pipe, full disk). The first line
/// that gets through again is preceded by one that tells their number.
[[nodiscard]] std::uint64_t lost_lines();

/// One line being built; written with one system call when it is destroyed. It never throws, leaves errno
/// alone, and waits at most a fraction of a second for a reader of standard error that lags; after that,
/// lines are lost and counted until one gets through. A line below the minimum level costs one comparison.
/// Daemons ignore SIGPIPE: a line written when nobody reads standard error any more is lost, too.
class Line {
  public:
    Line(Level level, std::string_view event) noexcept;
    ~Line();
    Line(const Line&) = delete;
    Line& operator=(const Line&) = delete;
    Line(Line&&) = delete;
    Line& operator=(Line&&) = delete;

    /// Adds key=value. `key` is a literal of the code: lower-case letters, digits and `_`. The value is
    /// quoted where it contains blanks, quotes, `=` or `\`, or is empty.
    Line& add(std::string_view key, std::string_view value) noexcept;

    /// A number, as it is.
    template <std::integral T>
        requires(!std::same_as<T, bool>)
    Line& add(std::string_view key, T value) noexcept {
        if constexpr (std::signed_integral<T>) return add_signed(key, value);
        return add_unsigned(key, static_cast<std::uint64_t>(value));
    }

    /// yes or no; true or false in JSON.
    template <std::same_as<bool> T>
    Line& add(std::string_view key, T value) noexcept {
        return add_flag(key, value);
    }

    /// A time span, as seconds with three decimals.
    Line& add(std::string_view key, std::chrono::milliseconds value) noexcept;

    /// An address in angle brackets, so that the null sender shows as `<>`.
    Line& add_address(std::string_view key, std::string_view address) noexcept;

    /// The storage of a line; see line_buffer.h.
    struct Buffer;

  private:
    Line& add_signed(std::string_view key, std::int64_t value) noexcept;
    Line& add_unsigned(std::string_view key, std::uint64_t value) noexcept;
    Line& add_flag(std::string_view key, bool value) noexcept;
    Line& add_quoted(std::string_view key, std::string_view before, std::string_view value,
                     std::string_view after) noexcept;
    Line& add_bare(std::string_view key, std::string_view value) noexcept;

    std::unique_ptr<Buffer> buffer_;  // Empty where the line is below the level, or memory is out.
};

inline Line debug(std::string_view event) {
    return {Level::Debug, event};
}
inline Line info(std::string_view event) {
    return {Level::Info, event};
}
inline Line warning(std::string_view event) {
    return {Level::Warning, event};
}
inline Line error(std::string_view event) {
    return {Level::Error, event};
}

}  // namespace postrider::log
