#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <vector>

namespace postrider::config {

/// Answers which of a list of files changed since it was last asked, by plain stat(): no descriptors are
/// held, and an editor that replaces the file is seen like one that writes into it. A file that is missing
/// is a state like any other, so appearing and vanishing are changes.
class FileSet {
  public:
    FileSet() = default;

    /// Remembers the present state of each path, as add() does.
    explicit FileSet(const std::vector<std::string>& paths);

    /// Remembers the present state of one more path; does nothing when it is in the set already. Call it
    /// before reading the file, not after: what changes in between is then reported by changed().
    void add(const std::string& path);

    /// The paths whose state differs from that at the last call (or at construction), in the order given.
    [[nodiscard]] std::vector<std::string> changed();

    [[nodiscard]] bool empty() const { return files_.empty(); }

  private:
    struct State {
        dev_t device = 0;
        ino_t inode = 0;  // 0: the file does not exist
        std::int64_t modified_seconds = 0;
        std::int64_t modified_nanoseconds = 0;
        off_t size = 0;
        bool operator==(const State&) const = default;
    };
    struct Watched {
        std::string path;
        State state;
    };

    [[nodiscard]] static State look(const std::string& path);

    std::vector<Watched> files_;
};

}  // namespace postrider::config
