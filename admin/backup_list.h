#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "libcommon/base/result.h"
#include "libcommon/config/settings.h"

/// The list of domains that this host is a backup MX for: the `mxbackup` lines of the configuration, wherever
/// they stand, and how they are edited. All but change_list() is pure.
namespace postrider::admin {

/// One `mxbackup` line.
struct BackupLine {
    std::string domain;  ///< canonical; as written if it is no domain
    bool subdomains = false;
    bool disabled = false;
    config::Position position;

    friend bool operator==(const BackupLine& a, const BackupLine& b) {
        return a.domain == b.domain && a.subdomains == b.subdomains && a.disabled == b.disabled;
    }
};

struct BackupList {
    bool enabled = true;  ///< the switch of all: `mxbackup_enabled`
    std::vector<BackupLine> lines;

    friend bool operator==(const BackupList&, const BackupList&) = default;
};

/// The list that a configuration has.
[[nodiscard]] BackupList backup_list(const config::Settings& settings);

/// A change of the list.
struct BackupChange {
    enum class Kind { Add, Delete, Enable, Disable };
    Kind kind = Kind::Add;
    std::string domain;  ///< canonical; empty with Enable and Disable: the switch of all
    bool subdomains = false;
};

/// The list after `change`; the same list if there was nothing to do. Permanent error: the domain is not
/// there, or with Add, is there in another form.
[[nodiscard]] Result<BackupList> changed(BackupList list, const BackupChange& change);

/// The file to edit for `change`: where the line stands that it is about; for a new one where the last
/// mxbackup line stands, or else a file called `domains` that the configuration includes, or else the
/// configuration file itself.
[[nodiscard]] std::string file_to_edit(const config::Settings& settings, const BackupChange& change);

/// `text`, which is the content of `path`, with `change` made in it; all other octets, comments too, are as
/// before.
[[nodiscard]] std::string edited(std::string_view text, const std::string& path, const BackupChange& change);

/// Makes `change` in the configuration `config_file`, whether the suite runs or not. The new text is written
/// only if the whole configuration, read with it, has just the list that the change asks for and is otherwise
/// the same as before. Returns the new list. Permanent error: see changed(), or the configuration has errors;
/// temporary: the file cannot be written. After an error the files are as before.
[[nodiscard]] Result<BackupList> change_list(const std::string& config_file, const BackupChange& change);

/// What `postrider mxbackup list` prints.
[[nodiscard]] std::string backup_list_text(const BackupList& list);

}  // namespace postrider::admin
