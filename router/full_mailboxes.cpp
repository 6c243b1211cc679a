#include "router/full_mailboxes.h"

namespace postrider::router {

Verdict mailbox_is_full(const Tables& tables) {
    Verdict verdict;
    verdict.action = tables.over_quota_fails ? Verdict::Action::Reject : Verdict::Action::Defer;
    verdict.code = tables.over_quota_fails ? 552 : 452;
    verdict.enhanced = tables.over_quota_fails ? "5.2.2" : "4.2.2";
    verdict.text = "the mailbox is full";
    verdict.rule = "over_quota";
    return verdict;
}

}  // namespace postrider::router
