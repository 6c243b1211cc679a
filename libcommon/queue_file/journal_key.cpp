#include "libcommon/queue_file/journal_key.h"

#include <sys/random.h>

#include <bit>
#include <cerrno>
#include <system_error>

#include "libcommon/queue_file/little_endian.h"

namespace postrider::queue_file {

namespace {

/// SipHash-2-4 (Aumasson and Bernstein, 2012): a keyed hash made for short messages, fed piece by piece.
class SipHash {
  public:
    SipHash(std::uint64_t key_low, std::uint64_t key_high)
        : v0_(key_low ^ 0x736F6D6570736575U),
          v1_(key_high ^ 0x646F72616E646F6DU),
          v2_(key_low ^ 0x6C7967656E657261U),
          v3_(key_high ^ 0x7465646279746573U) {}

    void add(std::string_view bytes) {
        for (char byte : bytes) {
            word_ |= std::uint64_t{static_cast<unsigned char>(byte)} << (8 * (length_ % 8));
            if (++length_ % 8 == 0) {
                compress(word_);
                word_ = 0;
            }
        }
    }

    [[nodiscard]] std::uint64_t finish() {
        compress(word_ | ((length_ & 0xFF) << 56));
        v2_ ^= 0xFF;
        for (int i = 0; i < 4; ++i)
            round();
        return v0_ ^ v1_ ^ v2_ ^ v3_;
    }

  private:
    void compress(std::uint64_t word) {
        v3_ ^= word;
        round();
        round();
        v0_ ^= word;
    }

    void round() {
        v0_ += v1_;
        v1_ = std::rotl(v1_, 13) ^ v0_;
        v0_ = std::rotl(v0_, 32);
        v2_ += v3_;
        v3_ = std::rotl(v3_, 16) ^ v2_;
        v0_ += v3_;
        v3_ = std::rotl(v3_, 21) ^ v0_;
        v2_ += v1_;
        v1_ = std::rotl(v1_, 17) ^ v2_;
        v2_ = std::rotl(v2_, 32);
    }

    std::uint64_t v0_, v1_, v2_, v3_;
    std::uint64_t word_ = 0;
    std::uint64_t length_ = 0;
};

}  // namespace

JournalKey::JournalKey(const std::array<std::uint8_t, kSize>& bytes) : low_(0), high_(0) {
    std::string_view view(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    low_ = get_little_endian<std::uint64_t>(view, 0);
    high_ = get_little_endian<std::uint64_t>(view, 8);
}

JournalKey JournalKey::make() {
    std::array<std::uint8_t, kSize> bytes{};
    // A request of at most 256 bytes is never cut short once the kernel's pool is ready (getrandom(2)).
    if (::getrandom(bytes.data(), bytes.size(), 0) != static_cast<ssize_t>(bytes.size())) {
        throw std::system_error(errno, std::generic_category(), "getrandom");
    }
    return JournalKey(bytes);
}

Result<JournalKey> JournalKey::from_bytes(std::string_view bytes) {
    if (bytes.size() != kSize) return permanent("a journal key has 16 bytes");
    std::array<std::uint8_t, kSize> key{};
    for (std::size_t i = 0; i < kSize; ++i)
        key[i] = static_cast<std::uint8_t>(bytes[i]);
    return JournalKey(key);
}

std::string JournalKey::bytes() const {
    std::string bytes;
    put_little_endian(bytes, low_);
    put_little_endian(bytes, high_);
    return bytes;
}

std::uint64_t JournalKey::tag(QueueId id, std::uint64_t offset, std::string_view payload) const {
    std::string place;
    put_little_endian(place, id.milliseconds());
    put_little_endian(place, id.random());
    put_little_endian(place, offset);
    SipHash hash(low_, high_);
    hash.add(place);
    hash.add(payload);
    return hash.finish();
}

std::uint64_t JournalKey::hash(std::string_view bytes) const {
    SipHash hash(low_, high_);
    hash.add(bytes);
    return hash.finish();
}

}  // namespace postrider::queue_file
