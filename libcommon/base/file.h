#pragma once

#include <cstddef>
#include <initializer_list>
#include <string>
#include <string_view>

#include "libcommon/base/fd.h"
#include "libcommon/base/result.h"

namespace postrider {

/// Writes all of `data` to a blocking descriptor at its file position, repeating short and interrupted
/// writes. Error: Temporary, with the system's reason.
[[nodiscard]] Result<void> write_all(const Fd& file, std::string_view data);

/// As write_all, at `offset`; the file position does not move.
[[nodiscard]] Result<void> write_all_at(const Fd& file, std::string_view data, std::size_t offset);

/// Memory that holds `parts`, one behind the other, and that nobody can change, as a descriptor to give away.
/// `name` is for /proc. Error: Temporary.
[[nodiscard]] Result<Fd> sealed_memory(const char* name, std::initializer_list<std::string_view> parts);

/// Reads up to `size` bytes at `offset`; fewer only at the end of the file.
[[nodiscard]] Result<std::string> read_at(const Fd& file, std::size_t size, std::size_t offset);

/// Reads a whole file of at most `limit` bytes. A larger file is a Permanent error.
[[nodiscard]] Result<std::string> read_file(const std::string& path, std::size_t limit);

}  // namespace postrider
