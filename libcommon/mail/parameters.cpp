#include "libcommon/mail/parameters.h"

#include <algorithm>

#include "libcommon/mail/ascii.h"
#include "libcommon/mail/limits.h"
#include "libcommon/mail/utf8.h"

namespace postrider::mail {
namespace {

bool is_keyword(std::string_view text) {
    return !text.empty() && text.front() != '-' && std::all_of(text.begin(), text.end(), [](char c) {
        return is_letter(c) || is_digit(c) || c == '-';
    });
}

bool is_value(std::string_view text) {
    return !text.empty() && text.find_first_of("= ") == std::string_view::npos && is_printable_utf8(text);
}

Result<Parameter> parse_parameter(std::string_view word) {
    const std::size_t equals = word.find('=');
    const std::string_view keyword = word.substr(0, equals);
    if (!is_keyword(keyword)) return permanent("malformed parameter");
    Parameter parameter{to_upper(keyword), std::nullopt};
    if (equals == std::string_view::npos) return parameter;
    const std::string_view value = word.substr(equals + 1);
    if (!is_value(value)) return permanent("malformed value of parameter " + parameter.keyword);
    parameter.value = std::string(value);
    return parameter;
}

}  // namespace

const Parameter* Parameters::find(std::string_view keyword) const {
    const auto found = std::find_if(parameters_.begin(), parameters_.end(),
                                    [&](const Parameter& parameter) { return parameter.keyword == keyword; });
    return found == parameters_.end() ? nullptr : &*found;
}

Result<Parameters> parse_parameters(std::string_view text) {
    Parameters parameters;
    skip_blanks(text);
    while (!text.empty()) {
        const std::size_t end = std::min(text.find_first_of(" \t"), text.size());
        auto parameter = parse_parameter(text.substr(0, end));
        if (!parameter) return failure(std::move(parameter.error()));
        if (parameters.find(parameter->keyword) != nullptr) {
            return permanent("parameter " + parameter->keyword + " given twice");
        }
        if (parameters.size() == kMaxParameters) return permanent("too many parameters");
        parameters.parameters_.push_back(std::move(*parameter));
        text.remove_prefix(end);
        skip_blanks(text);
    }
    return parameters;
}

}  // namespace postrider::mail
