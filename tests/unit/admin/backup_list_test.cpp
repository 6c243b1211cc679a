#include "admin/backup_list.h"

#include <catch2/catch.hpp>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "admin/json_output.h"
#include "admin/replace_file.h"

namespace postrider::admin {

namespace {

using Kind = BackupChange::Kind;

/// A configuration in a folder that is removed at the end.
class Folder {
  public:
    explicit Folder(const std::string& list) {
        std::string name = "/tmp/postrider-backup-XXXXXX";
        REQUIRE(::mkdtemp(name.data()) != nullptr);
        path_ = name;
        write("postrider.conf",
              "hostname mx2.test\nresolver 127.0.0.1\nlocal_domain local.test\ninclude domains\n");
        write("domains", list);
    }
    ~Folder() { std::filesystem::remove_all(path_); }
    Folder(const Folder&) = delete;
    Folder& operator=(const Folder&) = delete;

    void write(const std::string& name, const std::string& text) const {
        std::ofstream(path_ + "/" + name, std::ios::binary) << text;
    }
    [[nodiscard]] std::string read(const std::string& name = "domains") const {
        std::ifstream file(path_ + "/" + name, std::ios::binary);
        return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
    }
    [[nodiscard]] std::string path(const std::string& name) const { return path_ + "/" + name; }
    [[nodiscard]] Result<BackupList> change(Kind kind, const std::string& domain,
                                            bool subdomains = false) const {
        return change_list(path("postrider.conf"), {kind, domain, subdomains});
    }
    [[nodiscard]] std::size_t entries() const {
        return static_cast<std::size_t>(std::distance(std::filesystem::directory_iterator(path_), {}));
    }

