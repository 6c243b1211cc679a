// All tables of the router at once: the text up to the first NUL is the configuration, what follows it every
// file that it names. It gives tables or errors, never both; and whatever the tables are, a stranger relays
// only where some word of them can have let him.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "router/policy.h"
#include "router/resolve.h"
#include "tests/unit/router/table_fixture.h"

namespace {

using namespace postrider;
using namespace postrider::router;

void require(bool condition) {
    if (!condition) std::abort();
}

/// Every file but the configuration has the same text.
class FuzzFiles : public config::FileSource {
  public:
    explicit FuzzFiles(std::string_view text) : text_(text) {}

    [[nodiscard]] Result<std::string> read(const std::string& path, std::size_t limit) override {
        const std::size_t nul = std::min(text_.find('\0'), text_.size());
        const std::string_view part = path == "/c/main"     ? text_.substr(0, nul)
                                      : nul == text_.size() ? std::string_view()
                                                            : text_.substr(nul + 1);
        if (part.size() > limit) return permanent("too large");
        return std::string(part);
    }
    [[nodiscard]] Result<std::vector<std::string>> list(const std::string&) override {
        return std::vector<std::string>{"a.conf"};
    }

  private:
    std::string_view text_;
};

/// Whether a word that can open something is there, however it is quoted or broken.
bool can_open(std::string_view text) {
    std::string plain;
    std::copy_if(text.begin(), text.end(), std::back_inserter(plain),
                 [](char octet) { return octet != '"' && octet != '\\' && octet != '\n' && octet != '\r'; });
    for (const char* word : {"relay", "trust", "mx", "domain", "local"}) {
        if (plain.find(word) != std::string::npos) return true;
    }
    return false;
}

void ask(const Tables& tables, std::string_view text) {
    test::FakeFacts facts;
    Client stranger;
    stranger.address = config::IpAddress::parse("203.0.113.9").value();
    stranger.helo = "out.example";
    static_cast<void>(decide_connect(stranger, tables, facts));
    static_cast<void>(decide_sender(stranger, "x@hotmail.com", tables, facts));
    for (const char* recipient :
         {"tomy@hotmail.com", "alice@local.test", "any+more@remote.test", "postmaster"}) {
        const RecipientDecision decision =
            decide_recipient(stranger, "x@hotmail.com", recipient, tables, facts);
        wire::Recipient asked;
        asked.set_address(recipient);
        static_cast<void>(resolve_recipient(0, asked, "x@hotmail.com", tables, facts));
        const bool foreign = std::string_view(recipient) == "tomy@hotmail.com";
        if (foreign && decision.verdict.action == Verdict::Action::Accept) require(can_open(text));
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    FuzzFiles files(text);
    config::Surroundings surroundings;
    surroundings.files = &files;
    surroundings.host_name = [] { return std::string("mx2.test"); };
    surroundings.resolv_conf = "/etc/resolv.conf";
    const config::LoadResult loaded = config::load("/c/main", surroundings);
    if (!loaded.settings) return 0;
    BuildInputs inputs;
    inputs.files = &files;
    inputs.find_owner = [](const std::string& name) -> Result<config::UserIds> {
        if (name == "vmail") return config::UserIds{500, 500};
        return permanent("there is no such user");
    };
    const BuildResult built = build_tables(*loaded.settings, inputs);
    require((built.tables != nullptr) == built.errors.empty());
    if (built.tables) ask(*built.tables, text);
    return 0;
}
