#include "router/table_files.h"

#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <memory>
#include <thread>
#include <utility>

#include "libcommon/base/clock.h"
#include "libcommon/base/file.h"

namespace postrider::router {

namespace {

constexpr Milliseconds kSettleTime{100};
constexpr int kSettleRounds = 50;

/// Opening a table must not wait for a writer of a FIFO, nor make a terminal ours.
constexpr int kReadFlags = O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY;

struct SplitPath {
    std::string folder;
    std::string name;
};

SplitPath split(const std::string& path) {
    const std::size_t slash = path.rfind('/');
    if (slash == std::string::npos) return {".", path};
    return {slash == 0 ? "/" : path.substr(0, slash), path.substr(slash + 1)};
}

Fd open_folder(const std::string& path) {
    return Fd(::open(path.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
}

struct CloseDirectory {
    void operator()(DIR* directory) const { ::closedir(directory); }
};

}  // namespace

void TableFiles::begin() {
    files_.clear();
    identity_only_.clear();
}

int TableFiles::folder(const std::string& path) {
    Fd& folder = folders_[path];
    struct stat status {};
    // A folder that was deleted keeps its descriptor, but what is made under its name now is another one.
    const bool gone = folder && ::fstat(folder.get(), &status) == 0 && status.st_nlink == 0;
    if (!folder || gone) {
        Fd opened = open_folder(path);
        if (!opened) opened = open_below_known(path);
        if (opened || !folder) folder = std::move(opened);
    }
    return folder.get();
}

Fd TableFiles::open_below_known(const std::string& path) const {
    for (std::size_t slash = path.rfind('/'); slash != std::string::npos && slash > 0;
         slash = path.rfind('/', slash - 1)) {
        const auto known = folders_.find(path.substr(0, slash));
        if (known == folders_.end() || !known->second) continue;
        return Fd(::openat(known->second.get(), path.c_str() + slash + 1, O_PATH | O_DIRECTORY | O_CLOEXEC));
    }
    return Fd();
}

Result<Fd> TableFiles::open(const std::string& path, int flags) {
    const SplitPath parts = split(path);
    const int parent = folder(parts.folder);
    if (parent < 0) return system_failure(path, errno);
    Fd file(::openat(parent, parts.name.empty() ? "." : parts.name.c_str(), flags));
    if (!file) return system_failure(path, errno);
    return file;
}

Result<std::string> TableFiles::read(const std::string& path, std::size_t limit) {
    State& state = files_[path];
    state = State();
    const Result<Fd> file = open(path, kReadFlags);
    if (!file) return failure(file.error());
    struct stat status {};
    if (::fstat(file->get(), &status) < 0) return system_failure(path, errno);
    state = state_of(status);
    if (!S_ISREG(status.st_mode)) return permanent(fmt::format("{}: not a regular file", path));
    // Not the limit at once: it is large, and so would be the buffer. One byte more shows what grew
    // meanwhile.
    const auto size = static_cast<std::size_t>(status.st_size);
    Result<std::string> text = read_at(*file, std::min(size, limit) + 1, 0);
    if (text && text->size() > size) text = read_at(*file, limit + 1, 0);
    if (!text) return failure(Error(text.error().severity, fmt::format("{}: {}", path, text.error().text)));
    if (text->size() > limit) return permanent(fmt::format("{}: larger than {} bytes", path, limit));
    return text;
}

Result<Fd> TableFiles::open_database(const std::string& path, bool identity_only) {
    if (identity_only) identity_only_.insert(path);
    files_[path] = look(path);
    return open(path, kReadFlags);
}

Result<std::vector<std::string>> TableFiles::list(const std::string& directory) {
    files_[directory] = look(directory);
    Result<Fd> folder_file = open(directory, kReadFlags | O_DIRECTORY);
    if (!folder_file) return failure(folder_file.error());
    const std::unique_ptr<DIR, CloseDirectory> stream(::fdopendir(folder_file->get()));
    if (!stream) return system_failure(directory, errno);
    static_cast<void>(folder_file->release());  // The stream closes it.
    std::vector<std::string> names;
    errno = 0;
    while (const dirent* entry = ::readdir(stream.get())) {
        const std::string name = entry->d_name;
        if (name != "." && name != "..") names.push_back(name);
        errno = 0;
    }
    if (errno != 0) return system_failure(directory, errno);
    return names;
}

TableFiles::State TableFiles::state_of(const struct stat& status) {
    return State{true,
                 status.st_dev,
                 status.st_ino,
                 status.st_size,
                 status.st_mtim.tv_sec,
                 status.st_mtim.tv_nsec,
                 status.st_ctim.tv_sec,
                 status.st_ctim.tv_nsec};
}

TableFiles::State TableFiles::look(const std::string& path) {
    const SplitPath parts = split(path);
    const int parent = folder(parts.folder);
    struct stat status {};
    if (parent < 0) return {};
    if (::fstatat(parent, parts.name.empty() ? "." : parts.name.c_str(), &status, 0) < 0) return {};
    if (identity_only_.contains(path)) return State{true, status.st_dev, status.st_ino, 0, 0, 0, 0, 0};
    return state_of(status);
}

std::map<std::string, TableFiles::State> TableFiles::look_at_all() {
    std::map<std::string, State> states;
    for (const auto& [path, state] : files_)
        states.emplace(path, look(path));
    return states;
}

bool TableFiles::changed() {
    return look_at_all() != files_;
}

void TableFiles::settle() {
    std::map<std::string, State> before = look_at_all();
    for (int round = 0; round < kSettleRounds; ++round) {
        std::this_thread::sleep_for(kSettleTime);
        std::map<std::string, State> now = look_at_all();
        if (now == before) return;
        before = std::move(now);
    }
}

void TableFiles::reopen() {
    for (auto& [path, folder] : folders_) {
        Fd opened = open_folder(path);
        if (opened) folder = std::move(opened);
    }
}

std::vector<std::string> TableFiles::unreadable() {
    std::vector<std::string> problems;
    for (const auto& [path, state] : files_) {
        if (!state.exists) continue;
        const Result<Fd> file = open(path, kReadFlags);
        if (!file) problems.push_back(file.error().text);
    }
    return problems;
}

std::vector<std::string> TableFiles::folder_names() const {
    std::vector<std::string> names;
    for (const auto& [path, folder] : folders_) {
        if (folder) names.push_back(path);
    }
    return names;
}

std::vector<std::string> TableFiles::folders() const {
    std::vector<std::string> paths;
    for (const auto& [path, folder] : folders_) {
        if (folder) paths.push_back(fmt::format("/proc/self/fd/{}", folder.get()));
    }
    return paths;
}

}  // namespace postrider::router
