// Edits the backup list in any text at all. An edit may turn out to be no good, which is found out before it
// is written, but it must end and stay within the text, and adds no more than a line.

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "admin/backup_list.h"

using namespace postrider;
using Kind = admin::BackupChange::Kind;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    constexpr std::size_t kMostAdded = 40;
    for (const auto kind : {Kind::Add, Kind::Delete, Kind::Enable, Kind::Disable}) {
        for (const char* domain : {"a.test", ""}) {
            if (*domain == '\0' && (kind == Kind::Add || kind == Kind::Delete)) continue;
            const std::string after = admin::edited(text, "/f", {kind, domain, kind == Kind::Add});
            if (after.size() > size + kMostAdded) std::abort();
            if (kind == Kind::Delete && after.size() > size) std::abort();
        }
    }
    return 0;
}
