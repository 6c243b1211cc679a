#include "smtpd/auth/secret.h"

#include <cstring>

namespace postrider::auth {

Secret::Secret(std::string_view text) {
    // Reserved at once, because growing would leave copies.
    octets_.reserve(text.size() + 1);
    octets_.assign(text.begin(), text.end());
    octets_.push_back('\0');
}

Secret& Secret::operator=(Secret&& other) noexcept {
    if (this != &other) {
        wipe_now();
        octets_ = std::move(other.octets_);
    }
    return *this;
}

std::string_view Secret::view() const {
    return {octets_.data(), size()};
}

void Secret::wipe_now() {
    if (!octets_.empty()) ::explicit_bzero(octets_.data(), octets_.size());
}

}  // namespace postrider::auth
