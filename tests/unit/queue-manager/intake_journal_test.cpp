#include "queue-manager/intake_journal.h"

#include <catch2/catch.hpp>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <unistd.h>

#include <filesystem>
#include <map>
#include <optional>

#include "libcommon/base/file.h"
#include "libcommon/queue_file/queue_file.h"
#include "tests/unit/queue-manager/daemon_fixture.h"

using namespace postrider;
using namespace postrider::queue_manager;

namespace {

namespace fs = std::filesystem;

constexpr std::size_t kSegmentSize = std::size_t{512} << 10;
constexpr std::size_t kSegments = 3;

QueueId message(std::uint32_t number) {
    return {UnixMillis{1'700'000'000'000} + number, number};
}

std::string file_of(QueueId id, std::size_t size = 1000) {
    wire::Envelope envelope;
    envelope.set_sender("sender@example.test");
    envelope.add_recipients()->set_address(fmt::format("user{}@example.test", id.random()));
    return queue_file::encode_complete(id, envelope, std::string(size, 'x'))->bytes;
}

wire::JournalRecord attempt(std::uint64_t time) {
    wire::JournalRecord record;
    record.mutable_attempt()->set_time_ms(time);
    return record;
}

/// A journal in a folder that outlives it, and the loop it runs on.
struct Spool {
    Spool() : folder(::open(scratch.path().c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)) { begin(); }

    void begin() {
        journal.reset();
        loop = std::make_unique<async::Loop>();
        scope = std::make_unique<async::Scope>(*loop);
        journal.emplace(*loop, folder, key, meter, kSegmentSize, kSegments);
        journal->start();
        turn_until([this] { return journal->has_room(0); });
    }
    ~Spool() {
        scope.reset();
        journal.reset();
    }

    void turn_until(const std::function<bool()>& done) {
        async::Timer timer(*loop, [this] { loop->stop(); });
        for (int i = 0; i < 5000 && !done(); ++i) {
            timer.arm(Milliseconds(1));
            loop->run();
        }
        REQUIRE(done());
    }

    bool durable(std::uint64_t position) {
        std::optional<bool> result;
        scope->spawn(wait(position, result));
        turn_until([&] { return result.has_value(); });
        return *result;
    }
    async::Task<void> wait(std::uint64_t position, std::optional<bool>& result) {
        auto synced = co_await journal->durable(position);
        result = synced.has_value();
    }

    void add(std::uint32_t number, std::size_t size = 1000) {
        auto position = journal->append(message(number), file_of(message(number), size));
        REQUIRE(position);
        REQUIRE(durable(*position));
    }

    /// What a start would find.
    [[nodiscard]] std::map<QueueId, std::string> left() const {
        std::map<QueueId, std::string> found;
        auto recovered = IntakeJournal::recover(folder, key, [&](QueueId id, std::string file) {
            CHECK(found.emplace(id, std::move(file)).second);
            return Result<void>();
        });
        REQUIRE(recovered);
        return found;
    }

    test::Scratch scratch;
    Fd folder;
    queue_file::JournalKey key = queue_file::JournalKey::make();
    SyncMeter meter;
    std::unique_ptr<async::Loop> loop;
    std::unique_ptr<async::Scope> scope;
    std::optional<IntakeJournal> journal;
};

}  // namespace

TEST_CASE("what the intake journal has not seen the end of is found at a start, with its records") {
    Spool spool;
    for (const std::uint32_t number : {1U, 2U, 3U})
        spool.add(number);
    spool.journal->end(message(2));
    REQUIRE(spool.journal->append_record(message(3), attempt(1)));
    REQUIRE(spool.journal->append_record(message(1), attempt(2)));
    REQUIRE(spool.journal->append_record(message(3), attempt(3)));

    auto left = spool.left();
    REQUIRE(left.size() == 2);
    for (const auto& [id, bytes] : left) {
        CHECK(bytes.starts_with(file_of(id)));
        const Fd file(::memfd_create("file", MFD_CLOEXEC));
        REQUIRE(write_all(file, bytes));
        auto read = queue_file::read_queue_file(file, spool.key);
        REQUIRE(read);
        CHECK(read->header.id == id);
        CHECK(read->journal_end == bytes.size());
        CHECK(read->journal.attempts() == (id == message(3) ? 2 : 1));
    }
    IntakeJournal::remove_segments(spool.folder);
    CHECK(spool.left().empty());
}

