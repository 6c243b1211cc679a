#include "smtpd/content_receiver.h"

#include <fmt/format.h>

#include <new>

#include "libcommon/base/file.h"
#include "libcommon/ipc/channel.h"

namespace postrider::smtpd {

namespace {

using config::Limit;
using mail::DataFault;
using mail::EnhancedCode;
using mail::Reply;
using mail::ReplyCode;

// Large enough that most messages are written with one call, small enough for thousands of sessions.
constexpr std::size_t kWriteBlock = std::size_t{64} * 1024;

Verdict refuse(ReplyCode code, EnhancedCode enhanced, std::string text, std::string rule) {
    Verdict verdict;
    verdict.refusal = Reply{code, enhanced, {std::move(text)}};
    verdict.rule = std::move(rule);
    return verdict;
}

}  // namespace

ContentReceiver::ContentReceiver(std::string trace, const config::Settings& settings, ContentOptions options)
    : settings_(settings),
      options_(std::move(options)),
      chunk_checker_(options_.binary),
      trace_length_(trace.size()),
      header_(settings.hostname),
      buffer_(std::move(trace)) {}

mail::DataFault ContentReceiver::fault() const {
    return options_.in_chunks ? chunk_checker_.fault() : decoder_.fault();
}

std::uint64_t ContentReceiver::octets() const {
    return options_.in_chunks ? chunk_octets_ : decoder_.octets();
}

bool ContentReceiver::is_worthless() const {
    return fault() != DataFault::None || write_error_.has_value() || given_up_.has_value() ||
           octets() > options_.max_size;
}

bool ContentReceiver::needs_file() const {
    return !file_ && !is_worthless() && buffer_.size() > ipc::kMaxInlineContent;
}

void ContentReceiver::write_to(Fd file) {
    hash_state_.reset(XXH3_createState());
    if (!hash_state_ || XXH3_64bits_reset(hash_state_.get()) != XXH_OK) throw std::bad_alloc();
    file_ = std::move(file);
    if (header_done_) write_buffer();
}

void ContentReceiver::give_up(Verdict why) {
    given_up_ = std::move(why);
    std::string().swap(buffer_);
}

std::size_t ContentReceiver::feed(std::string_view octets) {
    const std::size_t before = buffer_.size();
    const std::size_t used = decoder_.feed(octets, buffer_);
    take_decoded(before);
    return used;
}

void ContentReceiver::feed_chunk(std::string_view octets) {
    chunk_octets_ += octets.size();
    chunk_checker_.feed(octets);
    const std::size_t before = buffer_.size();
    if (!is_worthless()) buffer_ += octets;
    take_decoded(before);
}

// Looks at what was appended to the buffer behind `before`.
void ContentReceiver::take_decoded(std::size_t before) {
    if (is_worthless()) {
        // The rest is only read to find its end.
        std::string().swap(buffer_);
        return;
    }
    if (!header_.complete()) header_.feed(std::string_view(buffer_).substr(before));
    // The header, which is bounded, is written as a whole: fields may be added to it.
    if (!header_.complete()) return;
    if (!header_done_) complete_header();
    if (file_ && buffer_.size() >= kWriteBlock) write_buffer();
}

void ContentReceiver::complete_header() {
    header_done_ = true;
    if (header_.fault() != mail::HeaderFault::None) return;
    std::string added;
    if (!header_.has_date()) added += options_.date_field;
    if (!header_.has_message_id()) added += options_.message_id_field;
    std::size_t end = trace_length_ + header_.octets();
    const bool has_body = end < buffer_.size();
    if (header_.ended_by_empty_line()) {
        // In front of the empty line, which binary content may end with LF alone.
        end -= end >= 2 && buffer_[end - 2] == '\r' ? 2 : 1;
    } else if (has_body) {
        // A body must not become part of the header that we begin or end: its first line could be a blank and
        // more, which would continue our field.
        if (!added.empty() || header_.octets() == 0) added += "\r\n";
    } else if (!added.empty() && !buffer_.ends_with("\r\n")) {
        added.insert(0, "\r\n");
    }
    buffer_.insert(end, added);
}

void ContentReceiver::write_buffer() {
    const auto written = write_all(file_, buffer_);
    if (!written) {
        write_error_ = written.error();
        return;
    }
    static_cast<void>(XXH3_64bits_update(hash_state_.get(), buffer_.data(), buffer_.size()));
    length_ += buffer_.size();
    buffer_.clear();
}

Verdict ContentReceiver::finish() {
    header_.finish();
    chunk_checker_.finish();
    if (!is_worthless() && !header_done_) complete_header();
    if (file_ && !is_worthless() && !buffer_.empty()) write_buffer();
    switch (fault()) {
        case DataFault::None:
            break;
        case DataFault::LineTooLong:
            return refuse(554, {5, 6, 0}, std::string(describe(fault())), "text_line");
        default:
            // RFC 5321, 2.3.8: these must not be sent, and relaying them lets messages be smuggled (the code
            // is the one that other servers use for it).
            return refuse(550, {5, 6, 11}, std::string(describe(fault())), "content-octets");
    }
    if (octets() > options_.max_size) {
        return refuse(552, {5, 3, 4}, "The message is too large", "max_message_size");
    }
    if (header_.fault() != mail::HeaderFault::None) {
        return refuse(552, {5, 3, 4}, describe(header_.fault()), "header_size");
    }
    if (header_.received() > settings_.limits.size(Limit::MaxHops)) {
        return refuse(554, {5, 4, 6}, "Too many hops, this is a loop", "max_hops");
    }
    if (header_.received_by_us() >= settings_.limits.size(Limit::MaxSelfReceived)) {
        return refuse(554, {5, 4, 6}, "The message was here before, this is a loop", "max_self_received");
    }
    return write_verdict();
}

Verdict ContentReceiver::write_verdict() const {
    if (given_up_) return *given_up_;
    if (write_error_) return refuse(452, {4, 3, 1}, "Insufficient system storage", "content-write");
    return {};
}

std::optional<std::string> ContentReceiver::take_content() {
    if (file_) return std::nullopt;
    length_ = buffer_.size();
    return std::move(buffer_);
}

std::uint64_t ContentReceiver::hash() const {
    return hash_state_ ? XXH3_64bits_digest(hash_state_.get()) : 0;
}

}  // namespace postrider::smtpd
