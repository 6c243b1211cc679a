#pragma once

#include <sys/types.h>

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "libcommon/base/clock.h"
#include "libcommon/dns/cache.h"
#include "libcommon/dns/packet.h"

/// What a decision must know beyond the tables, and what takes time to find out: whether the system has a
/// user, what the DNS says of a name.
///
/// Decisions are pure functions. They ask a Facts object, which answers at once; what it cannot say yet it
/// answers with Pending and remembers. A decision takes Pending as "cannot be told now" and goes on, so that
/// all that is missing is found in one go, and ends with a temporary refusal. Whoever asked for the decision
/// looks whether the facts were complete(). If not, he throws it away, has what is missing found out, and
/// decides again.
namespace postrider::router {

enum class FactState {
    Known,
    Unknown,      ///< there is no such thing
    Unavailable,  ///< nobody could say; temporary, never a reason to let anything pass
    Pending,      ///< not asked yet: see Facts::missing()
};

/// A user of the system's user database.
struct SystemUser {
    std::string name;
    uid_t uid = 0;
    gid_t gid = 0;
    std::string home;
};

struct UserAnswer {
    FactState state = FactState::Pending;
    std::shared_ptr<const SystemUser> user;  ///< of Known, never null then
};

/// The records of a name, and how long an answer is worth waiting for.
struct DnsQuestion {
    std::string name;
    dns::Type type = dns::Type::A;
    Milliseconds patience{0};  ///< counted from the first evaluation; afterwards the answer is Unavailable
};

struct DnsAnswer {
    FactState state = FactState::Pending;
    dns::Answer answer;  ///< of Known: the records; of Unknown: whether it is the name that does not exist
};

/// A user whom only a server on a local socket knows.
struct ExternalQuestion {
    std::string socket;   ///< its path
    std::string address;  ///< of the user, canonical
};

struct ExternalAnswer {
    FactState state = FactState::Pending;
    std::shared_ptr<const std::string>
        value;           ///< of Known, as in a users file behind the name; never null then
    std::string reason;  ///< of Unavailable
};

/// What an evaluation asked for in vain: a list for each kind of fact.
struct MissingFacts {
    std::vector<std::string> users;
    std::vector<DnsQuestion> names;
    std::vector<ExternalQuestion> external_users;

    [[nodiscard]] bool empty() const { return users.empty() && names.empty() && external_users.empty(); }
};

/// What one evaluation asks. Whoever derives from it says where the answers come from.
class Facts {
  public:
    Facts() = default;
    Facts(const Facts&) = delete;
    Facts& operator=(const Facts&) = delete;
    virtual ~Facts() = default;

    /// The user of the system with this name.
    [[nodiscard]] UserAnswer system_user(const std::string& name);

    /// What the DNS has for a name.
    [[nodiscard]] DnsAnswer dns(const DnsQuestion& question);

    /// What the server of a `users=socket:` says of a user.
    [[nodiscard]] ExternalAnswer external_user(const ExternalQuestion& question);

    /// Whether nothing was missing, so that the decision holds.
    [[nodiscard]] bool complete() const { return missing_.empty(); }

    /// What to find out before the next evaluation; some of it may be there twice.
    [[nodiscard]] const MissingFacts& missing() const { return missing_; }

    /// Begins another evaluation. Returns what the last one missed.
    MissingFacts take_missing();

  private:
    [[nodiscard]] virtual UserAnswer answer_user(const std::string& name) = 0;
    [[nodiscard]] virtual DnsAnswer answer_dns(const DnsQuestion& question) = 0;
    [[nodiscard]] virtual ExternalAnswer answer_external(const ExternalQuestion& question) = 0;

    MissingFacts missing_;
};

}  // namespace postrider::router
