// No stranger can have mail passed on to a domain that is not ours, under any configuration that does not say
// so, and in whatever form he writes the address. Configurations and addresses are invented; what they mean
// is known from how they were made, and compared with what the path parser and the router make of them.

#include <catch2/catch.hpp>

#include <memory>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "libcommon/mail/path.h"
#include "router/policy.h"
#include "router/resolve.h"
#include "tests/unit/router/open_relay_forms.h"
#include "tests/unit/router/open_relay_world.h"

namespace postrider::router {

namespace {

using test::FakeFacts;
using test::Probe;
using test::World;

/// Clients without any right, who claim what they can.
std::vector<Client> strangers() {
    std::vector<Client> clients;
    for (const char* address :
         {"203.0.113.9", "::ffff:203.0.113.9", "2001:db8::9", "127.0.0.1", "192.0.2.10"}) {
        Client client;
        client.address = config::IpAddress::parse(address).value();
        client.port = 25;
        client.helo = "out.example";
        clients.push_back(client);
    }
    clients[0].name = "out.example";
    clients[0].unconfirmed_names = {"liar.example", "deep.out.example"};
    clients[1].helo = "mx2.test";
    clients[2].helo = "[10.0.0.5]";
    clients[2].port = 587;
    clients[2].submission = true;
    clients[2].encrypted = true;
    clients[3].helo = "localhost";
    clients[4].unconfirmed_names = {"mx2.test", "local.test"};
    clients.emplace_back();  // one that could not even be described
    return clients;
}

const std::vector<std::string> kSenders = {"",
                                           "alice@local.test",
                                           "postmaster@mx2.test",
                                           "postmaster",
                                           "x@[192.0.2.10]",
                                           "x@[10.0.0.5]",
                                           "tomy@hotmail.com"};

/// One configuration under attack.
class Siege {
  public:
    explicit Siege(std::uint32_t seed) : random_(seed) {
        test::WorldInventor inventor(seed);
        world_ = inventor.world();
        const BuildResult built = test::build(world_.lines, world_.files);
        INFO("seed " << seed << "\n" << world_.lines);
        CHECK(built.errors.empty());
        REQUIRE(built.tables != nullptr);
        tables_ = built.tables;
        test::fill_facts(facts_);
        note_ = "seed " + std::to_string(seed) + ", configuration:\n" + world_.lines;
    }

    void run() {
        for (const Client& client : clients_)
            CHECK_FALSE(decide_connect(client, *tables_, facts_).policy.relay());
        const std::vector<std::string> own = world_.own_domains();
        for (const test::Form& form : test::address_forms())
            attack(test::probe_of(form, one_of(test::foreign_domains()), one_of(own), world_.primary));
        std::vector<std::string> names = test::foreign_domains();
        names.insert(names.end(), own.begin(), own.end());
        for (const std::string& name : names) {
            for (const Probe& probe : test::domain_probes(name, one_of(own)))
                attack(probe);
        }
    }

    std::size_t probes = 0;
    std::size_t accepted = 0;

  private:
    const std::string& one_of(const std::vector<std::string>& values) {
        std::uniform_int_distribution<std::size_t> number(0, values.size() - 1);
        return values[number(random_)];
    }

    /// As smtpd would ask, in each of the ways in which it reads a path, and as a smtpd would that had been
    /// taken over.
    void attack(const Probe& probe) {
        std::uniform_int_distribution<std::size_t> number(0, clients_.size() - 1);
        const Client& client = clients_[number(random_)];
        const std::string& sender = one_of(kSenders);
        for (const bool strict : {true, false}) {
            mail::PathOptions options;
            options.strict = strict;
            ask_parsed("<" + probe.text + ">", options, probe, client, sender);
            ask_parsed(probe.text, options, probe, client, sender);
        }
        ask(probe.text, probe, client, sender);
        ask("<" + probe.text + ">", probe, client, sender);
    }

    void ask_parsed(const std::string& argument, const mail::PathOptions& options, const Probe& probe,
                    const Client& client, const std::string& sender) {
        const Result<mail::ParsedPath> parsed = mail::parse_path(argument, options);
        // What stands behind the path is read as parameters, none of which begins like that.
        if (!parsed || !parsed->rest.empty()) return;
        ask(parsed->path.to_string(), probe, client, sender);
    }

    void ask(const std::string& recipient, const Probe& probe, const Client& client,
             const std::string& sender) {
        ++probes;
        const RecipientDecision decision = decide_recipient(client, sender, recipient, *tables_, facts_);
        REQUIRE(facts_.complete());
        if (decision.verdict.action != Verdict::Action::Accept) return;
        ++accepted;
        INFO(note_);
        INFO("recipient " << recipient << " written as " << probe.text << ", from <" << sender << ">, rule "
                          << decision.verdict.rule);
        const Result<Address> address = parse_address(recipient);
        REQUIRE(address);
        CHECK(is_ours(folded(address->local), probe.domain));
        check_deliveries(recipient, probe.domain, sender);
    }

    [[nodiscard]] bool is_ours(const std::string& local, const std::string& domain) const {
        return !domain.empty() && (world_.is_local(domain) || world_.relays(local, domain));
    }

    /// Mail for us goes where our tables say, and what we pass on goes to the address that it is for.
    void check_deliveries(const std::string& recipient, const std::string& domain,
                          const std::string& sender) {
        wire::Recipient asked;
        asked.set_address(recipient);
        const wire::ResolvedRecipient resolved = resolve_recipient(0, asked, sender, *tables_, facts_);
        for (const wire::Delivery& delivery : resolved.deliveries()) {
            INFO("delivery to " << delivery.recipient() << " by " << delivery.next_hop());
            const std::string& path = delivery.local().path();
            switch (delivery.transport()) {
                case wire::TRANSPORT_SMTP:
                    if (!world_.destinations.contains(delivery.recipient())) {
                        CHECK_FALSE(world_.is_local(domain));
                        CHECK(delivery.recipient() == parse_address(recipient).value().text());
                    }
                    break;
                case wire::TRANSPORT_PROGRAM:
                case wire::TRANSPORT_FILE:
                    CHECK(world_.destinations.contains(path));
                    break;
                case wire::TRANSPORT_MAILDIR:
                    CHECK(path.find("/..") == std::string::npos);
                    break;
                default:
                    break;
            }
        }
    }

    std::mt19937 random_;
    World world_;
    std::string note_;
    std::shared_ptr<const Tables> tables_;
    FakeFacts facts_;
    std::vector<Client> clients_ = strangers();
};

}  // namespace

TEST_CASE("T02 no invented configuration relays for strangers, in whatever form they ask", "[open_relay]") {
    constexpr std::uint32_t kConfigurations = 50;
    constexpr std::uint32_t kFirstSeed = 20040309;
    std::size_t probes = 0;
    std::size_t accepted = 0;
    for (std::uint32_t i = 0; i < kConfigurations; ++i) {
        Siege siege(kFirstSeed + i);
        siege.run();
        probes += siege.probes;
        accepted += siege.accepted;
    }
    // Domains that are ours are among those that were asked for, or nothing would have been shown.
    INFO("seeds from " << kFirstSeed << ", " << probes << " probes, " << accepted << " accepted");
    CHECK(test::address_forms().size() > 100);
    CHECK(accepted > probes / 20);
    CHECK(accepted < probes / 2);
}

}  // namespace postrider::router
