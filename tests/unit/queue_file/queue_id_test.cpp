#include "libcommon/queue_file/queue_id.h"

#include <catch2/catch.hpp>

#include <set>
#include <vector>

using postrider::queue_file::QueueId;
using postrider::queue_file::QueueIdSource;

TEST_CASE("an id and its text are the same thing") {
    struct Case {
        std::uint64_t milliseconds;
        std::uint32_t random;
        const char* text;
    };
    const std::vector<Case> cases = {
        {0, 0, "0000000000000000"},
        {0, 1, "0000000000000001"},
        {0, 0xFFFFFFFF, "0000000003ZZZZZZ"},
        {1, 0, "0000000004000000"},
        {7, 0xFFFFFFFF, "000000000ZZZZZZZ"},
        {8, 0, "0000000010000000"},
        {QueueId::kMaxMilliseconds, 0xFFFFFFFF, "ZZZZZZZZZZZZZZZZ"},
    };
    for (const auto& test : cases) {
        QueueId id(test.milliseconds, test.random);
        CHECK(id.text() == test.text);
        auto parsed = QueueId::parse(test.text);
        REQUIRE(parsed);
        CHECK(*parsed == id);
        CHECK(parsed->milliseconds() == test.milliseconds);
        CHECK(parsed->random() == test.random);
    }
}

TEST_CASE("only the sixteen characters of an id are an id") {
    for (const char* text : {"", "000000000000000", "00000000000000000", "000000000000000I",
                             "000000000000000L", "000000000000000O", "000000000000000U", "000000000000000a",
                             "000000000000000/", "0000000000000 00", "../../etc/passwd"}) {
        CHECK_FALSE(QueueId::parse(text));
    }
    CHECK_FALSE(QueueId::parse(std::string_view("000000000000000\0", 16)));
}

TEST_CASE("ids and their texts sort by time") {
    std::vector<QueueId> ids = {QueueId(5, 9), QueueId(6, 1), QueueId(1'700'000'000'000, 0),
                                QueueId(1'700'000'000'001, 0)};
    for (std::size_t i = 1; i < ids.size(); ++i) {
        CHECK(ids[i - 1] < ids[i]);
        CHECK(ids[i - 1].text() < ids[i].text());
    }
}

TEST_CASE("a source gives no id twice, though the clock stands still") {
    QueueIdSource source;
    std::set<QueueId> seen;
    for (int i = 0; i < 1000; ++i)
        seen.insert(source.next(1'700'000'000'000));
    CHECK(seen.size() == 1000);
}
