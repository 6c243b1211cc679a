#include "local-delivery/forward_file.h"

#include <fmt/format.h>

#include <memory>
#include <set>
#include <utility>

#include "libcommon/forward/destination.h"
#include "local-delivery/safe_file.h"

namespace postrider::local_delivery {

namespace {

using forward::Destination;

/// What all destinations may take in the report, which is one frame with all else in it.
constexpr std::size_t kMostReported = std::size_t{20} << 10;

std::string folder_above(const std::string& path) {
    return path.substr(0, path.find_last_of('/', path.find_last_not_of('/')));
}

/// Gathers the destinations of a file and of the lists it includes.
class Gatherer {
  public:
    Gatherer(const ForwardRules& rules, ListReader& lists) : rules_(rules), lists_(lists) {}

    Result<void> gather(std::string_view text, const std::string& path, forward::Dialect dialect,
                        std::size_t depth) {
        config::Errors errors(1);
        const auto file = std::make_shared<const std::string>(path);
        const auto list = forward::parse_destination_list(
            forward::TextCursor(text, config::Position{file, 1, 1}), dialect, errors);
        if (!errors.empty()) return temporary(errors.take().front());
        for (const Destination& destination : list.destinations) {
            auto added = destination.kind == Destination::Kind::Include ? include(destination, depth)
                                                                        : add(destination);
            if (!added) return added;
        }
        return {};
    }

    [[nodiscard]] std::vector<wire::Forwarded> take() { return std::move(gathered_); }

  private:
    Result<void> include(const Destination& destination, std::size_t depth) {
        if (!included_.insert(destination.text).second) return {};
        if (depth >= rules_.nesting_limit) {
            return temporary(fmt::format("{}: lists are included too deep inside each other",
                                         destination.position.line_text()));
        }
        auto text = lists_.read(destination.text);
        if (!text) return failure(std::move(text).error());
        return gather(*text, destination.text, forward::Dialect::List, depth + 1);
    }

    Result<void> add(const Destination& destination) {
        wire::Forwarded item;
        item.set_line(destination.position.line);
        switch (destination.kind) {
            case Destination::Kind::Program:
                item.set_kind(wire::Forwarded::PROGRAM);
                item.set_text(destination.text);
                break;
            case Destination::Kind::File:
                if (!may_hold(destination.text)) {
                    return temporary(
                        fmt::format("{}: a file has to be below the home", destination.position.line_text()));
                }
                item.set_kind(wire::Forwarded::FILE);
                item.set_text(destination.text);
                break;
            case Destination::Kind::User:
                item.set_kind(wire::Forwarded::MAILBOX);
                if (!destination.is_own_user()) item.set_text(destination.address.text());
                break;
            default:
                item.set_kind(wire::Forwarded::ADDRESS);
                item.set_text(destination.address.text());
                break;
        }
        constexpr std::size_t kFraming = 4;
        reported_ += item.ByteSizeLong() + kFraming;
        if (reported_ > kMostReported) {
            return temporary(fmt::format("{}: too many destinations", destination.position.line_text()));
        }
        gathered_.push_back(std::move(item));
        return {};
    }

    [[nodiscard]] bool may_hold(const std::string& path) const {
        if (path == "/dev/null") return true;
        const std::string& below = rules_.mailbox.empty() ? rules_.home : folder_above(rules_.mailbox);
        return below.size() > 1 && path.starts_with(below + "/") && path.find("/../") == std::string::npos &&
               !path.ends_with("/..");
    }

    const ForwardRules& rules_;
    ListReader& lists_;
    std::vector<wire::Forwarded> gathered_;
    std::set<std::string> included_;
    std::size_t reported_ = 0;
};

/// Lists have to be as safe as the file that includes them.
class SafeLists : public ListReader {
  public:
    explicit SafeLists(std::size_t limit) : limit_(limit) {}
    Result<std::string> read(const std::string& path) override {
        auto text = read_safely(path, limit_);
        if (!text) return failure(std::move(text).error());
        if (!*text) return temporary(fmt::format("{} does not exist", path));
        return std::move(**text);
    }

  private:
    std::size_t limit_;
};

}  // namespace

Result<std::vector<wire::Forwarded>> parse_forward_file(std::string_view text, const std::string& path,
                                                        const ForwardRules& rules, ListReader& lists) {
    Gatherer gatherer(rules, lists);
    auto gathered = gatherer.gather(text, path, forward::Dialect::ForwardFile, 0);
    if (!gathered) return failure(std::move(gathered).error());
    return gatherer.take();
}

Result<Forwarding> read_forward_file(const std::vector<std::string>& paths, const ForwardRules& rules) {
    SafeLists lists(rules.size_limit);
    for (const std::string& path : paths) {
        // Whoever edits says so before he begins, and the file may be gone for a moment.
        if (path.starts_with(rules.home + "/") && is_being_edited(rules.home)) {
            return temporary(fmt::format("{} is being edited: the folder is sticky", path));
        }
        auto text = read_safely(path, rules.size_limit);
        if (!text) return failure(std::move(text).error());
        if (!*text) continue;
        auto destinations = parse_forward_file(**text, path, rules, lists);
        if (!destinations) return failure(std::move(destinations).error());
        if (destinations->empty()) return Forwarding{};
        return Forwarding{path, std::move(*destinations)};
    }
    return Forwarding{};
}

}  // namespace postrider::local_delivery
