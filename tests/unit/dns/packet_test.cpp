#include "libcommon/dns/packet.h"

#include <catch2/catch.hpp>

#include <algorithm>

#include "tests/unit/dns/packet_writer.h"

namespace postrider::dns {
namespace {

using test::PacketWriter;

constexpr std::uint16_t kId = 0x1234;
constexpr std::uint16_t kA = 1;
constexpr std::uint16_t kCname = 5;
constexpr std::uint16_t kSoa = 6;
constexpr std::uint16_t kPtr = 12;
constexpr std::uint16_t kMx = 15;
constexpr std::uint16_t kTxt = 16;
constexpr std::uint16_t kAaaa = 28;
constexpr PacketLimits kLimits{10, 100};

Question ask(std::string name, Type type) {
    Question question;
    question.id = kId;
    question.name = std::move(name);
    question.type = type;
    return question;
}

Response parse(const PacketWriter& writer, const Question& question) {
    return parse_response(writer.packet(), question, kLimits);
}

std::string bytes(std::initializer_list<int> values) {
    std::string text;
    for (int value : values)
        text += static_cast<char>(value);
    return text;
}

TEST_CASE("a query asks one question, with recursion and EDNS") {
    auto packet = build_query(ask("Mail.Example.org.", Type::Mx));
    REQUIRE(packet);
    std::string expected = bytes({0x12, 0x34, 0x01, 0x00, 0, 1, 0, 0, 0, 0, 0, 1}) +
                           PacketWriter::wire_name("mail.example.org") + bytes({0, 15, 0, 1}) +
                           bytes({0, 0, 41, 0x04, 0xd0, 0, 0, 0, 0, 0, 0});
    CHECK(*packet == expected);
}

TEST_CASE("a query for what is no name is refused") {
    std::string name =
        GENERATE(as<std::string>(), "a b", "a..b", "a\\.b", "\xc3\xa4.test", std::string(64, 'a'));
    CHECK_FALSE(build_query(ask(name, Type::A)));
}

TEST_CASE("answers to other questions are foreign") {
    Question question = ask("a.test", Type::A);
    std::string address = bytes({192, 0, 2, 1});
    auto verdict = [&](const PacketWriter& writer) { return parse(writer, question).verdict; };
    CHECK(verdict(PacketWriter(kId).question("a.test", Type::A).answer("a.test", kA, 60, address)) ==
          Verdict::Found);
    CHECK(verdict(PacketWriter(kId).question("A.TEST", Type::A).answer("a.Test", kA, 60, address)) ==
          Verdict::Found);
    CHECK(verdict(PacketWriter(kId + 1).question("a.test", Type::A).answer("a.test", kA, 60, address)) ==
          Verdict::Foreign);
    CHECK(verdict(PacketWriter(kId).question("b.test", Type::A).answer("a.test", kA, 60, address)) ==
          Verdict::Foreign);
    CHECK(verdict(PacketWriter(kId).question("a.test", Type::Mx).answer("a.test", kA, 60, address)) ==
          Verdict::Foreign);
    CHECK(verdict(PacketWriter(kId).answer("a.test", kA, 60, address)) == Verdict::Foreign);
    // The question itself, sent back.
    CHECK(verdict(PacketWriter(kId, 0x0100).question("a.test", Type::A)) == Verdict::Foreign);
    // An UPDATE response.
    CHECK(verdict(PacketWriter(kId, 0xa980).question("a.test", Type::A)) == Verdict::Foreign);
}

TEST_CASE("response codes") {
    struct Case {
        std::uint16_t flags;
        Verdict verdict;
    };
    auto [flags, verdict] = GENERATE(table<std::uint16_t, Verdict>({
        {0x8180, Verdict::NoData},
        {0x8181, Verdict::Unusable},    // FORMERR
        {0x8182, Verdict::Unusable},    // SERVFAIL
        {0x8183, Verdict::NoSuchName},  // NXDOMAIN
        {0x8184, Verdict::Unusable},    // NOTIMP
        {0x8185, Verdict::Unusable},    // REFUSED
        {0x8380, Verdict::Truncated},
    }));
    CHECK(parse(PacketWriter(kId, flags).question("a.test", Type::A), ask("a.test", Type::A)).verdict ==
          verdict);
}

TEST_CASE("a refusal may leave the question out") {
    CHECK(parse(PacketWriter(kId, 0x8185), ask("a.test", Type::A)).verdict == Verdict::Unusable);
}

TEST_CASE("records of each type") {
    SECTION("A, with the smallest TTL") {
        auto response = parse(PacketWriter(kId)
                                  .question("a.test", Type::A)
                                  .answer("a.test", kA, 60, bytes({192, 0, 2, 1}))
                                  .answer("a.test", kA, 30, bytes({192, 0, 2, 2})),
                              ask("a.test", Type::A));
        REQUIRE(response.records.addresses.size() == 2);
        CHECK(response.records.addresses[0].text() == "192.0.2.1");
        CHECK(response.records.addresses[1].text() == "192.0.2.2");
        CHECK(response.records.ttl == 30);
    }
    SECTION("AAAA") {
        auto response = parse(
            PacketWriter(kId)
                .question("a.test", Type::Aaaa)
                .answer("a.test", kAaaa, 60, bytes({0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1})),
            ask("a.test", Type::Aaaa));
        REQUIRE(response.records.addresses.size() == 1);
        CHECK(response.records.addresses[0].text() == "2001:db8::1");
    }
    SECTION("MX, null MX among them") {
        auto response = parse(PacketWriter(kId)
                                  .question("a.test", Type::Mx)
                                  .answer("a.test", kMx, 60, PacketWriter::mx(20, "Backup.A.test"))
                                  .answer("a.test", kMx, 60, PacketWriter::mx(0, ".")),
                              ask("a.test", Type::Mx));
        CHECK(response.records.mx == std::vector<Mx>{{20, "backup.a.test"}, {0, ""}});
    }
    SECTION("PTR") {
        auto response =
            parse(PacketWriter(kId)
                      .question("1.2.0.192.in-addr.arpa", Type::Ptr)
                      .answer("1.2.0.192.in-addr.arpa", kPtr, 60, PacketWriter::wire_name("Host.test")),
                  ask("1.2.0.192.in-addr.arpa", Type::Ptr));
        CHECK(response.records.names == std::vector<std::string>{"host.test"});
    }
    SECTION("TXT, its strings joined") {
        auto response = parse(PacketWriter(kId)
                                  .question("a.test", Type::Txt)
                                  .answer("a.test", kTxt, 60, bytes({3}) + "v=s" + bytes({2}) + "pf"),
                              ask("a.test", Type::Txt));
        CHECK(response.records.texts == std::vector<std::string>{"v=spf"});
    }
}

TEST_CASE("records of other names do not count") {
    auto response =
        parse(PacketWriter(kId).question("a.test", Type::A).answer("b.test", kA, 60, bytes({192, 0, 2, 1})),
              ask("a.test", Type::A));
    CHECK(response.verdict == Verdict::NoData);
}

TEST_CASE("CNAMEs are followed in any order") {
    auto response = parse(PacketWriter(kId)
                              .question("a.test", Type::A)
                              .answer("c.test", kA, 60, bytes({192, 0, 2, 1}))
                              .answer("b.test", kCname, 20, PacketWriter::wire_name("c.test"))
                              .answer("a.test", kCname, 40, PacketWriter::wire_name("b.test")),
                          ask("a.test", Type::A));
    CHECK(response.verdict == Verdict::Found);
    CHECK(response.records.owner == "c.test");
    CHECK(response.records.ttl == 20);
    CHECK(response.cnames == 2);
}

TEST_CASE("a CNAME whose end is not in the packet redirects") {
    PacketWriter writer(kId);
    writer.question("a.test", Type::A).answer("a.test", kCname, 40, PacketWriter::wire_name("b.test"));
    auto response = parse(writer, ask("a.test", Type::A));
    CHECK(response.verdict == Verdict::Redirected);
    CHECK(response.records.owner == "b.test");
    // With a SOA it is said that there is nothing.
    writer.authority("test", kSoa, 300, PacketWriter::soa(60));
    CHECK(parse(writer, ask("a.test", Type::A)).verdict == Verdict::NoData);
}

TEST_CASE("a CNAME loop and a long chain are unusable") {
    auto loop = parse(PacketWriter(kId)
                          .question("a.test", Type::A)
                          .answer("a.test", kCname, 40, PacketWriter::wire_name("b.test"))
                          .answer("b.test", kCname, 40, PacketWriter::wire_name("a.test")),
                      ask("a.test", Type::A));
    CHECK(loop.verdict == Verdict::Unusable);
}

TEST_CASE("the negative TTL is that of the SOA") {
    auto response = parse(PacketWriter(kId, 0x8183)
                              .question("a.test", Type::A)
                              .authority("test", kSoa, 300, PacketWriter::soa(60)),
                          ask("a.test", Type::A));
    CHECK(response.verdict == Verdict::NoSuchName);
    CHECK(response.negative_ttl == 60);
}

TEST_CASE("at most 100 MX records are used") {
    PacketWriter writer(kId);
    writer.question("a.test", Type::Mx);
    for (int i = 0; i < 150; ++i) {
        writer.answer("a.test", kMx, 60, PacketWriter::mx(10, "m" + std::to_string(i) + ".test"));
    }
    CHECK(parse(writer, ask("a.test", Type::Mx)).records.mx.size() == 100);
}

TEST_CASE("short records are never read beyond their end") {
    struct Case {
        Type type;
        std::uint16_t number;
        std::string full;
    };
    const Case cases[] = {
        {Type::A, kA, bytes({192, 0, 2, 1})},
        {Type::Aaaa, kAaaa, std::string(16, '\x20')},
        {Type::Mx, kMx, PacketWriter::mx(10, "mx.test")},
        {Type::Ptr, kPtr, PacketWriter::wire_name("host.test")},
        {Type::Txt, kTxt, bytes({4}) + "text"},
        {Type::Cname, kCname, PacketWriter::wire_name("host.test")},
    };
    for (const Case& entry : cases) {
        for (std::size_t size = 0; size < entry.full.size(); ++size) {
            CAPTURE(type_name(entry.type), size);
            Question question = ask("a.test", entry.type);
            auto shortened = parse(PacketWriter(kId)
                                       .question("a.test", entry.type)
                                       .answer("a.test", entry.number, 60, entry.full.substr(0, size)),
                                   question);
            // An empty TXT record is a record.
            if (entry.type != Type::Txt) CHECK(shortened.verdict == Verdict::Unusable);
            auto lying = parse(
                PacketWriter(kId)
                    .question("a.test", entry.type)
                    .lying_answer("a.test", entry.number, entry.full.substr(0, size), entry.full.size()),
                question);
            CHECK(lying.verdict == Verdict::Unusable);
        }
    }
}

TEST_CASE("a name that no host can have makes its record unusable") {
    std::string strange = bytes({3}) + "a b" + bytes({4}) + "test" + bytes({0});
    std::string dotted = bytes({3}) + "a.b" + bytes({4}) + "test" + bytes({0});
    std::string feed = bytes({3}) + "a\nb" + bytes({4}) + "test" + bytes({0});
    for (const std::string& name : {strange, dotted, feed}) {
        auto response = parse(
            PacketWriter(kId).question("a.test", Type::Mx).answer("a.test", kMx, 60, bytes({0, 10}) + name),
            ask("a.test", Type::Mx));
        CHECK(response.verdict == Verdict::Unusable);
        auto mixed = parse(PacketWriter(kId)
                               .question("a.test", Type::Mx)
                               .answer("a.test", kMx, 60, bytes({0, 10}) + name)
                               .answer("a.test", kMx, 60, PacketWriter::mx(20, "good.test")),
                           ask("a.test", Type::Mx));
        CHECK(mixed.records.mx == std::vector<Mx>{{20, "good.test"}});
    }
}

TEST_CASE("packets cut anywhere do no harm") {
    std::string packet = PacketWriter(kId)
                             .question("a.test", Type::Mx)
                             .answer("a.test", kMx, 60, PacketWriter::mx(10, "mx.test"))
                             .packet();
    for (std::size_t size = 0; size < packet.size(); ++size) {
        // A copy of its own, so that the sanitizer sees its end.
        std::vector<char> cut(packet.begin(), packet.begin() + static_cast<std::ptrdiff_t>(size));
        Response response =
            parse_response(std::string_view(cut.data(), cut.size()), ask("a.test", Type::Mx), kLimits);
        CHECK(response.verdict != Verdict::Found);
    }
}

}  // namespace
}  // namespace postrider::dns
