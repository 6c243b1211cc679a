#include "libcommon/base/result.h"

#include <system_error>

namespace postrider {

tl::unexpected<Error> system_failure(std::string what, int errno_value) {
    what += ": ";
    what += std::generic_category().message(errno_value);
    return temporary(std::move(what));
}

}  // namespace postrider
