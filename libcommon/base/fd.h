#pragma once

#include <utility>

namespace postrider {

/// Owns one file descriptor and closes it. Moves, never copies; empty after a move.
class Fd {
  public:
    Fd() = default;
    explicit Fd(int descriptor) : descriptor_(descriptor) {}
    Fd(Fd&& other) noexcept : descriptor_(std::exchange(other.descriptor_, -1)) {}
    Fd& operator=(Fd&& other) noexcept {
        if (this != &other) {
            reset();
            descriptor_ = std::exchange(other.descriptor_, -1);
        }
        return *this;
    }
    Fd(const Fd&) = delete;
    Fd& operator=(const Fd&) = delete;
    ~Fd() { reset(); }

    [[nodiscard]] int get() const { return descriptor_; }
    [[nodiscard]] explicit operator bool() const { return descriptor_ >= 0; }

    /// Gives the descriptor up to the caller, who then owns it.
    [[nodiscard]] int release() { return std::exchange(descriptor_, -1); }

    /// Closes the descriptor now. An error of close() is of no use to anyone: what must be durable was
    /// synced.
    void reset();

  private:
    int descriptor_ = -1;
};

}  // namespace postrider
