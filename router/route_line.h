#pragma once

#include <optional>

#include "libcommon/config/language.h"
#include "router/tables.h"

namespace postrider::router {

/// What a `route` line says behind its pattern:
///   * `mx`                      by the MX records of the domain,
///   * `via HOST[:PORT]`         to that host, by its address records,
///   * `via [ADDRESS][:PORT]`    to that address,
///   * `discard`                 nowhere, as if it were delivered,
///   * `error "550 5.1.2 text"`  back, with this reply,
///   * `none`                    nowhere, refused;
/// with the options `retry=5m,30m` and `lifetime=3d`; and for `mx` and `via`
///   * `hold` [`hold_expire=never|30d`]  mail waits until its domain is flushed,
///   * `schedule=immediate|manual|never|every:1h|daily:02:00`  when it is tried; `manual` is `hold`,
///   * `maxconn=5 rcpts=50 msgs=100 rate=300/1h`  deliveries at once to a destination, recipients of a
///     transaction, messages for a connection, messages to a destination in a time,
///   * `compulsory`              on a line of `*`: nothing leaves this network by another way.
/// Errors are reported at the words they are about.
[[nodiscard]] std::optional<Route> parse_route(const config::Directive& line, config::Errors& errors);

}  // namespace postrider::router
