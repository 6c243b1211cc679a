#pragma once

#include <string>

namespace postrider {

/// Overwrites `text`, spare room included, in a way that the compiler does not leave out, and empties it. For
/// what held a password.
void wipe(std::string& text);

}  // namespace postrider
