// DNS answers from anywhere. The first octet chooses the type that is asked for, the rest is the packet; its
// id and its question are made to fit, so that the fuzzer gets behind the checks that keep strangers out.

#include <array>
#include <cstdint>
#include <cstdlib>
#include <string>

#include "libcommon/dns/name.h"
#include "libcommon/dns/packet.h"

using namespace postrider::dns;

namespace {

constexpr std::array kTypes = {Type::A, Type::Cname, Type::Ptr, Type::Mx, Type::Txt, Type::Aaaa};
constexpr std::size_t kCnames = 10;
constexpr std::size_t kMx = 100;
constexpr std::size_t kHeader = 12;

void require(bool condition) {
    if (!condition) std::abort();
}

void require_name(const std::string& name) {
    const auto canonical = canonical_name(name);
    require(canonical.has_value() && *canonical == name);
}

void check(const Response& response, const Question& question) {
    const Records& records = response.records;
    require(response.verdict == Verdict::Found ? !records.empty() : records.empty());
    require(response.cnames <= kCnames + 1 && records.mx.size() <= kMx);
    require(records.addresses.empty() || question.type == Type::A || question.type == Type::Aaaa);
    for (const auto& address : records.addresses)
        require(address.is_v6() || address.bytes().size() == 4);
    for (const Mx& mx : records.mx)
        require_name(mx.exchange);
    for (const std::string& name : records.names)
        require_name(name);
    require_name(records.owner);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size < 1 + kHeader) return 0;
    Question question;
    question.name = "a.test";
    question.type = kTypes[data[0] % kTypes.size()];
    std::string packet(reinterpret_cast<const char*>(data + 1), size - 1);
    question.id = static_cast<std::uint16_t>(data[1] << 8 | data[2]);
    check(parse_response(packet, question, PacketLimits{kCnames, kMx}), question);

    // The same answers behind the question that was asked: its wire form is that of our own query.
    const auto query = build_query(question);
    require(query.has_value());
    constexpr std::size_t kOptRecord = 11;
    packet[2] = static_cast<char>(packet[2] | '\x80');
    packet[4] = 0;
    packet[5] = 1;
    packet.insert(kHeader, query->substr(kHeader, query->size() - kHeader - kOptRecord));
    check(parse_response(packet, question, PacketLimits{kCnames, kMx}), question);
    return 0;
}
