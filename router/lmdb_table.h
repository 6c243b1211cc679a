#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "libcommon/base/clock.h"
#include "libcommon/base/fd.h"
#include "libcommon/base/result.h"
#include "router/lmdb_page.h"
#include "router/table.h"

namespace postrider::router {

struct LmdbLimits {
    std::size_t cache = 0;  ///< octets of pages that are kept in memory
    std::size_t value = 0;  ///< the largest value
};

/// A database of LMDB, its main one. Another process may write to it meanwhile; each look-up sees what was
/// committed up to a hundredth of a second before.
///
/// The file is read with pread(2), as a constant database is, and not by LMDB's library. That would map it:
/// where somebody shortens it, this process would die, and what was looked at of it would count as memory of
/// this process.
class LmdbTable : public Table {
  public:
    /// `file` is called `path` in errors. Error for what is no database, or one whose keys are ordered in
    /// another way than by their octets.
    [[nodiscard]] static Result<std::unique_ptr<const LmdbTable>> open(Fd file, const std::string& path,
                                                                       const LmdbLimits& limits);

    [[nodiscard]] TableAnswer find(std::string_view name) const override;
    [[nodiscard]] std::size_t memory() const override;

  private:
    /// A page that was read, for look-ups to come.
    struct CachedPage {
        std::uint64_t number = 0;
        std::uint64_t age = 0;  // as age_ was when it was read
        std::string octets;
    };
    using Value = Result<std::optional<std::string>>;

    LmdbTable(Fd file, std::string path, const LmdbLimits& limits);

    [[nodiscard]] Result<void> take_commit() const;
    [[nodiscard]] Result<bool> is_last_commit() const;
    [[nodiscard]] Value search(std::string_view name) const;
    [[nodiscard]] Result<LmdbPage> page(std::uint64_t number) const;
    [[nodiscard]] Value value_of(const LmdbValue& value, std::string_view name) const;
    [[nodiscard]] Result<void> read(std::string& block, std::size_t size, std::uint64_t offset) const;
    [[nodiscard]] TableAnswer answer(std::string_view name, Value value) const;
    [[nodiscard]] tl::unexpected<Error> damaged() const;

    Fd file_;
    std::shared_ptr<const std::string> path_;
    LmdbLimits limits_;

    mutable std::mutex mutex_;  // for all of these
    mutable LmdbCommit commit_;
    mutable std::string other_meta_;         // the meta page that the next commit overwrites
    mutable std::string meta_now_;           // room for it to be read again
    mutable std::vector<CachedPage> cache_;  // each page has one place where it may be
    mutable std::uint64_t age_ = 0;          // pages of another age are of no use any more
    mutable SteadyTime aged_;
    mutable SteadyTime checked_;  // when commit_ was the last one
    mutable bool read_ = false;   // something was read from the file since then
};

}  // namespace postrider::router
