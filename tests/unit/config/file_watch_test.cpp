#include "libcommon/config/file_watch.h"

#include <catch2/catch.hpp>
#include <unistd.h>

#include <filesystem>
#include <fstream>

namespace postrider::config {

TEST_CASE("changes of files are reported once", "[file_watch]") {
    namespace fs = std::filesystem;
    auto folder = fs::temp_directory_path() / ("postrider-watch-" + std::to_string(::getpid()));
    fs::create_directories(folder);
    const std::string a = folder / "a";
    const std::string b = folder / "b";
    const std::string missing = folder / "missing";
    std::ofstream(a) << "one";
    std::ofstream(b) << "one";
    using Paths = std::vector<std::string>;

    FileSet set({a, b, missing});
    CHECK(set.changed() == Paths{});

    std::ofstream(a, std::ios::app) << " more";  // another size
    CHECK(set.changed() == Paths{a});
    CHECK(set.changed() == Paths{});

    fs::last_write_time(b, fs::last_write_time(b) + std::chrono::nanoseconds(1000));  // another time
    CHECK(set.changed() == Paths{b});

    std::ofstream(folder / "new") << "one more";  // another inode, as editors do it
    fs::last_write_time(folder / "new", fs::last_write_time(a));
    fs::rename(folder / "new", a);
    CHECK(set.changed() == Paths{a});

    std::ofstream(missing) << "here";
    fs::remove(b);
    CHECK(set.changed() == Paths{b, missing});
    CHECK(set.changed() == Paths{});

    set.add(b);  // known already: its state is kept
    std::ofstream(b) << "back";
    set.add(b);
    CHECK(set.changed() == Paths{b});
    fs::remove_all(folder);
}

TEST_CASE("an empty set never changes", "[file_watch]") {
    FileSet set;
    CHECK(set.empty());
    CHECK(set.changed().empty());
}

}  // namespace postrider::config
