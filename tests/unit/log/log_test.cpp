#include "libcommon/log/log.h"

#include <catch2/catch.hpp>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <functional>
#include <regex>
#include <stdexcept>
#include <string>

namespace postrider::log {
namespace {

/// Puts a descriptor in the place of standard error while it lives.
class Redirection {
  public:
    explicit Redirection(int target) : saved_(::dup(STDERR_FILENO)) { ::dup2(target, STDERR_FILENO); }
    ~Redirection() {
        ::dup2(saved_, STDERR_FILENO);
        ::close(saved_);
        init("test", Format::Text, Level::Info);  // Learns what descriptor 2 is now.
    }
    Redirection(const Redirection&) = delete;
    Redirection& operator=(const Redirection&) = delete;

  private:
    int saved_;
};

/// Both ends of a pipe or socket, the second of which becomes standard error.
class Channel {
  public:
    enum class Kind { Pipe, Socket };

    explicit Channel(Kind kind) {
        int outcome = kind == Kind::Pipe ? ::pipe2(ends_.data(), O_CLOEXEC)
                                         : ::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends_.data());
        if (outcome < 0) throw std::runtime_error("no channel");
    }
    ~Channel() {
        for (int end : ends_)
            ::close(end);
    }
    Channel(const Channel&) = delete;
    Channel& operator=(const Channel&) = delete;

    [[nodiscard]] int writer() const { return ends_[1]; }

    /// What was written so far.
    [[nodiscard]] std::string read_available() const {
        ::fcntl(ends_[0], F_SETFL, O_NONBLOCK);
        std::string text;
        std::array<char, 4096> block{};
        for (;;) {
            ssize_t got = ::read(ends_[0], block.data(), block.size());
            if (got <= 0) return text;
            text.append(block.data(), static_cast<std::size_t>(got));
        }
    }

  private:
    std::array<int, 2> ends_{-1, -1};
};

/// What `action` writes to the log.
std::string logged(Format format, const std::function<void()>& action, Level minimum = Level::Info) {
    Channel channel(Channel::Kind::Pipe);
    Redirection redirection(channel.writer());
    init("queue-manager", format, minimum);
    action();
    return channel.read_available();
}

/// The value of the pair `key` in a line that has only this one.
std::string logged_value(Format format, std::string_view value) {
    std::string line = logged(format, [&] { info("event").add("key", value); });
    std::string start = format == Format::Text ? " key=" : ",\"key\":";
    std::string end = format == Format::Text ? "\n" : "}\n";
    std::size_t from = line.find(start) + start.size();
    REQUIRE(line.ends_with(end));
    return line.substr(from, line.size() - end.size() - from);
}

bool matches(const std::string& line, const char* pattern) {
    return std::regex_match(line, std::regex(pattern));
}

}  // namespace

TEST_CASE("a text line has time, daemon, process, level, event and pairs") {
    std::string line = logged(Format::Text, [] {
        info("delivered")
            .add("id", "0H3ABC")
            .add_address("to", "a@b")
            .add_address("from", "")
            .add("size", std::size_t{123})
            .add("offset", -5)
            .add("tls", true)
            .add("delay", std::chrono::milliseconds(1234));
    });
    CAPTURE(line);
    std::string prefix =
        R"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z queue-manager\[)" + std::to_string(::getpid());
    std::string pairs =
        R"(\] info delivered id=0H3ABC to=<a@b> from=<> size=123 offset=-5 tls=yes delay=1\.234\n)";
    CHECK(matches(line, (prefix + pairs).c_str()));
}

TEST_CASE("a JSON line has the same keys") {
    std::string line = logged(Format::Json, [] {
        warning("deferred")
            .add("id", "0H3")
            .add_address("to", "a@b")
            .add("size", 123U)
            .add("tls", false)
            .add("delay", std::chrono::milliseconds(-7));
    });
    CAPTURE(line);
    std::string pattern =
        R"(\{"time":"[-0-9T:.]+Z","daemon":"queue-manager","pid":\d+,"level":"warning",)"
        R"("event":"deferred","id":"0H3","to":"<a@b>","size":123,"tls":false,"delay":-0\.007\}\n)";
    CHECK(matches(line, pattern.c_str()));
}

