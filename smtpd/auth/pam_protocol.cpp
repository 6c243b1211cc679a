#include "smtpd/auth/pam_protocol.h"

#include <array>
#include <cerrno>
#include <cstring>
#include <vector>

#include "libcommon/base/wipe.h"
#include "libcommon/ipc/packet.h"

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
    const std::string_view octets(reinterpret_cast<const char*>(&number), sizeof number);
    return ipc::send_packet(socket, octets, descriptor) == 0;
}

std::optional<NumberPacket> receive_number(const Fd& socket, bool& would_block) {
    std::array<char, sizeof(NumberPacket::number)> octets{};
    ipc::ReceivedPacket received = ipc::receive_packet(socket, octets);
    would_block = received.error == EAGAIN;
    if (received.error != 0 || received.size != octets.size() || received.truncated) return std::nullopt;
    NumberPacket packet;
    std::memcpy(&packet.number, octets.data(), octets.size());
    if (!received.descriptors.empty()) packet.descriptor = std::move(received.descriptors.front());
    return packet;
}

}  // namespace postrider::auth
