#include "libcommon/queue_file/queue_id.h"

#include <sys/random.h>

#include <cerrno>
#include <system_error>

namespace postrider::queue_file {

namespace {

// Crockford's alphabet has no I, L, O and U, and is in ASCII order.
constexpr std::string_view kAlphabet = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";
constexpr unsigned kBitsPerCharacter = 5;
constexpr unsigned kRandomBits = 32;

}  // namespace

Result<QueueId> QueueId::parse(std::string_view text) {
    if (text.size() != kTextLength) return permanent("a queue id has 16 characters");
    std::uint64_t milliseconds = 0;
    std::uint64_t low = 0;  // the last 35 bits: the random part and three bits of the time
    for (std::size_t i = 0; i < kTextLength; ++i) {
        std::size_t digit = kAlphabet.find(text[i]);
        if (digit == std::string_view::npos)
            return permanent("a queue id has digits and capital letters only");
        constexpr std::size_t kHighCharacters = 9;
        std::uint64_t& half = i < kHighCharacters ? milliseconds : low;
        half = (half << kBitsPerCharacter) | digit;
    }
    milliseconds = (milliseconds << 3) | (low >> kRandomBits);
    return QueueId(milliseconds, static_cast<std::uint32_t>(low));
}

std::string QueueId::text() const {
    std::string text(kTextLength, '0');
    std::uint64_t high = milliseconds_ >> 3;
    std::uint64_t low = ((milliseconds_ & 7) << kRandomBits) | random_;
    for (std::size_t i = kTextLength; i-- > 0;) {
        constexpr std::size_t kHighCharacters = 9;
        std::uint64_t& half = i < kHighCharacters ? high : low;
        text[i] = kAlphabet[half & 31];
        half >>= kBitsPerCharacter;
    }
    return text;
}

QueueId QueueIdSource::next(UnixMillis now) {
    if (used_ == random_.size()) {
        std::size_t filled = 0;
        while (filled < sizeof(random_)) {
            ssize_t got =
                ::getrandom(reinterpret_cast<char*>(random_.data()) + filled, sizeof(random_) - filled, 0);
            if (got < 0) {
                if (errno == EINTR) continue;
                throw std::system_error(errno, std::generic_category(), "getrandom");
            }
            filled += static_cast<std::size_t>(got);
        }
        used_ = 0;
    }
    return {now, random_[used_++]};
}

}  // namespace postrider::queue_file
