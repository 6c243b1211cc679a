#include "smtpd/command_line.h"

#include <catch2/catch.hpp>

#include <string>
#include <vector>

namespace postrider::smtpd {

namespace {

// Cuts `input`, arriving in pieces of `piece` octets, into lines; each is described in a word.
std::vector<std::string> lines(const std::string& input, std::size_t piece, std::size_t limit) {
    CommandLineReader reader(limit, 2 * limit);
    std::vector<std::string> found;
    std::string buffered;
    for (std::size_t at = 0; at < input.size(); at += piece) {
        buffered += input.substr(at, piece);
        while (true) {
            const CommandLine line = reader.next(buffered);
            if (line.state == LineState::Complete) found.emplace_back(line.text);
            if (line.state == LineState::TooLong) found.emplace_back("[too long]");
            if (line.state == LineState::Malformed) found.emplace_back("[malformed]");
            buffered.erase(0, line.consumed);
            CHECK(buffered.size() <= 2 * limit + piece);  // what AUTH may have
            if (line.state == LineState::Incomplete) break;
        }
    }
    return found;
}

}  // namespace

TEST_CASE("a refused line may have been meant as DATA or BDAT") {
    for (const std::string line : {"DATA", "data", " DATA", "DATA x", "BDAT", "bdat 5 LAST", "BDAT5",
                                   "\rDATA\rx", "NOOP\rBDAT 50 LAST", "NOOP\nDATA"})
        CHECK(announces_content(line));
    for (const std::string line :
         {"", " ", "5", "NOOP", "DATABASE", "Subject: DATA", "RCPT TO:<data@a.test>"})
        CHECK_FALSE(announces_content(line));
}

TEST_CASE("a line that may hold a password begins with AUTH, whatever stands around it") {
    for (const std::string line : {"AUTH", "auth PLAIN x", " AUTH  PLAIN x",
                                   "\x01"
                                   "AUTH PLAIN",
                                   "AUTH\tPLAIN"})
        CHECK(begins_with_auth(line));
    for (const std::string line : {"", "AUTHOR", "NOOP AUTH", "XAUTH"})
        CHECK_FALSE(begins_with_auth(line));
}

TEST_CASE("of a line that is too long the beginning is kept") {
    for (const std::size_t piece : std::vector<std::size_t>{1, 5, 100}) {
        CommandLineReader reader(40, 40);
        const std::string input = std::string(50, ' ') + "BDAT 5 LAST" + std::string(60, ' ') + "\r\n";
        std::string buffered;
        CommandLine line;
        for (std::size_t at = 0; at < input.size(); at += piece) {
            buffered += input.substr(at, piece);
            line = reader.next(buffered);
            if (line.state == LineState::TooLong) CHECK(announces_content(line.text));
            buffered.erase(0, line.consumed);
        }
        CHECK(line.state == LineState::TooLong);
    }
}

TEST_CASE("commands are cut at CRLF, however they arrive") {
    struct Case {
        std::string input;
        std::vector<std::string> expected;
    };
    using namespace std::string_literals;
    const std::string ten(10, 'a');
    const std::vector<Case> cases = {
        {"", {}},
        {"NOOP", {}},
        {"NOOP\r\n", {"NOOP"}},
        {"\r\n", {""}},
        {"NOOP\r\nQUIT\r\n", {"NOOP", "QUIT"}},
        {"NOOP\r\nQUI", {"NOOP"}},
        {"NOOP\nQUIT\r\n", {"[malformed]", "QUIT"}},
        {"\n", {"[malformed]"}},
        {"NO\rOP\r\nQUIT\r\n", {"[malformed]", "QUIT"}},
        {"NO\0OP\r\nQUIT\r\n"s, {"[malformed]", "QUIT"}},
        {"NOOP\r\r\n", {"[malformed]"}},
        // The limit of 12 octets includes CRLF.
        {ten + "\r\n", {ten}},
        {ten + "a\r\nQUIT\r\n", {"[too long]", "QUIT"}},
        {ten + ten + ten + "\r\nQUIT\r\n", {"[too long]", "QUIT"}},
        // AUTH may be twice as long.
        {"AUTH " + ten + "\r\nQUIT\r\n", {"AUTH " + ten, "QUIT"}},
        {" auth " + ten + "xx\r\nQUIT\r\n", {" auth " + ten + "xx", "QUIT"}},
        {"AUTHS " + ten + "\r\nQUIT\r\n", {"[too long]", "QUIT"}},
        {"AUTH " + ten + ten + "\r\nQUIT\r\n", {"[too long]", "QUIT"}},
        {ten + ten + ten + "\nQUIT\r\n", {"[too long]", "QUIT"}},
        {ten + ten + "\r\n" + ten + ten + "\r\nQUIT\r\n", {"[too long]", "[too long]", "QUIT"}},
    };
    for (const Case& test : cases) {
        for (const std::size_t piece : {1U, 2U, 3U, 7U, 100U}) {
            INFO(test.input << " in pieces of " << piece);
            CHECK(lines(test.input, piece, 12) == test.expected);
        }
    }
}

}  // namespace postrider::smtpd
