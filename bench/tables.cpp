// Tables of a million names: how long they take to load, what they take of memory, how long a look-up takes.
// Prints each figure with its limit, and ends with 1 if one is missed.
//     bench_tables [NAMES]
// With mdb_load (lmdb-utils) there, the same from LMDB.

#include <fmt/format.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <random>
#include <string>
#include <vector>

#include "router/table_sources.h"

namespace {

using namespace postrider;
using namespace postrider::router;
using Clock = std::chrono::steady_clock;

bool missed = false;

double seconds_since(Clock::time_point start) {
    return std::chrono::duration<double>(Clock::now() - start).count();
}

void report(std::string_view what, double value, double limit, std::string_view unit) {
    const bool good = value < limit;
    missed = missed || !good;
    fmt::print("{:<46} {:>10.3f} {:<14} limit {:>8.3f} {}\n", what, value, unit, limit, good ? "" : "MISSED");
}

/// Resident memory of this process in MiB, all of it.
double resident() {
    std::ifstream statm("/proc/self/statm");
    std::size_t pages = 0;
    std::size_t present = 0;
    statm >> pages >> present;
    return static_cast<double>(present) * 4096 / 1024 / 1024;
}

std::string name_of(std::size_t i) {
    return fmt::format("user{:07}", i);
}

/// Names in an order of chance, half of them there.
std::vector<std::string> questions(std::size_t names) {
    std::mt19937 random(1);
    std::vector<std::string> all;
    for (int i = 0; i < 200'000; ++i)
        all.push_back(name_of(random() % (names * 2)));
    return all;
}

template <typename Table>
double look_up_time(const Table& table, std::size_t names) {
    const std::vector<std::string> asked = questions(names);
    std::vector<double> rounds;
    for (int round = 0; round < 5; ++round) {
        const auto start = Clock::now();
        for (const std::string& name : asked) {
            if (!table.find(name)) std::exit(2);
        }
        rounds.push_back(seconds_since(start) / static_cast<double>(asked.size()) * 1e6);
    }
    std::sort(rounds.begin(), rounds.end());
    return rounds[rounds.size() / 2];
}

void bench_text(std::size_t names) {
    std::string aliases;
    std::string users;
    for (std::size_t i = 0; i < names; ++i) {
        aliases += fmt::format("{0}: {0}@mail.example.org\n", name_of(i));
        users += fmt::format("{0} home=/var/mail/{0}\n", name_of(i));
    }
    const auto file = std::make_shared<const std::string>("table");
    const auto count = static_cast<double>(names);
    config::Errors errors(10);
    auto start = Clock::now();
    const auto user_table = parse_user_table(std::move(users), file, true, errors);
    const double user_time = seconds_since(start);
    start = Clock::now();
    const auto alias_table = parse_alias_table(std::move(aliases), file, errors);
    const double alias_time = seconds_since(start);
    if (!errors.empty()) std::exit(2);
    report("text: load users, one thread", user_time, 5, "s");
    report("text: load aliases, one thread", alias_time, 5, "s");
    report("text: memory of a user", static_cast<double>(user_table->memory()) / count, 200, "octets");
    report("text: memory of an alias", static_cast<double>(alias_table->memory()) / count, 200, "octets");
    report("text: look-up of a user", look_up_time(*user_table, names), 2, "us");
    report("text: look-up of an alias", look_up_time(*alias_table, names), 2, "us");
}

void run_program(std::vector<std::string> words) {
    std::vector<char*> arguments;
    for (std::string& word : words)
        arguments.push_back(word.data());
    arguments.push_back(nullptr);
    pid_t child = 0;
    int status = 0;
    const bool ran = ::posix_spawnp(&child, arguments[0], nullptr, nullptr, arguments.data(), environ) == 0 &&
                     ::waitpid(child, &status, 0) == child && status == 0;
    if (ran) return;
    fmt::print(stderr, "{} failed\n", words.front());
    std::exit(2);
}

void bench_lmdb(std::size_t names) {
    std::string folder = std::filesystem::temp_directory_path() / "bench_tables_XXXXXX";
    if (::mkdtemp(folder.data()) == nullptr) std::exit(2);
    for (const char* what : {"users", "aliases"}) {
        std::ofstream out(fmt::format("{}/{}.txt", folder, what));
        out << "VERSION=3\nformat=print\ntype=btree\nmapsize=1073741824\nHEADER=END\n";
        const bool users = what[0] == 'u';
        for (std::size_t i = 0; i < names; ++i) {
            out << " " << name_of(i) << "\n "
                << (users ? "home=/var/mail/" + name_of(i) : name_of(i) + "@mail.example.org") << "\n";
        }
        out << "DATA=END\n";
        out.close();
        run_program({"mdb_load", "-n", "-f", fmt::format("{}/{}.txt", folder, what),
                     fmt::format("{}/{}.lmdb", folder, what)});
    }
    TableFiles files;
    const config::Limits limits;
    TableSources sources(files, &files, limits);
    config::Errors errors(10);
    const auto start = Clock::now();
    const auto users = sources.users("lmdb:" + folder + "/users.lmdb", true, {}, errors);
    const auto aliases = sources.aliases("lmdb:" + folder + "/aliases.lmdb", {}, errors);
    report("lmdb: load both", seconds_since(start), 5, "s");
    if (!users || !aliases) std::exit(2);
    const double before = resident();
    report("lmdb: look-up of a user", look_up_time(*users, names), 2, "us");
    report("lmdb: look-up of an alias", look_up_time(*aliases, names), 2, "us");
    fmt::print("{:<46} {:>10.3f} MiB\n", "lmdb: resident before the look-ups", before);
    report("lmdb: resident after them", resident(), 50, "MiB");
    std::filesystem::remove_all(folder);
}

}  // namespace

int main(int argc, char** argv) {
    const std::size_t names = argc > 1 ? std::strtoul(argv[1], nullptr, 10) : 1'000'000;
    if (names == 0) return 2;
    // First, since what the texts took is not given back to the system in full.
    bench_lmdb(names);
    bench_text(names);
    return missed ? 1 : 0;
}
