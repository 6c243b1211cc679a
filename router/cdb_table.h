#pragma once

#include <sys/stat.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "libcommon/base/fd.h"
#include "libcommon/base/result.h"
#include "router/table.h"

namespace postrider::router {

/// Looks at an entry of a database when it is opened; an error says what is wrong with it.
using EntryCheck = std::function<Result<void>(std::string_view name, std::string_view value)>;

/// A constant database, as cdb(1) of tinycdb makes it: a file that is written once and replaced as a whole.
///
/// The file is read with pread(2), never mapped into memory: where somebody shortens it, a look-up fails and
/// is temporary, and nothing dies of it. So is every look-up after somebody has written into the file, until
/// it was opened anew: what it has for a name then, or has not, is nobody's word.
class CdbTable : public Table {
  public:
    /// Reads the whole of `file`, which is called `path` in errors, once: a file that is no database, has
    /// been cut off, or has an entry that `check` refuses or that is larger than `largest_value` is a
    /// Permanent error.
    [[nodiscard]] static Result<std::unique_ptr<const CdbTable>> open(Fd file, const std::string& path,
                                                                      std::size_t largest_value,
                                                                      const EntryCheck& check);

    [[nodiscard]] TableAnswer find(std::string_view name) const override;
    [[nodiscard]] std::size_t memory() const override { return sizeof *this; }

  private:
    /// One of the 256 hash tables at the end of the file.
    struct HashTable {
        std::uint32_t offset = 0;
        std::uint32_t slots = 0;
    };
    /// An entry: its key and value follow the two lengths.
    struct Record {
        std::string name;
        std::string value;
    };

    CdbTable(Fd file, std::string path, std::size_t largest_value);

    [[nodiscard]] Result<void> read_header();
    [[nodiscard]] Result<void> check_entries(const EntryCheck& check) const;
    [[nodiscard]] Result<std::string> bytes(std::uint64_t offset, std::size_t size) const;
    [[nodiscard]] Result<Record> record(std::uint64_t offset) const;
    [[nodiscard]] Result<std::optional<TableEntry>> entry(std::uint64_t offset, std::string_view name) const;
    [[nodiscard]] bool is_unchanged() const;
    [[nodiscard]] tl::unexpected<Error> damaged() const;

    static constexpr std::size_t kTables = 256;

    Fd file_;
    std::shared_ptr<const std::string> path_;
    std::size_t largest_value_;
    struct stat status_ {};
    std::array<HashTable, kTables> tables_{};
    std::uint64_t records_end_ = 0;
};

}  // namespace postrider::router
