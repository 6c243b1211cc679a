#include "local-delivery/forward_file.h"

#include <catch2/catch.hpp>
#include <sys/stat.h>
#include <unistd.h>

#include <fstream>
#include <string>
#include <vector>

#include "local-delivery/safe_file.h"
#include "tests/unit/local-delivery/scratch.h"

using namespace postrider;
using namespace postrider::local_delivery;

namespace {

/// A home, and the rules for its user.
struct Home {
    Home() {
        REQUIRE(::chmod(scratch.path.c_str(), 0700) == 0);
        rules.home = scratch.path;
        rules.size_limit = 1000;
        rules.nesting_limit = 3;
    }
    std::string write(const std::string& name, const std::string& text, mode_t mode = 0600) const {
        const std::string path = scratch.path + "/" + name;
        std::ofstream(path) << text;
        REQUIRE(::chmod(path.c_str(), mode) == 0);
        return path;
    }
    [[nodiscard]] std::string path(const std::string& name = ".forward") const {
        return scratch.path + "/" + name;
    }
    /// What the files say: "kind text" each; or the reason to wait.
    [[nodiscard]] std::vector<std::string> read(const std::vector<std::string>& names = {".forward"}) const {
        std::vector<std::string> paths;
        for (const auto& name : names)
            paths.push_back(path(name));
        auto forwarding = read_forward_file(paths, rules);
        if (!forwarding) {
            CHECK(forwarding.error().temporary());
            return {"wait: " + forwarding.error().text};
        }
        std::vector<std::string> said;
        for (const auto& item : forwarding->destinations)
            said.push_back(std::to_string(item.kind()) + " " + item.text());
        return said;
    }
    [[nodiscard]] bool waits(const std::string& why) const {
        const auto said = read();
        CAPTURE(said);
        return said.size() == 1 && said[0].starts_with("wait: ") && said[0].find(why) != std::string::npos;
    }
    Scratch scratch;
    ForwardRules rules;
};

using Said = std::vector<std::string>;

}  // namespace

TEST_CASE("a forward file holds destinations by commas and lines") {
    Home home;
    home.write(".forward", "# mine\n\\alice, bob@x.test\n\"|/bin/a 'b c'\"\n" + home.path("box") +
                               "\n$user\n/dev/null\n");
    CHECK(home.read() ==
          Said{"1 alice", "0 bob@x.test", "2 /bin/a 'b c'", "3 " + home.path("box"), "1 ", "3 /dev/null"});
}

TEST_CASE("the first forward file that exists counts, and an empty one means none") {
    Home home;
    CHECK(home.read().empty());
    home.write(".forward", "plain@x.test");
    CHECK(home.read({".forward+lists", ".forward"}) == Said{"0 plain@x.test"});
    home.write(".forward+lists", "detail@x.test");
    CHECK(home.read({".forward+lists", ".forward"}) == Said{"0 detail@x.test"});
    home.write(".forward+lists", "# nothing\n");
    CHECK(home.read({".forward+lists", ".forward"}).empty());
    CHECK(read_forward_file({"/nonexistent/home/.forward"}, home.rules)->destinations.empty());
}

TEST_CASE("a forward file that others can write, or that is no plain file, is not believed") {
    Home home;
    for (const mode_t mode : {0620U, 0602U, 0666U}) {
        home.write(".forward", "x@x.test", mode);
        CHECK(home.waits("written by others"));
    }
    home.write(".forward", "x@x.test", 0644);
    REQUIRE(::chmod(home.scratch.path.c_str(), 0770) == 0);
    CHECK(home.waits("folder can be written by others"));
    REQUIRE(::chmod(home.scratch.path.c_str(), 0700) == 0);
    REQUIRE(::link(home.path().c_str(), home.path("second").c_str()) == 0);
    CHECK(home.waits("more than one name"));
    REQUIRE(::unlink(home.path().c_str()) == 0);
    REQUIRE(::mkfifo(home.path().c_str(), 0600) == 0);
    CHECK(home.waits("not a regular file"));
    REQUIRE(::unlink(home.path().c_str()) == 0);
    REQUIRE(::mkdir(home.path().c_str(), 0700) == 0);
    CHECK(home.waits("not a regular file"));
    REQUIRE(::rmdir(home.path().c_str()) == 0);
    home.write(".forward", std::string(1001, 'x'));
    CHECK(home.waits("too large"));
    home.write(".forward", std::string("\0\x01\xff garbage: \"", 14));
    CHECK(home.waits("/.forward:1:"));
}

TEST_CASE("a symbolic link is followed to a file that is safe itself") {
    Home home;
    home.write("real", "x@x.test");
    REQUIRE(::symlink("real", home.path().c_str()) == 0);
    CHECK(home.read() == Said{"0 x@x.test"});
    REQUIRE(::chmod(home.path("real").c_str(), 0666) == 0);
    CHECK(home.waits("written by others"));
    REQUIRE(::unlink(home.path("real").c_str()) == 0);
    CHECK(home.waits("leads nowhere"));
}

TEST_CASE("a sticky home is being edited: mail waits") {
    Home home;
    REQUIRE(::chmod(home.scratch.path.c_str(), 01700) == 0);
    CHECK(home.waits("being edited"));
    home.write(".forward", "x@x.test");
    CHECK(home.waits("being edited"));
}

TEST_CASE("a file outside the home is no destination") {
    Home home;
    for (const char* outside : {"/tmp/box", "/etc/passwd"}) {
        home.write(".forward", outside);
        CHECK(home.waits("below the home"));
    }
    home.write(".forward", home.path("../other/box"));
    CHECK(home.waits("below the home"));
}

TEST_CASE("lists are read as safely as the file, and not round in circles") {
    Home home;
    home.write(".forward", ":include:" + home.path("list") + "\n:include:" + home.path("list") + "\n");
    home.write("list", "a@x.test\n:include:" + home.path("list") + "\n");
    CHECK(home.read() == Said{"0 a@x.test"});
    home.write("list", "|/bin/false\n");
    CHECK(home.waits("no program"));
    home.write("list", "a@x.test", 0666);
    CHECK(home.waits("written by others"));
    REQUIRE(::unlink(home.path("list").c_str()) == 0);
    CHECK(home.waits("does not exist"));
}

TEST_CASE("what a file holds fits into one report") {
    Home home;
    home.rules.size_limit = 100'000;
    std::string many;
    for (int i = 0; i < 10'000; ++i)
        many += "a,";
    home.write(".forward", many);
    CHECK(home.waits("too many destinations"));
}
