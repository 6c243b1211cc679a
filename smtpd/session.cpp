#include "smtpd/session.h"

#include <sys/socket.h>

#include "libcommon/base/wipe.h"
#include "libcommon/log/log.h"

namespace postrider::smtpd {

namespace {

using config::Limit;
using mail::EnhancedCode;
using mail::Reply;
using mail::Verb;

// Verdicts of one session that are asked for at once; more would only wait at the router.
constexpr std::size_t kQuestionsAtOnce = 32;

// What is read and forgotten at the end, so that the client sees our last reply; see linger().
constexpr std::size_t kLingerOctets = std::size_t{1024} * 1024;

// What is read while a refusal is held back; to see that the client hangs up, one has to read.
constexpr std::size_t kHeldInput = std::size_t{16} * 1024;

// Commands that a client has at once before the other sessions get their turn.
constexpr std::size_t kCommandsInTurn = 100;

// Where a TLS handshake begins that nobody asked for: a record that holds one, of version 3.
constexpr std::string_view kTlsHandshake = "\x16\x03";

Answer ending(Reply reply, std::string rule) {
    return Answer{std::move(reply), std::move(rule), Milliseconds(0), true};
}

}  // namespace

Session::Session(Services services, ClientInfo client, Fd socket)
    : services_(services),
      listener_(services.settings.listeners.at(client.listener)),
      client_(std::move(client)),
      stream_(services.loop, std::move(socket)),
      reader_(services.settings.limits.size(Limit::CommandLine),
              services.settings.limits.size(Limit::AuthLine)),
      dialogue_(services.settings, listener_, client_.load, services.tls, services.logins),
      started_(services.loop.now()),
      answered_(services.loop),
      asking_(services.loop) {}

async::Task<void> Session::run() {
    log_connect();
    const bool implicit_tls = listener_.tls == config::ListenerTls::Implicit;
    // Before any encryption, which costs far more than to be turned away.
    bool ready = co_await admit();
    if (ready && implicit_tls) ready = co_await encrypt();
    if (ready) {
        co_await greet();
        co_await converse();
        co_await linger();
    }
    drop_message();
    log_disconnect();
}

void Session::finish() {
    finishing_ = true;
    // Whoever waits for the client sees the end of the input and looks at finishing_.
    if (waiting_) static_cast<void>(::shutdown(stream_.descriptor(), SHUT_RD));
}

// Who is connected, and is there room for it? False: the session is over.
async::Task<bool> Session::admit() {
    ClientVerdict client = co_await ask_about_client(true);
    dialogue_.client_decided(client);
    if (has_too_many_connections()) {
        Answer answer = ending(Reply{421, EnhancedCode{4, 7, 0}, {"Too many connections from your address"}},
                               client_.address ? "max_connections_per_client" : "max_connections_per_user");
        co_await turn_away(std::move(answer));
        co_return false;
    }
    const bool put_off =
        client.answered && !client.verdict.accepted() && client.verdict.refusal->code.is_transient();
    if (put_off) {
        Answer answer = dialogue_.greeting(client);
        co_await turn_away(std::move(answer));
        co_return false;
    }
    admitted_ = std::make_unique<ClientVerdict>(std::move(client));
    co_return true;
}

// The client may come again later. It gets no time to read why, because its place is needed; where it expects
// a handshake, it cannot be told at all.
async::Task<void> Session::turn_away(Answer answer) {
    std::string rule = answer.rule;
    if (listener_.tls == config::ListenerTls::Implicit) {
        ++refusals_;
        log_refusal(answer, "connect");
    } else {
        co_await say(std::move(answer), "connect");
        co_await flush();
    }
    lose(std::move(rule));
}

async::Task<void> Session::greet() {
    ClientVerdict client = std::move(*admitted_);
    admitted_.reset();
    if (client.new_client && client.verdict.accepted() && listener_.kind == config::ListenerKind::Smtp) {
        bool waited = co_await waits_for_greeting();
        if (!waited) co_return;
    }
    // RFC 5321, 3.1: the client waits for the banner. One that does not is likely to be no mail program.
    if (stream_.stale()) dialogue_.note_early_talker();
    co_await say(dialogue_.greeting(client), "connect");
}

// Programs that only send spam often talk without listening; so a client that nobody knows yet is greeted a
// little later than it expects. False: the session is over.
async::Task<bool> Session::waits_for_greeting() {
    const Milliseconds wait = services_.settings.limits.time(Limit::GreetWait, client_.load);
    if (wait == Milliseconds(0) || finishing_) co_return true;
    waiting_ = true;
    const async::Deadline greeted = services_.loop.after(wait);
    Result<bool> filled = co_await stream_.fill(kInputBlock, greeted);
    waiting_ = false;
    // Nothing came in time, as it should be; or the connection is lost, which the greeting will notice.
    if (!filled) co_return true;
    if (!*filled || finishing_) {
        end_waiting(std::nullopt);
    } else {
        co_await say(ending(Reply{554, EnhancedCode{5, 5, 1}, {"Wait for the greeting before you speak"}},
                            "greet_wait"),
                     "connect");
    }
    co_return false;
}

bool Session::has_too_many_connections() const {
    const std::uint32_t of_policy = dialogue_.max_connections();
    const Limit general = client_.address ? Limit::MaxConnectionsPerClient : Limit::MaxConnectionsPerUser;
    const std::size_t most =
        of_policy > 0 ? of_policy : services_.settings.limits.size(general, client_.load);
    return client_.sessions_of_client > most;
}

async::Task<ClientVerdict> Session::ask_about_client(bool begins_session) {
    wire::Client asked = wire_client();
    ClientVerdict client = co_await services_.router.may_connect(std::move(asked), begins_session);
    client_known_ = client.answered;
    if (client.answered) {
        client_name_ = client.client_name;
        unconfirmed_names_ = client.unconfirmed_names;
    }
    co_return client;
}

// What is alive while a session waits for its client is all that an idle session costs; so nothing large is
// kept in the frames of this function and the next.
async::Task<void> Session::converse() {
    while (!ended_) {
        const CommandLine line = reader_.next(stream_.buffered());
        if (line.state == LineState::Incomplete) {
            stream_.consume(line.consumed);
            co_await settle();
            co_await flush();
            if (!ended_) co_await wait_for_input();
            continue;
        }
        std::string text(line.text);
        secrets_may_follow_ = secrets_may_follow_ || begins_with_auth(text);
        if (secrets_may_follow_) {
            stream_.consume_secret(line.consumed);
        } else {
            stream_.consume(line.consumed);
        }
        listening_.reset();
        co_await obey(line.state, std::move(text));
        if (++commands_in_turn_ >= kCommandsInTurn && !ended_) co_await take_turns();
    }
    co_await flush();
}

// A client that never lets us wait for it must not keep the others waiting.
async::Task<void> Session::take_turns() {
    commands_in_turn_ = 0;
    co_await async::Sleep(services_.loop, Milliseconds(0));
    if (!is_over_time()) co_return;
    co_await settle();
    if (!ended_)
        put(ending(Reply{421, EnhancedCode{4, 4, 2}, {"Connected for too long"}}, "session_timeout"), "");
}

async::Task<void> Session::wait_for_input() {
    if (finishing_) {
        end_waiting(std::nullopt);
        co_return;
    }
    waiting_ = true;
    commands_in_turn_ = 0;
    // For the whole line, or a client could send one octet at a time for ever.
    if (!listening_) listening_ = services_.loop.now();
    const async::Deadline deadline = command_deadline();
    Result<bool> filled = co_await stream_.fill(kInputBlock, deadline);
    waiting_ = false;
    if (filled && *filled) {
        const bool speaks_tls = !stream_.encrypted() && stream_.buffered().starts_with(kTlsHandshake);
        if (speaks_tls) put(ending(Reply{554, EnhancedCode{5, 5, 1}, {"This is SMTP, not TLS"}}, "tls"), "");
        co_return;
    }
    end_waiting(filled ? std::nullopt : std::optional<std::string>(std::move(filled.error().text)));
}

// The wait for a command ended without one: in an orderly close by the client, or with `error`.
void Session::end_waiting(const std::optional<std::string>& error) {
    if (finishing_) {
        put(ending(Reply{421, EnhancedCode{4, 3, 2}, {"Service is shutting down"}}, "shutdown"), "");
    } else if (!error) {
        lose("closed by the client");
    } else if (!stream_.timed_out()) {
        lose(*error);
    } else {
        put(ending(Reply{421, EnhancedCode{4, 4, 2}, {"Idle for too long"}},
                   is_over_time() ? "session_timeout" : "command_timeout"),
            "");
    }
}

async::Task<void> Session::obey(LineState state, std::string line) {
    if (state != LineState::Complete) {
        co_await settle();
        Answer answer = dialogue_.bad_line(state, line);
        drop_ended_message();
        co_await say(std::move(answer), "");
        co_return;
    }
    auto command = mail::parse_command(line, listener_.strict);
    if (!command) {
        co_await settle();
        Answer answer = dialogue_.unreadable_command(command.error(), line);
        drop_ended_message();
        // A line that is no command may be a password that was sent too soon.
        if (secrets_may_follow_) {
            wipe(line);
            line = "(hidden)";
        }
        co_await say(std::move(answer), std::move(line));
        co_return;
    }
    if (command->verb == Verb::Auth || (command->verb == Verb::Unknown && secrets_may_follow_)) {
        wipe(line);
        line = command->verb == Verb::Auth ? "AUTH" : "(hidden)";
    }
    co_await obey_command(std::move(*command), std::move(line));
}

async::Task<void> Session::obey_command(mail::Command command, std::string line) {
    // RCPT commands of a pipelined group are asked about at once; everything else waits for its turn.
    if (command.verb != Verb::Rcpt || questions_.size() >= kQuestionsAtOnce) co_await settle();
    if (ended_) co_return;
    if (!stream_.buffered().empty() && dialogue_.must_be_last(command.verb)) {
        co_await settle();
        Answer answer = dialogue_.not_the_last();
        drop_ended_message();
        co_await say(std::move(answer), std::move(line));
        co_return;
    }
    if (command.verb == Verb::Mail && !client_known_) {
        bool welcome = co_await client_is_welcome();
        if (!welcome) co_return;
    }
    Action action = dialogue_.command(command);
    if (secrets_may_follow_) wipe(command.argument);
    drop_ended_message();
    co_await act(std::move(action), command.verb, std::move(line));
}

async::Task<void> Session::act(Action action, Verb verb, std::string line) {
    if (auto* sender = std::get_if<AskSender>(&action)) {
        wire::Recipient address;
        address.set_address(sender->sender);
        ask(true, std::move(address));
    } else if (auto* recipient = std::get_if<AskRecipient>(&action)) {
        ask(false, std::move(recipient->recipient));
    } else if (auto* answer = std::get_if<Answer>(&action)) {
        Answer ready = std::move(*answer);
        co_await settle();
        co_await say(std::move(ready), std::move(line));
        if (verb == Verb::Data) co_await refuse_early_content();
    } else if (auto* chunk = std::get_if<TakeChunk>(&action)) {
        TakeChunk taken = std::move(*chunk);
        co_await take_chunk(std::move(taken));
    } else if (std::holds_alternative<AskAgain>(action)) {
        co_await greet_again();
    } else if (auto* address = std::get_if<AskAddress>(&action)) {
        AskAddress asked = std::move(*address);
        co_await verify(std::move(asked));
    } else if (auto* queue = std::get_if<StartQueue>(&action)) {
        StartQueue asked = std::move(*queue);
        co_await start_queue(std::move(asked));
    } else if (auto* tls = std::get_if<StartTls>(&action)) {
        StartTls start = std::move(*tls);
        co_await start_tls(std::move(start));
    } else if (auto* login = std::get_if<Authenticate>(&action)) {
        Authenticate asked = std::move(*login);
        co_await authenticate(std::move(asked));
    } else {
        co_await take_message();
    }
}

async::Task<bool> Session::client_is_welcome() {
    ClientVerdict client = co_await ask_about_client();
    client_known_ = client.answered && client.verdict.accepted();
    dialogue_.client_decided(client);
    if (client_known_) co_return true;
    Answer answer = dialogue_.client_refused(client.verdict);
    co_await say(std::move(answer), "MAIL");
    co_return false;
}

async::Task<void> Session::greet_again() {
    ClientVerdict client = co_await ask_about_client();
    Answer answer = dialogue_.greeted(client);
    co_await say(std::move(answer), "EHLO " + dialogue_.helo());
}

async::Task<void> Session::verify(AskAddress asked) {
    wire::Client client = wire_client();
    std::string address = asked.address;
    VerifiedAddress found =
        co_await services_.router.verify(std::move(client), std::move(address), asked.expand);
    Answer answer = dialogue_.verified(asked, found);
    co_await say(std::move(answer), (asked.expand ? "EXPN " : "VRFY ") + asked.address);
}

async::Task<void> Session::start_queue(StartQueue asked) {
    const std::string command = (asked.subdomains ? "ETRN @" : "ETRN ") + asked.domain;
    std::string domain = asked.domain;
    if (!asked.granted) {
        wire::Client asking = wire_client();
        Verdict verdict = co_await services_.router.may_start_queue(std::move(asking), domain);
        if (!verdict.accepted()) {
            Answer refusal = dialogue_.etrn_refused(verdict);
            co_await say(std::move(refusal), command);
            co_return;
        }
    }
    std::string client = client_.text();
    Result<StartedQueue> started =
        co_await services_.queue.start_queue(std::move(domain), asked.subdomains, std::move(client));
    Answer answer = dialogue_.queue_started(asked, started);
    co_await say(std::move(answer), command);
}

void Session::ask(bool is_sender, wire::Recipient recipient) {
    auto question = std::make_shared<Question>();
    question->is_sender = is_sender;
    question->recipient = std::move(recipient);
    questions_.push_back(question);
    asking_.spawn(answer_question(std::move(question)));
}

async::Task<void> Session::answer_question(std::shared_ptr<Question> question) {
    wire::Client asked = wire_client();
    std::string sender = dialogue_.transaction().sender;
    const Intake& intake = services_.queue.intake();
    if (question->is_sender && !intake.accepting) {
        Verdict verdict;
        verdict.refusal = Reply{452, EnhancedCode{4, 3, 1}, {intake.reason}};
        verdict.rule = "intake";
        question->verdict = std::move(verdict);
    } else if (question->is_sender) {
        Verdict verdict = co_await services_.router.may_send(std::move(asked), std::move(sender));
        question->verdict = std::move(verdict);
    } else {
        std::string recipient = question->recipient.address();
        Verdict verdict =
            co_await services_.router.may_receive(std::move(asked), std::move(sender), std::move(recipient));
        question->verdict = std::move(verdict);
    }
    answered_.notify_all();
}

async::Task<void> Session::settle() {
    while (!questions_.empty() && !ended_) {
        std::shared_ptr<Question> question = questions_.front();
        while (!question->verdict)
            co_await answered_.wait();
        questions_.pop_front();
        Answer answer = question->is_sender
                            ? dialogue_.sender_decided(*question->verdict)
                            : dialogue_.recipient_decided(question->recipient, *question->verdict);
        std::string command =
            (question->is_sender ? "MAIL <" : "RCPT <") + question->recipient.address() + ">";
        co_await say(std::move(answer), std::move(command));
    }
}

async::Task<void> Session::say(Answer answer, std::string command) {
    if (ended_) co_return;
    if (answer.delay > Milliseconds(0)) {
        // What was answered before must not wait with it.
        co_await flush();
        co_await hold_back(answer.delay);
        if (ended_) co_return;
    }
    put(answer, command);
}

// Waits before a refusal, but not for a client that hangs up meanwhile.
async::Task<void> Session::hold_back(Milliseconds delay) {
    const SteadyTime end = services_.loop.now() + delay;
    while (services_.loop.now() < end) {
        if (stream_.buffered().size() >= kHeldInput) {
            const auto rest = std::chrono::duration_cast<Milliseconds>(end - services_.loop.now());
            co_await async::Sleep(services_.loop, rest);
            co_return;
        }
        auto filled = co_await stream_.fill(kHeldInput, end);
        if (filled && *filled) continue;
        // The loop's clock is coarse: the time may not be over yet.
        if (!filled && stream_.timed_out()) continue;
        if (filled && !stream_.buffered().empty()) co_return;  // has said all, and waits for the answers
        lose(filled ? "closed by the client" : filled.error().text);
        co_return;
    }
}

void Session::put(const Answer& answer, const std::string& command) {
    if (!answer.rule.empty()) {
        ++refusals_;
        log_refusal(answer, command);
    }
    if (dialogue_.single_line_replies() && !answer.keeps_lines && answer.reply.lines.size() > 1) {
        mail::Reply reply = answer.reply;
        reply.lines.resize(1);
        stream_.put(mail::format(reply, answer.charset));
    } else {
        stream_.put(mail::format(answer.reply, answer.charset));
    }
    if (answer.ends_session) {
        ended_ = true;
        end_reason_ = answer.rule.empty() ? "quit" : answer.rule;
    }
}

async::Task<void> Session::flush() {
    if (lost_ || !stream_.has_output()) co_return;
    async::Deadline deadline = services_.loop.after(services_.settings.limits.time(Limit::CommandTimeout));
    auto flushed = co_await stream_.flush(deadline);
    if (!flushed) lose(flushed.error().text);
}

// Closing a TCP connection with unread input resets it, and the client may then never see the reply that says
// why. So what it still sends is read and forgotten for a moment.
async::Task<void> Session::linger() {
    if (lost_ || finishing_ || !stream_.stale()) co_return;
    static_cast<void>(::shutdown(stream_.descriptor(), SHUT_WR));
    async::Deadline deadline =
        services_.loop.after(services_.settings.limits.time(Limit::QuitTimeout, config::Load::Overload));
    std::size_t forgotten = 0;
    while (forgotten < kLingerOctets) {
        forgotten += stream_.buffered().size();
        stream_.consume(stream_.buffered().size());
        auto filled = co_await stream_.fill(kInputBlock, deadline);
        if (!filled || !*filled) co_return;
    }
}

void Session::lose(std::string reason) {
    ended_ = true;
    lost_ = true;
    end_reason_ = std::move(reason);
}

bool Session::is_over_time() const {
    return services_.loop.now() >= started_ + services_.settings.limits.time(Limit::SessionTimeout);
}

async::Deadline Session::command_deadline() const {
    const config::Limits& limits = services_.settings.limits;
    const bool recipients = dialogue_.has_recipients() || dialogue_.messages() > 0;
    const Limit limit = recipients ? Limit::CommandTimeout : Limit::CommandTimeoutBeforeRcpt;
    return std::min(*listening_ + limits.time(limit, client_.load),
                    started_ + limits.time(Limit::SessionTimeout));
}

wire::Client Session::wire_client() const {
    wire::Client client = client_.to_wire(listener_, client_name_, dialogue_.helo());
    for (const std::string& name : unconfirmed_names_)
        client.add_unconfirmed_names(name);
    if (!dialogue_.login().empty()) client.set_login(dialogue_.login());
    client.set_tls(dialogue_.is_encrypted());
    return client;
}

void Session::log_connect() const {
    log::info("connect")
        .add("session", client_.session_text())
        .add("client", client_.text())
        .add("listener", listener_.endpoint_text());
}

void Session::log_disconnect() const {
    log::info("disconnect")
        .add("session", client_.session_text())
        .add("client", client_.text())
        .add("name", client_name_)
        .add("messages", dialogue_.messages())
        .add("refusals", refusals_)
        .add("reason", end_reason_);
}

void Session::log_refusal(const Answer& answer, const std::string& command) const {
    log::info("reject")
        .add("session", client_.session_text())
        .add("client", client_.text())
        .add("name", client_name_)
        .add("helo", dialogue_.helo())
        .add("command", command)
        .add("reply", mail::summary(answer.reply))
        .add("rule", answer.rule);
}

}  // namespace postrider::smtpd
