#pragma once

#include <string>
#include <string_view>

namespace postrider::local_delivery {

/// How a delivery ended.
enum class Ending { Delivered, Deferred, Failed };

/// The result of one delivery: what the queue-manager is told. `status` is an enhanced status code (RFC 3463)
/// whose class fits the ending, `text` one line for the sender's report and the log.
struct Outcome {
    Ending ending = Ending::Deferred;
    std::string status;
    std::string text;
};

[[nodiscard]] Outcome delivered(std::string text);
[[nodiscard]] Outcome deferred(std::string_view status, std::string text);
[[nodiscard]] Outcome failed(std::string_view status, std::string text);

/// A system call on `what` failed with `errno_value`. Always deferred: a full disk, a missing mount or a
/// wrong mode is the administrator's to mend, and no reason to return mail.
[[nodiscard]] Outcome system_trouble(const std::string& what, int errno_value);

}  // namespace postrider::local_delivery
