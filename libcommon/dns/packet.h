#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "libcommon/base/result.h"
#include "libcommon/config/network.h"

/// DNS packets as values (RFC 1035): bytes to structs and back, without any I/O. ldns builds and parses; what
/// it returns is checked again here, since the bytes come from anybody who can send us a datagram.
namespace postrider::dns {

/// The record types that mail asks for, with their numbers on the wire.
enum class Type : std::uint16_t { A = 1, Cname = 5, Ptr = 12, Mx = 15, Txt = 16, Aaaa = 28 };

/// "A", "MX", for logs.
[[nodiscard]] std::string_view type_name(Type type);

/// One question, as it was sent.
struct Question {
    std::uint16_t id = 0;
    std::string name;  ///< canonical (name.h)
    Type type = Type::A;
};

/// One MX record. An empty exchange is the root: the null MX of RFC 7505.
struct Mx {
    std::uint16_t preference = 0;
    std::string exchange;

    friend bool operator==(const Mx&, const Mx&) = default;
};

/// The records that answer a question; only the list that belongs to its type is filled.
struct Records {
    std::string owner;                         ///< the name that has the records, at the end of the CNAMEs
    std::vector<config::IpAddress> addresses;  ///< of A and AAAA
    std::vector<Mx> mx;                        ///< of MX, in the server's order, at most PacketLimits::mx
    std::vector<std::string> names;            ///< of PTR and of a question for CNAME
    std::vector<std::string> texts;            ///< of TXT, the strings of one record joined (RFC 7208, 3.3)
    std::uint32_t ttl = 0;                     ///< seconds; the smallest of all records and CNAMEs used

    [[nodiscard]] bool empty() const {
        return addresses.empty() && mx.empty() && names.empty() && texts.empty();
    }
};

/// What a packet means for a question.
enum class Verdict {
    Foreign,     ///< not an answer to this question: keep waiting for the real one
    Truncated,   ///< ask again over TCP
    Unusable,    ///< SERVFAIL, REFUSED, or not parseable: ask another server
    NoSuchName,  ///< NXDOMAIN
    NoData,      ///< the name exists without records of the type
    Redirected,  ///< CNAMEs that end at `records.owner`, about which the packet says nothing: ask for that
    Found,       ///< `records` is not empty
};

/// The meaning, and the records of Found.
struct Response {
    Verdict verdict = Verdict::Foreign;
    Records records;
    std::size_t cnames = 0;          ///< how many were followed
    std::uint32_t negative_ttl = 0;  ///< seconds that NoSuchName and NoData hold (RFC 2308); 0: not said
    std::string problem;             ///< of Unusable: what was wrong
};

/// What bounds the use of one packet; rows of the limits table.
struct PacketLimits {
    std::size_t cnames = 0;
    std::size_t mx = 0;
};

/// The question as a packet: recursion desired, EDNS with 1232 octets. Permanent error for a name that has no
/// form on the wire.
[[nodiscard]] Result<std::string> build_query(const Question& question);

/// Reads a packet that arrived on the socket of `question`. Never over-reads, never throws. More CNAMEs than
/// the limit are Unusable, more MX records than the limit are left out.
[[nodiscard]] Response parse_response(std::string_view packet, const Question& question,
                                      const PacketLimits& limits);

}  // namespace postrider::dns
