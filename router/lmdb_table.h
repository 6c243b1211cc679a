#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>

#include "libcommon/base/result.h"
#include "router/table.h"

struct MDB_env;

namespace postrider::router {

struct LmdbLimits {
    std::size_t file = 0;      ///< the largest file that is mapped, in octets
    std::size_t resident = 0;  ///< octets of the map that stay in memory, about
    std::size_t value = 0;     ///< the largest value
};

/// A database of LMDB, its main one: a directory, or a file of its own (MDB_NOSUBDIR). Another process may
/// write to it meanwhile; each look-up sees what was committed last.
///
/// The environment is opened for reading and without its lock file, since the router may write nowhere. LMDB
/// is then still safe for reads that are shorter than two commits: see lmdb_table.cpp.
class LmdbTable : public Table {
  public:
    /// Error for what is no database, cannot be opened, or is larger than the limit.
    [[nodiscard]] static Result<std::unique_ptr<const LmdbTable>> open(const std::string& path,
                                                                       bool is_folder,
                                                                       const LmdbLimits& limits);
    ~LmdbTable() override;
    LmdbTable(const LmdbTable&) = delete;
    LmdbTable& operator=(const LmdbTable&) = delete;

    [[nodiscard]] TableAnswer find(std::string_view name) const override;
    [[nodiscard]] std::size_t memory() const override { return sizeof *this; }

  private:
    /// What one try to read gives.
    enum class Read { Found, NotFound, Outdated, MapTooSmall, Failed };
    struct Attempt {
        Read read = Read::Failed;
        std::string value;
        int error = 0;
    };

    LmdbTable(std::string path, const LmdbLimits& limits);

    [[nodiscard]] Result<void> map_file() const;
    [[nodiscard]] bool is_whole() const;
    [[nodiscard]] Attempt attempt(std::string_view name) const;
    void bound_memory() const;
    [[nodiscard]] TableAnswer entry(std::string_view name, std::string value) const;
    [[nodiscard]] tl::unexpected<Error> broken(int error) const;

    std::shared_ptr<const std::string> path_;
    LmdbLimits limits_;
    MDB_env* environment_ = nullptr;
    unsigned database_ = 0;

    // The map is replaced now and then, which no reader may see.
    mutable std::mutex mutex_;
    mutable bool mapped_ = false;  // without a map LMDB must not be called
    mutable std::size_t map_size_ = 0;
    mutable std::uint64_t look_ups_ = 0;
    mutable std::int64_t faults_at_start_ = 0;  // of the map
};

}  // namespace postrider::router
