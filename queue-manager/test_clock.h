#pragma once

#ifdef POSTRIDER_TEST_CLOCK

#include "libcommon/async/loop.h"
#include "libcommon/async/scope.h"
#include "libcommon/async/watch.h"
#include "libcommon/base/fd.h"
#include "queue-manager/queue.h"

namespace postrider::queue_manager {

/// Lets a test move the clock of the queue, so that days pass in no time. It exists only where the build
/// option POSTRIDER_TEST_CLOCK is on, which no release has.
///
/// Each connection sends one packet, a number of milliseconds in decimal, by which the clock goes forward,
/// and gets the time that it shows then, as milliseconds since 1970.
class TestClock {
  public:
    /// `listening` is a SOCK_SEQPACKET socket; the references outlive the clock.
    TestClock(async::Loop& loop, Fd listening, Queue& queue);
    TestClock(const TestClock&) = delete;
    TestClock& operator=(const TestClock&) = delete;

    /// The socket that the environment variable POSTRIDER_TEST_CLOCK names; empty if there is none. Throws
    /// when it cannot be made.
    [[nodiscard]] static Fd listen();

  private:
    async::Task<void> serve();
    async::Task<void> answer(Fd peer);

    async::Loop& loop_;
    Fd listening_;
    Queue& queue_;
    async::Watch watch_;
    async::Scope scope_;
};

}  // namespace postrider::queue_manager

#endif
