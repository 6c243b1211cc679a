#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

namespace postrider::queue_manager {

/// Many small values of one type, named by numbers of 32 bits instead of pointers. A value stays where it is
/// until it is freed. Memory grows by the chunk, is used again, and is given back when no value is left.
template <typename T>
class Slab {
  public:
    /// The number that no value has.
    static constexpr std::uint32_t kNone = 0;

    /// The number of a new value, which is T().
    [[nodiscard]] std::uint32_t make() {
        ++size_;
        if (!free_.empty()) {
            const std::uint32_t number = free_.back();
            free_.pop_back();
            return number;
        }
        ++made_;  // the first place of the first chunk belongs to kNone
        if (made_ == chunks_.size() * kChunk || chunks_.empty())
            chunks_.push_back(std::make_unique<T[]>(kChunk));
        return made_;
    }

    /// Frees a value; its number may be given to another one.
    void free(std::uint32_t number) {
        if (--size_ == 0) {
            *this = Slab();
            return;
        }
        (*this)[number] = T();
        free_.push_back(number);
    }

    [[nodiscard]] T& operator[](std::uint32_t number) { return chunks_[number / kChunk][number % kChunk]; }
    [[nodiscard]] const T& operator[](std::uint32_t number) const {
        return chunks_[number / kChunk][number % kChunk];
    }

    [[nodiscard]] std::size_t size() const { return size_; }
    /// Every value has a number below this.
    [[nodiscard]] std::uint32_t end() const { return made_ + 1; }

  private:
    static constexpr std::size_t kChunk = 4096;

    std::vector<std::unique_ptr<T[]>> chunks_;
    std::vector<std::uint32_t> free_;
    std::uint32_t made_ = 0;
    std::size_t size_ = 0;
};

}  // namespace postrider::queue_manager
