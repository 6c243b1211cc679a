#include "local-delivery/command_line.h"

namespace postrider::local_delivery {

Result<std::vector<std::string>> split_command(std::string_view command) {
    std::vector<std::string> words;
    bool in_word = false;
    char quote = '\0';
    for (std::size_t at = 0; at < command.size(); ++at) {
        char octet = command[at];
        const char next = at + 1 < command.size() ? command[at + 1] : '\0';
        const bool blank = octet == ' ' || octet == '\t';
        if (quote == '\0' && blank) {
            in_word = false;
            continue;
        }
        if (!in_word) words.emplace_back();
        in_word = true;
        if (quote == '\0' && (octet == '"' || octet == '\'')) {
            quote = octet;
            continue;
        }
        if (octet == quote && quote != '\0') {
            quote = '\0';
            continue;
        }
        const bool escapes = octet == '\\' && next != '\0' &&
                             (quote == '\0' || (quote == '"' && (next == '"' || next == '\\')));
        if (escapes) {
            octet = next;
            ++at;
        }
        words.back() += octet;
    }
    if (quote != '\0') return permanent("a quote of the command is not closed");
    if (words.empty() || words.front().empty()) return permanent("the command is missing");
    return words;
}

}  // namespace postrider::local_delivery
