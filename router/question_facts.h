#pragma once

#include <string>

#include "libcommon/async/task.h"
#include "router/domain_table.h"
#include "router/facts.h"
#include "router/users.h"

namespace postrider::router {

/// Where the facts of all questions come from, and what they share: answers that were found out once hold
/// for everybody for a time.
struct FactSources {
    UserCache& users;
};

/// The facts of one question, for as long as it has no answer. What was found out for it stays as it is, even
/// if it could not be kept for others: so each round of deciding and finding out gets further, and the
/// question has one view of the world.
class QuestionFacts : public Facts {
  public:
    /// The sources outlive it.
    explicit QuestionFacts(FactSources& sources) : sources_(sources) {}

    /// Finds out what is missing(), and begins another evaluation.
    async::Task<void> find_out();

  private:
    [[nodiscard]] UserAnswer answer_user(const std::string& name) override;
    [[nodiscard]] DnsAnswer answer_dns(const DnsQuestion& question) override;

    FactSources& sources_;
    StringMap<UserAnswer> users_;  // found out for this question
};

}  // namespace postrider::router
