#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "libcommon/async/scope.h"
#include "libcommon/async/stream.h"
#include "libcommon/async/watch.h"
#include "libcommon/base/fd.h"

namespace postrider::remote_delivery::test {

/// An SMTP server on a free loopback port that does what a test says, on the test's loop. It records every
/// line and every message, and is strict about CRLF: a bare LF or CR it receives is a failed test.
class ScriptedSmtpServer {
  public:
    /// Closes the connection instead of answering.
    static constexpr const char* kClose = "close";
    /// Never answers.
    static constexpr const char* kSilence = "silence";

    /// The reply to a line (with the number of its connection, from 1), without CRLF; "" for the usual one.
    /// "." stands for the end of a message, "" for the greeting.
    using Script = std::function<std::string(int connection, const std::string& line)>;

    ScriptedSmtpServer(async::Loop& loop, std::vector<std::string> extensions, Script script = {});

    [[nodiscard]] std::uint16_t port() const { return port_; }
    /// "[127.0.0.1]:port"
    [[nodiscard]] std::string next_hop() const;

    /// "1 EHLO client.test" and so on, in the order of arrival.
    [[nodiscard]] const std::vector<std::string>& lines() const { return lines_; }
    /// Those lines that begin with `verb`.
    [[nodiscard]] std::vector<std::string> lines_with(const std::string& verb) const;
    /// The contents, as they were before dot-stuffing.
    [[nodiscard]] const std::vector<std::string>& messages() const { return messages_; }
    [[nodiscard]] int connections() const { return connections_; }
    [[nodiscard]] bool bare_line_end() const { return bare_line_end_; }
    /// How many bytes of content it reads before it does what the script says about "middle".
    void interrupt_content_after(std::size_t size) { interrupt_after_ = size; }
    /// Closes all connections that stand.
    void hang_up() { clients_.cancel_all(); }

  private:
    struct Dialogue {
        int number = 0;
        std::size_t accepted = 0;
        std::size_t received = 0;
        bool in_content = false;
        std::string content;
    };
    async::Task<void> accept_clients();
    async::Task<void> serve(Fd client);
    std::string answer(Dialogue& dialogue, const std::string& line);
    std::string answer_content(Dialogue& dialogue, const std::string& line);
    [[nodiscard]] std::string usual_reply(Dialogue& dialogue, const std::string& line) const;

    async::Loop& loop_;
    std::vector<std::string> extensions_;
    Script script_;
    std::uint16_t port_ = 0;  // before listening_, whose making finds it out
    Fd listening_;
    async::Watch watch_;
    std::vector<std::string> lines_;
    std::vector<std::string> messages_;
    int connections_ = 0;
    bool bare_line_end_ = false;
    std::size_t interrupt_after_ = 0;
    async::Scope clients_;
    async::Scope acceptor_;
};

}  // namespace postrider::remote_delivery::test
