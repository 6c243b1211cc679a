#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "libcommon/base/clock.h"
#include "libcommon/mail/reply.h"

namespace postrider::admin {

/// What to ask a server with ETRN (RFC 1985).
struct EtrnRequest {
    std::string host;  ///< a name, or an address with or without brackets
    std::uint16_t port = 25;
    std::vector<std::string> names;  ///< `DOMAIN`, `@DOMAIN` for all below it, or `#QUEUE`
    std::string helo;
    bool tls = false;        ///< ask only under STARTTLS, with a certificate for `host`
    std::string ca_file;     ///< whose certificates are believed; empty: those that the system trusts
    Milliseconds timeout{};  ///< of the connection to each address, and of each reply
};

/// Whether `name` is one that can stand in EtrnRequest::names. Pure.
[[nodiscard]] bool is_etrn_name(std::string_view name);

/// How it went.
struct EtrnAnswers {
    struct One {
        std::string name;  ///< of EtrnRequest::names
        mail::Reply reply;
    };
    std::vector<One> replies;  ///< in the order of the request, as far as it came
    std::string trouble;       ///< why not all, or none, were asked; empty: all were
    bool lasting = false;      ///< of `trouble`: the server will never do it; else it may later
};

/// Connects, greets, asks for one name after the other and says goodbye. It waits for all that itself.
[[nodiscard]] EtrnAnswers ask_with_etrn(const EtrnRequest& request);

/// The exit status that says it in sysexits.h: 0 if every name got 250 to 253; 69 if the server refuses one
/// for good, or does not know ETRN; else 75. Pure.
[[nodiscard]] int etrn_status(const EtrnAnswers& answers);

}  // namespace postrider::admin
