#pragma once

#include <cstddef>
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

/// Reads up to `size` bytes at `offset`; fewer only at the end of the file.
[[nodiscard]] Result<std::string> read_at(const Fd& file, std::size_t size, std::size_t offset);

/// Reads a whole file of at most `limit` bytes. A larger file is a Permanent error.
[[nodiscard]] Result<std::string> read_file(const std::string& path, std::size_t limit);

}  // namespace postrider
