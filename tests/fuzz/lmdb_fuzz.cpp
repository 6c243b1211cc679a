// Databases of LMDB, which are read while others write them: any octets at all give values or errors, and no
// value is larger than the limit.

#include <sys/mman.h>

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>
#include <utility>

#include "libcommon/base/file.h"
#include "router/lmdb_table.h"

namespace {

using namespace postrider;

constexpr std::size_t kLargestValue = 1000;

void require(bool condition) {
    if (!condition) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    Fd file(::memfd_create("lmdb", MFD_CLOEXEC));
    require(write_all(file, std::string_view(reinterpret_cast<const char*>(data), size)).has_value());
    const auto table = router::LmdbTable::open(std::move(file), "fuzz", {4096, kLargestValue});
    if (!table) return 0;
    for (const std::string_view name : {"", "a", "ann", "bob", "carol", "zoe"}) {
        const router::TableAnswer answer = (*table)->find(name);
        if (!answer || !*answer) continue;
        require((*answer)->name == name && (*answer)->value.size() <= kLargestValue);
    }
    return 0;
}
