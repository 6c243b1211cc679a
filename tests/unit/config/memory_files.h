#pragma once

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "libcommon/config/language.h"

namespace postrider::config {

/// Files that exist only in the test.
class MemoryFiles : public FileSource {
  public:
    explicit MemoryFiles(std::map<std::string, std::string> files) : files_(std::move(files)) {}

    Result<std::string> read(const std::string& path, std::size_t limit) override {
        auto found = files_.find(path);
        if (found == files_.end()) return temporary("cannot be opened: No such file or directory");
        if (found->second.size() > limit) return permanent("is too large");
        return found->second;
    }

    Result<std::vector<std::string>> list(const std::string& directory) override {
        std::vector<std::string> names;
        // Backwards, so that a reader that forgets to sort is noticed.
        for (auto file = files_.rbegin(); file != files_.rend(); ++file) {
            std::size_t slash = file->first.rfind('/');
            if (file->first.substr(0, slash) == directory) names.push_back(file->first.substr(slash + 1));
        }
        if (names.empty()) return temporary("cannot be listed: No such file or directory");
        return names;
    }

  private:
    std::map<std::string, std::string> files_;
};

}  // namespace postrider::config
