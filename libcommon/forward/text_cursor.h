#pragma once

#include <cstddef>
#include <string_view>
#include <utility>

#include "libcommon/config/language.h"
#include "libcommon/mail/ascii.h"

namespace postrider::forward {

/// A blank or a line end.
[[nodiscard]] inline bool is_space(char octet) {
    return mail::is_blank(octet) || octet == '\n' || octet == '\r';
}

/// Walks through a text, which outlives it, and knows at which line and column it is.
class TextCursor {
  public:
    TextCursor(std::string_view text, config::Position start) : text_(text), position_(std::move(start)) {}

    [[nodiscard]] bool at_end() const { return at_ == text_.size(); }
    [[nodiscard]] char peek() const { return text_[at_]; }
    [[nodiscard]] std::size_t offset() const { return at_; }
    [[nodiscard]] const config::Position& position() const { return position_; }
    [[nodiscard]] std::string_view since(std::size_t start) const { return text_.substr(start, at_ - start); }
    /// What is left of the text.
    [[nodiscard]] std::string_view rest() const { return text_.substr(at_); }
    /// What is left of the present line, without its end.
    [[nodiscard]] std::string_view rest_of_line() const {
        std::string_view line = text_.substr(at_);
        return line.substr(0, line.find('\n'));
    }
    /// Whether the character before is a blank or a line end, or there is none.
    [[nodiscard]] bool after_space() const { return at_ == 0 || is_space(text_[at_ - 1]); }

    void advance() {
        if (text_[at_++] == '\n') {
            ++position_.line;
            position_.column = 1;
        } else {
            ++position_.column;
        }
    }
    void advance(std::size_t octets) {
        while (octets-- > 0)
            advance();
    }
    /// Over a line of `length` octets with its end, which begins here.
    void skip_whole_line(std::size_t length) {
        at_ += length;
        ++position_.line;
        position_.column = 1;
    }
    /// To the beginning of the next line.
    void skip_line() {
        advance(rest_of_line().size());
        if (!at_end()) advance();
    }
    /// The part of the text from here up to `end`, as a text of its own with the same positions.
    [[nodiscard]] TextCursor slice(std::size_t end) const {
        return {text_.substr(at_, end - at_), position_};
    }

  private:
    std::string_view text_;
    std::size_t at_ = 0;
    config::Position position_;
};

}  // namespace postrider::forward
