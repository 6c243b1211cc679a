#include "libcommon/config/limits.h"

#include <fmt/format.h>

#include <algorithm>

#include "libcommon/config/limits_table.h"
#include "libcommon/config/values.h"

namespace postrider::config {

namespace {

std::size_t index_of(Limit limit) {
    return static_cast<std::size_t>(limit);
}

Result<std::uint64_t> parse_in_unit(Unit unit, std::string_view text) {
    switch (unit) {
        case Unit::Count:
            return parse_count(text);
        case Unit::Bytes:
        case Unit::BytesPerSecond:
            return parse_size(text);
        case Unit::Duration:
            return parse_duration(text).map(
                [](Milliseconds value) { return static_cast<std::uint64_t>(value.count()); });
        case Unit::Percent:
            return parse_percentage(text).map([](unsigned value) { return std::uint64_t{value}; });
    }
    return permanent("a limit without unit");
}

}  // namespace

std::span<const LimitRow, kLimitCount> limit_table() {
    return kLimitTable;
}

const LimitRow& limit_row(Limit limit) {
    return kLimitTable.at(index_of(limit));
}

Limits::Limits() {
    for (const auto& row : kLimitTable) {
        values_.at(index_of(row.limit)) = {row.value, row.overload.value_or(row.value)};
    }
}

std::uint64_t Limits::get(Limit limit, Load load) const {
    const Pair& pair = values_.at(index_of(limit));
    return load == Load::Normal ? pair.normal : pair.overload;
}

Milliseconds Limits::time(Limit limit, Load load) const {
    return Milliseconds(static_cast<Milliseconds::rep>(get(limit, load)));
}

std::size_t Limits::size(Limit limit, Load load) const {
    return static_cast<std::size_t>(get(limit, load));
}

void Limits::set(Limit limit, std::uint64_t value) {
    Pair& pair = values_.at(index_of(limit));
    pair.normal = value;
    // Every row with a value for overload becomes stricter by being smaller.
    pair.overload = limit_row(limit).overload ? std::min(pair.overload, value) : value;
}

void Limits::set_overload(Limit limit, std::uint64_t value) {
    values_.at(index_of(limit)).overload = value;
}

std::string format_limit(const LimitRow& row, std::uint64_t value) {
    switch (row.unit) {
        case Unit::Count:
            return fmt::format("{}", value);
        case Unit::Bytes:
        case Unit::BytesPerSecond:
            return format_size(value);
        case Unit::Duration:
            return format_duration(Milliseconds(static_cast<Milliseconds::rep>(value)));
        case Unit::Percent:
            return fmt::format("{}%", value);
    }
    return {};
}

Result<std::uint64_t> parse_limit(const LimitRow& row, std::string_view text) {
    auto value = parse_in_unit(row.unit, text);
    if (value && (*value < row.least || *value > row.most)) {
        return permanent(fmt::format("{} must be from {} to {}, not {}", row.name,
                                     format_limit(row, row.least), format_limit(row, row.most), text));
    }
    return value;
}

}  // namespace postrider::config
