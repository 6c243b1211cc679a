#pragma once

#include <string>
#include <string_view>

#include "libcommon/config/report_templates.h"

/// What people read in a report. Pure.
namespace postrider::queue_manager {

struct ReportInput;
enum class ReportKind;

/// The name of a kind, one of config::kReportKinds.
[[nodiscard]] std::string_view name_of(ReportKind kind);

/// The text of a kind for which the administrator has none; the files in etc/dsn say the same.
[[nodiscard]] const config::ReportTemplate& built_in_template(ReportKind kind);

/// A subject and a text in UTF-8, without variables; lines end with CRLF.
struct TextForPeople {
    std::string subject;
    std::string text;
};
[[nodiscard]] TextForPeople text_for_people(const ReportInput& input);

}  // namespace postrider::queue_manager
