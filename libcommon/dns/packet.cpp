#include "libcommon/dns/packet.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <memory>
#include <optional>
#include <span>

#include "libcommon/dns/ldns_header.h"
#include "libcommon/dns/name.h"

namespace postrider::dns {
namespace {

struct Deleter {
    void operator()(ldns_pkt* packet) const { ldns_pkt_free(packet); }
    void operator()(ldns_rdf* field) const { ldns_rdf_deep_free(field); }
    void operator()(std::uint8_t* wire) const { std::free(wire); }  // ldns allocates it with malloc
};
using Packet = std::unique_ptr<ldns_pkt, Deleter>;
using Wire = std::unique_ptr<std::uint8_t, Deleter>;

constexpr std::uint16_t kEdnsSize = 1232;    // the size that never fragments (DNS flag day 2020)
constexpr std::size_t kHeaderOctets = 12;    // RFC 1035, 4.1.1
constexpr std::uint8_t kResponseBit = 0x80;  // QR, in the third octet
constexpr std::uint8_t kPointerBits = 0xc0;  // RFC 1035, 4.1.4; ldns resolves pointers while parsing

std::span<const std::uint8_t> bytes_of(const ldns_rdf* field) {
    if (field == nullptr || ldns_rdf_data(field) == nullptr) return {};
    return {ldns_rdf_data(field), ldns_rdf_size(field)};
}

/// A name of a parsed packet as text; nothing if it has other octets than host names have.
std::optional<std::string> name_of(const ldns_rdf* field) {
    if (field == nullptr || ldns_rdf_get_type(field) != LDNS_RDF_TYPE_DNAME) return std::nullopt;
    std::span<const std::uint8_t> wire = bytes_of(field);
    std::string text;
    std::size_t at = 0;
    while (at < wire.size() && wire[at] != 0) {
        std::size_t length = wire[at];
        if ((wire[at] & kPointerBits) != 0 || at + 1 + length > wire.size()) return std::nullopt;
        for (std::uint8_t octet : wire.subspan(at + 1, length)) {
            if (octet == '.') return std::nullopt;  // would look like the border of a label
            text += static_cast<char>(octet);
        }
        text += '.';
        at += 1 + length;
    }
    if (at >= wire.size()) return std::nullopt;
    auto name = canonical_name(text);
    if (!name) return std::nullopt;
    return std::move(*name);
}

std::optional<config::IpAddress> address_of(const ldns_rr* record, std::size_t octets) {
    std::span<const std::uint8_t> field = bytes_of(ldns_rr_rdf(record, 0));
    if (field.size() != octets) return std::nullopt;
    auto address = config::IpAddress::from_bytes(
        std::string_view(reinterpret_cast<const char*>(field.data()), field.size()));
    if (!address) return std::nullopt;
    return *address;
}

std::optional<Mx> mx_of(const ldns_rr* record) {
    std::span<const std::uint8_t> preference = bytes_of(ldns_rr_rdf(record, 0));
    std::optional<std::string> exchange = name_of(ldns_rr_rdf(record, 1));
    if (preference.size() != 2 || !exchange) return std::nullopt;
    Mx mx;
    mx.preference = static_cast<std::uint16_t>(preference[0] << 8 | preference[1]);
    mx.exchange = std::move(*exchange);
    return mx;
}

std::string text_of(const ldns_rr* record) {
    std::string text;
    for (std::size_t i = 0; i < ldns_rr_rd_count(record); ++i) {
        std::span<const std::uint8_t> field = bytes_of(ldns_rr_rdf(record, i));
        // The first octet of a character-string is its length, and ldns keeps it.
        if (field.empty()) continue;
        std::size_t length = std::min<std::size_t>(field[0], field.size() - 1);
        text.append(reinterpret_cast<const char*>(field.data() + 1), length);
    }
    return text;
}

/// Adds what `record` says to `records`. A record that is too short or names an impossible host is left out:
/// the others of the answer are still good.
void take_record(const ldns_rr* record, Type type, const PacketLimits& limits, Records& records) {
    switch (type) {
        case Type::A:
        case Type::Aaaa:
            if (auto address = address_of(record, type == Type::A ? 4 : 16))
                records.addresses.push_back(*address);
            break;
        case Type::Mx:
            if (auto mx = mx_of(record); mx && records.mx.size() < limits.mx) {
                records.mx.push_back(std::move(*mx));
            }
            break;
        case Type::Cname:
        case Type::Ptr:
            if (auto name = name_of(ldns_rr_rdf(record, 0))) records.names.push_back(std::move(*name));
            break;
        case Type::Txt:
            records.texts.push_back(text_of(record));
            break;
    }
}

/// The answer section, read by name and type.
class Section {
  public:
    explicit Section(const ldns_rr_list* list) : list_(list) {}

