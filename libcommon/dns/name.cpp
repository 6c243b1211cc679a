#include "libcommon/dns/name.h"

#include <algorithm>

namespace postrider::dns {
namespace {

constexpr std::size_t kNameOctets = 253;  // RFC 1035, 3.1: 255 on the wire, with a length octet and the root
constexpr std::size_t kLabelOctets = 63;  // RFC 1035, 3.1

bool is_label_octet(char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_' || c == '/';
}

char lower(char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

}  // namespace

Result<std::string> canonical_name(std::string_view text) {
    if (text.ends_with('.')) text.remove_suffix(1);
    if (text.size() > kNameOctets) return permanent("a domain name has at most 253 octets");
    std::string name(text);
    std::transform(name.begin(), name.end(), name.begin(), lower);
    std::size_t label = 0;
    for (std::size_t i = 0; i <= name.size() && !name.empty(); ++i) {
        if (i == name.size() || name[i] == '.') {
            if (label == 0 || label > kLabelOctets)
                return permanent("a label of a domain name has 1 to 63 octets");
            label = 0;
            continue;
        }
        if (!is_label_octet(name[i])) return permanent("a domain name has letters, digits and hyphens only");
        ++label;
    }
    return name;
}

}  // namespace postrider::dns
