#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "libcommon/base/result.h"
#include "libcommon/mail/xtext.h"

namespace postrider::mail {

/// One ESMTP parameter of MAIL or RCPT.
struct Parameter {
    std::string keyword;  // In upper case.
    std::optional<std::string> value;

    friend bool operator==(const Parameter& a, const Parameter& b) = default;
};

/// The parameters of one command in the order given, each keyword once.
class Parameters {
  public:
    /// The parameter called `keyword` (in upper case), or null. It belongs to this object.
    [[nodiscard]] const Parameter* find(std::string_view keyword) const;

    [[nodiscard]] bool empty() const { return parameters_.empty(); }
    [[nodiscard]] std::size_t size() const { return parameters_.size(); }
    [[nodiscard]] auto begin() const { return parameters_.begin(); }
    [[nodiscard]] auto end() const { return parameters_.end(); }

  private:
    friend Result<Parameters> parse_parameters(std::string_view text);

    std::vector<Parameter> parameters_;
};

/// Parses `KEY[=VALUE] ...` (RFC 5321 4.1.2 esmtp-param, values with UTF-8 as in RFC 6531). What a keyword or
/// its value means, and whether it is known, is for the caller. Error: Permanent (501 5.5.4); bad syntax, too
/// many, or a keyword given twice.
[[nodiscard]] Result<Parameters> parse_parameters(std::string_view text);

}  // namespace postrider::mail