TEST_CASE("of an intake journal that was cut anywhere the whole entries are found") {
    Spool spool;
    for (const std::uint32_t number : {1U, 2U, 3U})
        spool.add(number, 100);
    const std::string segment = spool.scratch.path() + "/00";
    const std::string whole = read_file(segment, kSegmentSize).value();
    std::size_t used = whole.size();
    while (whole[used - 1] == '\0')
        --used;
    std::size_t last = 3;
    for (std::size_t cut = used; cut > 0; --cut) {
        // What a power cut did not write is zero here.
        std::string torn = whole;
        torn.replace(cut - 1, used - cut + 1, used - cut + 1, '\0');
        const Fd file(::open(segment.c_str(), O_WRONLY | O_CLOEXEC));
        REQUIRE(write_all_at(file, std::string_view(torn).substr(0, used), 0));
        auto left = spool.left();
        CHECK(left.size() <= last);
        last = left.size();
        for (const auto& [id, bytes] : left)
            CHECK((bytes == file_of(id, 100)));
    }
    CHECK(last == 0);
}

TEST_CASE("segments of the intake journal are used again, and nothing comes back from them") {
    Spool spool;
    constexpr std::size_t kLarge = 40'000;
    std::uint32_t next = 1;
    // Many times around, with one message that stays until its segment is wanted.
    std::uint32_t stays = 0;
    std::size_t asked_away = 0;
    for (int i = 0; i < 200; ++i) {
        spool.turn_until([&] { return spool.journal->has_room(kLarge + 1000); });
        const std::uint32_t number = next++;
        spool.add(number, kLarge);
        if (stays == 0) {
            stays = number;
        } else {
            spool.journal->end(message(number));
        }
        for (QueueId id : spool.journal->in_the_way()) {
            CHECK(id == message(stays));
            ++asked_away;
            spool.journal->end(id);
            stays = 0;
        }
        auto left = spool.left();
        REQUIRE(left.size() == (stays == 0 ? 0 : 1));
        if (stays != 0) CHECK(left.count(message(stays)) == 1);
    }
    CHECK(asked_away > 3);
    CHECK(spool.journal->messages() == (stays == 0 ? 0 : 1));
    std::size_t files = 0;
    for ([[maybe_unused]] const auto& entry : fs::directory_iterator(spool.scratch.path()))
        ++files;
    CHECK(files == kSegments);
}

TEST_CASE("an intake journal takes no more than it has room for") {
    Spool spool;
    std::uint32_t number = 1;
    while (spool.journal->has_room(40'000)) {
        spool.add(number++, 39'000);
        // The next segment is made meanwhile, as long as there may be one more.
        for (int i = 0; i < 50 && !spool.journal->has_room(40'000); ++i)
            spool.turn_until([n = 0]() mutable { return ++n > 2; });
    }
    CHECK(number > 3 * 5);
    CHECK_FALSE(spool.journal->append(message(number), file_of(message(number), 300'000)));
    // What is there can still be ended and told of.
    CHECK(spool.journal->append_record(message(1), attempt(1)));
    for (std::uint32_t ended = 1; ended < number; ++ended)
        spool.journal->end(message(ended));
    CHECK(spool.journal->has_room(40'000));
    CHECK(spool.left().empty());
}

TEST_CASE("messages that wait for the same sync share it") {
    Spool spool;
    std::uint64_t last = 0;
    for (std::uint32_t number = 1; number <= 50; ++number) {
        auto position = spool.journal->append(message(number), file_of(message(number)));
        REQUIRE(position);
        last = *position;
    }
    REQUIRE(spool.durable(last));
    CHECK(spool.meter.counts().total == 1);
    CHECK(spool.left().size() == 50);
}

TEST_CASE("junk in a journal's folder is no segment, and no entry") {
    Spool spool;
    spool.add(1);
    const Fd junk(::openat(spool.folder.get(), "07", O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
    REQUIRE(write_all(junk, "PRJ1" + std::string(5000, '\1')));
    const Fd empty(::openat(spool.folder.get(), "09", O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
    CHECK(spool.left().size() == 1);
    // With another key nothing of it is believed.
    std::size_t found = 0;
    REQUIRE(IntakeJournal::recover(spool.folder, queue_file::JournalKey::make(), [&](QueueId, std::string) {
        ++found;
        return Result<void>();
    }));
    CHECK(found == 0);
}