  private:
    std::string path_;
};

}  // namespace

TEST_CASE("a line of the backup list is edited and all else stays as it is") {
    struct Case {
        std::string before;
        BackupChange change;
        std::string after;
    };
    const std::vector<Case> cases = {
        {"", {Kind::Add, "a.test", false}, "mxbackup a.test\n"},
        {"# no line end", {Kind::Add, "a.test", true}, "# no line end\nmxbackup a.test subdomains\n"},
        {"mxbackup a.test # first\n\n# behind\nroute * none\n",
         {Kind::Add, "b.test", false},
         "mxbackup a.test # first\nmxbackup b.test\n\n# behind\nroute * none\n"},
        {"mxbackup a.test \\\n  subdomains\nroute * none\n",
         {Kind::Add, "b.test", false},
         "mxbackup a.test \\\n  subdomains\nmxbackup b.test\nroute * none\n"},
        {"mxbackup a.test # ends \\\nmxbackup b.test\n",
         {Kind::Delete, "a.test", false},
         "mxbackup b.test\n"},
        {"# a\nmxbackup a.test \\\n  subdomains \\\n  disabled\n# b\n",
         {Kind::Delete, "a.test", false},
         "# a\n# b\n"},
        {"mxbackup A.test\r\nmxbackup b.test\r\n",
         {Kind::Disable, "a.test", false},
         "mxbackup A.test disabled\r\nmxbackup b.test\r\n"},
        {"mxbackup \"a.test\" subdomains   # why\n",
         {Kind::Disable, "a.test", false},
         "mxbackup \"a.test\" subdomains disabled   # why\n"},
        {"mxbackup a.test disabled subdomains # why\n",
         {Kind::Enable, "a.test", false},
         "mxbackup a.test subdomains # why\n"},
        {"mxbackup a.test \\\n\tdisabled\n", {Kind::Enable, "a.test", false}, "mxbackup a.test \\\n\n"},
        {"mxbackup a.test", {Kind::Disable, "a.test", false}, "mxbackup a.test disabled"},
        {"mxbackup a.test\n", {Kind::Disable, "", false}, "mxbackup a.test\nmxbackup_enabled no\n"},
        {"mxbackup_enabled no # for now\nmxbackup a.test\n",
         {Kind::Enable, "", false},
         "mxbackup_enabled yes # for now\nmxbackup a.test\n"},
        {"mxbackup_enabled yes\nmxbackup a.test\n",
         {Kind::Disable, "", false},
         "mxbackup_enabled no\nmxbackup a.test\n"},
    };
    for (const auto& c : cases) {
        INFO(c.before << " -> " << c.after);
        const Folder folder(c.before);
        const auto list = folder.change(c.change.kind, c.change.domain, c.change.subdomains);
        INFO((list ? "" : list.error().text));
        REQUIRE(list);
        CHECK(folder.read() == c.after);
        CHECK(folder.entries() == 2);
    }
}

TEST_CASE("T17_what the backup list does not allow leaves the file as it was") {
    const std::string before = "mxbackup a.test\nmxbackup b.test subdomains\n";
    const Folder folder(before);
    CHECK(folder.change(Kind::Add, "a.test", true).error().text.find("at " + folder.path("domains:1")) !=
          std::string::npos);
    CHECK_FALSE(folder.change(Kind::Add, "b.test", false));
    CHECK_FALSE(folder.change(Kind::Delete, "c.test"));
    CHECK_FALSE(folder.change(Kind::Enable, "c.test"));
    // What is as it is asked for is not written again.
    struct stat was {};
    struct stat is {};
    REQUIRE(::stat(folder.path("domains").c_str(), &was) == 0);
    CHECK(folder.change(Kind::Add, "a.test", false));
    CHECK(folder.change(Kind::Enable, "b.test"));
    CHECK(folder.change(Kind::Enable, ""));
    REQUIRE(::stat(folder.path("domains").c_str(), &is) == 0);
    CHECK(was.st_ino == is.st_ino);
    CHECK(folder.read() == before);

    folder.write("postrider.conf", "hostname mx2.test\ninclude domains\nnonsense\n");
    CHECK(folder.change(Kind::Add, "d.test").error().text.find("the configuration has errors") == 0);
    CHECK(folder.read() == before);
}

TEST_CASE("the file that is edited is the one with the line, or the usual one") {
    const Folder folder("relay_domain r.test\n");
    folder.write("more", "mxbackup a.test\n");
    folder.write("postrider.conf", "hostname mx2.test\nresolver 127.0.0.1\ninclude more\ninclude domains\n");
    CHECK(folder.change(Kind::Add, "b.test"));
    CHECK(folder.read("more") == "mxbackup a.test\nmxbackup b.test\n");
    CHECK(folder.change(Kind::Delete, "a.test"));
    CHECK(folder.change(Kind::Delete, "b.test"));
    CHECK(folder.read("more").empty());
    CHECK(folder.change(Kind::Add, "c.test"));
    CHECK(folder.read("domains") == "relay_domain r.test\nmxbackup c.test\n");
    folder.write("postrider.conf", "hostname mx2.test\nresolver 127.0.0.1");
    CHECK(folder.change(Kind::Add, "d.test"));
    CHECK(folder.read("postrider.conf") == "hostname mx2.test\nresolver 127.0.0.1\nmxbackup d.test\n");
}

TEST_CASE(
    "a file is replaced with its owner and mode, through a link, and never over the change of another") {
    const Folder folder("mxbackup a.test\n");
    std::filesystem::rename(folder.path("domains"), folder.path("real"));
    std::filesystem::create_symlink("real", folder.path("domains"));
    REQUIRE(::chmod(folder.path("real").c_str(), 0640) == 0);
    constexpr uid_t kUid = 64321;
    const bool root = ::geteuid() == 0;
    if (root) REQUIRE(::chown(folder.path("real").c_str(), kUid, kUid) == 0);
    CHECK(folder.change(Kind::Disable, "a.test"));
    CHECK(std::filesystem::is_symlink(folder.path("domains")));
    CHECK(folder.read("real") == "mxbackup a.test disabled\n");
    struct stat status {};
    REQUIRE(::stat(folder.path("real").c_str(), &status) == 0);
    CHECK((status.st_mode & 07777) == 0640);
    if (root) CHECK((status.st_uid == kUid && status.st_gid == kUid));

    const auto file = EditedFile::read(folder.path("real"), 1000);
    REQUIRE(file);
    folder.write("real", "somebody else\n");
    const auto replaced = file->replace("ours\n");
    REQUIRE_FALSE(replaced);
    CHECK(replaced.error().temporary());
    CHECK(folder.read("real") == "somebody else\n");
    // What a crash left behind is no obstacle, and a link in its place is not followed.
    std::filesystem::create_symlink("postrider.conf", folder.path(".real.postrider"));
    CHECK(EditedFile::read(folder.path("real"), 1000)->replace("new\n"));
    CHECK(folder.read("real") == "new\n");
    CHECK(folder.read("postrider.conf").starts_with("hostname"));
    CHECK_FALSE(EditedFile::read(folder.path("real"), 3));
    CHECK_FALSE(EditedFile::read(folder.path(""), 1000));
}

TEST_CASE("the backup list is printed for people and for programs") {
    BackupList list;
    list.enabled = false;
    const auto file = std::make_shared<const std::string>("/etc/postrider/domains");
    list.lines = {{"primary.test", true, false, {file, 3, 1}}, {"b.test", false, true, {file, 4, 1}}};
    CHECK(backup_list_text(list) ==
          "mxbackup_enabled is no: nothing is accepted for these domains\n"
          "primary.test  subdomains  enabled   /etc/postrider/domains:3\n"
          "b.test                    disabled  /etc/postrider/domains:4\n");
    const std::string json = backup_list_json(list);
    CHECK(json.find("\"domain\": \"b.test\"") != std::string::npos);
    CHECK(json.find("\"position\": \"/etc/postrider/domains:4\"") != std::string::npos);
    CHECK(json.find("\"enabled\": false") != std::string::npos);
}

}  // namespace postrider::admin
