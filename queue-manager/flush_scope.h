#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "libcommon/ipc/queue.pb.h"

namespace postrider::queue_manager {

/// Whether `name`, a recipient's domain or a next hop, belongs to `domain` (or, with `subdomains`, to one
/// below it). A next hop is "domain", "host:port" or "[address]:port"; port 25 need not be said. Pure.
[[nodiscard]] bool belongs_to(std::string_view name, std::string_view domain, bool subdomains);

/// Which deliveries of a message a flush is about: all, or those of some domains. One that was asked for by a
/// domain must leave the others of the same message alone, because theirs may be held for somebody else.
/// Pure.
class FlushScope {
  public:
    /// Nothing.
    FlushScope() = default;
    /// Everything, if `domain` is empty; else what goes to that domain in lower case, as its recipient's
    /// domain or its next hop, with `subdomains` also to those below it.
    FlushScope(std::string_view domain, bool subdomains);

    /// Takes in what `other` covers. A message remembers no more than 16 domains: then it goes as a whole.
    void add(const FlushScope& other);

    [[nodiscard]] bool everything() const { return all_; }
    [[nodiscard]] bool empty() const { return !all_ && domains_.empty(); }
    [[nodiscard]] bool covers(const wire::Delivery& delivery) const;

  private:
    struct Domain {
        std::string name;
        bool subdomains = false;
        friend bool operator==(const Domain&, const Domain&) = default;
    };

    bool all_ = false;
    std::vector<Domain> domains_;
};

}  // namespace postrider::queue_manager