TEST_CASE("values are quoted and escaped") {
    struct Case {
        std::string value;
        std::string text;
        std::string json;
    };
    const std::array cases{
        Case{"plain-word_1.2:3/4", "plain-word_1.2:3/4", R"("plain-word_1.2:3/4")"},
        Case{"", R"("")", R"("")"},
        Case{"two words", R"("two words")", R"("two words")"},
        Case{"a=b", R"("a=b")", R"("a=b")"},
        Case{R"(say "hi" \o/)", R"("say \"hi\" \\o/")", R"("say \"hi\" \\o/")"},
        Case{"a\r\nb\tc", R"("a\r\nb\tc")", R"("a\r\nb\tc")"},
        Case{std::string("nul\0esc\x1b", 8), R"("nul\x00esc\x1b")", R"("nul\u0000esc\u001b")"},
        Case{"\x7f", R"("\x7f")", R"("\u007f")"},
        Case{"d\xc3\xb6ner\xf0\x9f\x93\xac", "d\xc3\xb6ner\xf0\x9f\x93\xac",
             "\"d\xc3\xb6ner\xf0\x9f\x93\xac\""},
        Case{"\xc2\x85", R"("\xc2\x85")", R"("\u0085")"},          // C1 control: next line
        Case{"\xe2\x80\xae", R"("\xe2\x80\xae")", R"("\u202e")"},  // right-to-left override
        Case{"\xe2\x80\xa8", R"("\xe2\x80\xa8")", R"("\u2028")"},  // line separator
        Case{"d\xf6ner", R"("d\xf6ner")", R"("d\\xf6ner")"},       // Latin-1
        Case{"\xc0\xaf", R"("\xc0\xaf")", R"("\\xc0\\xaf")"},      // overlong
        Case{"\xe0\x80\xaf", R"("\xe0\x80\xaf")", R"("\\xe0\\x80\\xaf")"},
        Case{"\xed\xa0\x80", R"("\xed\xa0\x80")", R"("\\xed\\xa0\\x80")"},  // surrogate
        Case{"\xf4\x90\x80\x80", R"("\xf4\x90\x80\x80")", R"("\\xf4\\x90\\x80\\x80")"},
        Case{"cut \xe2\x82", R"("cut \xe2\x82")", R"("cut \\xe2\\x82")"},
    };
    for (const Case& row : cases) {
        CAPTURE(row.text);
        CHECK(logged_value(Format::Text, row.value) == row.text);
        CHECK(logged_value(Format::Json, row.value) == row.json);
    }
}

TEST_CASE("an address that is none is quoted as a whole") {
    std::string line = logged(Format::Text, [] { info("x").add_address("to", "a b\"@c"); });
    CHECK(line.ends_with(" to=\"<a b\\\"@c>\"\n"));
}

TEST_CASE("a peer cannot forge a line") {
    std::string line =
        logged(Format::Text, [] { info("x").add("helo", "a\n2026 smtpd[1] info forged id=1"); });
    CHECK(std::count(line.begin(), line.end(), '\n') == 1);
}

TEST_CASE("lines below the level are not written") {
    auto all = [] {
        debug("one");
        info("two");
        warning("three");
        error("four");
    };
    struct Case {
        Level minimum;
        long lines;
    };
    for (auto [minimum, lines] :
         {Case{Level::Debug, 4}, Case{Level::Info, 3}, Case{Level::Warning, 2}, Case{Level::Error, 1}}) {
        std::string text = logged(Format::Text, all, minimum);
        CHECK(std::count(text.begin(), text.end(), '\n') == lines);
    }
}

TEST_CASE("long values are cut at a character") {
    std::string value = std::string(kMaximumValue - 1, 'x') + "\xc3\xb6" + "rest";
    CHECK(logged_value(Format::Text, value) == std::string(kMaximumValue - 1, 'x') + "...");
    CHECK(logged_value(Format::Json, value) == '"' + std::string(kMaximumValue - 1, 'x') + "...\"");
    std::string full(kMaximumValue, 'x');
    CHECK(logged_value(Format::Text, full) == full);
    // The limit is one of the line, not of the peer's bytes, and no escape is cut in two.
    std::string controls;
    for (std::size_t i = 0; i < kMaximumValue / 4; ++i)
        controls += "\\x80";
    CHECK(logged_value(Format::Text, std::string(kMaximumValue, '\x80')) == '"' + controls + "...\"");
}

