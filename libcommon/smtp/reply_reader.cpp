#include "libcommon/smtp/reply_reader.h"

#include <cstddef>
#include <string_view>
#include <utility>

#include "libcommon/mail/limits.h"

namespace postrider::smtp {

namespace {
// Room for the replies to a whole pipelined transaction; a longer line than the parser takes ends the
// session.
constexpr std::size_t kReplyBuffer = std::size_t{64} * 1024;
}  // namespace

Result<std::optional<mail::Reply>> ReplyReader::next_buffered() {
    while (true) {
        std::string_view text = stream_.buffered();
        std::size_t end = text.find('\n');
        if (end == std::string_view::npos) {
            if (text.size() > mail::kMaxReplyLineReceived) return temporary("reply line too long");
            return std::optional<mail::Reply>();
        }
        // A few servers end reply lines with LF alone. Nothing can be smuggled in a reply: each one answers
        // us.
        std::string_view line = text.substr(0, end);
        if (line.ends_with('\r')) line.remove_suffix(1);
        auto reply = parser_.feed(line);
        stream_.consume(end + 1);
        if (!reply || *reply) return reply;
    }
}

async::Task<Result<mail::Reply>> ReplyReader::read(async::Deadline deadline) {
    while (true) {
        auto reply = next_buffered();
        if (!reply) co_return failure(reply.error());
        if (*reply) co_return std::move(**reply);
        Result<bool> more = co_await stream_.fill(kReplyBuffer, deadline);
        if (!more) co_return failure(more.error());
        if (!*more) co_return temporary("the server closed the connection");
    }
}

}  // namespace postrider::smtp
