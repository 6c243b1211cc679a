#include "router/lmdb_table.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>

// Why reading without LMDB's locks is safe. A commit writes pages that no reader can see yet and then one of
// the two meta pages in turn. With no readers registered, the writer of transaction W takes pages again that
// were given up by transaction W - 2 or before, and which thus only those see who read W - 3 or older ones.
// Somebody who reads what S committed is therefore safe as long as S + 2 is not committed, because S + 3 does
// not begin before. So the meta page that the next commit overwrites is looked at again after the value was
// copied. Where it has changed, what was read is thrown away and read again as of the last commit, unless it
// was that of the commit before, and that one was read in the course of this look-up.
namespace postrider::router {

namespace {

/// Reads that a writer may outrun before a look-up gives up.
constexpr int kAttempts = 20;

/// How long pages are kept. No commit changes them, but somebody who copies another file over this one does.
constexpr Milliseconds kKeptFor{1000};

/// How long look-ups that read nothing, since they find all in kept pages, believe that there was no commit.
constexpr Milliseconds kCheckedFor{10};

}  // namespace

LmdbTable::LmdbTable(Fd file, std::string path, const LmdbLimits& limits)
    : file_(std::move(file)),
      path_(std::make_shared<const std::string>(std::move(path))),
      limits_(limits),
      aged_(std::chrono::steady_clock::now()) {}

Result<std::unique_ptr<const LmdbTable>> LmdbTable::open(Fd file, const std::string& path,
                                                         const LmdbLimits& limits) {
    std::unique_ptr<LmdbTable> table(new LmdbTable(std::move(file), path, limits));
    const Result<void> taken = table->take_commit();
    if (!taken) return failure(taken.error());
    if (!table->commit_.plain) {
        return permanent(fmt::format("{}: the keys have several values, or an order of their own", path));
    }
    table->cache_.resize(std::max<std::size_t>(1, limits.cache / table->commit_.page_size));
    return std::unique_ptr<const LmdbTable>(std::move(table));
}

tl::unexpected<Error> LmdbTable::damaged() const {
    return temporary(fmt::format("{}: no database of LMDB, or damaged", *path_));
}

std::size_t LmdbTable::memory() const {
    const std::lock_guard lock(mutex_);
    std::size_t size = sizeof *this + cache_.capacity() * sizeof(CachedPage);
    for (const CachedPage& cached : cache_)
        size += cached.octets.capacity();
    return size;
}

Result<void> LmdbTable::read(std::string& block, std::size_t size, std::uint64_t offset) const {
    read_ = true;
    block.resize(size);
    const ssize_t got = ::pread(file_.get(), block.data(), size, static_cast<off_t>(offset));
    if (got < 0) return system_failure(*path_, errno);
    if (static_cast<std::size_t>(got) < size) return damaged();
    return {};
}

/// Finds out what was committed last. A meta page that is being written may be read half old and half new, so
/// they are read until they are the same twice.
Result<void> LmdbTable::take_commit() const {
    std::string metas;
    Result<void> done = read(metas, kLmdbMetaSize, 0);
    if (!done) return done;
    const std::optional<LmdbCommit> first = LmdbCommit::parse(metas);
    if (!first) return damaged();
    const bool same_file = commit_.page_size == 0 || commit_.page_size == first->page_size;
    std::string before;
    for (int i = 0; i < kAttempts && done && same_file; ++i) {
        before.swap(metas);
        done = read(metas, first->page_size + kLmdbMetaSize, 0);
        if (!done || metas != before) continue;
        const std::string_view second_meta = std::string_view(metas).substr(first->page_size);
        const std::optional<LmdbCommit> even = LmdbCommit::parse(metas);
        const std::optional<LmdbCommit> odd = LmdbCommit::parse(second_meta);
        if (!even || !odd || even->page_size != odd->page_size) return damaged();
        const bool odd_is_last = odd->transaction > even->transaction;
        commit_ = odd_is_last ? *odd : *even;
        if ((commit_.transaction % 2 == 1) != odd_is_last) return damaged();
        other_meta_ = odd_is_last ? metas.substr(0, kLmdbMetaSize) : std::string(second_meta);
        ++age_;
        return {};
    }
    return done ? damaged() : done;
}

/// Whether commit_ is still the last one.
Result<bool> LmdbTable::is_last_commit() const {
    const std::uint64_t other_page = commit_.transaction % 2 == 0 ? 1 : 0;
    const Result<void> done = read(meta_now_, kLmdbMetaSize, other_page * commit_.page_size);
    if (!done) return failure(done.error());
    return meta_now_ == other_meta_;
}

Result<LmdbPage> LmdbTable::page(std::uint64_t number) const {
    CachedPage& cached = cache_[number % cache_.size()];
    if (cached.number == number && cached.age == age_) return LmdbPage(cached.octets);
    if (number > commit_.last_page) return damaged();
    cached.age = 0;
    const Result<void> done = read(cached.octets, commit_.page_size, number * commit_.page_size);
    if (!done) return failure(done.error());
    if (LmdbPage(cached.octets).number() != number) return damaged();
    cached.number = number;
    cached.age = age_;
    return LmdbPage(cached.octets);
}

LmdbTable::Value LmdbTable::value_of(const LmdbValue& value, std::string_view name) const {
    if (value.is_database) return temporary(fmt::format("{}: {} is no value", *path_, name));
    if (value.size > limits_.value) {
        return temporary(fmt::format("{}: the value of {} is too large", *path_, name));
    }
    if (value.overflow_page == 0) return std::optional<std::string>(value.octets);
    if (value.overflow_page > commit_.last_page) return damaged();
    std::string octets;
    const std::size_t size = LmdbPage::kHeaderSize + value.size;
    const Result<void> done = read(octets, size, value.overflow_page * commit_.page_size);
    if (!done) return failure(done.error());
    const LmdbPage page(octets);
    if (page.number() != value.overflow_page || !page.is_overflow()) return damaged();
    return std::optional<std::string>(octets.substr(LmdbPage::kHeaderSize));
}

/// The value of a name as of commit_.
LmdbTable::Value LmdbTable::search(std::string_view name) const {
    if (commit_.depth == 0) return std::optional<std::string>();
    std::uint64_t number = commit_.root;
    for (unsigned level = 1; level < commit_.depth; ++level) {
        const Result<LmdbPage> branch = page(number);
        if (!branch) return failure(branch.error());
        if (!branch->is_branch()) return damaged();
        const LmdbPage::Found<std::uint64_t> child = branch->child(name);
        if (child.damaged) return damaged();
        number = *child.value;
    }
    const Result<LmdbPage> leaf = page(number);
    if (!leaf) return failure(leaf.error());
    if (!leaf->is_leaf()) return damaged();
    const LmdbPage::Found<LmdbValue> found = leaf->find(name);
    if (found.damaged) return damaged();
    if (!found.value) return std::optional<std::string>();
    return value_of(*found.value, name);
}

TableAnswer LmdbTable::answer(std::string_view name, Value value) const {
    if (!value) return failure(value.error());
    if (!*value) return std::optional<TableEntry>();
    TableEntry entry;
    entry.name = name;
    entry.value = std::move(**value);
    entry.position = config::Position{path_, 0, 0};
    entry.value_position = entry.position;
    return std::optional<TableEntry>(std::move(entry));
}

TableAnswer LmdbTable::find(std::string_view name) const {
    if (name.empty()) return std::optional<TableEntry>();  // which no key may be
    const std::lock_guard lock(mutex_);
    const SteadyTime now = std::chrono::steady_clock::now();
    if (now - aged_ >= kKeptFor) {
        ++age_;
        aged_ = now;
    }
    bool taken_now = false;
    for (int i = 0; i < kAttempts; ++i) {
        Value value = search(name);
        if (!read_ && now - checked_ < kCheckedFor) return answer(name, std::move(value));
        const Result<bool> is_last = is_last_commit();
        if (!is_last) return failure(is_last.error());
        if (*is_last) {
            read_ = false;
            checked_ = now;
            return answer(name, std::move(value));
        }
        const std::uint64_t seen = commit_.transaction;
        const Result<void> taken = take_commit();
        if (!taken) return failure(taken.error());
        if (taken_now && commit_.transaction <= seen + 1) return answer(name, std::move(value));
        taken_now = true;
    }
    return temporary(fmt::format("{}: is being written all the time", *path_));
}

}  // namespace postrider::router
