#include "smtpd/auth/pam_protocol.h"

#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <vector>

namespace postrider::auth {

namespace {

constexpr char kAccepted = 'A';
constexpr char kRejected = 'R';
constexpr char kUnknownUser = 'U';
constexpr char kUnavailable = 'T';

}  // namespace

Secret encode_pam_request(const std::string& service, const Credentials& credentials) {
    std::string packet;
    packet.reserve(service.size() + credentials.login.size() + credentials.password.size() +
                   credentials.client_address.size() + 3);
    packet += service;
    packet += '\0';
    packet += credentials.login;
    packet += '\0';
    packet += credentials.password.view();
    packet += '\0';
    packet += credentials.client_address;
    Secret result(packet);
    wipe(packet);
    return result;
}

std::optional<PamRequest> parse_pam_request(std::string_view packet) {
    std::array<std::string_view, 4> fields;
    for (std::size_t at = 0; at < fields.size(); ++at) {
        const std::size_t end = packet.find('\0');
        if ((end == std::string_view::npos) != (at + 1 == fields.size())) return std::nullopt;
        fields[at] = packet.substr(0, end);
        if (end != std::string_view::npos) packet.remove_prefix(end + 1);
    }
    if (fields[0].empty() || fields[1].empty()) return std::nullopt;
    return PamRequest{fields[0], fields[1], fields[2], fields[3]};
}

std::string encode_pam_reply(const PamReply& reply) {
    char code = kUnavailable;
    if (reply.verdict == Verdict::Accepted) code = kAccepted;
    if (reply.verdict == Verdict::Rejected) code = kRejected;
    if (reply.verdict == Verdict::UnknownUser) code = kUnknownUser;
    return code + reply.reason.substr(0, kMaxPamPacket - 1);
}

PamReply parse_pam_reply(std::string_view packet) {
    PamReply reply;
    if (packet.empty()) return reply;
    if (packet.front() == kAccepted) reply.verdict = Verdict::Accepted;
    if (packet.front() == kRejected) reply.verdict = Verdict::Rejected;
    if (packet.front() == kUnknownUser) reply.verdict = Verdict::UnknownUser;
    reply.reason = packet.substr(1);
    return reply;
}

bool send_number(const Fd& socket, std::uint32_t number, const Fd& descriptor) {
    alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int))> control{};
    iovec part{&number, sizeof number};
    msghdr header{};
    header.msg_iov = &part;
    header.msg_iovlen = 1;
    if (descriptor) {
        header.msg_control = control.data();
        header.msg_controllen = control.size();
        cmsghdr* rights = CMSG_FIRSTHDR(&header);
        rights->cmsg_level = SOL_SOCKET;
        rights->cmsg_type = SCM_RIGHTS;
        rights->cmsg_len = CMSG_LEN(sizeof(int));
        const int value = descriptor.get();
        std::memcpy(CMSG_DATA(rights), &value, sizeof value);
    }
    ssize_t sent = -1;
    do {
        sent = ::sendmsg(socket.get(), &header, MSG_NOSIGNAL);
    } while (sent < 0 && errno == EINTR);
    return sent == static_cast<ssize_t>(sizeof number);
}

std::optional<NumberPacket> receive_number(const Fd& socket, bool& would_block) {
    alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int))> control{};
    NumberPacket packet;
    iovec part{&packet.number, sizeof packet.number};
    msghdr header{};
    header.msg_iov = &part;
    header.msg_iovlen = 1;
    header.msg_control = control.data();
    header.msg_controllen = control.size();
    ssize_t got = -1;
    do {
        got = ::recvmsg(socket.get(), &header, MSG_CMSG_CLOEXEC);
    } while (got < 0 && errno == EINTR);
    would_block = got < 0 && errno == EAGAIN;
    if (got <= 0) return std::nullopt;
    const cmsghdr* rights = CMSG_FIRSTHDR(&header);
    if (rights != nullptr && rights->cmsg_level == SOL_SOCKET && rights->cmsg_type == SCM_RIGHTS) {
        int value = -1;
        std::memcpy(&value, CMSG_DATA(rights), sizeof value);
        packet.descriptor = Fd(value);
    }
    if (got != static_cast<ssize_t>(sizeof packet.number)) return std::nullopt;
    return packet;
}

}  // namespace postrider::auth
