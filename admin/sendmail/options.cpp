#include "admin/sendmail/options.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <string_view>

#include "admin/sendmail/option_values.h"
#include "libcommon/mail/ascii.h"
#include "libcommon/mail/utf8.h"

namespace postrider::admin {

namespace {

// Options with a value, which is the rest of the word or the next word, and that do nothing here.
constexpr std::string_view kIgnoredWithValue = "BhLpX";
// Options with a value that means something.
constexpr std::string_view kWithValue = "CFNORVfr";
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
    } else if (letter == "v") {
        options.mode = SendmailMode::Verify;
    } else if (letter == "p") {
        options.mode = SendmailMode::List;
    } else if (letter == "i") {
        options.mode = SendmailMode::Aliases;
    } else {
        return permanent(fmt::format(
            "option -b{} is not supported: -b takes i, m, p, s or v; the daemons are not started by "
            "this program",
            letter));
    }
    return {};
}

/// The text of an option that has to be right, put into `field`.
Result<void> store(Result<std::string> parsed, std::string& field) {
    if (!parsed) return failure(parsed.error());
    field = std::move(*parsed);
    return {};
}

Result<void> apply_setting(SendmailOptions& options, const Result<Setting>& setting) {
    if (!setting) return failure(setting.error());
    if (*setting == Setting::DotIsText) options.dot_ends = false;
    return {};
}

Result<void> read_value(SendmailOptions& options, char option, const std::string& rest, Words& words) {
    auto value = words.value(option, rest);
    if (!value) return failure(value.error());
    if (option == 'f' || option == 'r') {
        const bool bracketed = value->starts_with('<') && value->ends_with('>');
        options.sender = bracketed ? value->substr(1, value->size() - 2) : *value;
    }
    if (option == 'F') options.full_name = *value;
    if (option == 'C') options.config_file = *value;
    if (option == 'N') return store(parse_notify(*value), options.dsn.notify);
    if (option == 'R') return store(parse_ret(*value), options.dsn.ret);
    if (option == 'V') return store(parse_envid(*value), options.dsn.envid);
    if (option == 'O') return apply_setting(options, parse_long_setting(*value));
    return {};
}

/// What stands behind -q. An interval, "30m", is for daemons that work the queue off now and then; ours does
/// so by itself.
Result<void> read_flush(SendmailOptions& options, const std::string& rest, bool& interval) {
    interval = !rest.empty() && std::isdigit(static_cast<unsigned char>(rest.front())) != 0;
    if (interval) return {};
    auto flush = parse_flush(rest);
    if (!flush) return failure(flush.error());
    options.mode = SendmailMode::Flush;
    options.flush = std::move(*flush);
    return {};
}

/// One word of options: "-ti", "-fuser", "-oi".
Result<void> read_options(SendmailOptions& options, const std::string& word, Words& words, bool& interval) {
    for (std::size_t at = 1; at < word.size(); ++at) {
        const char option = word[at];
        const std::string rest = word.substr(at + 1);
        if (option == 'b') return set_mode(options, rest);
        if (option == 'q') return read_flush(options, rest, interval);
        if (option == 'o') return apply_setting(options, parse_short_setting(rest));
        if (kWithValue.find(option) != std::string_view::npos ||
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

/// Modes and recipients that do not go together.
Result<void> check_whole(const SendmailOptions& options, bool interval) {
    const bool has_recipients = options.recipients_from_header || !options.recipients.empty();
    if (interval && options.mode == SendmailMode::Deliver && !has_recipients) {
        return permanent("-q with an interval is not supported: the suite attempts what waits by itself");
    }
    // A program that passes on what a stranger wrote means one address, not what stands behind a line break.
    for (const auto& recipient : options.recipients) {
        if (std::any_of(recipient.begin(), recipient.end(), mail::is_control))
            return permanent(
                fmt::format("recipient {}: control characters", mail::make_printable(recipient)));
    }
    if (options.mode == SendmailMode::Verify && options.recipients.empty())
        return permanent("option -bv needs addresses");
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
    bool interval = false;
    while (words.more()) {
        const std::string word = words.take();
        if (!only_recipients && word == "--") {
            only_recipients = true;
        } else if (!only_recipients && word.size() > 1 && word.front() == '-') {
            auto read = read_options(options, word, words, interval);
            if (!read) return failure(read.error());
        } else {
            options.recipients.push_back(word);
        }
    }
    auto checked = check_whole(options, interval);
    if (!checked) return failure(checked.error());
    return options;
}

}  // namespace postrider::admin
