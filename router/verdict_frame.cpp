#include "router/verdict_frame.h"

namespace postrider::router {

void fill(wire::Verdict& frame, const Verdict& verdict) {
    switch (verdict.action) {
        case Verdict::Action::Accept:
            frame.set_action(wire::Verdict::ACCEPT);
            break;
        case Verdict::Action::Reject:
            frame.set_action(wire::Verdict::REJECT);
            break;
        case Verdict::Action::Defer:
            frame.set_action(wire::Verdict::DEFER);
            break;
    }
    frame.set_code(verdict.code);
    frame.set_enhanced(verdict.enhanced);
    frame.set_text(verdict.text);
    frame.set_rule(verdict.rule);
    if (verdict.fate == Verdict::Fate::Quarantine) frame.set_fate(wire::Verdict::QUARANTINE);
    if (verdict.fate == Verdict::Fate::Discard) frame.set_fate(wire::Verdict::DISCARD);
    frame.set_fate_rule(verdict.fate_rule);
    frame.set_fate_reason(verdict.fate_reason);
    frame.set_max_message_size(verdict.max_message_size);
}

}  // namespace postrider::router
