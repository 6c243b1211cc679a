#pragma once

namespace postrider::async {

/// A place in an IntrusiveList; leaves its list when it is destroyed, so a list never holds a dead element.
class ListHook {
  public:
    ListHook() = default;
    ListHook(const ListHook&) = delete;
    ListHook& operator=(const ListHook&) = delete;
    ~ListHook() { unlink(); }

    [[nodiscard]] bool linked() const { return next_ != this; }
    void unlink() {
        previous_->next_ = next_;
        next_->previous_ = previous_;
        next_ = previous_ = this;
    }

  private:
    template <typename T>
    friend class IntrusiveList;
    ListHook* next_ = this;
    ListHook* previous_ = this;
};

/// A first-in first-out list of elements derived from ListHook that live elsewhere (in coroutine frames).
template <typename T>
class IntrusiveList {
  public:
    [[nodiscard]] bool empty() const { return !head_.linked(); }
    [[nodiscard]] T& front() { return static_cast<T&>(*head_.next_); }
    void push_back(T& element) {
        ListHook& hook = element;
        hook.unlink();
        hook.previous_ = head_.previous_;
        hook.next_ = &head_;
        head_.previous_->next_ = &hook;
        head_.previous_ = &hook;
    }
    /// Moves every element of `other` to the end of this list.
    void take_all(IntrusiveList& other) {
        while (!other.empty())
            push_back(other.front());
    }
    ~IntrusiveList() {
        while (!empty())
            head_.next_->unlink();
    }
    IntrusiveList() = default;
    IntrusiveList(const IntrusiveList&) = delete;
    IntrusiveList& operator=(const IntrusiveList&) = delete;

  private:
    ListHook head_;
};

}  // namespace postrider::async
