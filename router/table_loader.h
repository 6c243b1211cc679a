#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "libcommon/config/settings.h"
#include "router/table_builder.h"
#include "router/table_files.h"

namespace postrider::router {

/// What a look at the files brought.
struct LoadOutcome {
    std::optional<config::Settings> settings;  ///< the configuration, if that has no error
    std::shared_ptr<const Tables> tables;      ///< nullptr: there are errors, what is in force stays
    std::vector<std::string> errors;           ///< each "file:line:column: message"
    std::vector<std::string> list_errors;      ///< of included lists, whose aliases alone they concern
    std::vector<std::string> notices;          ///< as it should be, and yet worth knowing
    std::vector<std::string> dangers;          ///< legal, but hardly meant (see check.h)
};

/// Reads the configuration and all tables it names. It blocks, so after the start it runs on a helper thread;
/// one call at a time.
class TableLoader {
  public:
    /// `config_path` is absolute. `host_name` is what the host is called where the configuration does not
    /// say: it is found out once, because that may take a DNS query.
    TableLoader(std::string config_path, std::string host_name);

    /// Reads everything. `previous`: see BuildInputs.
    [[nodiscard]] LoadOutcome load(const Tables* previous);

    /// Reads everything again if a file changed, or in any case with `forced`. Nothing: there was no change.
    [[nodiscard]] std::optional<LoadOutcome> poll(bool forced, const Tables* previous);

    [[nodiscard]] TableFiles& files() { return files_; }

  private:
    std::string config_path_;
    std::string host_name_;
    TableFiles files_;
};

}  // namespace postrider::router
