#include "smtpd/worker.h"

#include <algorithm>

#include "libcommon/log/log.h"

namespace postrider::smtpd {

namespace {

using config::Limit;

// The `listen` line a session came in by: named by its index, or found by its address when the listener has
// read another version of the configuration than we have.
std::optional<std::size_t> find_listener(const wire::NewSession& start, const config::Settings& settings) {
    const auto& listeners = settings.listeners;
    if (start.listener() < listeners.size() &&
        listeners[start.listener()].endpoint_text() == start.endpoint()) {
        return start.listener();
    }
    const auto found = std::find_if(
        listeners.begin(), listeners.end(),
        [&](const config::Listener& listener) { return listener.endpoint_text() == start.endpoint(); });
    if (found == listeners.end()) return std::nullopt;
    return static_cast<std::size_t>(found - listeners.begin());
}

}  // namespace

Worker::Worker(async::Loop& loop, const config::Settings& settings, Fd listener, std::uint32_t number)
    : loop_(loop),
      settings_(settings),
      number_(number),
      listener_(loop, std::move(listener)),
      channel_came_(loop),
      router_(
          loop, [this]() { return want_channel(wire::PeerChannel::ROUTER); }, settings.limits),
      queue_(
          loop, [this]() { return want_channel(wire::PeerChannel::QUEUE_MANAGER); }, settings.limits),
      tls_(
          loop, [this]() { return want_channel(wire::PeerChannel::KEYD); }, settings),
      logins_(
          loop, [this]() { return want_channel(wire::PeerChannel::AUTHD); }, settings.limits),
      session_ended_(loop),
      tasks_(loop) {}

void Worker::start() {
    tasks_.spawn(serve_listener());
    wire::WorkerFrame ready;
    ready.mutable_ready()->set_number(number_);
    // If the listener is gone already, serve_listener() sees it.
    static_cast<void>(listener_.post(ready));
    router_.start();
    queue_.start();
    tls_.start();
    if (!settings_.auth.empty()) logins_.start();
}

void Worker::finish() {
    if (finishing_) return;
    finishing_ = true;
    log::info("finishing").add("worker", number_).add("sessions", sessions_.size());
    for (const auto& [number, session] : sessions_)
        session->finish();
    tasks_.spawn(drain());
}

async::Task<void> Worker::drain() {
    const async::Deadline deadline = loop_.after(settings_.limits.time(Limit::ShutdownGrace));
    while (!sessions_.empty()) {
        bool notified = co_await session_ended_.wait(deadline);
        if (!notified) break;
    }
    if (!sessions_.empty()) log::warning("sessions cut off").add("sessions", sessions_.size());
    loop_.stop();
}

async::Task<void> Worker::serve_listener() {
    while (true) {
        auto received = co_await listener_.receive();
        if (!received || !*received) break;
        ipc::Frame& packet = **received;
        wire::ListenerFrame frame;
        if (!frame.ParseFromString(packet.data)) break;
        auto obeyed = obey(frame, std::move(packet.descriptors));
        if (!obeyed) {
            log::error("the listener sent nonsense").add("reason", obeyed.error().text);
            break;
        }
    }
    finish();
}

Result<void> Worker::obey(const wire::ListenerFrame& frame, std::vector<Fd> descriptors) {
    switch (frame.body_case()) {
        case wire::ListenerFrame::kSession:
            return begin_session(frame.session(), std::move(descriptors));
        case wire::ListenerFrame::kChannel:
            return take_channel(frame.channel(), std::move(descriptors));
        case wire::ListenerFrame::kShutdown:
            finish();
            return {};
        case wire::ListenerFrame::BODY_NOT_SET:
            break;
    }
    return permanent("a frame without meaning");
}

Result<void> Worker::begin_session(const wire::NewSession& start, std::vector<Fd> descriptors) {
    if (descriptors.size() != 1) return permanent("a session without its socket");
    const auto index = find_listener(start, settings_);
    ClientInfo client;
    client.session = start.session();
    client.port = static_cast<std::uint16_t>(start.client_port());
    client.local_user = start.local_user();
    client.sessions_of_client = start.client_sessions();
    client.load = start.overload() ? config::Load::Overload : config::Load::Normal;
    if (!start.client_address().empty()) {
        auto address = config::IpAddress::from_bytes(start.client_address());
        if (!address) return failure(address.error());
        client.address = *address;
    }
    if (!index) {
        log::warning("no listen line for a session").add("endpoint", start.endpoint());
        wire::WorkerFrame ended;
        ended.mutable_ended()->set_session(start.session());
        return listener_.post(ended);
    }
    client.listener = *index;
    tasks_.spawn(serve_client(std::move(client), std::move(descriptors.front())));
    return {};
}

async::Task<void> Worker::serve_client(ClientInfo client, Fd socket) {
    const std::uint64_t number = client.session;
    const Services services{loop_, settings_, router_, queue_, tls_, logins_};
    auto session = std::make_unique<Session>(services, std::move(client), std::move(socket));
    sessions_.emplace(number, session.get());
    if (finishing_) session->finish();
    co_await session->run();
    sessions_.erase(number);
    session.reset();  // closes the connection before its place is given away
    wire::WorkerFrame ended;
    ended.mutable_ended()->set_session(number);
    static_cast<void>(listener_.post(ended));
    session_ended_.notify_all();
}

Result<void> Worker::take_channel(const wire::PeerChannel& channel, std::vector<Fd> descriptors) {
    const auto peer = static_cast<std::size_t>(channel.peer());
    if (peer >= wanted_.size()) return permanent("a channel to an unknown peer");
    if (channel.connected() != (descriptors.size() == 1)) return permanent("a channel without its socket");
    WantedChannel& wanted = wanted_.at(peer);
    if (!wanted.asked) return {};  // it came too late; the descriptor is closed here
    if (channel.connected()) {
        wanted.answer = std::move(descriptors.front());
    } else {
        wanted.answer = temporary("nobody listens");
    }
    channel_came_.notify_all();
    return {};
}

async::Task<Result<Fd>> Worker::want_channel(wire::PeerChannel::Peer peer) {
    WantedChannel& wanted = wanted_.at(static_cast<std::size_t>(peer));
    wanted.asked = true;
    wanted.answer.reset();
    wire::WorkerFrame want;
    want.mutable_want()->set_peer(peer);
    auto posted = listener_.post(want);
    if (!posted) co_return failure(posted.error());
    const async::Deadline deadline = loop_.after(settings_.limits.time(Limit::IpcTimeout));
    while (!wanted.answer) {
        bool notified = co_await channel_came_.wait(deadline);
        if (!notified) break;
    }
    wanted.asked = false;
    if (!wanted.answer) co_return temporary("the listener does not answer");
    Result<Fd> answer = std::move(*wanted.answer);
    wanted.answer.reset();
    co_return answer;
}

}  // namespace postrider::smtpd
