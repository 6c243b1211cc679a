#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <unordered_map>

#include "libcommon/async/scope.h"
#include "libcommon/async/sync.h"
#include "libcommon/async/watch.h"
#include "libcommon/base/fd.h"
#include "libcommon/base/result.h"
#include "smtpd/auth/dovecot_protocol.h"
#include "smtpd/auth/method.h"

namespace postrider::auth {

/// `auth dovecot`: asks a Dovecot over its socket, on one connection that is made again when it breaks. Any
/// number of requests are outstanding. Dovecot does not tell an unknown user from a wrong password, so
/// whatever it says is final.
class Dovecot : public Method {
  public:
    /// `socket` is the path of the authentication socket (auth-client).
    Dovecot(async::Loop& loop, std::string socket);

    /// Begins to connect; returns at once.
    void start() { scope_.spawn(keep_connected()); }

    [[nodiscard]] std::string_view name() const override { return "dovecot"; }
    async::Task<CheckResult> check(std::shared_ptr<const Credentials> credentials,
                                   async::Deadline deadline) override;

  private:
    /// A request that waits for its answer; known for as long as it exists.
    struct Pending;
    /// One connection.
    struct Connection {
        Connection(async::Loop& loop, Fd socket_in)
            : socket(std::move(socket_in)), watch(loop, socket.get()) {}
        Fd socket;
        async::Watch watch;
        std::string input;
        bool version_known = false;
        bool offers_plain = false;
    };

    async::Task<void> keep_connected();
    /// Speaks until the connection ends; says why it did.
    async::Task<std::string> converse();
    /// Takes what is complete of the input. Error: the server does not speak the protocol.
    Result<void> take_lines();
    Result<void> take(const DovecotLine& line);
    [[nodiscard]] bool send(std::string_view text) const;
    void lose_all();

    async::Loop& loop_;
    std::string path_;
    std::unique_ptr<Connection> connection_;
    bool ready_ = false;  // the handshake is complete
    std::uint32_t next_id_ = 1;
    std::unordered_map<std::uint32_t, Pending*> pending_;
    async::Condition changed_;
    async::Scope scope_;
};

}  // namespace postrider::auth
