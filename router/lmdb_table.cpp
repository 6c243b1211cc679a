#include "router/lmdb_table.h"

#include <fmt/format.h>
#include <lmdb.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <optional>
#include <utility>

#include "libcommon/base/fd.h"

// Why reading without locks is safe. A commit writes pages that no reader can see yet and then one of the two
// meta pages in turn. With no readers registered, the writer of transaction W takes pages again that were
// given up by transaction W - 2 or before, and which thus only those see who read W - 3 or older ones.
// Somebody who reads what S committed is therefore safe as long as S + 2 is not committed, because S + 3 does
// not begin before. So the number of the last commit is looked at again after the value was copied: if it is
// more than one ahead, what was read is thrown away and read again. A look-up takes a microsecond, a commit a
// sync of the disk.
//
// The map. Pages that were looked at stay mapped, and count as memory of this process, until all of a large
// database would. They stay in the page cache of the system when the map is made anew, which is done after so
// many page faults that the limit may have been reached.
namespace postrider::router {

namespace {

/// Reads that a writer may outrun before a look-up gives up.
constexpr int kAttempts = 20;

/// What the kernel maps for a fault where the neighbours of a page are in its cache, too
/// (fault_around_bytes).
constexpr std::size_t kMappedByFault = std::size_t{64} * 1024;

/// Between two questions how many faults there were, which cost as much as a look-up.
constexpr std::uint64_t kLookUpsBetweenCounts = 64;

/// Room for a database to grow before it must be mapped anew.
constexpr std::size_t kRoomToGrow = std::size_t{16} * 1024 * 1024;

std::int64_t count_faults() {
    rusage usage{};
    if (::getrusage(RUSAGE_SELF, &usage) < 0) return 0;
    return usage.ru_minflt + usage.ru_majflt;
}

struct AbortTransaction {
    void operator()(MDB_txn* transaction) const { mdb_txn_abort(transaction); }
};
using Transaction = std::unique_ptr<MDB_txn, AbortTransaction>;

/// A transaction that sees the last commit; nullptr with the reason in `error`.
Transaction begin_reading(MDB_env* environment, int& error) {
    MDB_txn* transaction = nullptr;
    error = mdb_txn_begin(environment, nullptr, MDB_RDONLY, &transaction);
    return Transaction(error == MDB_SUCCESS ? transaction : nullptr);
}

}  // namespace

LmdbTable::LmdbTable(std::string path, const LmdbLimits& limits)
    : path_(std::make_shared<const std::string>(std::move(path))), limits_(limits) {}

LmdbTable::~LmdbTable() {
    if (environment_ != nullptr) mdb_env_close(environment_);
}

Result<std::unique_ptr<const LmdbTable>> LmdbTable::open(const std::string& path, bool is_folder,
                                                         const LmdbLimits& limits) {
    std::unique_ptr<LmdbTable> table(new LmdbTable(path, limits));
    int error = mdb_env_create(&table->environment_);
    if (error != MDB_SUCCESS) return table->broken(error);
    unsigned flags = MDB_RDONLY | MDB_NOLOCK | MDB_NOTLS | MDB_NORDAHEAD;
    if (!is_folder) flags |= MDB_NOSUBDIR;
    // The smallest map, which LMDB makes as large as the file; map_file() then gives it its size.
    error = mdb_env_set_mapsize(table->environment_, 1);
    if (error == MDB_SUCCESS) error = mdb_env_open(table->environment_, path.c_str(), flags, 0);
    if (error != MDB_SUCCESS) return table->broken(error);
    const Result<void> mapped = table->map_file();
    if (!mapped) return failure(mapped.error());
    if (!table->is_whole()) return table->broken(MDB_CORRUPTED);
    const Transaction transaction = begin_reading(table->environment_, error);
    if (transaction) error = mdb_dbi_open(transaction.get(), nullptr, 0, &table->database_);
    if (error != MDB_SUCCESS) return table->broken(error);
    return std::unique_ptr<const LmdbTable>(std::move(table));
}

tl::unexpected<Error> LmdbTable::broken(int error) const {
    return temporary(fmt::format("{}: {}", *path_, mdb_strerror(error)));
}

Result<void> LmdbTable::map_file() const {
    mdb_filehandle_t file = -1;
    struct stat status {};
    const int error = mdb_env_get_fd(environment_, &file);
    if (error != MDB_SUCCESS) return broken(error);
    if (::fstat(file, &status) < 0) return system_failure(*path_, errno);
    const auto size = static_cast<std::size_t>(status.st_size);
    if (size > limits_.file) return permanent(fmt::format("{}: larger than {} bytes", *path_, limits_.file));
    map_size_ = std::min(size + kRoomToGrow, std::max(limits_.file, size));
    const int resized = mdb_env_set_mapsize(environment_, map_size_);
    mapped_ = resized == MDB_SUCCESS;
    faults_at_start_ = count_faults();
    if (resized != MDB_SUCCESS) return broken(resized);
    return {};
}

/// Whether the file is as long as its content; touching the map behind its end would end this process.
bool LmdbTable::is_whole() const {
    mdb_filehandle_t file = -1;
    struct stat status {};
    MDB_envinfo info{};
    MDB_stat pages{};
    if (mdb_env_get_fd(environment_, &file) != MDB_SUCCESS || ::fstat(file, &status) < 0) return false;
    constexpr off_t kMetaPages = 2;
    constexpr off_t kSmallestPage = 4096;
    if (status.st_size < kMetaPages * kSmallestPage) return false;
    if (mdb_env_stat(environment_, &pages) != MDB_SUCCESS) return false;
    if (mdb_env_info(environment_, &info) != MDB_SUCCESS) return false;
    const std::size_t content = (info.me_last_pgno + 1) * pages.ms_psize;
    return content <= static_cast<std::size_t>(status.st_size);
}

LmdbTable::Attempt LmdbTable::attempt(std::string_view name) const {
    Attempt result;
    const Transaction transaction = begin_reading(environment_, result.error);
    if (!transaction) {
        if (result.error == MDB_MAP_RESIZED) result.read = Read::MapTooSmall;
        return result;
    }
    MDB_val key{name.size(), const_cast<char*>(name.data())};
    MDB_val value{};
    result.error = mdb_get(transaction.get(), database_, &key, &value);
    const bool found = result.error == MDB_SUCCESS;
    if (found) {
        // Longer than the limit is faulty, whatever it is.
        const std::size_t size = std::min(value.mv_size, limits_.value + 1);
        result.value.assign(static_cast<const char*>(value.mv_data), size);
    }
    MDB_envinfo info{};
    const bool known = mdb_env_info(environment_, &info) == MDB_SUCCESS;
    if (!known || info.me_last_txnid > mdb_txn_id(transaction.get()) + 1) {
        result.read = Read::Outdated;
    } else if (found) {
        result.read = Read::Found;
    } else if (result.error == MDB_NOTFOUND) {
        result.read = Read::NotFound;
    }
    return result;
}

void LmdbTable::bound_memory() const {
    if (++look_ups_ % kLookUpsBetweenCounts != 0) return;
    const auto faults = static_cast<std::size_t>(count_faults() - faults_at_start_);
    if (faults * kMappedByFault <= limits_.resident) return;
    // Forgets which pages were looked at; an error leaves no map, which the next look-up is told.
    static_cast<void>(map_file());
}

TableAnswer LmdbTable::entry(std::string_view name, std::string value) const {
    if (value.size() > limits_.value) {
        return temporary(fmt::format("{}: the value of {} is too large", *path_, name));
    }
    TableEntry entry;
    entry.name = name;
    entry.value = std::move(value);
    entry.position = config::Position{path_, 0, 0};
    entry.value_position = entry.position;
    return std::optional<TableEntry>(std::move(entry));
}

TableAnswer LmdbTable::find(std::string_view name) const {
    // LMDB takes an empty key for an error, and longer ones than its pages hold.
    if (name.empty() || name.size() > static_cast<std::size_t>(mdb_env_get_maxkeysize(environment_))) {
        return std::optional<TableEntry>();
    }
    const std::lock_guard lock(mutex_);
    if (!mapped_) return broken(ENOMEM);
    if (!is_whole()) return broken(MDB_CORRUPTED);
    bound_memory();
    if (!mapped_) return broken(ENOMEM);
    for (int i = 0; i < kAttempts; ++i) {
        Attempt result = attempt(name);
        switch (result.read) {
            case Read::Found:
                return entry(name, std::move(result.value));
            case Read::NotFound:
                return std::optional<TableEntry>();
            case Read::Outdated:
                break;
            case Read::MapTooSmall: {
                const Result<void> mapped = map_file();
                if (!mapped) return failure(mapped.error());
                break;
            }
            case Read::Failed:
                return broken(result.error);
        }
    }
    return temporary(fmt::format("{}: is being written all the time", *path_));
}

}  // namespace postrider::router
