#pragma once

#include <array>
#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace postrider::tls {

/// The key with which session tickets are sealed (RFC 5077, 4): a name of 16 octets, a key for HMAC-SHA-256
/// and one for AES-256. Wiped when destroyed.
class TicketKey {
  public:
    static constexpr std::size_t kNameSize = 16;
    static constexpr std::size_t kSize = 80;

    TicketKey(const TicketKey&) = default;
    TicketKey& operator=(const TicketKey&) = default;
    ~TicketKey();

    /// nullopt unless `octets` are kSize.
    [[nodiscard]] static std::optional<TicketKey> from_octets(std::string_view octets);

    /// A new one. Throws std::runtime_error when the library has no random numbers.
    [[nodiscard]] static TicketKey random();

    [[nodiscard]] std::string_view octets() const { return {octets_.data(), octets_.size()}; }
    [[nodiscard]] std::string_view name() const { return octets().substr(0, kNameSize); }
    [[nodiscard]] std::string_view hmac_key() const { return octets().substr(kNameSize, 32); }
    [[nodiscard]] std::string_view cipher_key() const { return octets().substr(kNameSize + 32, 32); }

  private:
    TicketKey() = default;
    std::array<char, kSize> octets_{};
};

/// The key in force, and the one before, with which tickets are still taken.
struct TicketKeys {
    TicketKey current;
    std::optional<TicketKey> old;
};

}  // namespace postrider::tls
