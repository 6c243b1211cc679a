#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "local-delivery/outcome.h"

namespace postrider::local_delivery {

/// How large a mailbox may be.
struct MailboxQuota {
    std::uint64_t octets = 0;  ///< of all its messages; 0: any number
    bool fails = false;        ///< a message that does not fit fails; else it waits for room
};

/// What is in a Maildir by its file `maildirsize`: octets and messages.
struct MaildirUsage {
    std::int64_t octets = 0;
    std::int64_t messages = 0;

    friend bool operator==(const MaildirUsage&, const MaildirUsage&) = default;
};

/// Reads the text of a `maildirsize` (Maildir++, as Courier and Dovecot have it): the quota in the first
/// line, "1000000S" with further limits behind commas, then a line "OCTETS MESSAGES" for every change.
/// Nothing if it was made for another quota than `octets`, is broken, or adds up to less than nothing: then
/// the messages have to be counted. Pure.
[[nodiscard]] std::optional<MaildirUsage> parse_maildir_size(std::string_view text, std::uint64_t octets);

/// The octets that the name of a message says it has, "…,S=1234:2,S"; nothing if it does not. Pure.
[[nodiscard]] std::optional<std::uint64_t> size_in_name(std::string_view name);

/// The size of one Maildir, with all its folders, and what may still come into it. The file `maildirsize`
/// saves counting the messages each time; every program that knows it adds what it brings and takes. Others
/// (a mail program that deletes files) do not, so a mailbox that seems full is counted before anything is
/// refused. Used with the rights of the owner, who may have put anything there: links are not followed.
class MaildirSize {
  public:
    /// Without a quota all is allowed, and nothing read or written.
    MaildirSize(std::string path, MailboxQuota quota) : path_(std::move(path)), quota_(quota) {}

    /// Whether a message of `octets` has room. Delivered if it has; else the outcome that the quota says. The
    /// messages are counted once at most.
    [[nodiscard]] Outcome admit(std::uint64_t octets);

    /// A message of `octets` has come into the mailbox. What cannot be written down is found out later, when
    /// the messages are counted.
    void add(std::uint64_t octets) const;

  private:
    [[nodiscard]] bool limited() const { return quota_.octets > 0; }
    [[nodiscard]] bool fits(std::uint64_t octets) const;
    [[nodiscard]] Outcome refuse(std::uint64_t octets) const;
    void read();
    void count();
    void store() const;

    std::string path_;
    MailboxQuota quota_;
    std::optional<MaildirUsage> usage_;
    bool counted_ = false;
};

}  // namespace postrider::local_delivery
