// Templates of mailboxes, filled with what may come from the internet: by lines the template, user, domain
// and home. The path that comes of it is absolute, leads out of no folder, and has no character that a path
// must not have.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "router/path_template.h"

namespace {

using namespace postrider;
using namespace postrider::router;

void require(bool condition) {
    if (!condition) std::abort();
}

std::string_view take_line(std::string_view& rest) {
    const std::size_t end = std::min(rest.find('\n'), rest.size());
    const std::string_view line = rest.substr(0, end);
    rest.remove_prefix(std::min(end + 1, rest.size()));
    return line;
}

/// Whether a part of the path is `.` or `..`.
bool leads_away(const std::string& path) {
    const std::string closed = path + '/';
    return closed.find("/./") != std::string::npos || closed.find("/../") != std::string::npos;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    std::string_view rest(reinterpret_cast<const char*>(data), size);
    const Result<PathTemplate> parsed = PathTemplate::parse(take_line(rest));
    if (!parsed) return 0;
    TemplateValues values;
    values.user = take_line(rest);
    values.domain = take_line(rest);
    values.home = rest;
    const Result<std::string> path = parsed->fill(values);
    if (!path) return 0;
    require(path->starts_with('/') && !leads_away(*path));
    require(std::none_of(path->begin(), path->end(),
                         [](char octet) { return static_cast<unsigned char>(octet) < ' '; }));
    require(is_safe_path_part(values.user));
    require(!parsed->needs_home() || values.home.starts_with('/'));
    return 0;
}
