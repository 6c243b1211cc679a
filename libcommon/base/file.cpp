#include "libcommon/base/file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>

namespace postrider {

Result<void> write_all(const Fd& file, std::string_view data) {
    while (!data.empty()) {
        ssize_t written = ::write(file.get(), data.data(), data.size());
        if (written < 0) {
            if (errno == EINTR) continue;
            return system_failure("write", errno);
        }
        data.remove_prefix(static_cast<std::size_t>(written));
    }
    return {};
}

Result<void> write_all_at(const Fd& file, std::string_view data, std::size_t offset) {
    while (!data.empty()) {
        ssize_t written = ::pwrite(file.get(), data.data(), data.size(), static_cast<off_t>(offset));
        if (written < 0) {
            if (errno == EINTR) continue;
            return system_failure("write", errno);
        }
        data.remove_prefix(static_cast<std::size_t>(written));
        offset += static_cast<std::size_t>(written);
    }
    return {};
}

Result<Fd> sealed_memory(const char* name, std::initializer_list<std::string_view> parts) {
    Fd memory(::memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING));
    if (!memory) return system_failure("memfd_create", errno);
    // With write(): not every daemon that seals memory may call pwrite().
    for (const std::string_view part : parts) {
        auto written = write_all(memory, part);
        if (!written) return failure(written.error());
    }
    // Whoever is given it may read from where it stands, as in a file that was just opened.
    if (::lseek(memory.get(), 0, SEEK_SET) != 0) return system_failure("lseek", errno);
    if (::fcntl(memory.get(), F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE) < 0) {
        return system_failure("F_ADD_SEALS", errno);
    }
    return memory;
}

Result<std::string> read_at(const Fd& file, std::size_t size, std::size_t offset) {
    std::string data(size, '\0');
    std::size_t filled = 0;
    while (filled < size) {
        ssize_t got =
            ::pread(file.get(), data.data() + filled, size - filled, static_cast<off_t>(offset + filled));
        if (got < 0) {
            if (errno == EINTR) continue;
            return system_failure("read", errno);
        }
        if (got == 0) break;
        filled += static_cast<std::size_t>(got);
    }
    data.resize(filled);
    return data;
}

Result<std::string> read_file(const std::string& path, std::size_t limit) {
    Fd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    if (!file) return system_failure(path, errno);
    auto data = read_at(file, limit + 1, 0);
    if (!data) return temporary(fmt::format("{}: {}", path, data.error().text));
    if (data->size() > limit) return permanent(fmt::format("{}: larger than {} bytes", path, limit));
    return data;
}

}  // namespace postrider
