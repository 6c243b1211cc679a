#pragma once

#include <sys/stat.h>

#include <string>
#include <string_view>

#include "libcommon/base/fd.h"
#include "libcommon/base/result.h"

/// Changing a file of the configuration so that nobody ever reads half of it.
namespace postrider::admin {

/// Keeps others who edit in this way out, until it is destroyed; waits for them.
class EditLock {
  public:
    /// Locks the folder that `path` is in. Temporary error: it cannot be opened.
    [[nodiscard]] static Result<EditLock> take(const std::string& path);

  private:
    explicit EditLock(Fd folder) : folder_(std::move(folder)) {}
    Fd folder_;
};

/// A file as it was read, to be written again.
class EditedFile {
  public:
    /// Reads `path`, through symbolic links, at most `limit` bytes. Error: it is no regular file, or cannot
    /// be read.
    [[nodiscard]] static Result<EditedFile> read(const std::string& path, std::size_t limit);

    [[nodiscard]] const std::string& text() const { return text_; }

    /// Puts a file with `text` in its place by one rename, with the same owner, group and mode, after it was
    /// made durable. Temporary error: somebody else changed the file since it was read, or it cannot be
    /// written; then it is as it was.
    [[nodiscard]] Result<void> replace(std::string_view text) const;

  private:
    EditedFile(std::string path, std::string text, const struct stat& status)
        : path_(std::move(path)), text_(std::move(text)), status_(status) {}

    std::string path_;  // real: no part of it is a symbolic link
    std::string text_;
    struct stat status_;
};

}  // namespace postrider::admin
