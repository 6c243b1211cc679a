#include "libcommon/mail/dot_stuffing.h"

#include <algorithm>

#include "libcommon/mail/limits.h"

// Both directions look for line ends only (string_view::find is memchr) and copy whole runs of lines; an
// octet is looked at by itself only where a line begins or a piece of input ends.

namespace postrider::mail {

std::string_view describe(DataFault fault) {
    switch (fault) {
        case DataFault::None:
            return "";
        case DataFault::BareCr:
            return "bare CR in content";
        case DataFault::BareLf:
            return "bare LF in content";
        case DataFault::Nul:
            return "NUL in content";
        case DataFault::LineTooLong:
            return "line too long in content";
    }
    return "";
}

void DataDecoder::note(DataFault fault) {
    if (fault_ == DataFault::None) fault_ = fault;
}

void DataDecoder::end_of_line() {
    state_ = State::LineStart;
    line_length_ = 0;
}

std::size_t DataDecoder::feed(std::string_view input, std::string& output) {
    std::size_t position = 0;
    std::size_t run = 0;  // Start of the content that is not appended yet.
    const auto append_run = [&](std::size_t end) {
        const std::string_view content = input.substr(run, end - run);
        if (content.find('\0') != std::string_view::npos) note(DataFault::Nul);
        octets_ += content.size();
        if (fault_ == DataFault::None) output += content;
    };
    while (position < input.size() && state_ != State::Done) {
        const bool dot = state_ == State::LineStart && input[position] == '.';
        if (dot) {
            append_run(position);
            state_ = State::Dot;
            run = ++position;
        } else {
            step(input, position);
        }
        // The CR behind a lone dot is part of the end, or of a fault.
        if (state_ == State::DotCr || state_ == State::Done) run = position;
    }
    append_run(position);
    return position;
}

void DataDecoder::step(std::string_view input, std::size_t& position) {
    const char next = input[position];
    switch (state_) {
        case State::LineStart:
            state_ = State::InLine;
            break;
        case State::Dot:
            state_ = next == '\r' ? State::DotCr : State::InLine;
            if (next == '\r') ++position;
            break;
        case State::DotCr:
            if (next == '\n') {
                state_ = State::Done;
                ++position;
            } else {
                note(DataFault::BareCr);
                state_ = State::InLine;
            }
            break;
        case State::InLineAfterCr:
            if (next == '\n') {
                ++position;
                end_of_line();
            } else {
                note(DataFault::BareCr);
                state_ = State::InLine;
            }
            break;
        case State::InLine:
            step_in_line(input, position);
            break;
        case State::Done:
            break;
    }
}

void DataDecoder::step_in_line(std::string_view input, std::size_t& position) {
    const std::size_t line_feed = input.find('\n', position);
    const std::size_t end = std::min(line_feed, input.size());
    const std::string_view line = input.substr(position, end - position);
    line_length_ += line.size() + 1;
    if (line_length_ > kMaxTextLine) note(DataFault::LineTooLong);
    const bool ends_in_cr = line.ends_with('\r');
    if (line.find('\r') < line.size() - (ends_in_cr ? 1 : 0)) note(DataFault::BareCr);
    if (line_feed == std::string_view::npos) {
        --line_length_;
        state_ = ends_in_cr ? State::InLineAfterCr : State::InLine;
        position = input.size();
        return;
    }
    position = line_feed + 1;
    if (ends_in_cr) {
        end_of_line();
    } else {
        // The line goes on: what follows a bare LF is not at the start of a line, and a dot there means
        // nothing.
        note(DataFault::BareLf);
    }
}

void ChunkChecker::note(DataFault fault) {
    if (fault_ == DataFault::None) fault_ = fault;
}

void ChunkChecker::feed(std::string_view input) {
    if (binary_ || input.empty()) return;
    if (input.find('\0') != std::string_view::npos) note(DataFault::Nul);
    std::size_t position = 0;
    while (position < input.size()) {
        const std::size_t line_feed = input.find('\n', position);
        const std::size_t end = std::min(line_feed, input.size());
        const std::string_view line = input.substr(position, end - position);
        line_length_ += line.size() + 1;
        if (line_length_ > kMaxTextLine) note(DataFault::LineTooLong);
        // A CR is good only as the last octet before an LF.
        const bool ends_in_cr = line.ends_with('\r');
        if (after_cr_ && !line.empty()) note(DataFault::BareCr);
        if (line.find('\r') < line.size() - (ends_in_cr ? 1 : 0)) note(DataFault::BareCr);
        const bool cr_before_end = line.empty() ? after_cr_ : ends_in_cr;
        if (line_feed == std::string_view::npos) {
            --line_length_;
            after_cr_ = cr_before_end;
            return;
        }
        if (!cr_before_end) note(DataFault::BareLf);
        after_cr_ = false;
        line_length_ = 0;
        position = line_feed + 1;
    }
}

void ChunkChecker::finish() {
    if (!binary_ && after_cr_) note(DataFault::BareCr);
}

void DataEncoder::encode(std::string_view input, std::string& output) {
    std::size_t position = 0;
    std::size_t run = 0;  // Start of the octets that go out as they are and are not appended yet.
    const auto append_run = [&](std::size_t end) { output += input.substr(run, end - run); };
    std::size_t line_feed = std::min(input.find('\n'), input.size());
    if (after_cr_ && !input.empty()) {
        if (input.front() == '\n') run = position = 1;
        after_cr_ = false;
    }
    while (position < input.size()) {
        if (at_line_start_ && input[position] == '.') {
            append_run(position);
            output += '.';
            run = position;
        }
        // Not looked for again before it is reached, or many bare CRs would each cost a scan of all the
        // input.
        if (line_feed < position) line_feed = std::min(input.find('\n', position), input.size());
        const std::size_t line_end = std::min(input.substr(0, line_feed).find('\r', position), line_feed);
        at_line_start_ = line_end < input.size();
        if (!at_line_start_) break;
        const bool crlf = line_end + 1 == line_feed && line_feed < input.size();
        position = line_end + (crlf ? 2 : 1);
        if (crlf) continue;
        append_run(line_end);
        output += "\r\n";
        run = position;
        after_cr_ = input[line_end] == '\r' && position == input.size();
    }
    append_run(input.size());
}

void DataEncoder::finish(std::string& output) {
    output += at_line_start_ ? ".\r\n" : "\r\n.\r\n";
    *this = DataEncoder();
}

}  // namespace postrider::mail
