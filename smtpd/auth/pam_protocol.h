#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "libcommon/base/fd.h"
#include "smtpd/auth/method.h"

/// What authd and the processes that run PAM say to each other, over SOCK_SEQPACKET socket pairs that nobody
/// else has an end of.
namespace postrider::auth {

/// The largest packet: a service, a login, a password, an address.
inline constexpr std::size_t kMaxPamPacket = 2048;

/// One check. The views point into the packet that was parsed.
struct PamRequest {
    std::string_view service;
    std::string_view login;
    std::string_view password;
    std::string_view client_address;
};

/// The packet for a helper: four fields with NULs between them, which none of them can contain.
[[nodiscard]] Secret encode_pam_request(const std::string& service, const Credentials& credentials);
[[nodiscard]] std::optional<PamRequest> parse_pam_request(std::string_view packet);

/// A helper's answer.
struct PamReply {
    Verdict verdict = Verdict::Unavailable;
    std::string reason;
};
[[nodiscard]] std::string encode_pam_reply(const PamReply& reply);
/// What makes no sense is Unavailable.
[[nodiscard]] PamReply parse_pam_reply(std::string_view packet);

/// Sends `number` and a descriptor, if there is one, in one packet. Blocks as the socket does. False: the
/// other end is gone.
[[nodiscard]] bool send_number(const Fd& socket, std::uint32_t number, const Fd& descriptor);

/// What send_number() has sent.
struct NumberPacket {
    std::uint32_t number = 0;
    Fd descriptor;
};
/// Nothing: the other end is gone, or (`would_block`) nothing is there yet on a non-blocking socket.
[[nodiscard]] std::optional<NumberPacket> receive_number(const Fd& socket, bool& would_block);

}  // namespace postrider::auth
