#include "smtpd/session.h"

#include <sys/socket.h>

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

Answer ending(Reply reply, std::string rule) {
    return Answer{std::move(reply), std::move(rule), Milliseconds(0), true};
}

}  // namespace

Session::Session(Services services, ClientInfo client, Fd socket)
    : services_(services),
      listener_(services.settings.listeners.at(client.listener)),
      client_(std::move(client)),
      stream_(services.loop, std::move(socket)),
      reader_(services.settings.limits.size(Limit::CommandLine)),
      dialogue_(services.settings, listener_, client_.load),
      started_(services.loop.now()),
      answered_(services.loop),
      asking_(services.loop) {}

async::Task<void> Session::run() {
    log_connect();
    co_await greet();
    co_await converse();
    co_await linger();
    log_disconnect();
}

void Session::finish() {
    finishing_ = true;
    // Whoever waits for the client sees the end of the input and looks at finishing_.
    if (waiting_) static_cast<void>(::shutdown(stream_.descriptor(), SHUT_RD));
}

async::Task<void> Session::greet() {
    wire::Client asked = wire_client();
    ClientVerdict client = co_await services_.router.may_connect(std::move(asked));
    client_known_ = client.answered;
    client_name_ = client.client_name;
    // RFC 5321, 3.1: the client waits for the banner. One that does not is likely to be no mail program.
    if (stream_.stale()) dialogue_.note_early_talker();
    Answer banner = dialogue_.greeting(client);
    co_await say(std::move(banner), "connect");
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
        stream_.consume(line.consumed);
        co_await obey(line.state, std::move(text));
    }
    co_await flush();
}

async::Task<void> Session::wait_for_input() {
    if (finishing_) {
        end_waiting(std::nullopt);
        co_return;
    }
    waiting_ = true;
    const async::Deadline deadline = command_deadline();
    Result<bool> filled = co_await stream_.fill(kInputBlock, deadline);
    waiting_ = false;
    if (filled && *filled) co_return;
    end_waiting(filled ? std::nullopt : std::optional<std::string>(std::move(filled.error().text)));
}

// The wait for a command ended without one: in an orderly close by the client, or with `error`.
void Session::end_waiting(const std::optional<std::string>& error) {
    if (finishing_) {
        put(ending(Reply{421, EnhancedCode{4, 3, 2}, {"Service is shutting down"}}, "shutdown"), "");
    } else if (!error) {
        lose("closed by the client");
    } else if (stream_.stale()) {
        lose(*error);
    } else {
        // A connection that is quiet, but not broken, has timed out.
        put(ending(Reply{421, EnhancedCode{4, 4, 2}, {"Idle for too long"}}, "command_timeout"), "");
    }
}

async::Task<void> Session::obey(LineState state, std::string line) {
    if (state != LineState::Complete) {
        co_await settle();
        Answer answer = dialogue_.bad_line(state);
        co_await say(std::move(answer), "");
        co_return;
    }
    auto command = mail::parse_command(line, listener_.strict);
    if (!command) {
        co_await settle();
        Answer answer = dialogue_.unreadable_command(command.error());
        co_await say(std::move(answer), std::move(line));
        co_return;
    }
    co_await obey_command(std::move(*command), std::move(line));
}

async::Task<void> Session::obey_command(mail::Command command, std::string line) {
    // RCPT commands of a pipelined group are asked about at once; everything else waits for its turn.
    if (command.verb != Verb::Rcpt || questions_.size() >= kQuestionsAtOnce) co_await settle();
    if (ended_) co_return;
    if (command.verb == Verb::Mail && !client_known_) {
        bool welcome = co_await client_is_welcome();
        if (!welcome) co_return;
    }
    Action action = dialogue_.command(command);
    if (auto* sender = std::get_if<AskSender>(&action)) {
        ask(true, std::move(sender->sender));
    } else if (auto* recipient = std::get_if<AskRecipient>(&action)) {
        ask(false, std::move(recipient->recipient));
    } else if (auto* answer = std::get_if<Answer>(&action)) {
        Answer ready = std::move(*answer);
        co_await settle();
        co_await say(std::move(ready), std::move(line));
        if (command.verb == Verb::Data) co_await refuse_early_content();
    } else {
        co_await take_message();
    }
}

async::Task<bool> Session::client_is_welcome() {
    wire::Client asked = wire_client();
    ClientVerdict client = co_await services_.router.may_connect(std::move(asked));
    client_known_ = client.answered && client.verdict.accepted();
    client_name_ = client.client_name;
    dialogue_.client_decided(client);
    if (client_known_) co_return true;
    Answer answer = dialogue_.client_refused(client.verdict);
    co_await say(std::move(answer), "MAIL");
    co_return false;
}

void Session::ask(bool is_sender, std::string address) {
    auto question = std::make_shared<Question>();
    question->is_sender = is_sender;
    question->address = std::move(address);
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
        std::string recipient = question->address;
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
                            : dialogue_.recipient_decided(question->address, *question->verdict);
        std::string command = (question->is_sender ? "MAIL <" : "RCPT <") + question->address + ">";
        co_await say(std::move(answer), std::move(command));
    }
}

async::Task<void> Session::say(Answer answer, std::string command) {
    if (ended_) co_return;
    if (answer.delay > Milliseconds(0)) {
        // What was answered before must not wait with it.
        co_await flush();
        co_await async::Sleep(services_.loop, answer.delay);
        if (ended_) co_return;
    }
    put(answer, command);
}

void Session::put(const Answer& answer, const std::string& command) {
    if (!answer.rule.empty()) {
        ++refusals_;
        log_refusal(answer, command);
    }
    stream_.put(mail::format(answer.reply));
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

async::Deadline Session::command_deadline() const {
    const config::Limits& limits = services_.settings.limits;
    const bool recipients = dialogue_.has_recipients() || dialogue_.messages() > 0;
    const Limit limit = recipients ? Limit::CommandTimeout : Limit::CommandTimeoutBeforeRcpt;
    return std::min(services_.loop.now() + limits.time(limit, client_.load),
                    started_ + limits.time(Limit::SessionTimeout));
}

wire::Client Session::wire_client() const {
    return client_.to_wire(listener_, client_name_, dialogue_.helo());
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
        .add("messages", dialogue_.messages())
        .add("refusals", refusals_)
        .add("reason", end_reason_);
}

void Session::log_refusal(const Answer& answer, const std::string& command) const {
    log::info("reject")
        .add("session", client_.session_text())
        .add("client", client_.text())
        .add("helo", dialogue_.helo())
        .add("command", command)
        .add("reply", mail::summary(answer.reply))
        .add("rule", answer.rule);
}

}  // namespace postrider::smtpd
