#include "smtpd/client_info.h"

#include <fmt/format.h>

namespace postrider::smtpd {

namespace {

using config::ListenerKind;

const char* kind_name(ListenerKind kind) {
    switch (kind) {
        case ListenerKind::Submission:
            return "submission";
        case ListenerKind::Local:
            return "local";
        case ListenerKind::Lmtp:
            return "lmtp";
        case ListenerKind::Smtp:
            break;
    }
    return "smtp";
}

}  // namespace

std::string ClientInfo::session_text() const {
    return fmt::format("{:x}", session);
}

std::string ClientInfo::text() const {
    if (!address) return local_user;
    return config::Endpoint{*address, port}.text();
}

std::string ClientInfo::literal() const {
    return address ? address->literal() : std::string();
}

wire::Client ClientInfo::to_wire(const config::Listener& on, const std::string& name,
                                 const std::string& helo) const {
    wire::Client client;
    if (address) client.set_address(address->text());
    client.set_name(name);
    client.set_helo(helo);
    client.set_login(local_user);
    client.set_port(on.port);
    client.set_kind(kind_name(on.kind));
    return client;
}

}  // namespace postrider::smtpd
