#pragma once

#include <functional>
#include <string>
#include <vector>

#include "libcommon/async/loop.h"
#include "libcommon/ipc/client.h"
#include "libcommon/ipc/router.pb.h"
#include "queue-manager/holds.h"
#include "queue-manager/outcome.h"

namespace postrider::queue_manager {

/// Asks the router where recipients go.
class Resolver {
  public:
    /// Connects to router.sock in the working directory once started, and again whenever that breaks.
    Resolver(async::Loop& loop, Milliseconds timeout);

    /// `on_connected` is called on the loop whenever the router can be asked (again).
    void start(std::function<void()> on_connected);
    [[nodiscard]] bool connected() const { return client_.connected(); }

    /// Resolves recipients of one message, which fit into one question (see question_size). One Resolution
    /// for each, in their order. Error: the router could not be asked.
    async::Task<Result<std::vector<Resolution>>> resolve(std::string sender,
                                                         std::vector<wire::Recipient> recipients);

    /// Which of these recipient domains, which fit into a frame, have a route with `hold` or `schedule=` now.
    /// Error: the router could not be asked.
    async::Task<Result<Holds::Answer>> schedules(std::vector<std::string> domains);
    /// Resolves what a forward file holds. Error: the router could not be asked.
    async::Task<Result<Resolution>> expand(wire::ForwardQuestion question);

    /// Tells the router that a mailbox is full, or is not any more. If it is away it does not hear of it.
    void tell_mailbox(const std::string& path, bool full);

  private:
    async::Loop& loop_;
    Milliseconds timeout_;
    ipc::Client<wire::RouterRequest, wire::RouterReply> client_;
};

/// How many of `recipients` of the envelope, from position `first` of `indices` on, fit into one question.
[[nodiscard]] std::size_t question_size(const wire::Envelope& envelope,
                                        const std::vector<std::uint32_t>& indices, std::size_t first);

/// Puts the frames of an answer together. The router is believed about routes, not about form: an index that
/// was not asked for is ignored, and a recipient without an answer gets a temporary error. Pure.
[[nodiscard]] std::vector<Resolution> merge_answers(std::size_t recipients,
                                                    const std::vector<const wire::Resolved*>& frames);

}  // namespace postrider::queue_manager
