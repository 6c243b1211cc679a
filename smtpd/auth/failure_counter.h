#pragma once

#include <cstddef>
#include <list>
#include <string>
#include <unordered_map>
#include <vector>

#include "libcommon/base/clock.h"
#include "libcommon/config/values.h"

/// Failed logins, counted so that guessing passwords does not pay. No clock and no input in here.
namespace postrider::auth {

/// What the counter is told by the configuration.
struct FailureLimits {
    config::Rate client{20, std::chrono::hours(1)};   ///< after as many, a client is refused
    config::Rate account{10, std::chrono::hours(1)};  ///< after as many, an account is locked
    Milliseconds delay{1'000};                        ///< of the first reply; doubles with each failure
    Milliseconds delay_max{10'000};
    Milliseconds lock{30'000};  ///< of an account; doubles with each failure
    Milliseconds lock_max{3'600'000};
    std::size_t tracked = 100'000;  ///< clients, and as many accounts
};

/// Records of one kind of name, the one used last in front; when there are too many the last is forgotten.
class FailureRecords {
  public:
    struct Record {
        std::string name;
        std::vector<SteadyTime> failures;  ///< at most as many as the limit, the oldest first
        std::size_t checks = 0;            ///< under way
        SteadyTime locked_until{};
        unsigned locks = 0;  ///< one after the other
    };

    explicit FailureRecords(std::size_t limit) : limit_(limit) {}

    /// The record of a name, or nullptr. The pointer lives until the next call of get() or drop_if_empty().
    [[nodiscard]] Record* find(const std::string& name);
    /// The same, made if it is missing.
    [[nodiscard]] Record& get(const std::string& name);
    /// Forgets a name that nothing is known of.
    void drop_if_empty(const std::string& name);
    [[nodiscard]] std::size_t size() const { return by_name_.size(); }

  private:
    std::size_t limit_;
    std::list<Record> records_;
    std::unordered_map<std::string, std::list<Record>::iterator> by_name_;
};

/// Whether a check may begin.
enum class Admission {
    Admitted,
    Wait,   ///< As many checks are under way as may still fail; ask again when one has ended. So a burst of
            ///< guesses at the same time counts like guesses one after the other, and a burst of good logins
            ///< (everybody in an office, behind one address, in the morning) is only put into a row.
    Locked  ///< Too many failures; the answer must not depend on the password.
};

/// Counts failures by client (a name for its network) and by account, in windows that slide: what counts is
/// how many failures lie within the period before now. A client is refused until the oldest of them has left
/// the window. An account is locked for a time that doubles with each failure that follows a lock, and
/// forgets when a login succeeds; locked or not is the same for accounts that do not exist. While something
/// is locked no further failures are counted, so that a lock always ends.
class FailureCounter {
  public:
    explicit FailureCounter(FailureLimits limits);

    /// Whether a check of a password may begin now. Admitted: exactly one of succeeded(), failed() and
    /// abandoned() follows. `account` may be empty for a name that can be nobody's.
    [[nodiscard]] Admission admit(const std::string& client, const std::string& account, SteadyTime now);

    /// Whether everything from this client is refused at present.
    [[nodiscard]] bool is_client_locked(const std::string& client, SteadyTime now);

    /// The password was right: the account's failures are forgotten, the client's are not, or an own account
    /// would let anyone guess on.
    void succeeded(const std::string& client, const std::string& account);
    /// It was wrong. How long the reply should be held back.
    [[nodiscard]] Milliseconds failed(const std::string& client, const std::string& account, SteadyTime now);
    /// Nobody knows.
    void abandoned(const std::string& client, const std::string& account);

    [[nodiscard]] std::size_t tracked_clients() const { return clients_.size(); }
    [[nodiscard]] std::size_t tracked_accounts() const { return accounts_.size(); }

  private:
    using Record = FailureRecords::Record;
    static void forget_old(Record& record, const config::Rate& rate, SteadyTime now);
    static void add_failure(Record& record, const config::Rate& rate, SteadyTime now);
    [[nodiscard]] Admission client_admission(const std::string& client, SteadyTime now);
    [[nodiscard]] Admission account_admission(const std::string& account, SteadyTime now);
    void lock_account(Record& record, SteadyTime now) const;
    void end_check(const std::string& client, const std::string& account);

    FailureLimits limits_;
    FailureRecords clients_;
    FailureRecords accounts_;
};

}  // namespace postrider::auth
