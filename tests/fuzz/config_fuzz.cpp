// Any text at all, taken for a configuration: it must give settings or errors, never both, and what is
// rendered from settings must be readable again.

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <utility>

#include "libcommon/config/settings.h"

namespace {

using namespace postrider;

/// The text up to the first NUL is the configuration, what follows it every file that it includes.
class FuzzFiles : public config::FileSource {
  public:
    explicit FuzzFiles(std::string text) : text_(std::move(text)) {}

    Result<std::string> read(const std::string& path, std::size_t limit) override {
        if (path.ends_with("missing")) return temporary("missing");
        std::size_t nul = text_.find('\0');
        if (path == kMain) return text_.substr(0, nul);
        std::string included = nul == std::string::npos ? std::string() : text_.substr(nul + 1);
        if (included.size() > limit) return permanent("too large");
        return included;
    }

    Result<std::vector<std::string>> list(const std::string&) override {
        return std::vector<std::string>{"b.conf", "a.conf"};
    }

    static constexpr const char* kMain = "/c/main";

  private:
    std::string text_;
};

config::LoadResult load(std::string text) {
    FuzzFiles files(std::move(text));
    return config::load("/c/main",
                        {&files, [] { return std::string("mx.example.org"); }, "/etc/resolv.conf"});
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    std::string text(reinterpret_cast<const char*>(data), size);
    auto first = load(text);
    if (first.settings.has_value() != first.errors.empty()) std::abort();
    if (!first.settings) return 0;
    auto again = load(config::render(*first.settings));
    if (!again.settings) std::abort();
    return 0;
}
