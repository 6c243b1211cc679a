#pragma once

#include <map>
#include <string>
#include <utility>

#include "libcommon/async/loop.h"
#include "libcommon/async/scope.h"
#include "libcommon/async/task.h"
#include "libcommon/dns/resolver.h"
#include "router/domain_table.h"
#include "router/external_users.h"
#include "router/facts.h"
#include "router/users.h"

namespace postrider::router {

/// Where the facts of all questions come from, and what they share: answers that were found out once hold
/// for everybody for a time.
struct FactSources {
    async::Loop& loop;
    UserCache& users;
    dns::Resolver& resolver;
    ExternalUsers& external_users;
};

/// The facts of one question, for as long as it has no answer. What was found out for it stays as it is, even
/// if it could not be kept for others: so each round of deciding and finding out gets further, and the
/// question has one view of the world.
class QuestionFacts : public Facts {
  public:
    /// The sources outlive it.
    explicit QuestionFacts(FactSources& sources) : sources_(sources), begun_(sources.loop.now()) {}

    /// Finds out what is missing(), all at the same time, and begins another evaluation. It takes as long as
    /// the slowest of the answers, but not longer than the most patient of the questions says.
    async::Task<void> find_out();

  private:
    using NameAndType = std::pair<std::string, dns::Type>;

    [[nodiscard]] UserAnswer answer_user(const std::string& name) override;
    [[nodiscard]] DnsAnswer answer_dns(const DnsQuestion& question) override;
    [[nodiscard]] ExternalAnswer answer_external(const ExternalQuestion& question) override;
    async::Task<void> find_out_users(std::vector<std::string> names);
    async::Task<void> find_out_dns(DnsQuestion question);
    async::Task<void> find_out_external(ExternalQuestion question);

    FactSources& sources_;
    SteadyTime begun_;
    StringMap<UserAnswer> users_;  // found out for this question, like the next
    std::map<NameAndType, DnsAnswer> names_;
    std::map<std::pair<std::string, std::string>, ExternalAnswer> external_users_;  // by socket and address
};

}  // namespace postrider::router
