#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>

#include "libcommon/base/result.h"
#include "libcommon/config/language.h"
#include "router/address_table.h"
#include "router/domain_table.h"
#include "router/greeting_table.h"
#include "router/network_table.h"
#include "router/policy_item.h"

namespace postrider::router {

/// The policy table: the rules of every kind behind one interface. For each kind the most specific key that
/// matches wins, and its rule holds with its classes already in it. The `default` line of the kind is apart,
/// because it may tune but not grant (postrider-policy(5)).
///
/// Every look-up returns a pointer that lives as long as the table, or nullptr where no key matches.
class PolicyTable {
  public:
    /// Adds the line of a key. Permanent error for a key that is none of its kind, and for one that is there
    /// already; the text then says where.
    [[nodiscard]] Result<void> add(PolicyKind kind, const config::Word& key, PolicyRule rule);

    /// Sets the `default` line of a kind. Permanent error if there is one already.
    [[nodiscard]] Result<void> set_default(PolicyKind kind, PolicyRule rule);

    [[nodiscard]] const PolicyRule* net(const config::IpAddress& client) const {
        return networks_.find(client);
    }
    [[nodiscard]] const PolicyRule* helo(std::string_view greeting) const {
        return greetings_.find(greeting);
    }
    [[nodiscard]] const PolicyRule* auth(std::string_view login) const;

    /// `name` is a reverse name of a client, canonical; the empty one has no line.
    [[nodiscard]] const PolicyRule* rdns(std::string_view name) const {
        return name.empty() ? nullptr : client_names_.find(name);
    }
    [[nodiscard]] const PolicyRule* port(std::uint16_t port) const;

    /// `sender` is nullptr for the null sender.
    [[nodiscard]] const PolicyRule* sender(const Address* sender) const;

    /// `user` is the local part without its detail, where it has one: a line for the user holds for
    /// user+detail as well, unless that has a line of its own.
    [[nodiscard]] const PolicyRule* recipient(const Address& recipient,
                                              const std::optional<std::string>& user) const;

    /// The `rcpt` line with just this key, or nullptr.
    [[nodiscard]] const PolicyRule* recipient_at(const AddressKey& key) const { return recipients_.at(key); }

    /// The `default` line of a kind, or nullptr.
    [[nodiscard]] const PolicyRule* fallback(PolicyKind kind) const;

    /// Whether any line looks at greetings.
    [[nodiscard]] bool asks_for_greeting() const;

    /// Whether some recipient is accepted even from clients and senders that are refused. Then they cannot be
    /// refused before the recipient is known.
    [[nodiscard]] bool has_exemptions() const { return has_exemptions_; }

  private:
    std::array<std::optional<PolicyRule>, kPolicyKinds> defaults_;
    NetworkTable<PolicyRule> networks_;
    GreetingTable greetings_;
    StringMap<PolicyRule> logins_;
    std::optional<PolicyRule> any_login_;
    std::unordered_map<std::uint16_t, PolicyRule> ports_;
    DomainTable<PolicyRule> client_names_;
    AddressTable<PolicyRule> senders_;
    AddressTable<PolicyRule> recipients_;
    bool has_exemptions_ = false;
};

}  // namespace postrider::router
