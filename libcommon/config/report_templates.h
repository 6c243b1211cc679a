#pragma once

#include <array>
#include <cstddef>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "libcommon/config/language.h"

/// The texts for people in reports about delivery, as an administrator writes them.
namespace postrider::config {

/// One file of the `dsn_templates` folder:
///
///     Subject: what the report's Subject says
///
///     The text, with variables such as ${hostname}.
///
/// `$${` stands for `${`. ASCII or UTF-8 without control characters but tabs.
struct ReportTemplate {
    std::string subject;
    std::string text;  ///< every line ends with a line feed
};

/// By kind, one of kReportKinds; a kind without a file has the text that is built in.
using ReportTemplates = std::map<std::string, ReportTemplate, std::less<>>;

/// The kinds of reports, each the name of its file without `.txt`.
inline constexpr std::array<std::string_view, 6> kReportKinds{"failed",  "delayed",  "delivered",
                                                              "relayed", "expanded", "double-bounce"};

/// What may stand between `${` and `}` in the template of a kind.
[[nodiscard]] std::vector<std::string_view> variables_of(std::string_view kind);

/// The template in `text`. Nothing if there are errors, which go to `errors` with their places.
[[nodiscard]] std::optional<ReportTemplate> parse_report_template(
    std::string_view kind, std::string_view text, const std::shared_ptr<const std::string>& file,
    Errors& errors);

/// The templates in `folder`: its `*.txt` files, each at most `limit` octets. A name that is no kind is an
/// error, like all that is wrong in a file; that the folder cannot be read is one at `position`.
[[nodiscard]] ReportTemplates read_report_templates(const std::string& folder, const Position& position,
                                                    FileSource& files, std::size_t limit, Errors& errors);

/// `text`, which parse_report_template() has taken, with the values of its variables.
[[nodiscard]] std::string expand_variables(std::string_view text,
                                           const std::function<std::string(std::string_view)>& value);

}  // namespace postrider::config
