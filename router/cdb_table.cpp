#include "router/cdb_table.h"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "libcommon/base/file.h"
#include "libcommon/mail/limits.h"
#include "router/address.h"

// The format (cr.yp.to/cdb/cdb.txt), all numbers 32 bits and little endian. 256 pairs of offset and number of
// slots, one for each value of the last octet of a hash; then the records: length of the key, length of the
// value, key, value; then the hash tables: pairs of hash and offset of a record, offset 0 for an empty slot.
// A key is searched from the slot that the rest of its hash says, onwards and round, until an empty slot.
namespace postrider::router {

namespace {

constexpr std::size_t kHeaderSize = 2048;
constexpr std::size_t kPairSize = 8;

/// Slots read at a time; with half of them empty there are hardly ever more to look at.
constexpr std::uint32_t kSlotsAtOnce = 8;

/// What is read of a record before its lengths are known: enough for nearly all.
constexpr std::size_t kFirstRead = 512;

std::uint32_t number_at(std::string_view data, std::size_t place) {
    std::uint32_t number = 0;
    for (std::size_t octet = 0; octet < sizeof number; ++octet)
        number |= std::uint32_t{static_cast<unsigned char>(data[place + octet])} << (8 * octet);
    return number;
}

std::uint32_t cdb_hash(std::string_view key) {
    std::uint32_t hash = 5381;
    for (const char octet : key)
        hash = ((hash << 5U) + hash) ^ static_cast<unsigned char>(octet);
    return hash;
}

}  // namespace

CdbTable::CdbTable(Fd file, std::string path, std::size_t largest_value)
    : file_(std::move(file)),
      path_(std::make_shared<const std::string>(std::move(path))),
      largest_value_(largest_value) {}

Result<std::unique_ptr<const CdbTable>> CdbTable::open(Fd file, const std::string& path,
                                                       std::size_t largest_value, const EntryCheck& check) {
    std::unique_ptr<CdbTable> table(new CdbTable(std::move(file), path, largest_value));
    if (::fstat(table->file_.get(), &table->status_) < 0) return system_failure(path, errno);
    Result<void> good = table->read_header();
    if (good) good = table->check_entries(check);
    if (good && !table->is_unchanged()) good = table->damaged();
    if (!good) return failure(good.error());
    return std::unique_ptr<const CdbTable>(std::move(table));
}

tl::unexpected<Error> CdbTable::damaged() const {
    return temporary(fmt::format("{}: no constant database, or damaged", *path_));
}

bool CdbTable::is_unchanged() const {
    struct stat now {};
    if (::fstat(file_.get(), &now) < 0) return false;
    return now.st_size == status_.st_size && now.st_mtim.tv_sec == status_.st_mtim.tv_sec &&
           now.st_mtim.tv_nsec == status_.st_mtim.tv_nsec;
}

Result<std::string> CdbTable::bytes(std::uint64_t offset, std::size_t size) const {
    Result<std::string> data = read_at(file_, size, offset);
    if (!data) return failure(Error(Severity::Temporary, fmt::format("{}: {}", *path_, data.error().text)));
    if (data->size() < size) return damaged();
    return data;
}

Result<void> CdbTable::read_header() {
    const Result<std::string> header = bytes(0, kHeaderSize);
    if (!header) return failure(header.error());
    const auto size = static_cast<std::uint64_t>(status_.st_size);
    records_end_ = size;
    for (std::size_t i = 0; i < kTables; ++i) {
        HashTable& table = tables_[i];
        table.offset = number_at(*header, i * kPairSize);
        table.slots = number_at(*header, i * kPairSize + 4);
        const std::uint64_t end = table.offset + std::uint64_t{table.slots} * kPairSize;
        if (table.offset < kHeaderSize || end > size) return damaged();
        records_end_ = std::min<std::uint64_t>(records_end_, table.offset);
    }
    return {};
}

Result<void> CdbTable::check_entries(const EntryCheck& check) const {
    constexpr std::size_t kBlock = std::size_t{1024} * 1024;
    std::string block;
    std::uint64_t entries = 0;
    std::uint64_t start = kHeaderSize;  // of the block
    std::size_t at = 0;                 // in it
    while (start + at < records_end_) {
        const auto here = start + at;
        const bool has_lengths = at + kPairSize <= block.size();
        const std::uint64_t name_size = has_lengths ? number_at(block, at) : 0;
        const std::uint64_t value_size = has_lengths ? number_at(block, at + 4) : 0;
        const std::uint64_t size = kPairSize + name_size + value_size;
        if (here + size > records_end_) return damaged();
        if (name_size > mail::kMaxLocalPart || value_size > largest_value_) {
            return permanent(fmt::format("{}: an entry is too large", *path_));
        }
        if (!has_lengths || at + size > block.size()) {
            // Never twice for one place: a block holds the largest record.
            const std::uint64_t rest = records_end_ - here;
            Result<std::string> next = bytes(here, std::min<std::uint64_t>(rest, kBlock + largest_value_));
            if (!next) return failure(next.error());
            if (next->size() < kPairSize) return damaged();
            block = std::move(*next);
            start = here;
            at = 0;
            continue;
        }
        const std::string_view name = std::string_view(block).substr(at + kPairSize, name_size);
        const std::string_view value = std::string_view(block).substr(at + kPairSize + name_size, value_size);
        const Result<void> good = check(name, value);
        if (!good) return permanent(fmt::format("{}: {}: {}", *path_, name, good.error().text));
        at += size;
        ++entries;
    }
    std::uint64_t slots = 0;
    for (const HashTable& table : tables_)
        slots += table.slots;
    if (slots != entries * 2) return damaged();
    return {};
}

Result<CdbTable::Record> CdbTable::record(std::uint64_t offset) const {
    if (offset < kHeaderSize || offset + kPairSize > records_end_) return damaged();
    const std::uint64_t rest = records_end_ - offset;
    Result<std::string> data = bytes(offset, std::min<std::uint64_t>(kFirstRead, rest));
    if (!data) return failure(data.error());
    const std::uint64_t name_size = number_at(*data, 0);
    const std::uint64_t value_size = number_at(*data, 4);
    const std::uint64_t size = kPairSize + name_size + value_size;
    if (size > rest || name_size > mail::kMaxLocalPart || value_size > largest_value_) return damaged();
    if (size > data->size()) data = bytes(offset, size);
    if (!data) return failure(data.error());
    return Record{data->substr(kPairSize, name_size), data->substr(kPairSize + name_size, value_size)};
}

Result<std::optional<TableEntry>> CdbTable::entry(std::uint64_t offset, std::string_view name) const {
    Result<Record> found = record(offset);
    if (!found) return failure(found.error());
    if (found->name != name) return std::optional<TableEntry>();
    TableEntry entry;
    entry.name = std::move(found->name);
    entry.value = std::move(found->value);
    entry.position = config::Position{path_, 0, 0};
    entry.value_position = entry.position;
    return std::optional<TableEntry>(std::move(entry));
}

TableAnswer CdbTable::find(std::string_view name) const {
    const std::uint32_t hash = cdb_hash(name);
    const HashTable& table = tables_[hash % kTables];
    TableAnswer answer;
    std::uint32_t slot = table.slots == 0 ? 0 : (hash / kTables) % table.slots;
    for (std::uint32_t looked_at = 0; looked_at < table.slots;) {
        const std::uint32_t count = std::min(kSlotsAtOnce, table.slots - slot);
        const Result<std::string> slots =
            bytes(table.offset + std::uint64_t{slot} * kPairSize, count * kPairSize);
        if (!slots) return failure(slots.error());
        for (std::uint32_t i = 0; i < count && looked_at < table.slots; ++i, ++looked_at) {
            const std::uint32_t offset = number_at(*slots, i * kPairSize + 4);
            if (offset == 0) looked_at = table.slots;
            if (offset == 0 || number_at(*slots, i * kPairSize) != hash) continue;
            answer = entry(offset, name);
            if (!answer || *answer) looked_at = table.slots;
        }
        slot = (slot + count) % table.slots;
    }
    if (answer && !is_unchanged()) return temporary(fmt::format("{}: was written into", *path_));
    return answer;
}

}  // namespace postrider::router
