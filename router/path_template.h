#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "libcommon/base/result.h"

namespace postrider::router {

/// What a template is filled with.
struct TemplateValues {
    std::string_view user;    ///< local part without detail
    std::string_view domain;  ///< canonical
    std::string_view home;    ///< absolute; empty if there is none
};

/// Whether `user` may become a part of a path: not empty, not `.` or `..`, without `/`, NUL and other control
/// characters. The local part comes from the internet, so this is what keeps a mail address from naming a
/// file of another user.
[[nodiscard]] bool is_safe_path_part(std::string_view user);

/// Where the mailboxes of a domain are: `maildir:~/Maildir`, `maildir:/var/mail/%d/%2u/%u`. `%u` is the user,
/// `%Nu` its first N characters (N from 1 to 9), `%d` the domain, `~` at the beginning the user's home, `%%`
/// a percent sign.
class PathTemplate {
  public:
    /// Permanent error with the reason for anything that is no absolute path or `~`, or has another `%`.
    [[nodiscard]] static Result<PathTemplate> parse(std::string_view text);

    /// Whether the path needs TemplateValues::home.
    [[nodiscard]] bool needs_home() const { return needs_home_; }

    /// The path. Permanent error if the user is no safe part of a path, if some part of the result would be
    /// `.` or `..` or has a control character, or if the home is needed and is no absolute path,
    /// or the root folder where it is the whole path.
    [[nodiscard]] Result<std::string> fill(const TemplateValues& values) const;

  private:
    struct Piece {
        enum class Kind { Text, User, Domain };
        Kind kind = Kind::Text;
        std::string text;         // of Text
        unsigned characters = 0;  // of User; 0: all
    };

    [[nodiscard]] Result<void> add_variable(std::string_view text, std::size_t& at);
    void add_text(char octet);

    std::vector<Piece> pieces_;
    bool needs_home_ = false;
};

}  // namespace postrider::router