    /// Calls `use` with each record of this owner and type.
    template <typename Use>
    void each(const std::string& owner, ldns_rr_type type, const Use& use) const {
        for (std::size_t i = 0; i < count(); ++i) {
            const ldns_rr* record = ldns_rr_list_rr(list_, i);
            if (ldns_rr_get_type(record) != type || ldns_rr_get_class(record) != LDNS_RR_CLASS_IN) continue;
            if (name_of(ldns_rr_owner(record)) == owner) use(record);
        }
    }

  private:
    [[nodiscard]] std::size_t count() const { return list_ == nullptr ? 0 : ldns_rr_list_rr_count(list_); }

    const ldns_rr_list* list_;
};

bool same_question(const ldns_pkt* packet, const Question& question) {
    const ldns_rr_list* list = ldns_pkt_question(packet);
    if (list == nullptr || ldns_rr_list_rr_count(list) != 1) return false;
    const ldns_rr* asked = ldns_rr_list_rr(list, 0);
    return static_cast<std::uint16_t>(ldns_rr_get_type(asked)) == static_cast<std::uint16_t>(question.type) &&
           ldns_rr_get_class(asked) == LDNS_RR_CLASS_IN && name_of(ldns_rr_owner(asked)) == question.name;
}

/// How long "does not exist" holds: the smaller of the SOA's own TTL and its minimum field (RFC 2308, 5).
std::uint32_t negative_ttl(const ldns_pkt* packet) {
    constexpr std::size_t kMinimumField = 6;
    const ldns_rr_list* list = ldns_pkt_authority(packet);
    std::size_t count = list == nullptr ? 0 : ldns_rr_list_rr_count(list);
    for (std::size_t i = 0; i < count; ++i) {
        const ldns_rr* record = ldns_rr_list_rr(list, i);
        if (ldns_rr_get_type(record) != LDNS_RR_TYPE_SOA) continue;
        std::span<const std::uint8_t> minimum = bytes_of(ldns_rr_rdf(record, kMinimumField));
        if (minimum.size() != 4) return 0;
        std::uint32_t seconds = 0;
        for (std::uint8_t octet : minimum)
            seconds = seconds << 8 | octet;
        return std::min(seconds, ldns_rr_ttl(record));
    }
    return 0;
}

/// The name at which `owner` is an alias, if it is one.
std::optional<std::string> alias_target(const Section& section, const std::string& owner,
                                        std::uint32_t& ttl) {
    std::optional<std::string> target;
    section.each(owner, LDNS_RR_TYPE_CNAME, [&](const ldns_rr* record) {
        if (target) return;
        target = name_of(ldns_rr_rdf(record, 0));
        ttl = std::min(ttl, ldns_rr_ttl(record));
    });
    return target;
}

Response unusable(std::string problem) {
    Response response;
    response.verdict = Verdict::Unusable;
    response.problem = std::move(problem);
    return response;
}

/// Follows the CNAMEs of the answer section, whatever their order, and takes the records at their end.
Response read_answer(const ldns_pkt* packet, const Question& question, const PacketLimits& limits) {
    Section section(ldns_pkt_answer(packet));
    Response response;
    Records& records = response.records;
    records.owner = question.name;
    records.ttl = UINT32_MAX;
    if (question.type != Type::Cname) {
        while (auto target = alias_target(section, records.owner, records.ttl)) {
            if (++response.cnames > limits.cnames) return unusable("too many CNAMEs");
            records.owner = std::move(*target);
        }
    }
    std::size_t seen = 0;
    section.each(records.owner, static_cast<ldns_rr_type>(question.type), [&](const ldns_rr* record) {
        ++seen;
        records.ttl = std::min(records.ttl, ldns_rr_ttl(record));
        take_record(record, question.type, limits, records);
    });
    response.negative_ttl = negative_ttl(packet);
    if (!records.empty()) {
        response.verdict = Verdict::Found;
    } else if (seen > 0) {
        return unusable(
            "no usable record");  // not the same as no record: without MX the address would be used
    } else if (ldns_pkt_get_rcode(packet) == LDNS_RCODE_NXDOMAIN) {
        response.verdict = Verdict::NoSuchName;  // with CNAMEs the code speaks of the last name (RFC 6604)
    } else if (response.cnames > 0 && response.negative_ttl == 0) {
        response.verdict = Verdict::Redirected;
    } else {
        response.verdict = Verdict::NoData;
    }
    return response;
}

}  // namespace

std::string_view type_name(Type type) {
    switch (type) {
        case Type::A:
            return "A";
        case Type::Cname:
            return "CNAME";
        case Type::Ptr:
            return "PTR";
        case Type::Mx:
            return "MX";
        case Type::Txt:
            return "TXT";
        case Type::Aaaa:
            return "AAAA";
    }
    return "?";
}

Result<std::string> build_query(const Question& question) {
    auto name = canonical_name(question.name);
    if (!name) return failure(name.error());
    ldns_rdf* owner = ldns_dname_new_frm_str(name->empty() ? "." : name->c_str());
    if (owner == nullptr) return permanent("not a domain name");
    // ldns_pkt_query_new takes the name over.
    Packet packet(
        ldns_pkt_query_new(owner, static_cast<ldns_rr_type>(question.type), LDNS_RR_CLASS_IN, LDNS_RD));
    if (!packet) return temporary("ldns_pkt_query_new: out of memory");
    ldns_pkt_set_id(packet.get(), question.id);
    ldns_pkt_set_edns_udp_size(packet.get(), kEdnsSize);
    std::uint8_t* data = nullptr;
    std::size_t size = 0;
    ldns_status status = ldns_pkt2wire(&data, packet.get(), &size);
    Wire wire(data);
    if (status != LDNS_STATUS_OK)
        return temporary(fmt::format("DNS query: {}", ldns_get_errorstr_by_id(status)));
    return std::string(reinterpret_cast<const char*>(wire.get()), size);
}

Response parse_response(std::string_view bytes, const Question& question, const PacketLimits& limits) {
    const auto* data = reinterpret_cast<const std::uint8_t*>(bytes.data());
    if (bytes.size() < kHeaderOctets || (data[2] & kResponseBit) == 0 ||
        (data[0] << 8 | data[1]) != question.id) {
        return {};
    }
    ldns_pkt* parsed = nullptr;
    ldns_status status = ldns_wire2pkt(&parsed, data, bytes.size());
    Packet packet(parsed);
    // Nobody guesses id and port of a query twice: a broken packet with the right id comes from the server.
    if (status != LDNS_STATUS_OK) return unusable("broken answer");
    ldns_pkt_rcode code = ldns_pkt_get_rcode(packet.get());
    bool refused = code != LDNS_RCODE_NOERROR && code != LDNS_RCODE_NXDOMAIN;
    if (ldns_pkt_get_opcode(packet.get()) != LDNS_PACKET_QUERY) return {};
    // A server that refuses may leave the question out.
    bool bare = refused && ldns_rr_list_rr_count(ldns_pkt_question(packet.get())) == 0;
    if (!bare && !same_question(packet.get(), question)) return {};
    if (refused) return unusable(fmt::format("response code {}", static_cast<int>(code)));
    if (ldns_pkt_tc(packet.get())) {
        Response response;
        response.verdict = Verdict::Truncated;
        return response;
    }
    return read_answer(packet.get(), question, limits);
}

}  // namespace postrider::dns
