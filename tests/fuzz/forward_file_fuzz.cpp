// Forward files and the lists they include, which any user writes: any octets at all give destinations or a
// reason to wait, and what they give fits into a report and has no line end that could become another field.

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "local-delivery/command_line.h"
#include "local-delivery/forward_file.h"

namespace {

using namespace postrider;

void require(bool condition) {
    if (!condition) std::abort();
}

/// Every list has the same text as the file, so that they include each other.
class SameText : public local_delivery::ListReader {
  public:
    explicit SameText(std::string_view text) : text_(text) {}
    Result<std::string> read(const std::string& path) override {
        require(path.starts_with('/'));
        return std::string(text_);
    }

  private:
    std::string_view text_;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    local_delivery::ForwardRules rules;
    rules.home = "/home/alice";
    rules.nesting_limit = 4;
    SameText lists(text);
    const auto parsed = local_delivery::parse_forward_file(text, "/home/alice/.forward", rules, lists);
    if (!parsed) {
        require(parsed.error().temporary());
        return 0;
    }
    std::size_t bytes = 0;
    for (const auto& item : *parsed) {
        bytes += item.ByteSizeLong();
        require(item.text().find('\n') == std::string::npos && item.text().find('\0') == std::string::npos);
        if (item.kind() == wire::Forwarded::FILE) {
            require(item.text() == "/dev/null" || item.text().starts_with("/home/alice/"));
        }
        if (item.kind() == wire::Forwarded::PROGRAM)
            static_cast<void>(local_delivery::split_command(item.text()));
    }
    require(bytes <= 20U * 1024);
    return 0;
}
