#include "admin/sendmail/message.h"

#include <fmt/format.h>
#include <strings.h>

#include <algorithm>
#include <utility>

namespace postrider::admin {

namespace {

bool is_blank(char c) {
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

std::string trimmed(std::string text) {
    while (!text.empty() && is_blank(text.back()))
        text.pop_back();
    const auto first = std::find_if_not(text.begin(), text.end(), is_blank);
    text.erase(text.begin(), first);
    return text;
}

/// The next line of `text` without its end, which is cut off `text`.
std::string_view take_line(std::string_view& text) {
    const std::size_t end = text.find('\n');
    std::string_view line = text.substr(0, end);
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    if (line.ends_with('\r')) line.remove_suffix(1);
    return line;
}

/// True if the line begins a header field: "Name:" with printable characters (RFC 5322, 2.2).
bool begins_field(std::string_view line) {
    const std::size_t colon = line.find(':');
    if (colon == 0 || colon == std::string_view::npos) return false;
    std::string_view name = line.substr(0, colon);
    while (name.ends_with(' ') || name.ends_with('\t'))
        name.remove_suffix(1);  // obsolete, but seen
    return !name.empty() &&
           std::all_of(name.begin(), name.end(), [](char c) { return c > ' ' && c < '\x7f'; });
}

/// A field on one line (RFC 5322, 2.2.3). Each of its lines ends with LF.
std::string unfolded(std::string_view field) {
    std::string line(field);
    std::erase(line, '\n');
    return line;
}

bool field_is(std::string_view field, std::string_view name) {
    if (field.size() <= name.size() || ::strncasecmp(field.data(), name.data(), name.size()) != 0)
        return false;
    const std::size_t colon = field.find_first_not_of(" \t", name.size());
    return colon != std::string_view::npos && field[colon] == ':';
}

/// Collects the addresses of a list one character at a time.
class AddressListReader {
  public:
    std::vector<std::string> read(std::string_view list) {
        for (std::size_t at = 0; at < list.size(); ++at) {
            const char c = list[at];
            if (c == '\\' && at + 1 < list.size() && (quoted_ || comments_ > 0)) {
                keep(c);
                keep(list[++at]);
            } else if (comments_ > 0) {
                comments_ += c == '(' ? 1 : c == ')' ? -1 : 0;
            } else if (c == '"') {
                quoted_ = !quoted_;
                keep(c);
            } else if (quoted_) {
                keep(c);
            } else {
                read_plain(c);
            }
        }
        end_address();
        return std::move(found_);
    }

  private:
    void keep(char c) {
        if (comments_ == 0) word_ += c;
    }

    void read_plain(char c) {
        if (c == '(') {
            ++comments_;
        } else if (c == '<') {
            word_.clear();  // what stood before is a display name
            angle_ = true;
        } else if (c == '>') {
            angle_ = false;
            complete_ = true;
            end_address();
        } else if ((c == ',' || c == ';') && !angle_) {
            end_address();
        } else if (c == ':' && !angle_) {
            word_.clear();  // a group's name
        } else if (!complete_ || !is_blank(c)) {
            word_ += c;
        }
    }

    void end_address() {
        std::string address = trimmed(std::exchange(word_, {}));
        if (!address.empty()) found_.push_back(std::move(address));
        complete_ = false;
        angle_ = false;
    }

    std::vector<std::string> found_;
    std::string word_;
    int comments_ = 0;
    bool quoted_ = false;
    bool angle_ = false;
    bool complete_ = false;
};

}  // namespace

std::vector<std::string> addresses_in(std::string_view list) {
    return AddressListReader().read(list);
}

LocalMessage::LocalMessage(std::string_view text, bool dot_ends) {
    bool in_header = true;
    if (text.starts_with("From ") && !begins_field(text.substr(0, text.find('\n'))))
        static_cast<void>(take_line(text));
    while (!text.empty()) {
        const std::string line(take_line(text));
        if (dot_ends && line == ".") break;
        if (!in_header) {
            body_ += line + '\n';
        } else if (!fields_.empty() && !line.empty() && is_blank(line.front())) {
            fields_.back() += line + '\n';
        } else if (begins_field(line)) {
            fields_.push_back(line + '\n');
        } else {
            in_header = false;
            if (!line.empty()) body_ += line + '\n';  // no header at all, or none that ends as it should
        }
    }
}

bool LocalMessage::has(std::string_view name) const {
    return std::any_of(fields_.begin(), fields_.end(),
                       [name](const auto& field) { return field_is(field, name); });
}

std::vector<std::string> LocalMessage::recipients_of(const std::vector<std::string_view>& names) const {
    std::vector<std::string> recipients;
    for (const auto& field : fields_) {
        const bool wanted =
            std::any_of(names.begin(), names.end(), [&field](auto name) { return field_is(field, name); });
        if (!wanted) continue;
        auto found = addresses_in(unfolded(field.substr(field.find(':') + 1)));
        recipients.insert(recipients.end(), found.begin(), found.end());
    }
    return recipients;
}

Result<void> LocalMessage::check_header() const {
    for (const auto& field : fields_) {
        if (field.find('\r') == std::string::npos && field.find('\0') == std::string::npos) continue;
        return permanent(fmt::format("the header field {} has a character that cannot be sent",
                                     field.substr(0, field.find(':'))));
    }
    return {};
}

std::vector<std::string> LocalMessage::header_recipients() const {
    auto resent = recipients_of({"Resent-To", "Resent-Cc", "Resent-Bcc"});
    return resent.empty() ? recipients_of({"To", "Cc", "Bcc"}) : resent;
}

void LocalMessage::remove_bcc() {
    std::erase_if(fields_,
                  [](const auto& field) { return field_is(field, "Bcc") || field_is(field, "Resent-Bcc"); });
}

void LocalMessage::complete(const std::string& from, const std::string& date, const std::string& message_id) {
    if (!has("From")) fields_.push_back("From: " + from + '\n');
    if (!has("Date")) fields_.push_back("Date: " + date + '\n');
    if (!has("Message-ID")) fields_.push_back("Message-ID: " + message_id + '\n');
}

std::string LocalMessage::text() const {
    std::string text;
    for (const auto& field : fields_)
        text += field;
    return text + '\n' + body_;
}

}  // namespace postrider::admin
