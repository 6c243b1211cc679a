#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "libcommon/base/result.h"
#include "router/address.h"
#include "router/domain_table.h"

namespace postrider::router {

/// The left side of a line that is about addresses:
///   * `<>`            the null sender,
///   * `local@domain`  one address,
///   * `local@`        that local part at every domain,
///   * `domain`, `.domain`, `*.domain`: see DomainPattern.
struct AddressKey {
    enum class Kind { Null, Mailbox, Local, Domain };
    Kind kind = Kind::Null;
    std::string local;      ///< folded; of Mailbox and Local
    DomainPattern pattern;  ///< of Domain, and, as an exact one, of Mailbox

    /// Permanent error for anything else. `*` is none of the forms: that is what `default` is for.
    [[nodiscard]] static Result<AddressKey> parse(std::string_view text);

    /// As it is written in a table.
    [[nodiscard]] std::string text() const;
};

/// What a table says about addresses. The most specific key wins, in the order of the kinds above, and among
/// domains that of DomainTable. A look-up costs two hash look-ups for the local part, and one a label for the
/// domain.
template <typename T>
class AddressTable {
  public:
    /// Adds a line. Returns nullptr, or the value of the line that has the same key already, in which case
    /// nothing is added. The pointer is valid until the next add().
    const T* add(const AddressKey& key, T value) {
        switch (key.kind) {
            case AddressKey::Kind::Null:
                if (null_) return &*null_;
                null_ = std::move(value);
                return nullptr;
            case AddressKey::Kind::Mailbox:
                return add_to(mailboxes_, key.local + '@' + key.pattern.domain, std::move(value));
            case AddressKey::Kind::Local:
                return add_to(locals_, key.local, std::move(value));
            case AddressKey::Kind::Domain:
                break;
        }
        return domains_.add(key.pattern, std::move(value));
    }

    /// The value of the line with just this key, or nullptr. The pointer lives as long as the table.
    [[nodiscard]] const T* at(const AddressKey& key) const {
        switch (key.kind) {
            case AddressKey::Kind::Null:
                return find_null();
            case AddressKey::Kind::Mailbox:
                return find_mailbox(key.local, key.pattern.domain);
            case AddressKey::Kind::Local:
                return find_local(key.local);
            case AddressKey::Kind::Domain:
                break;
        }
        return domains_.at(key.pattern);
    }

    /// The value for the null sender, or nullptr.
    [[nodiscard]] const T* find_null() const { return null_ ? &*null_ : nullptr; }

    /// The value for the address of a folded local part, or nullptr. The pointer lives as long as the table.
    [[nodiscard]] const T* find(std::string_view local, std::string_view domain) const {
        if (const T* found = find_mailbox(local, domain)) return found;
        if (const T* found = find_local(local)) return found;
        return find_domain(domain);
    }

    // The same, one kind of key after the other.
    [[nodiscard]] const T* find_mailbox(std::string_view local, std::string_view domain) const {
        if (mailboxes_.empty()) return nullptr;
        std::string key(local);
        key += '@';
        key += domain;
        return find_in(mailboxes_, key);
    }
    [[nodiscard]] const T* find_local(std::string_view local) const { return find_in(locals_, local); }
    [[nodiscard]] const T* find_domain(std::string_view domain) const { return domains_.find(domain); }

  private:
    static const T* add_to(StringMap<T>& map, std::string key, T value) {
        const auto [place, added] = map.try_emplace(std::move(key), std::move(value));
        return added ? nullptr : &place->second;
    }
    static const T* find_in(const StringMap<T>& map, std::string_view key) {
        const auto found = map.find(key);
        return found == map.end() ? nullptr : &found->second;
    }

    std::optional<T> null_;
    StringMap<T> mailboxes_;
    StringMap<T> locals_;
    DomainTable<T> domains_;
};

}  // namespace postrider::router
