#pragma once

#include <string>
#include <vector>

#include "libcommon/ipc/router.pb.h"

namespace postrider::router::test {

/// An item of an explanation in one line: what a test wants to compare, and nothing else.
inline std::string item_text(const wire::ExplainedItem& item) {
    if (item.has_client()) return "client " + item.client().address() + " " + item.client().name();
    if (item.has_stage()) {
        const wire::Verdict& verdict = item.stage().verdict();
        std::string text = item.stage().name() + (item.stage().reached() ? " " : " (not reached) ") +
                           std::to_string(verdict.code()) + " " + verdict.enhanced() + " " + verdict.text() +
                           " @" + verdict.rule();
        for (const auto& line : item.stage().lines())
            text += (line.is_default() ? " +default " : " +") + line.kind() + " " + line.position();
        return text;
    }
    if (item.has_limit())
        return "limit " + item.limit().name() + " " + item.limit().value() + " @" + item.limit().rule();
    if (item.has_rate()) {
        const wire::ExplainedRate& rate = item.rate();
        return "rate " + rate.kind() + " " + rate.who() + " " + std::to_string(rate.used()) + "/" +
               std::to_string(rate.count()) + " " + rate.things() + " @" + rate.rule();
    }
    if (item.has_step()) {
        return "step " + std::to_string(item.step().depth()) + " " + item.step().address() + " " +
               item.step().step() + " " + item.step().detail() + " @" + item.step().rule();
    }
    if (item.delivery().has_failure()) return "failure " + item.delivery().failure().text();
    std::string text = "delivery " + item.delivery().delivery().recipient() + " " +
                       item.delivery().delivery().next_hop() + " @" + item.delivery().delivery().rule();
    for (const auto& host : item.delivery().exchangers()) {
        text += " " + std::to_string(host.preference()) + " " + host.host();
        for (const auto& address : host.addresses())
            text += " " + address;
        if (host.is_us()) text += " = us";
    }
    return text;
}

/// All items, or those that begin with `kind`.
template <typename Items>
std::vector<std::string> item_texts(const Items& items, const std::string& kind = {}) {
    std::vector<std::string> texts;
    for (const wire::ExplainedItem& item : items) {
        std::string text = item_text(item);
        if (text.starts_with(kind)) texts.push_back(std::move(text));
    }
    return texts;
}

}  // namespace postrider::router::test
