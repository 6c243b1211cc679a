#include "remote-delivery/route.h"

#include <catch2/catch.hpp>

#include <map>
#include <memory>

#include "tests/unit/dns/scripted_server.h"
#include "tests/unit/remote-delivery/job_bench.h"

namespace postrider::remote_delivery {
namespace {

using dns::Question;
using dns::Type;
using dns::test::PacketWriter;
using dns::test::ScriptedServer;
using test::JobBench;

constexpr std::uint16_t kNxDomain = 0x8183;
constexpr std::uint16_t kServFail = 0x8182;

/// A small DNS: MX records and addresses by name; client.test with 192.0.2.10 is this host.
struct Zone {
    std::map<std::string, std::vector<dns::Mx>> mx = {
        {"remote.test", {{10, "r.test"}}},
        {"order.test", {{30, "m4.test"}, {10, "r.test"}, {20, "m3.test"}}},
        {"backup.test", {{10, "p.test"}, {20, "client.test"}}},
        {"twobk.test", {{10, "p.test"}, {20, "us.test"}, {20, "m3.test"}, {30, "m4.test"}}},
        {"bestus.test", {{10, "us.test"}, {20, "m3.test"}}},
        {"lo.test", {{10, "loopback.test"}}},
        {"zero.test", {{10, "zeroes.test"}}},
        {"null.test", {{0, ""}}},
        {"dangling.test", {{10, "nx.test"}}},
        {"halfdead.test", {{10, "nx.test"}, {20, "m3.test"}}},
        {"broken.test", {{10, "servfail.test"}}},
        {"halfbroken.test", {{10, "servfail.test"}, {20, "m3.test"}}},
        {"unsure.test", {{10, "servfail.test"}, {20, "us.test"}}},
    };
    std::map<std::string, std::string> a = {
        {"r.test", "192.0.2.60"},       {"p.test", "192.0.2.20"},   {"m3.test", "192.0.2.30"},
        {"m4.test", "192.0.2.40"},      {"us.test", "192.0.2.10"},  {"nomx.test", "192.0.2.60"},
        {"loopback.test", "127.0.0.1"}, {"zeroes.test", "0.0.0.0"}, {"itself.test", "192.0.2.10"},
        {"both.test", "192.0.2.61"},
    };
    std::map<std::string, std::string> aaaa = {{"both.test", "2001:db8::61"}};

    std::vector<std::string> answer(const Question& question) const {
        std::uint16_t flags = 0x8180;
        if (question.name.find("nx.test") != std::string::npos) flags = kNxDomain;
        if (question.name.find("servfail.test") != std::string::npos) flags = kServFail;
        PacketWriter writer(question.id, flags);
        writer.question(question.name, question.type);
        auto type = static_cast<std::uint16_t>(question.type);
        if (auto found = mx.find(question.name); question.type == Type::Mx && found != mx.end()) {
            for (const dns::Mx& record : found->second) {
                std::string exchange = record.exchange.empty() ? "." : record.exchange;
                writer.answer(question.name, type, 60, PacketWriter::mx(record.preference, exchange));
            }
        }
        const auto& addresses = question.type == Type::A ? a : aaaa;
        if (auto found = addresses.find(question.name);
            (question.type == Type::A || question.type == Type::Aaaa) && found != addresses.end()) {
            writer.answer(question.name, type, 60, config::IpAddress::parse(found->second)->bytes());
        }
        return {writer.packet()};
    }
};

/// The addresses of the route in order, or the status of the judgement.
std::string route_to(const std::string& next_hop) {
    Zone zone;
    std::unique_ptr<ScriptedServer> server;
    JobBench bench([&](async::Loop& loop) {
        server = std::make_unique<ScriptedServer>(
            loop, [&zone](const Question& question, bool) { return zone.answer(question); });
        return server->endpoint();
    });
    auto destination = parse_destination(next_hop);
    REQUIRE(destination);
    Route route = bench.route(*destination);
    server.reset();  // before the loop
    if (!route)
        return route.error().status + (route.error().outcome == wire::DeliveryResult::FAILED ? "!" : "");
    std::string text;
    for (const Hop& hop : *route) {
        if (!text.empty()) text += ' ';
        text += hop.endpoint.text();
    }
    return text;
}

TEST_CASE("routes") {
    auto [next_hop, expected] = GENERATE(table<std::string, std::string>({
        {"remote.test", "192.0.2.60:25"},
        {"order.test", "192.0.2.60:25 192.0.2.30:25 192.0.2.40:25"},
        {"nomx.test", "192.0.2.60:25"},
        {"both.test", "192.0.2.61:25 [2001:db8::61]:25"},
        // Worse and equal exchangers than this host are left out, by name or by address.
        {"backup.test", "192.0.2.20:25"},
        {"twobk.test", "192.0.2.20:25"},
        {"bestus.test", "5.4.6!"},
        {"lo.test", "5.4.6!"},
        {"zero.test", "5.4.6!"},
        {"itself.test", "5.4.6!"},
        {"client.test", "5.4.6!"},
        {"[127.0.0.1]", "5.4.6!"},
        {"[192.0.2.10]", "5.4.6!"},
        // What an administrator chose is his to choose.
        {"[127.0.0.1]:2525", "127.0.0.1:2525"},
        {"loopback.test:2525", "127.0.0.1:2525"},
        {"both.test:587", "192.0.2.61:587 [2001:db8::61]:587"},
        {"nx.test:25", "4.3.5"},
        {"servfail.test:25", "4.4.3"},
        // Domains that do not exist, or take no mail.
        {"null.test", "5.1.10!"},
        {"nx.test", "5.1.2!"},
        {"nothing.test", "5.4.4!"},
        {"dangling.test", "5.4.4!"},
        {"halfdead.test", "192.0.2.30:25"},
        // What the DNS does not tell now it may tell later.
        {"servfail.test", "4.4.3"},
        {"broken.test", "4.4.3"},
        {"halfbroken.test", "192.0.2.30:25"},
        {"unsure.test", "4.4.3"},
    }));
    CAPTURE(next_hop);
    CHECK(route_to(next_hop) == expected);
}

}  // namespace
}  // namespace postrider::remote_delivery
