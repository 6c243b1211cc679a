#include "router/table.h"

#include <array>

namespace postrider::router {

Result<bool> Table::contains(std::string_view name) const {
    const TableAnswer answer = find(name);
    if (!answer) return failure(answer.error());
    return answer->has_value();
}

TableAnswer Table::find_wild(std::string_view /*name*/) const {
    return std::nullopt;
}

void Table::for_each(const Visit& /*visit*/) const {}

TableName TableName::parse(std::string_view text) {
    struct Prefix {
        std::string_view text;
        Kind kind;
    };
    static constexpr std::array<Prefix, 5> kPrefixes{{{"regex:", Kind::Regex},
                                                      {"glob:", Kind::Glob},
                                                      {"cdb:", Kind::Cdb},
                                                      {"lmdb:", Kind::Lmdb},
                                                      {"socket:", Kind::Socket}}};
    for (const Prefix& prefix : kPrefixes) {
        if (text.starts_with(prefix.text)) {
            return {prefix.kind, std::string(text.substr(prefix.text.size()))};
        }
    }
    return {Kind::Text, std::string(text)};
}

}  // namespace postrider::router
