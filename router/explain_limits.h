#pragma once

#include <vector>

#include "libcommon/ipc/router.pb.h"
#include "libcommon/mail/session_rules.h"
#include "router/client.h"
#include "router/client_history.h"
#include "router/tables.h"

/// What bounds a session and the mail in it, for explain.
namespace postrider::router {

/// What the session of a client is like when it says MAIL: its policy and the listener that it has come to.
[[nodiscard]] mail::SessionTerms terms_of_session(const Client& client, const wire::SessionPolicy& policy,
                                                  const Tables& tables);

/// All that holds for the session of a client besides the rates: rights, sizes, numbers, demands and delays,
/// each with the line that says so, or "default". What the policy and the general configuration both name has
/// the name of the directive. `new_client`: it has to wait for the greeting.
[[nodiscard]] std::vector<wire::ExplainedLimit> limits_of_session(const Client& client,
                                                                  const wire::SessionPolicy& policy,
                                                                  bool new_client, const Tables& tables);

[[nodiscard]] wire::ExplainedRate explained_rate(const RateUse& use);

}  // namespace postrider::router
