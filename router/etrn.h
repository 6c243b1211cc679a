#pragma once

#include <string>

#include "router/client.h"
#include "router/facts.h"
#include "router/policy.h"
#include "router/tables.h"

namespace postrider::router {

/// May this client have what waits for `domain`, in lower case, attempted now with ETRN (RFC 1985), though no
/// line of the policy says so? It may if its address is one that the mail goes to: an address of the route's
/// host, or where there is none of an exchanger of the domain. That is safe, because the mail goes out to
/// that host as at any other time, and never to whoever asks. Otherwise 459; and 458 while the DNS does not
/// say.
[[nodiscard]] Verdict decide_etrn(const Client& client, const std::string& domain, const Tables& tables,
                                  Facts& facts);

}  // namespace postrider::router
