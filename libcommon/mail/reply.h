#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace postrider::mail {

/// The three digits of a final SMTP reply, 200 to 599 (RFC 5321 4.2).
class ReplyCode {
  public:
    /// For the codes we send, which stand in the source: checked when it is compiled.
    consteval ReplyCode(int value) : value_(is_valid(value) ? value : throw "not a reply code") {}

    /// For codes that come from elsewhere. Nothing outside 200-599.
    [[nodiscard]] static constexpr std::optional<ReplyCode> from_number(int value) {
        if (!is_valid(value)) return std::nullopt;
        return ReplyCode(value, Checked());
    }

    [[nodiscard]] constexpr int value() const { return value_; }

    [[nodiscard]] constexpr bool is_positive() const { return value_ / 100 == 2; }
    /// 354 and 334: the peer waits for more.
    [[nodiscard]] constexpr bool is_intermediate() const { return value_ / 100 == 3; }
    [[nodiscard]] constexpr bool is_transient() const { return value_ / 100 == 4; }
    [[nodiscard]] constexpr bool is_permanent() const { return value_ / 100 == 5; }

    friend constexpr bool operator==(ReplyCode a, ReplyCode b) = default;

  private:
    struct Checked {};
    constexpr ReplyCode(int value, Checked /*unused*/) : value_(value) {}

    static constexpr bool is_valid(int value) { return value >= 200 && value <= 599; }

    int value_;
};

/// An enhanced status code, class.subject.detail (RFC 3463).
class EnhancedCode {
  public:
    /// For the codes we send, which stand in the source: checked when it is compiled.
    consteval EnhancedCode(int code_class, int subject, int detail)
        : class_(is_valid(code_class, subject, detail) ? code_class : throw "not an enhanced status code"),
          subject_(subject),
          detail_(detail) {}

    /// For codes that come from elsewhere. Nothing if the class is not 2, 4 or 5 or a number has over 3
    /// digits.
    [[nodiscard]] static constexpr std::optional<EnhancedCode> from_numbers(int code_class, int subject,
                                                                            int detail) {
        if (!is_valid(code_class, subject, detail)) return std::nullopt;
        return EnhancedCode(code_class, subject, detail, Checked());
    }

    [[nodiscard]] constexpr int code_class() const { return class_; }
    [[nodiscard]] constexpr int subject() const { return subject_; }
    [[nodiscard]] constexpr int detail() const { return detail_; }

    /// "5.1.1"
    [[nodiscard]] std::string to_string() const;

    friend constexpr bool operator==(EnhancedCode a, EnhancedCode b) = default;

  private:
    struct Checked {};
    constexpr EnhancedCode(int code_class, int subject, int detail, Checked /*unused*/)
        : class_(code_class), subject_(subject), detail_(detail) {}

    static constexpr bool is_valid(int code_class, int subject, int detail) {
        return (code_class == 2 || code_class == 4 || code_class == 5) && subject >= 0 && subject <= 999 &&
               detail >= 0 && detail <= 999;
    }

    int class_;
    int subject_;
    int detail_;
};

/// Parses "5.1.1" and nothing around it.
[[nodiscard]] std::optional<EnhancedCode> parse_enhanced_code(std::string_view text);

/// A complete reply, sent or received: `Reply{250, EnhancedCode{2, 1, 0}, {"Sender accepted."}}`. The lines
/// hold the text only, without codes and line ends.
struct Reply {
    ReplyCode code;
    std::optional<EnhancedCode> enhanced;
    std::vector<std::string> lines;

    friend bool operator==(const Reply& a, const Reply& b) = default;
};

/// Whether the client may be sent UTF-8, which takes SMTPUTF8 in its command (RFC 6531 3.7.4).
enum class ReplyCharset { Ascii, Utf8 };

/// The reply as it goes to the client, CRLF included. Every line has the code and, if there is one, the
/// enhanced code. Lines over 512 octets are broken, and what must not stand in a line becomes a question
/// mark, so that no text, wherever it comes from, can add a reply of its own.
[[nodiscard]] std::string format(const Reply& reply, ReplyCharset charset = ReplyCharset::Ascii);

/// The reply in one line for logs and reports: "550 5.1.1 No such user; ask the postmaster".
[[nodiscard]] std::string summary(const Reply& reply);

}  // namespace postrider::mail
