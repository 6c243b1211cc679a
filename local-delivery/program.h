#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "libcommon/base/clock.h"
#include "local-delivery/message_text.h"
#include "local-delivery/outcome.h"

namespace postrider::local_delivery {

/// A program that takes a message on its standard input, and what it is given besides.
struct Program {
    std::string command;  ///< split by split_command(); no shell sees it
    std::string user;
    std::string home;              ///< working directory; "/" if it does not exist
    std::size_t output_limit = 0;  ///< octets of its output that are kept for the report
    Milliseconds time_limit{0};    ///< then its whole process group is killed
    std::string extension;         ///< the detail of the recipient's local part
    // What its processes may use (setrlimit(2)); 0: as much as this process may.
    std::size_t memory_limit = 0;
    std::size_t process_limit = 0;
    std::size_t open_file_limit = 0;
    std::size_t file_size_limit = 0;
};

/// Runs `program` with the rights of the calling process and waits for its end. The environment holds PATH,
/// HOME, SHELL, USER, LOGNAME, SENDER, RECIPIENT, ORIGINAL_RECIPIENT, LOCAL, DOMAIN, EXTENSION, MESSAGE_ID
/// and QUEUE_ID, and nothing else; no descriptor but 0, 1 and 2 is open. Exit 0 delivers; sysexits(3) decides
/// between defer and fail; a signal or the time limit defers. A program that exits 0 without reading
/// everything has still taken the message; one that cannot be started has failed, unless only memory or
/// processes are short.
[[nodiscard]] Outcome run_program(const Program& program, const MessageText& message);

/// What an exit status means (sysexits(3)), with the first of the program's `output` in the text. Pure.
[[nodiscard]] Outcome outcome_of_exit(int exit_status, const std::string& output);

/// The environment of a program, "NAME=value" each. Pure.
[[nodiscard]] std::vector<std::string> program_environment(const Program& program,
                                                           const MessageText& message);

}  // namespace postrider::local_delivery
