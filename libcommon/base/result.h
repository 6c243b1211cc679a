#pragma once

#include <tl/expected.hpp>

#include <string>
#include <utility>

namespace postrider {

/// Whether trying again later can help. Mail turns Temporary into 4xx and Permanent into 5xx.
enum class Severity { Temporary, Permanent };

/// Why something that mail can meet (peer, user, disk, DNS) did not work. `text` is one line for a human:
/// what was tried, on what, and what went wrong.
struct Error {
    Severity severity = Severity::Temporary;
    std::string text;

    Error() = default;
    Error(Severity severity_in, std::string text_in) : severity(severity_in), text(std::move(text_in)) {}

    [[nodiscard]] bool temporary() const { return severity == Severity::Temporary; }
};

/// A value, or the reason why there is none.
template <typename T>
using Result = tl::expected<T, Error>;

/// `return temporary("...")` from a function that returns a Result.
[[nodiscard]] inline tl::unexpected<Error> temporary(std::string text) {
    return tl::unexpected<Error>(Error(Severity::Temporary, std::move(text)));
}

/// `return permanent("...")` from a function that returns a Result.
[[nodiscard]] inline tl::unexpected<Error> permanent(std::string text) {
    return tl::unexpected<Error>(Error(Severity::Permanent, std::move(text)));
}

/// Passes an error on unchanged from a function that returns another Result.
[[nodiscard]] inline tl::unexpected<Error> failure(Error error) {
    return tl::unexpected<Error>(std::move(error));
}

/// A temporary error with the system's word for `errno_value`: "WHAT: No space left on device".
[[nodiscard]] tl::unexpected<Error> system_failure(std::string what, int errno_value);

}  // namespace postrider