TEST_CASE("long lines lose whole pairs, and say so") {
    std::string escaped(kMaximumValue, '\n');
    auto action = [&] {
        info("event").add("a", escaped).add("b", escaped).add("c", escaped).add("d", escaped).add("e", 1);
    };
    std::string text = logged(Format::Text, action);
    CHECK(text.size() <= kMaximumLine);
    CHECK(text.ends_with("\\n...\" truncated=yes\n"));
    CHECK(text.find(" c=") != std::string::npos);
    CHECK(text.find(" d=") == std::string::npos);
    CHECK(text.find(" e=") == std::string::npos);
    std::string json = logged(Format::Json, action);
    CHECK(json.size() <= kMaximumLine);
    CHECK(json.ends_with("\\n...\",\"truncated\":true}\n"));
}

TEST_CASE("a line may be written while another one is being built") {
    auto inner = [] {
        info("inner");
        return std::string_view("value");
    };
    std::string text = logged(Format::Text, [&] { info("outer").add("key", inner()); });
    CHECK(matches(text, R"([^\n]* info inner\n[^\n]* info outer key=value\n)"));
}

TEST_CASE("errno is left alone") {
    static_cast<void>(logged(Format::Text, [] {
        ::close(STDERR_FILENO);  // The write fails.
        errno = ENOSPC;
        info("x").add("key", 1);
        CHECK(errno == ENOSPC);
    }));
    CHECK(logged(Format::Text, [] { info("x"); }).find("log_lines_lost count=1\n") != std::string::npos);
}

TEST_CASE("a child process has its own number") {
    std::string line = logged(Format::Text, [] {
        info("parent");
        pid_t child = ::fork();
        if (child == 0) {
            info("child");
            ::_exit(0);
        }
        ::waitpid(child, nullptr, 0);
        CHECK(child > 0);
    });
    CAPTURE(line);
    std::smatch found;
    std::regex pattern(R"([^\n]*\[(\d+)\] info parent\n[^\n]*\[(\d+)\] info child\n)");
    REQUIRE(std::regex_match(line, found, pattern));
    CHECK(found[1] != found[2]);
}

TEST_CASE("the journal gets a priority and no time") {
    Channel journal(Channel::Kind::Socket);
    struct stat status {};
    REQUIRE(::fstat(journal.writer(), &status) == 0);
    std::string stream = std::to_string(status.st_dev) + ":" + std::to_string(status.st_ino);
    ::setenv("JOURNAL_STREAM", stream.c_str(), 1);
    {
        Redirection redirection(journal.writer());
        init("router", Format::Text, Level::Info);
        warning("x").add("key", 1);
        init("router", Format::Json, Level::Info);
        error("y");
        ::setenv("JOURNAL_STREAM", "1:1", 1);  // Inherited, but standard error went elsewhere since.
        init("router", Format::Text, Level::Info);
        info("z");
    }
    ::unsetenv("JOURNAL_STREAM");
    CHECK(matches(journal.read_available(),
                  R"(<4>router\[\d+\] warning x key=1\n)"
                  R"(<3>\{"daemon":"router","pid":\d+,"level":"error","event":"y"\}\n)"
                  R"(\d{4}-[^\n]* router\[\d+\] info z\n)"));
}

TEST_CASE("a reader that lags costs lines, not the daemon") {
    for (Channel::Kind kind : {Channel::Kind::Pipe, Channel::Kind::Socket}) {
        Channel channel(kind);
        Redirection redirection(channel.writer());
        init("smtpd", Format::Text, Level::Info);
        std::uint64_t lost_before = lost_lines();
        auto start = std::chrono::steady_clock::now();
        std::string value(kMaximumValue, 'x');
        for (int i = 0; i < 2000; ++i)
            info("flood").add("value", value);
        CHECK(std::chrono::steady_clock::now() - start < std::chrono::seconds(2));
        std::uint64_t lost = lost_lines() - lost_before;
        CHECK(lost > 0);
        static_cast<void>(channel.read_available());
        info("again");
        CHECK(lost_lines() - lost_before == lost);
        std::string pattern =
            "[^\\n]* warning log_lines_lost count=" + std::to_string(lost) + "\\n[^\\n]* again\\n";
        CHECK(matches(channel.read_available(), pattern.c_str()));
    }
}

}  // namespace postrider::log
