#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "libcommon/dns/packet.h"

namespace postrider::dns::test {

/// Writes DNS packets octet by octet, so that the tests do not trust the library that the code under test
/// uses, and can write what no library would.
class PacketWriter {
  public:
    /// A response with this id, and these flags and response code in the header.
    explicit PacketWriter(std::uint16_t id, std::uint16_t flags = 0x8180) : id_(id), flags_(flags) {}

    PacketWriter& question(std::string_view name, Type type) {
        questions_ += wire_name(name) + number(static_cast<std::uint16_t>(type)) + number(1);
        ++question_count_;
        return *this;
    }
    PacketWriter& answer(std::string_view owner, std::uint16_t type, std::uint32_t ttl,
                         std::string_view rdata) {
        answers_ += record(owner, type, ttl, rdata, rdata.size());
        ++answer_count_;
        return *this;
    }
    /// As answer(), with a length field that does not fit the data.
    PacketWriter& lying_answer(std::string_view owner, std::uint16_t type, std::string_view rdata,
                               std::size_t claimed) {
        answers_ += record(owner, type, 60, rdata, claimed);
        ++answer_count_;
        return *this;
    }
    PacketWriter& authority(std::string_view owner, std::uint16_t type, std::uint32_t ttl,
                            std::string_view rdata) {
        authorities_ += record(owner, type, ttl, rdata, rdata.size());
        ++authority_count_;
        return *this;
    }
    [[nodiscard]] std::string packet() const {
        return number(id_) + number(flags_) + number(question_count_) + number(answer_count_) +
               number(authority_count_) + number(0) + questions_ + answers_ + authorities_;
    }

    static std::string number(std::uint16_t value) {
        return {static_cast<char>(value >> 8), static_cast<char>(value & 0xff)};
    }
    static std::string long_number(std::uint32_t value) {
        return number(static_cast<std::uint16_t>(value >> 16)) +
               number(static_cast<std::uint16_t>(value & 0xffff));
    }
    static std::string wire_name(std::string_view name) {
        std::string wire;
        while (!name.empty() && name != ".") {
            std::size_t dot = name.find('.');
            std::string_view label = name.substr(0, dot);
            wire += static_cast<char>(label.size());
            wire += label;
            name = dot == std::string_view::npos ? std::string_view() : name.substr(dot + 1);
        }
        wire += '\0';
        return wire;
    }
    static std::string mx(std::uint16_t preference, std::string_view exchange) {
        return number(preference) + wire_name(exchange);
    }
    static std::string soa(std::uint32_t minimum) {
        return wire_name("ns.test") + wire_name("host.test") + long_number(1) + long_number(2) +
               long_number(3) + long_number(4) + long_number(minimum);
    }

  private:
    static std::string record(std::string_view owner, std::uint16_t type, std::uint32_t ttl,
                              std::string_view rdata, std::size_t length) {
        return wire_name(owner) + number(type) + number(1) + long_number(ttl) +
               number(static_cast<std::uint16_t>(length)) + std::string(rdata);
    }

    std::uint16_t id_;
    std::uint16_t flags_;
    std::uint16_t question_count_ = 0;
    std::uint16_t answer_count_ = 0;
    std::uint16_t authority_count_ = 0;
    std::string questions_;
    std::string answers_;
    std::string authorities_;
};

}  // namespace postrider::dns::test
