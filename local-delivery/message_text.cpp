#include "local-delivery/message_text.h"

#include <fmt/format.h>
#include <strings.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <utility>

namespace postrider::local_delivery {

namespace {

constexpr std::size_t kPiece = std::size_t{64} * 1024;
// The part of a message that is looked at for Delivered-To; smtpd refuses larger headers.
constexpr std::size_t kHeaderMost = std::size_t{1024} * 1024;

Result<std::size_t> read_piece(const MessageText& message, std::array<char, kPiece>& block,
                               std::size_t done) {
    const std::size_t wanted = std::min(block.size(), message.length - done);
    ssize_t got = ::pread(message.file, block.data(), wanted, static_cast<off_t>(message.offset + done));
    while (got < 0 && errno == EINTR) {
        got = ::pread(message.file, block.data(), wanted, static_cast<off_t>(message.offset + done));
    }
    if (got < 0) return system_failure("cannot read the queue file", errno);
    if (got == 0) return temporary("the queue file is shorter than its header says");
    return static_cast<std::size_t>(got);
}

std::string_view trim(std::string_view text) {
    while (!text.empty() && (text.front() == ' ' || text.front() == '\t'))
        text.remove_prefix(1);
    while (!text.empty() && (text.back() == ' ' || text.back() == '\t'))
        text.remove_suffix(1);
    return text;
}

bool equal_ignoring_case(std::string_view a, std::string_view b) {
    return a.size() == b.size() && ::strncasecmp(a.data(), b.data(), a.size()) == 0;
}

/// True if `line` is a Delivered-To field for `recipient`.
bool names_recipient(std::string_view line, std::string_view recipient) {
    constexpr std::string_view kField = "delivered-to:";
    if (line.size() < kField.size() || !equal_ignoring_case(line.substr(0, kField.size()), kField))
        return false;
    return equal_ignoring_case(trim(line.substr(kField.size())), recipient);
}

}  // namespace

std::string_view LineEndConverter::convert(std::string_view piece) {
    converted_.clear();
    while (!piece.empty()) {
        if (std::exchange(pending_cr_, false) && piece.front() != '\n') converted_ += '\r';
        std::size_t cr = piece.find('\r');
        converted_.append(piece.substr(0, cr));
        if (cr == std::string_view::npos) break;
        pending_cr_ = true;
        piece.remove_prefix(cr + 1);
    }
    return converted_;
}

std::string_view LineEndConverter::finish() {
    return std::exchange(pending_cr_, false) ? std::string_view("\r") : std::string_view();
}

std::string MessageText::trace_fields() const {
    std::string fields = fmt::format("Return-Path: <{}>\nDelivered-To: {}\n", sender, recipient);
    // As if each forwarding had been a delivery: what the message meets next must not send it back there.
    for (auto forwarder = forwarded_by.rbegin(); forwarder != forwarded_by.rend(); ++forwarder)
        fields += fmt::format("Delivered-To: {}\n", *forwarder);
    if (!equal_ignoring_case(original_recipient, recipient) && !original_recipient.empty()) {
        fields += fmt::format("X-Original-To: {}\n", original_recipient);
    }
    return fields;
}

Result<void> MessageText::write_to(const std::function<Result<void>(std::string_view)>& sink) const {
    auto written = sink(trace_fields());
    if (!written) return written;
    LineEndConverter converter;
    std::array<char, kPiece> block{};
    for (std::size_t done = 0; done < length;) {
        auto got = read_piece(*this, block, done);
        if (!got) return failure(got.error());
        done += *got;
        written = sink(converter.convert(std::string_view(block.data(), *got)));
        if (!written) return written;
    }
    return sink(converter.finish());
}

Result<bool> MessageText::find_line(const std::function<bool(std::string_view)>& wanted) const {
    std::array<char, kPiece> block{};
    std::string rest;
    for (std::size_t done = 0; done < length && done < kHeaderMost;) {
        auto got = read_piece(*this, block, done);
        if (!got) return failure(got.error());
        done += *got;
        rest.append(block.data(), *got);
        std::size_t begin = 0;
        for (std::size_t end = rest.find("\r\n"); end != std::string::npos; end = rest.find("\r\n", begin)) {
            std::string_view line = std::string_view(rest).substr(begin, end - begin);
            if (line.empty()) return false;  // the header ends here
            if (wanted(line)) return true;
            begin = end + 2;
        }
        rest.erase(0, begin);
    }
    return wanted(rest);
}

Result<bool> MessageText::was_delivered_here() const {
    return find_line([this](std::string_view line) { return names_recipient(line, recipient); });
}

std::string MessageText::message_id() const {
    static constexpr std::string_view kField = "message-id:";
    constexpr std::size_t kLongest = 998;  // RFC 5322, 2.1.1
    std::string value;
    const auto found = find_line([&value](std::string_view line) {
        if (line.size() < kField.size() || !equal_ignoring_case(line.substr(0, kField.size()), kField))
            return false;
        value = trim(line.substr(kField.size())).substr(0, kLongest);
        return true;
    });
    if (!found || value.find('\0') != std::string::npos) value.clear();
    return value;
}

}  // namespace postrider::local_delivery
