#include "admin/sendmail/options.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <string_view>

namespace postrider::admin {

namespace {

// Options with a value, which is the rest of the word or the next word, and that do nothing here.
constexpr std::string_view kIgnoredWithValue = "BhLNOpRVX";
// Options without a value that do nothing here.
constexpr std::string_view kIgnored = "GmnUv";

/// Goes through the words the way getopt(3) does, which cannot be used itself: -o, -q and -b take a value in
/// the same word only, and the options may stand behind the recipients.
class Words {
  public:
    explicit Words(const std::vector<std::string>& words) : words_(words) {}

    [[nodiscard]] bool more() const { return next_ < words_.size(); }
    [[nodiscard]] std::string take() { return words_[next_++]; }

    /// The value of an option: `rest` of its word, or the next word.
    [[nodiscard]] Result<std::string> value(char option, const std::string& rest) {
        if (!rest.empty()) return rest;
        if (!more()) return permanent(fmt::format("option -{} needs a value", option));
        return take();
    }

  private:
    const std::vector<std::string>& words_;
    std::size_t next_ = 1;
};

Result<void> set_mode(SendmailOptions& options, const std::string& letter) {
    if (letter == "m") return {};
    if (letter == "s") {
        options.mode = SendmailMode::Smtp;
    } else if (letter == "p") {
        options.mode = SendmailMode::List;
    } else if (letter == "i") {
        options.mode = SendmailMode::Aliases;
    } else {
        return permanent(fmt::format("option -b{} is not supported", letter));
    }
    return {};
}

Result<void> read_value(SendmailOptions& options, char option, const std::string& rest, Words& words) {
    auto value = words.value(option, rest);
    if (!value) return failure(value.error());
    if (option == 'f' || option == 'r') options.sender = *value == "<>" ? "" : *value;
    if (option == 'F') options.full_name = *value;
    if (option == 'C') options.config_file = *value;
    return {};
}

/// One word of options: "-ti", "-fuser", "-oi".
Result<void> read_options(SendmailOptions& options, const std::string& word, Words& words) {
    for (std::size_t at = 1; at < word.size(); ++at) {
        const char option = word[at];
        const std::string rest = word.substr(at + 1);
        if (option == 'b') return set_mode(options, rest);
        if (option == 'q') {
            // -q30m is for daemons that work the queue off at intervals; ours does that by itself.
            const bool interval =
                !rest.empty() && std::isdigit(static_cast<unsigned char>(rest.front())) != 0;
            if (!interval) options.mode = SendmailMode::Flush;
            return {};
        }
        if (option == 'o') {
            if (rest == "i") options.dot_ends = false;
            return {};
        }
        if (std::string_view("frFC").find(option) != std::string_view::npos ||
            kIgnoredWithValue.find(option) != std::string_view::npos) {
            return read_value(options, option, rest, words);
        }
        if (option == 't') {
            options.recipients_from_header = true;
        } else if (option == 'i') {
            options.dot_ends = false;
        } else if (kIgnored.find(option) == std::string_view::npos) {
            return permanent(fmt::format("unknown option -{}", option));
        }
    }
    return {};
}

}  // namespace

Result<SendmailOptions> parse_sendmail_options(const std::vector<std::string>& arguments) {
    SendmailOptions options;
    const std::string& path = arguments.front();
    const std::string name = path.substr(path.find_last_of('/') + 1);
    if (name == "mailq") options.mode = SendmailMode::List;
    if (name == "newaliases") options.mode = SendmailMode::Aliases;
    Words words(arguments);
    bool only_recipients = false;
    while (words.more()) {
        const std::string word = words.take();
        if (!only_recipients && word == "--") {
            only_recipients = true;
        } else if (!only_recipients && word.size() > 1 && word.front() == '-') {
            auto read = read_options(options, word, words);
            if (!read) return failure(read.error());
        } else {
            options.recipients.push_back(word);
        }
    }
    return options;
}

}  // namespace postrider::admin
