#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "libcommon/base/result.h"
#include "libcommon/ipc/queue.pb.h"

namespace postrider::local_delivery {

/// What holds for the forward files of one user.
struct ForwardRules {
    std::string home;               ///< its sticky bit says that he is editing; his files stay below it
    std::string mailbox;            ///< of a virtual user: his files stay below its folder
    std::size_t size_limit = 0;     ///< octets of a file
    std::size_t nesting_limit = 0;  ///< lists included in each other
};

/// What replaces a delivery.
struct Forwarding {
    std::string path;                           ///< of the file; empty: there is none, or it says nothing
    std::vector<wire::Forwarded> destinations;  ///< together no larger than a report can be
};

/// Reads the first of `paths` that exists, with the rights of the calling process. Temporary error: it cannot
/// be trusted (safe_file.h), read or understood, or whether there is one cannot be told; the mail waits then,
/// because it is neither the mailbox's nor anybody else's.
[[nodiscard]] Result<Forwarding> read_forward_file(const std::vector<std::string>& paths,
                                                   const ForwardRules& rules);

/// How a file that a forward file includes is read; as read_safely().
class ListReader {
  public:
    ListReader() = default;
    ListReader(const ListReader&) = delete;
    ListReader& operator=(const ListReader&) = delete;
    virtual ~ListReader() = default;
    [[nodiscard]] virtual Result<std::string> read(const std::string& path) = 0;
};

/// Parses the text of a forward file: destinations as in an alias file, separated by commas or line ends.
/// Lists are read through `lists` and replaced by what they hold. Temporary error with the place of the first
/// fault.
[[nodiscard]] Result<std::vector<wire::Forwarded>> parse_forward_file(std::string_view text,
                                                                      const std::string& path,
                                                                      const ForwardRules& rules,
                                                                      ListReader& lists);

}  // namespace postrider::local_delivery
