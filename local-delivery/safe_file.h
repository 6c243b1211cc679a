#pragma once

#include <cstddef>
#include <optional>
#include <string>

#include "libcommon/base/result.h"

namespace postrider::local_delivery {

/// Reads a file that says what becomes of somebody's mail, with the rights of the calling process, if nobody
/// but its user and root can have written it: the file and its folder belong to one of the two and can be
/// written by nobody else; it is a regular file with one name and at most `limit` octets, and is not being
/// written while it is read. A symbolic link is followed once, and what it leads to has to fulfil all this.
///
/// nullopt: there is no such file, or no such folder. Temporary error: it is there, or may be there, but
/// cannot be trusted or read.
[[nodiscard]] Result<std::optional<std::string>> read_safely(const std::string& path, std::size_t limit);

/// Whether the folder is marked as being edited: it has the sticky bit and belongs to the calling user.
[[nodiscard]] bool is_being_edited(const std::string& folder);

}  // namespace postrider::local_delivery
