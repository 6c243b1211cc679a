#pragma once

#include <sys/stat.h>
#include <sys/types.h>

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "libcommon/base/fd.h"
#include "libcommon/config/language.h"

namespace postrider::router {

/// Reads configuration and tables again and again, and knows whether they changed since.
///
/// It keeps a descriptor of every folder from which it has read a file, and opens files relative to that. So
/// a router that has become an ordinary user still reaches its tables when it may not pass through the
/// folders above them; it needs the right to search the folder itself and to read the file.
///
/// One thread at a time may use it.
class TableFiles : public config::FileSource {
  public:
    /// Begins a new reading: forgets which files the last one read.
    void begin();

    [[nodiscard]] Result<std::string> read(const std::string& path, std::size_t limit) override;
    [[nodiscard]] Result<std::vector<std::string>> list(const std::string& directory) override;

    /// Opens a file to read at any place. With `identity_only`, what is written into it is no change: it is
    /// one when there is another file of that name.
    [[nodiscard]] Result<Fd> open_database(const std::string& path, bool identity_only);

    /// Whether a file or folder of this reading is another one now, was written to, vanished or appeared.
    [[nodiscard]] bool changed();

    /// Waits until nothing has changed for a moment, so that a file is not read while an editor has written
    /// half of it; gives up after some seconds.
    void settle();

    /// Opens all folders anew by their names, keeping the old descriptor where that fails: a folder that was
    /// moved away and replaced is seen.
    void reopen();

    /// The files and folders of this reading that could not be read now, with the reason.
    [[nodiscard]] std::vector<std::string> unreadable();

    /// The folders, as they are named.
    [[nodiscard]] std::vector<std::string> folder_names() const;

    /// The folders, as paths that the sandbox can open whatever lies above them.
    [[nodiscard]] std::vector<std::string> folders() const;

  private:
    /// What stat() says of a file, as far as a change shows in it.
    struct State {
        bool exists = false;
        dev_t device = 0;
        ino_t inode = 0;
        off_t size = 0;
        std::int64_t modified_seconds = 0;
        std::int64_t modified_nanoseconds = 0;
        std::int64_t changed_seconds = 0;
        std::int64_t changed_nanoseconds = 0;
        bool operator==(const State&) const = default;
    };

    static State state_of(const struct stat& status);
    [[nodiscard]] State look(const std::string& path);
    [[nodiscard]] std::map<std::string, State> look_at_all();
    [[nodiscard]] Result<Fd> open(const std::string& path, int flags);
    [[nodiscard]] int folder(const std::string& path);
    [[nodiscard]] Fd open_below_known(const std::string& path) const;

    std::map<std::string, Fd> folders_;
    std::set<std::string> identity_only_;  // of this reading
    std::map<std::string, State> files_;   // of this reading, as they were before they were read
};

}  // namespace postrider::router
