#include "queue-manager/settings.h"

#include <catch2/catch.hpp>

#include <string>
#include <vector>

#include "libcommon/config/settings.h"

using namespace postrider;
using namespace postrider::queue_manager;

namespace {

config::Settings with_local_domains(const std::vector<std::string>& domains) {
    config::Settings settings;
    settings.hostname = "mx.example.org";
    config::Directive line;
    line.name = "local_domain";
    for (const auto& domain : domains) {
        config::Word word;
        word.text = domain;
        line.words.push_back(word);
    }
    if (!domains.empty()) settings.tables.push_back(line);
    return settings;
}

}  // namespace

TEST_CASE("the postmaster without a domain is one that has a mailbox here") {
    CHECK(complete_address(with_local_domains({}), "postmaster") == "postmaster@mx.example.org");
    CHECK(complete_address(with_local_domains({"a.test", "b.test"}), "postmaster") == "postmaster@a.test");
    CHECK(complete_address(with_local_domains({"a.test", "mx.example.org"}), "postmaster") ==
          "postmaster@mx.example.org");
    CHECK(complete_address(with_local_domains({"a.test"}), "me@b.test") == "me@b.test");
    CHECK(complete_address(with_local_domains({"a.test"}), "").empty());
}

TEST_CASE("the limits of the configuration arrive") {
    config::Settings config = with_local_domains({});
    config.retry = {Milliseconds(1000), Milliseconds(2000)};
    config.limits.set(config::Limit::DestinationConcurrency, 3);
    config.limits.set(config::Limit::DestinationConcurrencyInitial, 5);
    Settings settings = settings_from(config);
    CHECK(settings.retry == config.retry);
    CHECK(settings.scheduler.health.max_window == 3);
    // A window never begins larger than it may become.
    CHECK(settings.scheduler.health.initial_window == 3);
    CHECK(settings.sync_threads == config.limits.size(config::Limit::QueueSyncThreads));
}

TEST_CASE("who hears of what cannot be returned") {
    config::Settings config = with_local_domains({"a.test"});
    config.double_bounce_to = "root";
    CHECK(settings_from(config).double_bounce_to == "root@a.test");
    CHECK_FALSE(settings_from(config).discard_double_bounces);
    config.double_bounce_to = "off";
    CHECK(settings_from(config).double_bounce_to.empty());
    CHECK_FALSE(settings_from(config).discard_double_bounces);
    config.double_bounce_to = "discard";
    CHECK(settings_from(config).double_bounce_to.empty());
    CHECK(settings_from(config).discard_double_bounces);
    config.dsn_only_to = config::DsnOnlyTo::Local;
    config.delay_warning = Milliseconds(7);
    config.dsn_aggregate = Milliseconds(8);
    CHECK(settings_from(config).dsn_only_to_local);
    CHECK(settings_from(config).delay_warning == Milliseconds(7));
    CHECK(settings_from(config).dsn_aggregate == Milliseconds(8));
    CHECK(settings_from(config).postmaster == "postmaster@a.test");
}
