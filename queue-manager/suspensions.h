#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "libcommon/base/clock.h"
#include "libcommon/ipc/queue.pb.h"

namespace postrider::queue_manager {

/// The recipient domains and next hops that an administrator has suspended: no attempt is made for them. A
/// text file of the spool keeps them, a line each: the name, since when in milliseconds, and the uid of who
/// wants it. Pure.
class Suspensions {
  public:
    static constexpr const char* kFile = "suspended";

    struct Since {
        UnixMillis time = 0;
        std::uint32_t by = 0;
    };

    Suspensions() = default;
    /// Reads what text() writes. A line that makes no sense still suspends the name that it begins with.
    explicit Suspensions(std::string_view text);

    /// Adds these or takes them away; those that this changes, in their order. Names are in lower case and
    /// have no blanks; others are ignored.
    std::vector<std::string> add(const std::vector<std::string>& names, UnixMillis now, std::uint32_t by);
    std::vector<std::string> remove(const std::vector<std::string>& names);

    [[nodiscard]] bool empty() const { return names_.empty(); }
    [[nodiscard]] bool covers(std::string_view name) const { return names_.find(name) != names_.end(); }
    /// Whether a delivery has to wait: its recipient's domain or its next hop is suspended.
    [[nodiscard]] bool cover(const wire::Delivery& delivery) const;
    [[nodiscard]] const std::map<std::string, Since, std::less<>>& names() const { return names_; }
    [[nodiscard]] std::string text() const;

  private:
    std::map<std::string, Since, std::less<>> names_;
};

/// Whether a name can be suspended: not empty, no blanks or control characters, no longer than a domain and
/// a port.
[[nodiscard]] bool can_be_suspended(std::string_view name);

}  // namespace postrider::queue_manager
