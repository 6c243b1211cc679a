#pragma once

#include <cstdint>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "libcommon/ipc/queue.pb.h"

namespace postrider::queue_manager::test {

/// Makes frames for queue.sock as a peer would that was taken over: of every kind, whatever its role may
/// send, with values that are odd and values that are right, and then with octets changed, left out and
/// added. The same seed gives the same frames.
class FrameMaker {
  public:
    /// `ids` are queue ids that the frames speak of. With ROLE_NONE none of them is a Hello, nor becomes one:
    /// the peers of these tests could act in any role.
    FrameMaker(wire::Role role, std::vector<std::string> ids)
        : role_(role), random_(static_cast<std::uint64_t>(role)), ids_(std::move(ids)) {}

    /// The octets of the next frame; never none, and no more than a packet may have.
    [[nodiscard]] std::string next();
    /// Frames speak of this message, too, from now on.
    void learn(const std::string& id);
    /// A job that the peer was given, which reports may be about.
    void learn_job(std::uint64_t job, const std::string& id);

  private:
    [[nodiscard]] std::uint64_t below(std::uint64_t bound) { return random_() % bound; }
    [[nodiscard]] bool one_in(std::uint64_t count) { return below(count) == 0; }
    [[nodiscard]] std::uint64_t number();
    [[nodiscard]] std::string text();
    [[nodiscard]] std::string id();
    [[nodiscard]] std::string address();
    void fill(wire::Selector& selector);
    void fill(wire::Envelope& envelope);
    void fill(wire::DeliveryReport& report);
    [[nodiscard]] wire::QueueRequest request();
    void mutate(std::string& frame);

    wire::Role role_;
    std::mt19937_64 random_;
    std::vector<std::string> ids_;
    std::uint64_t last_job_ = 1;
    std::string last_job_id_;
};

}  // namespace postrider::queue_manager::test
