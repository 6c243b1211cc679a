#pragma once

#include <cstddef>
#include <string_view>
#include <vector>

namespace postrider::auth {

/// A password. It lies on the heap alone, where moving does not leave copies behind, and is overwritten
/// before its memory is given back. It is moved, never copied, and there is no way to print it.
class Secret {
  public:
    Secret() = default;
    /// Copies; the caller wipes what he has.
    explicit Secret(std::string_view text);
    Secret(Secret&& other) noexcept = default;
    Secret& operator=(Secret&& other) noexcept;
    Secret(const Secret&) = delete;
    Secret& operator=(const Secret&) = delete;
    ~Secret() { wipe_now(); }

    /// The views live as long as the secret is neither moved nor destroyed.
    [[nodiscard]] std::string_view view() const;
    /// With a NUL behind it, for the C library.
    [[nodiscard]] const char* c_str() const { return octets_.empty() ? "" : octets_.data(); }
    [[nodiscard]] std::size_t size() const { return octets_.empty() ? 0 : octets_.size() - 1; }

  private:
    void wipe_now();

    std::vector<char> octets_;  // with the NUL, or empty
};

}  // namespace postrider::auth
