#include "libcommon/config/report_templates.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>

#include "libcommon/mail/utf8.h"

namespace postrider::config {

namespace {

constexpr std::string_view kTemplateSuffix = ".txt";
constexpr std::string_view kSubjectField = "Subject:";
constexpr std::size_t kLongestSubject = 200;

/// Reads one file, a line after the other.
class TemplateParser {
  public:
    TemplateParser(std::string_view kind, const std::shared_ptr<const std::string>& file, Errors& errors)
        : variables_(variables_of(kind)), errors_(errors) {
        position_.file = file;
    }

    std::optional<ReportTemplate> parse(std::string_view text) {
        while (!text.empty()) {
            const std::size_t end = text.find('\n');
            std::string_view line = text.substr(0, end);
            text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
            if (line.ends_with('\r')) line.remove_suffix(1);
            ++position_.line;
            check_line(line);
            position_.line == 1 ? take_subject(line) : take_text(line);
        }
        position_.line = std::max(position_.line, 1U);
        if (result_.text.empty() && !failed_) fail(0, "there is no text below the subject");
        return failed_ ? std::nullopt : std::optional(std::move(result_));
    }

  private:
    void fail(std::size_t offset, std::string_view message) {
        position_.column = static_cast<std::uint32_t>(offset + 1);
        errors_.add(position_, message);
        failed_ = true;
    }

    void take_subject(std::string_view line) {
        if (!line.starts_with(kSubjectField)) return fail(0, "the first line has to begin with \"Subject:\"");
        line.remove_prefix(kSubjectField.size());
        const std::size_t begin = std::min(line.find_first_not_of(" \t"), line.size());
        line.remove_prefix(begin);
        while (!line.empty() && (line.back() == ' ' || line.back() == '\t'))
            line.remove_suffix(1);
        if (line.empty()) return fail(kSubjectField.size(), "the subject is empty");
        if (line.size() > kLongestSubject)
            return fail(kSubjectField.size(),
                        fmt::format("the subject has more than {} octets", kLongestSubject));
        result_.subject = line;
    }

    void take_text(std::string_view line) {
        if (result_.text.empty() && line.find_first_not_of(" \t") == std::string_view::npos) return;
        result_.text += line;
        result_.text += '\n';
    }

    void check_line(std::string_view line) {
        const std::string printable = mail::make_printable(line);
        for (std::size_t i = 0; i < line.size(); ++i) {
            if (line[i] == printable[i] || line[i] == '\t') continue;
            return fail(i, "a control character, or not UTF-8");
        }
        for (std::size_t at = line.find("${"); at != std::string_view::npos; at = line.find("${", at + 2)) {
            if (at == 0 || line[at - 1] != '$') check_variable(line, at);
        }
    }

    void check_variable(std::string_view line, std::size_t at) {
        const std::size_t end = line.find('}', at);
        if (end == std::string_view::npos) return fail(at, "a } is missing");
        const std::string_view name = line.substr(at + 2, end - at - 2);
        if (std::find(variables_.begin(), variables_.end(), name) != variables_.end()) return;
        const std::string_view best = nearest(name, variables_);
        const std::string hint = best.empty() ? "" : fmt::format("; did you mean \"{}\"?", best);
        fail(at, fmt::format("\"{}\" is not one of {}{}", name, fmt::join(variables_, ", "), hint));
    }

    std::vector<std::string_view> variables_;
    Errors& errors_;
    Position position_;
    ReportTemplate result_;
    bool failed_ = false;
};

}  // namespace

std::vector<std::string_view> variables_of(std::string_view kind) {
    std::vector<std::string_view> names{"hostname", "postmaster", "queue_id", "sender"};
    if (kind == "delayed") names.emplace_back("will_retry_until");
    return names;
}

std::optional<ReportTemplate> parse_report_template(std::string_view kind, std::string_view text,
                                                    const std::shared_ptr<const std::string>& file,
                                                    Errors& errors) {
    return TemplateParser(kind, file, errors).parse(text);
}

ReportTemplates read_report_templates(const std::string& folder, const Position& position, FileSource& files,
                                      std::size_t limit, Errors& errors) {
    ReportTemplates templates;
    auto names = files.list(folder);
    if (!names) {
        errors.add(position, fmt::format("{} {}", folder, names.error().text));
        return templates;
    }
    std::sort(names->begin(), names->end());
    const std::vector<std::string_view> kinds(kReportKinds.begin(), kReportKinds.end());
    for (const std::string& name : *names) {
        if (!name.ends_with(kTemplateSuffix) || name.starts_with('.')) continue;
        const std::string path = resolve_path(folder, name);
        const std::string kind = name.substr(0, name.size() - kTemplateSuffix.size());
        if (std::find(kinds.begin(), kinds.end(), kind) == kinds.end()) {
            const std::string_view best = nearest(kind, kinds);
            const std::string hint = best.empty() ? "" : fmt::format("; did you mean \"{}.txt\"?", best);
            errors.add(path, fmt::format("\"{}\" is not one of {}{}", kind, fmt::join(kinds, ", "), hint));
            continue;
        }
        auto text = files.read(path, limit);
        if (!text) {
            errors.add(path, text.error().text);
            continue;
        }
        auto read = parse_report_template(kind, *text, std::make_shared<const std::string>(path), errors);
        if (read) templates.emplace(kind, std::move(*read));
    }
    return templates;
}

std::string expand_variables(std::string_view text,
                             const std::function<std::string(std::string_view)>& value) {
    std::string out;
    while (!text.empty()) {
        const std::size_t at = text.find("${");
        out += text.substr(0, at);
        if (at == std::string_view::npos) break;
        const bool escaped = at > 0 && text[at - 1] == '$';
        const std::size_t end = escaped ? at + 1 : text.find('}', at);
        out += escaped ? "{" : value(text.substr(at + 2, end - at - 2));
        text.remove_prefix(std::min(end, text.size() - 1) + 1);
    }
    return out;
}

}  // namespace postrider::config
