#include "libcommon/log/log.h"

#include <fmt/format.h>

#include <cerrno>
#include <new>

#include "libcommon/log/format.h"
#include "libcommon/log/line_buffer.h"
#include "libcommon/log/sink.h"

namespace postrider::log {
namespace {

/// A buffer that the thread's last line left behind, so that a line usually costs no allocation.
thread_local std::unique_ptr<Line::Buffer> spare_buffer;  // NOLINT: a cache, shared with nobody.

std::unique_ptr<Line::Buffer> take_buffer() noexcept {
    if (spare_buffer) {
        spare_buffer->size = 0;
        spare_buffer->overflow = false;
        return std::move(spare_buffer);
    }
    // A line must not fail for want of memory: the daemon has worse to do at that moment.
    return std::unique_ptr<Line::Buffer>(new (std::nothrow) Line::Buffer);
}

}  // namespace

Line::Line(Level level, std::string_view event) noexcept {
    if (!enabled(level)) return;
    buffer_ = take_buffer();
    if (buffer_) begin_line(*buffer_, level, event);
}

Line::~Line() {
    if (!buffer_) return;
    int saved_errno = errno;
    end_line(*buffer_);
    emit(buffer_->text());
    spare_buffer = std::move(buffer_);
    errno = saved_errno;
}

Line& Line::add(std::string_view key, std::string_view value) noexcept {
    return add_quoted(key, "", value, "");
}

Line& Line::add_address(std::string_view key, std::string_view address) noexcept {
    return add_quoted(key, "<", address, ">");
}

Line& Line::add(std::string_view key, std::chrono::milliseconds value) noexcept {
    if (buffer_) append_seconds(*buffer_, key, value);
    return *this;
}

Line& Line::add_signed(std::string_view key, std::int64_t value) noexcept {
    fmt::format_int text(value);
    return add_bare(key, {text.data(), text.size()});
}

Line& Line::add_unsigned(std::string_view key, std::uint64_t value) noexcept {
    if (buffer_) append_number(*buffer_, key, value);
    return *this;
}

Line& Line::add_flag(std::string_view key, bool value) noexcept {
    if (settings().format == Format::Json) return add_bare(key, value ? "true" : "false");
    return add_bare(key, value ? "yes" : "no");
}

Line& Line::add_quoted(std::string_view key, std::string_view before, std::string_view value,
                       std::string_view after) noexcept {
    if (buffer_) append_string(*buffer_, key, before, value, after);
    return *this;
}

Line& Line::add_bare(std::string_view key, std::string_view value) noexcept {
    if (buffer_) append_bare(*buffer_, key, value);
    return *this;
}

}  // namespace postrider::log
