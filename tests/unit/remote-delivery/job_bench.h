#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "libcommon/dns/resolver.h"
#include "remote-delivery/job.h"
#include "tests/unit/async/run.h"
#include "tests/unit/remote-delivery/memory_content.h"

namespace postrider::remote_delivery::test {

/// A loop that exists before, and ends after, whatever is built on it.
struct LoopOwner {
    async::Loop loop;
};

/// Everything a Job needs, in the test's process. Without a DNS server every look-up fails.
class JobBench : public LoopOwner {
  public:
    /// Makes the DNS server on the loop, and says where it is.
    using MakeDns = std::function<config::Endpoint(async::Loop&)>;

    JobBench() : JobBench([](async::Loop&) { return *config::Endpoint::parse("127.0.0.1:1"); }) {}
    explicit JobBench(const MakeDns& make_dns)
        : self_("client.test", {*config::IpAddress::parse("192.0.2.10")}),
          resolver_(loop, resolver_options({make_dns(loop)})),
          random_(1),
          routes_(resolver_, self_, limits, random_),
          sessions(loop, limits, kSessions),
          services_{loop, limits, self_, routes_, sessions} {}

    /// Runs one job to `recipients` through `next_hop`.
    wire::DeliveryReport deliver(const std::string& next_hop, const std::vector<std::string>& recipients,
                                 const std::string& content = "Subject: x\r\n\r\nhello\r\n") {
        return deliver(job_to(next_hop, recipients, content), content);
    }
    wire::DeliveryReport deliver(wire::DeliverJob job, const std::string& content) {
        std::optional<wire::DeliveryReport> report;
        Job runner(services_, std::move(job), memory_file(content));
        async::run_to_end(loop, store(runner, report));
        return *report;
    }
    static wire::DeliverJob job_to(const std::string& next_hop, const std::vector<std::string>& recipients,
                                   const std::string& content) {
        wire::DeliverJob job;
        job.set_job(7);
        job.set_queue_id("ID");
        job.set_sender("sender@client.test");
        job.set_content_length(content.size());
        std::uint32_t number = 0;
        for (const std::string& recipient : recipients) {
            wire::Delivery& delivery = *job.add_deliveries();
            delivery.set_number(++number);
            delivery.set_recipient(recipient);
            delivery.set_next_hop(next_hop);
        }
        return job;
    }

    /// "R" relayed, "D" deferred, "F" failed, with the status: "R2.0.0 F5.1.1".
    static std::string outcomes(const wire::DeliveryReport& report) {
        std::string text;
        for (const wire::DeliveryResult& result : report.results()) {
            if (!text.empty()) text += ' ';
            text +=
                std::string("D?RF").substr(static_cast<std::size_t>(result.outcome()), 1) + result.status();
        }
        return text;
    }

    Route route(Destination destination) {
        std::optional<Route> result;
        async::run_to_end(loop, store_route(routes_, std::move(destination), result));
        return *result;
    }

    config::Limits limits;

  private:
    static constexpr std::size_t kSessions = 10;

    static dns::ResolverOptions resolver_options(std::vector<config::Endpoint> servers) {
        dns::ResolverOptions options;
        options.servers = std::move(servers);
        options.timeout = Milliseconds(500);
        options.chain_timeout = Milliseconds(1500);
        options.packet = dns::PacketLimits{10, 100};
        options.concurrency = 10;
        return options;
    }
    static async::Task<void> store(Job& job, std::optional<wire::DeliveryReport>& report) {
        report = co_await job.run();
    }
    static async::Task<void> store_route(RouteFinder& routes, Destination destination,
                                         std::optional<Route>& result) {
        result = co_await routes.find(std::move(destination));
    }

    config::Self self_;
    dns::Resolver resolver_;
    Random random_;
    RouteFinder routes_;

  public:
    SessionPool sessions;

  private:
    Services services_;
};

}  // namespace postrider::remote_delivery::test
