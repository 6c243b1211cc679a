#pragma once

#include <cstdint>
#include <string>

#include "libcommon/async/task.h"
#include "libcommon/base/fd.h"
#include "libcommon/base/result.h"
#include "libcommon/ipc/envelope.pb.h"
#include "libcommon/ipc/router.pb.h"
#include "smtpd/verdict.h"

/// What a session needs from the rest of the suite, behind interfaces that tests can play.
namespace postrider::smtpd {

/// The router, which decides. When it cannot be asked, the verdict is the temporary refusal 451 4.3.0: a
/// session never accepts or refuses for good without it.
class Router {
  public:
    Router() = default;
    Router(const Router&) = delete;
    Router& operator=(const Router&) = delete;
    virtual ~Router() = default;

    virtual async::Task<ClientVerdict> may_connect(wire::Client client) = 0;
    virtual async::Task<Verdict> may_send(wire::Client client, std::string sender) = 0;
    virtual async::Task<Verdict> may_receive(wire::Client client, std::string sender,
                                             std::string recipient) = 0;
};

/// A message that the queue-manager has opened for us.
struct OpenedMessage {
    std::string queue_id;
    Fd content;  ///< to write the content to
};

/// A message whose content is complete.
struct CompleteMessage {
    std::string queue_id;
    std::uint64_t length = 0;  ///< octets written to OpenedMessage::content
    std::uint64_t hash = 0;    ///< their XXH3-64
};

/// Whether the queue-manager takes messages at present.
struct Intake {
    bool accepting = true;
    std::string reason;  ///< why not
};

/// The queue-manager, which owns the queue. Errors: Temporary, if it cannot be reached or cannot do it now;
/// Permanent, if it will never do it.
class Queue {
  public:
    Queue() = default;
    Queue(const Queue&) = delete;
    Queue& operator=(const Queue&) = delete;
    virtual ~Queue() = default;

    [[nodiscard]] virtual const Intake& intake() const = 0;
    virtual async::Task<Result<OpenedMessage>> open(wire::Envelope envelope, std::uint64_t expected_size) = 0;
    /// Success means that the message is on stable storage; nothing else may be taken for it.
    virtual async::Task<Result<void>> commit(CompleteMessage message) = 0;
    /// Forgets a message that was opened. Whether this arrives does not matter: without a commit there is
    /// none.
    virtual void abort(const std::string& queue_id) = 0;
};

}  // namespace postrider::smtpd
