#include "router/table_sources.h"

#include <catch2/catch.hpp>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <thread>

#include "router/plain_line.h"

namespace postrider::router {

namespace {

/// A folder of its own, in which the programs that administrators use make databases.
class Folder {
  public:
    Folder() {
        std::string name = "/tmp/table_sources_XXXXXX";
        path_ = ::mkdtemp(name.data());
    }
    ~Folder() { std::filesystem::remove_all(path_); }
    Folder(const Folder&) = delete;
    Folder& operator=(const Folder&) = delete;

    [[nodiscard]] std::string path(const std::string& name) const { return path_ + "/" + name; }
    void write(const std::string& name, const std::string& text) const {
        std::ofstream(path(name), std::ios::binary) << text;
    }
    [[nodiscard]] std::string read(const std::string& name) const {
        std::ifstream file(path(name), std::ios::binary);
        return {std::istreambuf_iterator<char>(file), {}};
    }
    void run(const std::string& command) const {
        REQUIRE(std::system(("cd " + path_ + " && " + command).c_str()) == 0);
    }

  private:
    std::string path_;
};

struct Opened {
    TableFiles files;
    config::Limits limits;
    config::Errors errors{10};
    std::shared_ptr<const AliasTable> aliases(const std::string& text) {
        return TableSources(files, &files, limits).aliases(text, {}, errors);
    }
    std::shared_ptr<const UserTable> users(const std::string& text, bool needs_home = false) {
        return TableSources(files, &files, limits).users(text, needs_home, {}, errors);
    }
};

std::string first_destination(const AliasTable& table, const std::string& name) {
    const AliasAnswer answer = table.find(name);
    if (!answer) return "cannot tell: " + answer.error().text;
    if (!*answer) return "none";
    return (*answer)->destinations.front().address.text();
}

/// As mdb_load reads them: a key and a value, a line each.
constexpr const char* kLoad = "VERSION=3\nformat=print\ntype=btree\nmapsize=67108864\nHEADER=END\n";

/// Longer than a look-up in a database of LMDB may be behind.
constexpr Milliseconds kBehind{20};

}  // namespace

TEST_CASE("aliases and users from a constant database made by cdb") {
    const Folder folder;
    folder.write("aliases.txt", "sales fred@remote.test, john\nroot alice\n");
    folder.write("users.txt", "bob forward=x@y.test\nann\n");
    folder.run("cdb -c -m aliases.cdb aliases.txt && cdb -c -m users.cdb users.txt");
    Opened opened;
    const auto aliases = opened.aliases("cdb:" + folder.path("aliases.cdb"));
    REQUIRE(aliases);
    CHECK(first_destination(*aliases, "sales") == "fred@remote.test");
    CHECK(aliases->find("sales").value()->position.line_text() == folder.path("aliases.cdb"));
    CHECK(first_destination(*aliases, "root") == "alice");
    CHECK(first_destination(*aliases, "nobody") == "none");
    const auto users = opened.users("cdb:" + folder.path("users.cdb"));
    REQUIRE(users);
    CHECK(users->find("bob").value()->forward.size() == 1);
    CHECK(users->find("ann").value()->forward.empty());
    CHECK_FALSE(users->find("eve").value().has_value());
    CHECK_FALSE(opened.users("cdb:" + folder.path("users.cdb"), true));
    CHECK(opened.errors.take().front().find("needs home=") != std::string::npos);
}

TEST_CASE("a constant database that was damaged or written into cannot tell") {
    const Folder folder;
    std::string lines;
    for (int i = 0; i < 2000; ++i)
        lines += "user" + std::to_string(i) + " bob\n";
    folder.write("a.txt", lines);
    folder.run("cdb -c -m a.cdb a.txt");
    const std::string good = folder.read("a.cdb");
    Opened opened;
    const auto table = opened.aliases("cdb:" + folder.path("a.cdb"));
    REQUIRE(table);
    for (int i = 0; i < 2000; ++i)
        REQUIRE(first_destination(*table, "user" + std::to_string(i)) == "bob");
    CHECK(opened.errors.empty());
    for (const std::size_t size : {std::size_t{0}, std::size_t{100}, std::size_t{2048}, good.size() - 1}) {
        folder.write("a.cdb", good.substr(0, size));
        CHECK_FALSE(table->find("user7").has_value());
        CHECK_FALSE(table->find("stranger").has_value());
        CHECK_FALSE(opened.aliases("cdb:" + folder.path("a.cdb")));
    }
    for (std::size_t at = 0; at < good.size(); at += 97) {
        std::string bad = good;
        bad[at] = static_cast<char>(bad[at] ^ 0x55);
        folder.write("a.cdb", bad);
        // It opens or it does not; in neither case something else happens.
        if (const auto other = opened.aliases("cdb:" + folder.path("a.cdb")))
            static_cast<void>(other->find("user7").has_value());
    }
}

TEST_CASE("faulty entries of a constant database are named") {
    const Folder folder;
    struct Case {
        std::string entry;
        std::string error;
    };
    for (const Case& one : {Case{"Sales bob", "Sales: the key is not in lower case"},
                            Case{"sales fred john", "sales: value:1:1: blank inside"},
                            Case{"sales :include:/etc/list", "sales: a database includes no lists"}}) {
        CAPTURE(one.entry);
        folder.write("a.txt", one.entry + "\n");
        folder.run("cdb -c -m a.cdb a.txt");
        Opened opened;
        CHECK_FALSE(opened.aliases("cdb:" + folder.path("a.cdb")));
        CHECK(opened.errors.take().front().find(one.error) != std::string::npos);
    }
}

TEST_CASE("aliases from LMDB, while mdb_load writes") {
    const Folder folder;
    folder.write("a.txt", std::string(kLoad) + " sales\n fred@remote.test\nDATA=END\n");
    folder.run("mkdir a && mdb_load -f a.txt a && mdb_load -n -f a.txt a.lmdb");
    for (const char* name : {"a", "a.lmdb"}) {
        CAPTURE(name);
        Opened opened;
        const auto table = opened.aliases("lmdb:" + folder.path(name));
        REQUIRE(table);
        CHECK(first_destination(*table, "sales") == "fred@remote.test");
        CHECK(first_destination(*table, "root") == "none");
        CHECK_FALSE(opened.files.changed());
        std::string more = kLoad;
        for (int i = 0; i < 1000; ++i)
            more += " user" + std::to_string(i) + "\n bob\n";
        folder.write("b.txt", more + " sales\n john\n faulty\n a b\nDATA=END\n");
        folder.run(std::string("mdb_load ") + (name[1] == '.' ? "-n " : "") + "-f b.txt " + name);
        std::this_thread::sleep_for(kBehind);
        CHECK(first_destination(*table, "sales") == "john");
        CHECK(first_destination(*table, "user999") == "bob");
        CHECK(first_destination(*table, "faulty").starts_with("cannot tell"));
        CHECK_FALSE(opened.files.changed());  // nothing has to be opened anew for that
    }
}

TEST_CASE("an LMDB file that was cut off or is none cannot tell") {
    const Folder folder;
    std::string text = kLoad;
    for (int i = 0; i < 5000; ++i)
        text += " user" + std::to_string(i) + "\n bob\n";
    folder.write("a.txt", text + "DATA=END\n");
    folder.run("mdb_load -n -f a.txt a.lmdb");
    Opened opened;
    const auto table = opened.aliases("lmdb:" + folder.path("a.lmdb"));
    REQUIRE(table);
    CHECK(first_destination(*table, "user4999") == "bob");
    folder.run("truncate -s 8192 a.lmdb");
    CHECK(first_destination(*table, "user1000").starts_with("cannot tell"));
    folder.run("truncate -s 0 a.lmdb");
    std::this_thread::sleep_for(kBehind);
    CHECK(first_destination(*table, "user4999").starts_with("cannot tell"));
    folder.write("b.lmdb", "no database at all");
    CHECK_FALSE(opened.aliases("lmdb:" + folder.path("b.lmdb")));
    CHECK(opened.errors.take().front().find("b.lmdb") != std::string::npos);
    CHECK_FALSE(opened.aliases("lmdb:" + folder.path("none.lmdb")));
}

TEST_CASE("what else a database of LMDB may hold") {
    const Folder folder;
    std::string members = "member0@remote.test";
    for (int i = 1; i < 2000; ++i)
        members += ", member" + std::to_string(i) + "@remote.test";
    // The last one is too large: see table_value.
    const std::string too_large(std::size_t{64} * 1024 + 1, 'x');
    folder.write("a.txt", std::string(kLoad) + " all\n " + members + "\n big\n " + too_large +
                              "\n one\n bob\nDATA=END\n");
    folder.write("b.txt", std::string(kLoad) + " other\n bob\nDATA=END\n");
    folder.run("mdb_load -n -f a.txt a.lmdb && mdb_load -n -s inner -f b.txt a.lmdb");
    Opened opened;
    const auto table = opened.aliases("lmdb:" + folder.path("a.lmdb"));
    REQUIRE(table);
    CHECK(table->find("all").value()->destinations.size() == 2000);
    CHECK(table->find("all").value()->destinations.back().address.text() == "member1999@remote.test");
    CHECK(first_destination(*table, "big").find("the value of big is too large") != std::string::npos);
    CHECK(first_destination(*table, "one") == "bob");
    CHECK(first_destination(*table, "inner").find("inner is no value") != std::string::npos);
    CHECK(first_destination(*table, "other") == "none");
    CHECK(first_destination(*table, std::string(600, 'x')) == "none");
    folder.write("c.txt", "VERSION=3\nformat=print\ntype=btree\ndupsort=1\nHEADER=END\n a\n b\nDATA=END\n");
    folder.write("d.txt", std::string(kLoad) + "DATA=END\n");
    folder.run("mdb_load -n -f c.txt c.lmdb && mdb_load -n -f d.txt d.lmdb");
    CHECK_FALSE(opened.aliases("lmdb:" + folder.path("c.lmdb")));
    CHECK(opened.errors.take().front().find("c.lmdb: the keys have several values") != std::string::npos);
    CHECK(first_destination(*opened.aliases("lmdb:" + folder.path("d.lmdb")), "a") == "none");
}

TEST_CASE("a database of LMDB keeps its answers while it is written all the time") {
    const Folder folder;
    std::string text = kLoad;
    for (int i = 0; i < 20000; ++i)
        text += " user" + std::to_string(i) + "\n bob\n";
    folder.write("a.txt", text + "DATA=END\n");
    // Each line is a commit of its own, and gives up pages all over the tree.
    folder.write("write.sh",
                 "i=0; while [ $i -lt 5 ]; do i=$((i + 1)); sed \"s/bob/bob$((i % 2))/\" a.txt >b.txt; "
                 "mdb_load -n -f b.txt a.lmdb; done; touch done\n");
    folder.run("mdb_load -n -f a.txt a.lmdb && (sh write.sh &)");
    Opened opened;
    const auto table = opened.aliases("lmdb:" + folder.path("a.lmdb"));
    REQUIRE(table);
    std::size_t asked = 0;
    while (!std::filesystem::exists(folder.path("done"))) {
        for (int i = 0; i < 100; ++i, ++asked) {
            const std::string name = "user" + std::to_string(asked * 7919 % 20000);
            REQUIRE(first_destination(*table, name).starts_with("bob"));
            REQUIRE(first_destination(*table, name + "x") == "none");
        }
    }
    CHECK(asked > 100);
}

TEST_CASE("damage in a database of LMDB ends nothing") {
    const Folder folder;
    std::string text = kLoad;
    for (int i = 0; i < 2000; ++i)
        text += " user" + std::to_string(i) + "\n bob\n";
    folder.write("a.txt", text + "DATA=END\n");
    folder.run("mdb_load -n -f a.txt a.lmdb");
    const std::string good = folder.read("a.lmdb");
    Opened opened;
    for (std::size_t at = 0; at < good.size(); at += at < 300 ? 1 : 97) {
        std::string bad = good;
        bad[at] = static_cast<char>(bad[at] ^ 0x55);
        folder.write("a.lmdb", bad);
        // It opens or it does not; in neither case something else happens.
        if (const auto other = opened.aliases("lmdb:" + folder.path("a.lmdb")))
            static_cast<void>(other->find("user7").has_value());
    }
}

TEST_CASE("little memory for pages of LMDB changes no answer") {
    const Folder folder;
    std::string text = kLoad;
    for (int i = 0; i < 50000; ++i)
        text += " user" + std::to_string(i) + "\n bob" + std::to_string(i) + "\n";
    folder.write("a.txt", text + "DATA=END\n");
    folder.run("mdb_load -n -f a.txt a.lmdb");
    Opened opened;
    opened.limits.set(config::Limit::LmdbCache, std::size_t{64} * 1024);
    const auto table = opened.aliases("lmdb:" + folder.path("a.lmdb"));
    REQUIRE(table);
    for (int i = 0; i < 50000; i += 3)
        REQUIRE(first_destination(*table, "user" + std::to_string(i)) == "bob" + std::to_string(i));
    CHECK(table->memory() < std::size_t{128} * 1024);
}

TEST_CASE("patterns: the first that matches") {
    const Folder folder;
    folder.write("regex",
                 "# lists\n/^(.*)-request$/: $1-owner@lists.test\n/^LIST\\/x$/ : bob # him\n"
                 "/^p(.*)$/: \"|/bin/echo $1\"\n");
    folder.write("glob", "sales-*: fred\n*: john\n");
    folder.write("users", "/^u[0-9]+$/ forward=$1x@y.test\n/^v/\n");
    Opened opened;
    const auto regex = opened.aliases("regex:" + folder.path("regex"));
    REQUIRE(regex);
    CHECK(opened.errors.empty());
    CHECK(first_destination(*regex, "news-request") == "news-owner@lists.test");
    CHECK(first_destination(*regex, "list/x") == "bob");
    CHECK(first_destination(*regex, "news") == "none");
    CHECK(regex->find("p;id").value()->destinations.front().text == "/bin/echo $1");
    CHECK(regex->find("list/x").value()->position.line_text() == folder.path("regex") + ":3");
    const auto glob = opened.aliases("glob:" + folder.path("glob"));
    CHECK(first_destination(*glob, "sales-uk") == "fred");
    CHECK(first_destination(*glob, "anything") == "john");
    const auto users = opened.users("regex:" + folder.path("users"));
    CHECK(users->find("u12").value()->name == "u12");
    CHECK(users->find("u12").value()->forward.front().address.text() == "x@y.test");
    CHECK(users->find("v1").value().has_value());
    CHECK_FALSE(users->find("w").value().has_value());
}

TEST_CASE("a regular expression that takes too long cannot tell") {
    const Folder folder;
    folder.write("regex", "/^(a+)+$/: bob\n");
    Opened opened;
    const auto table = opened.aliases("regex:" + folder.path("regex"));
    CHECK(first_destination(*table, "aaaa") == "bob");
    CHECK(first_destination(*table, std::string(60, 'a') + "b").starts_with("cannot tell"));
}

TEST_CASE("errors of pattern files name their line") {
    const Folder folder;
    struct Case {
        std::string line;
        std::string error;
    };
    for (const Case& one :
         {Case{"/(/: bob", ":2:3: missing closing parenthesis"}, Case{"x: bob", ":2:1: a line begins with"},
          Case{"/x: bob", ":2:1: the / behind"}, Case{"/x/ bob", ":2:1: expected PATTERN"},
          Case{"/x/: a b", ":2:6: blank inside"}, Case{"/x/:", ":2:5: the alias has no destination"}}) {
        CAPTURE(one.line);
        folder.write("regex", "/ok/: bob\n" + one.line + "\n");
        Opened opened;
        static_cast<void>(opened.aliases("regex:" + folder.path("regex")));
        const std::vector<std::string> errors = opened.errors.take();
        REQUIRE(errors.size() == 1);
        CHECK(errors.front().starts_with(folder.path("regex") + one.error));
    }
}

TEST_CASE("a large text takes less than 200 octets a name") {
    constexpr int kNames = 100'000;
    std::string aliases;
    std::string users;
    for (int i = 0; i < kNames; ++i) {
        const std::string name = "user" + std::to_string(i);
        aliases += name + ": " + name + "@mail.example.org, archive\n";
        users += name + " home=/var/mail/" + name + "\n";
    }
    config::Errors errors(10);
    const auto file = std::make_shared<const std::string>("/etc/aliases");
    const auto alias_table = parse_alias_table(aliases, file, errors);
    const auto user_table = parse_user_table(users, file, true, errors);
    CHECK(errors.empty());
    CHECK(alias_table->memory() < std::size_t{200} * kNames);
    CHECK(user_table->memory() < std::size_t{200} * kNames);
    for (int i = 0; i < kNames; i += 997) {
        const std::string name = "user" + std::to_string(i);
        const auto alias = alias_table->find(name).value();
        REQUIRE(alias);
        CHECK(alias->destinations.size() == 2);
        CHECK(alias->position.line == static_cast<std::uint32_t>(i + 1));
        CHECK(user_table->find(name).value()->home == "/var/mail/" + name);
        CHECK(user_table->find(name).value()->position.line == static_cast<std::uint32_t>(i + 1));
    }
    CHECK_FALSE(alias_table->find("user-1").value());
}

TEST_CASE("plain lines, and what is left to the parsers") {
    std::string name;
    bool has_home = false;
    CHECK(plain_alias_line("a.b: x, Y.z@Example.org\n", name) == 24);
    CHECK(name == "a.b");
    CHECK(plain_alias_line("a: b", name) == 4);
    for (const char* line : {"A: b\n", "a: b\n c\n", "a: b\n# c\n d\n", "a: b,\n", "a: b.@x\n", "a: b@1.2\n",
                             "a: b@x-.org\n", "a: |b\n", "a b\n", "a: \\b\n", "a: b c\n", "a:\n", ".a: b\n",
                             "a..b: c\n", "a: b@\n", "a: b\r\n", "a: $user\n"}) {
        CAPTURE(line);
        CHECK(plain_alias_line(line, name) == 0);
    }
    CHECK(plain_user_line("a home=/b/c.d forward=x,y@z.org \nrest", name, has_home) == 33);
    CHECK(has_home);
    CHECK(plain_user_line("a\n", name, has_home) == 2);
    CHECK_FALSE(has_home);
    for (const char* line : {"a \\\nhome=/x\n", "a home=x\n", "a home=/../x\n", "a home=/\n", "a x\n",
                             "a home=/a home=/b\n", "A\n", "a=b\n", "a #c\n"}) {
        CAPTURE(line);
        CHECK(plain_user_line(line, name, has_home) == 0);
    }
}

}  // namespace postrider::router
