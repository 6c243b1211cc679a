#include "router/table_files.h"

#include <catch2/catch.hpp>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

#include "router/table_loader.h"

namespace postrider::router {

namespace {

namespace fs = std::filesystem;

/// A folder that vanishes with the test.
class Folder {
  public:
    Folder() {
        std::string pattern = (fs::temp_directory_path() / "router-test-XXXXXX").string();
        path_ = ::mkdtemp(pattern.data());
    }
    ~Folder() { fs::remove_all(path_); }
    Folder(const Folder&) = delete;
    Folder& operator=(const Folder&) = delete;

    [[nodiscard]] std::string path(const std::string& name) const { return (path_ / name).string(); }
    void write(const std::string& name, const std::string& text) const {
        fs::create_directories(fs::path(path(name)).parent_path());
        std::ofstream(path(name), std::ios::binary) << text;
    }

  private:
    fs::path path_;
};

constexpr std::size_t kLimit = 1000;

}  // namespace

TEST_CASE("files are read, and what happens to them is noticed") {
    const Folder folder;
    folder.write("a", "one");
    TableFiles files;
    files.begin();
    CHECK(files.read(folder.path("a"), kLimit).value() == "one");
    CHECK_FALSE(files.read(folder.path("b"), kLimit).has_value());
    CHECK(files.list(folder.path(".")).value() == std::vector<std::string>{"a"});
    CHECK_FALSE(files.changed());
    CHECK(files.unreadable().empty());

    SECTION("written to") {
        folder.write("a", "two");
    }
    SECTION("replaced") {
        folder.write("c", "one");
        fs::rename(folder.path("c"), folder.path("a"));
    }
    SECTION("gone") {
        fs::remove(folder.path("a"));
    }
    SECTION("there at last") {
        folder.write("b", "x");
    }
    CHECK(files.changed());
    files.begin();
    CHECK_FALSE(files.changed());
}

TEST_CASE("a folder that was replaced is found again") {
    const Folder folder;
    folder.write("etc/a", "one");
    TableFiles files;
    CHECK(files.read(folder.path("etc/a"), kLimit).has_value());
    fs::remove_all(folder.path("etc"));
    CHECK(files.changed());
    folder.write("etc/a", "two");
    files.begin();
    CHECK(files.read(folder.path("etc/a"), kLimit).value() == "two");

    fs::rename(folder.path("etc"), folder.path("old"));
    folder.write("etc/a", "three");
    CHECK(files.read(folder.path("etc/a"), kLimit).value() == "two");
    files.reopen();
    CHECK(files.read(folder.path("etc/a"), kLimit).value() == "three");
}

TEST_CASE("what is no table is not read") {
    const Folder folder;
    folder.write("large", std::string(kLimit + 1, 'x'));
    folder.write("just", std::string(kLimit, 'x'));
    folder.write("folder/x", "");
    REQUIRE(::system(("mkfifo " + folder.path("fifo")).c_str()) == 0);
    TableFiles files;
    CHECK(files.read(folder.path("just"), kLimit).has_value());
    CHECK(files.read(folder.path("large"), kLimit).error().text ==
          folder.path("large") + ": larger than 1000 bytes");
    CHECK(files.read(folder.path("folder"), kLimit).error().text ==
          folder.path("folder") + ": not a regular file");
    CHECK(files.read(folder.path("fifo"), kLimit).error().text ==
          folder.path("fifo") + ": not a regular file");
    CHECK_FALSE(files.read(folder.path("none/x"), kLimit).has_value());
}

TEST_CASE("the loader reads everything, and again when something changed") {
    const Folder folder;
    folder.write("postrider.conf",
                 "hostname mx2.test\nlocal_domain local.test\nalias_file * aliases\n"
                 "relay_domain local.test *.test\nroute local.test mx\nnet 0.0.0.0/1 relay\n");
    folder.write("aliases", "postmaster: daemon\nlist: :include:members\n");
    TableLoader loader(folder.path("postrider.conf"), "mx2.test");
    const LoadOutcome first = loader.load(nullptr);
    REQUIRE(first.tables != nullptr);
    CHECK(first.list_errors.size() == 1);
    CAPTURE(first.dangers);
    CHECK(first.dangers.size() == 5);
    CHECK_FALSE(loader.poll(false, first.tables.get()).has_value());

    folder.write("aliases", "postmaster: daemon\n\n\n\n\n\nbroken\n");
    const auto second = loader.poll(false, first.tables.get());
    REQUIRE(second.has_value());
    CHECK(second->tables == nullptr);
    CHECK(second->errors ==
          std::vector<std::string>{folder.path("aliases") + ":7:1: expected NAME: DESTINATION, …"});
    CHECK_FALSE(loader.poll(false, first.tables.get()).has_value());

    folder.write("aliases", "root: daemon\n");
    const auto third = loader.poll(false, first.tables.get());
    REQUIRE(third.has_value());
    CHECK(third->tables != nullptr);
    CHECK(third->dangers.size() == 6);  // and nobody reads postmaster

    folder.write("postrider.conf", "hostname mx2.test\nlocal_domian local.test\n");
    const auto fourth = loader.poll(true, third->tables.get());
    REQUIRE(fourth.has_value());
    CHECK(fourth->tables == nullptr);
    CHECK(fourth->errors.size() == 1);
}

}  // namespace postrider::router
