#pragma once

#include <list>
#include <memory>
#include <optional>
#include <string>

#include "libcommon/async/scope.h"
#include "libcommon/async/stream.h"
#include "libcommon/async/sync.h"
#include "libcommon/config/settings.h"
#include "smtpd/client_info.h"
#include "smtpd/command_line.h"
#include "smtpd/content_receiver.h"
#include "smtpd/dialogue.h"
#include "smtpd/peers.h"

namespace postrider::smtpd {

/// What all sessions of a worker share. Everything outlives them.
struct Services {
    async::Loop& loop;
    const config::Settings& settings;
    Router& router;
    Queue& queue;
    Tls& tls;
    Logins& logins;
};

/// One SMTP connection from banner to end: reads the client, obeys Dialogue, asks the router and the
/// queue-manager, and logs.
class Session {
  public:
    /// Takes the connected socket.
    Session(Services services, ClientInfo client, Fd socket);
    Session(const Session&) = delete;
    Session& operator=(const Session&) = delete;

    /// The whole session. Ends when it is over; destroying it before cuts the connection off.
    async::Task<void> run();

    /// Ends the session with 421 when it next waits for a command: now, or after the message in transfer.
    void finish();

  private:
    /// MAIL or RCPT whose verdict is outstanding, or not yet told to the client.
    struct Question {
        bool is_sender = false;
        wire::Recipient recipient;  ///< of MAIL only its address, which is the sender
        std::optional<Verdict> verdict;
    };
    enum class Transfer { Complete, Broken };

    /// A message that is being received.
    struct Incoming {
        std::string queue_id;
        std::unique_ptr<ContentReceiver> receiver;
        SteadyTime began;
        std::uint64_t octets = 0;  ///< received so far
    };

    // What is read at a time. What stays in memory is only the line, or the octets, that are not dealt with
    // yet.
    static constexpr std::size_t kInputBlock = std::size_t{64} * 1024;

    // The dialogue: session.cpp.
    // Not inlined, because the compiler would make their frames a part of run()'s, which lives as long as the
    // session; that is half of what an idle session costs.
    [[gnu::noinline]] async::Task<bool> admit();
    async::Task<void> turn_away(Answer answer);
    [[gnu::noinline]] async::Task<void> greet();
    [[gnu::noinline]] async::Task<void> linger();
    async::Task<void> converse();
    async::Task<void> take_turns();
    async::Task<void> wait_for_input();
    void end_waiting(const std::optional<std::string>& error);
    async::Task<void> obey(LineState state, std::string line);
    async::Task<void> obey_command(mail::Command command, std::string line);
    async::Task<void> act(Action action, mail::Verb verb, std::string line);
    async::Task<bool> client_is_welcome();
    [[nodiscard]] bool has_too_many_connections() const;
    async::Task<ClientVerdict> ask_about_client(bool begins_session = false);
    async::Task<bool> waits_for_greeting();
    async::Task<void> greet_again();
    async::Task<void> verify(AskAddress asked);
    async::Task<void> start_queue(StartQueue asked);
    void ask(bool is_sender, wire::Recipient recipient);
    async::Task<void> answer_question(std::shared_ptr<Question> question);
    async::Task<void> settle();
    async::Task<void> say(Answer answer, std::string command);
    async::Task<void> hold_back(Milliseconds delay);
    void put(const Answer& answer, const std::string& command);
    async::Task<void> flush();
    void lose(std::string reason);
    [[nodiscard]] bool is_over_time() const;
    [[nodiscard]] async::Deadline command_deadline() const;
    [[nodiscard]] wire::Client wire_client() const;
    void log_connect() const;
    void log_disconnect() const;
    void log_refusal(const Answer& answer, const std::string& command) const;

    // STARTTLS and AUTH: session_security.cpp.
    async::Task<bool> encrypt();
    async::Task<void> start_tls(StartTls start);
    async::Task<void> authenticate(Authenticate asked);
    async::Task<void> finish_authentication(wire::AuthOutcome outcome, std::string mechanism);
    async::Task<std::optional<std::string>> read_secret_line();
    void log_login(const wire::AuthOutcome& outcome, const std::string& mechanism) const;

    // DATA and BDAT: session_data.cpp.
    async::Task<bool> open_message();
    async::Task<void> place_content(Incoming& incoming);
    async::Task<void> take_message();
    async::Task<void> take_chunk(TakeChunk chunk);
    async::Task<void> forget_chunk(std::uint64_t size);
    async::Task<Transfer> transfer_data();
    async::Task<Transfer> transfer_chunk(std::uint64_t size);
    async::Task<Transfer> await_content(SteadyTime began, std::uint64_t received, bool worthless);
    async::Task<void> complete_message();
    void drop_message();
    void drop_ended_message();
    async::Task<void> commit(CompleteMessage message);
    void log_discarded(const std::string& id, std::uint64_t size) const;
    async::Task<void> refuse_message(Verdict verdict);
    async::Task<void> refuse_early_content();
    [[nodiscard]] wire::Envelope envelope() const;
    [[nodiscard]] std::string trace(const std::string& queue_id) const;
    [[nodiscard]] ContentOptions content_options(const std::string& queue_id) const;

    Services services_;
    const config::Listener& listener_;
    ClientInfo client_;
    async::Stream stream_;
    CommandLineReader reader_;
    Dialogue dialogue_;
    SteadyTime started_;
    std::unique_ptr<ClientVerdict> admitted_;  // between admit() and greet()
    std::optional<SteadyTime> listening_;      // since when the next command line is awaited
    std::size_t commands_in_turn_ = 0;
    bool client_known_ = false;        // the router need not be asked about it again
    bool secrets_may_follow_ = false;  // the client said AUTH: what it sends may be a password
    bool waiting_ = false;             // for the next command
    bool finishing_ = false;           // finish() was called
    bool ended_ = false;
    bool lost_ = false;  // the connection is broken, nothing can be sent
    std::string end_reason_;
    std::string client_name_;
    std::vector<std::string> unconfirmed_names_;
    std::unique_ptr<TlsSession> tls_session_;  // while encrypted
    std::unique_ptr<Incoming> incoming_;       // while a message is being received
    std::size_t refusals_ = 0;
    std::list<std::shared_ptr<Question>> questions_;  // in the order of the commands
    async::Condition answered_;
    async::Scope asking_;  // last: its tasks use what is above
};

}  // namespace postrider::smtpd
