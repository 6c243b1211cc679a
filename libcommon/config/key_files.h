#pragma once

#include <vector>

#include "libcommon/config/language.h"

namespace postrider::config {

/// Makes a line of the policy table, `KIND KEY use CLASS`, of each key of the files that `include FILE as
/// [KIND] CLASS` names. Without KIND it is the only kind of line for which all items of the class are,
/// including those of the classes that it uses; `directives` has the lines of the classes.
///
/// Errors, at the words of the `include` line: a class that is not there, one whose items are for several
/// kinds or for none, and one whose items are not for KIND.
[[nodiscard]] std::vector<Directive> lines_of_keys(const std::vector<KeyFile>& files,
                                                   const std::vector<Directive>& directives, Errors& errors);

}  // namespace postrider::config
