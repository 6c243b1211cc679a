#include "smtpd/auth/service.h"

#include <fmt/format.h>
#include <openssl/rand.h>

#include <algorithm>
#include <stdexcept>
#include <utility>

#include "libcommon/base/wipe.h"
#include "libcommon/config/network.h"
#include "libcommon/log/log.h"
#include "smtpd/auth/login_name.h"
#include "smtpd/auth/plain.h"

namespace postrider::auth {

namespace {

constexpr std::size_t kSaltKeySize = 32;

std::string random_key() {
    std::string key(kSaltKeySize, '\0');
    if (::RAND_bytes(reinterpret_cast<unsigned char*>(key.data()), static_cast<int>(key.size())) != 1) {
        throw std::runtime_error("there are no random numbers");
    }
    return key;
}

wire::AuthOutcome outcome_of(wire::AuthOutcome::Result result, std::string reason) {
    wire::AuthOutcome outcome;
    outcome.set_result(result);
    outcome.set_reason(std::move(reason));
    return outcome;
}

std::string_view result_name(wire::AuthOutcome::Result result) {
    switch (result) {
        case wire::AuthOutcome::ACCEPTED:
            return "accepted";
        case wire::AuthOutcome::REJECTED:
            return "rejected";
        case wire::AuthOutcome::MALFORMED:
            return "malformed";
        case wire::AuthOutcome::LOCKED:
            return "locked";
        default:
            return "unavailable";
    }
}

}  // namespace

bool may_send(wire::Role role, wire::AuthRequest::BodyCase frame) {
    switch (frame) {
        case wire::AuthRequest::kBegin:
        case wire::AuthRequest::kResponse:
        case wire::AuthRequest::kCancel:
            return role == wire::ROLE_SMTPD;
        case wire::AuthRequest::kStatus:
            return role == wire::ROLE_ADMIN;
        case wire::AuthRequest::kHello:
        case wire::AuthRequest::BODY_NOT_SET:
            break;
    }
    return false;
}

Service::Service(async::Loop& loop, SaslLibrary& library, ServiceSettings settings)
    : loop_(loop),
      library_(library),
      settings_(settings),
      salt_key_(random_key()),
      failures_(settings.failures),
      check_ended_(loop),
      scope_(loop) {}

void Service::add(std::unique_ptr<PasswordFile> file) {
    files_.push_back(file.get());
    methods_.push_back(std::move(file));
}

// ---- What is offered.

std::vector<std::string> Service::offer() const {
    std::vector<std::string> names;
    const bool scram = std::any_of(files_.begin(), files_.end(), [](const PasswordFile* file) {
        return file->table().scram_example() != nullptr;
    });
    if (scram) names = {"SCRAM-SHA-256-PLUS", "SCRAM-SHA-256"};
    names.emplace_back("PLAIN");
    names.emplace_back("LOGIN");
    return names;
}

void Service::send_offer(Peer& peer) const {
    wire::AuthReply notice;
    wire::AuthOffer& body = *notice.mutable_offer();
    for (std::string& name : offer())
        body.add_mechanisms(std::move(name));
    peer.reply(notice);
}

void Service::offer_changed() {
    for (auto& [number, session] : sessions_)
        send_offer(*session.peer);
}

// ---- Peers and their frames.

void Service::on_connect(Peer& peer) {
    const SessionNumber number = next_session_++;
    numbers_.emplace(&peer, number);
    sessions_[number].peer = &peer;
    if (peer.role() == wire::ROLE_SMTPD) send_offer(peer);
}

void Service::on_disconnect(Peer& peer) {
    const auto found = numbers_.find(&peer);
    if (found == numbers_.end()) return;
    sessions_.erase(found->second);
    numbers_.erase(found);
}

Service::Session* Service::session_of(const Peer& peer) {
    const auto found = numbers_.find(&peer);
    return found == numbers_.end() ? nullptr : &sessions_.at(found->second);
}

Result<void> Service::on_request(Peer& peer, wire::AuthRequest&& request,
                                 const std::vector<Fd>& descriptors) {
    if (!descriptors.empty()) return permanent("sent a descriptor, which nothing here takes");
    if (!may_send(peer.role(), request.body_case())) {
        return permanent(fmt::format("sent frame {}, which role {} may not",
                                     static_cast<int>(request.body_case()), static_cast<int>(peer.role())));
    }
    Result<void> handled;
    if (request.has_begin()) {
        handled = begin(peer, request.id(), *request.mutable_begin());
        wipe(*request.mutable_begin()->mutable_initial());
    } else if (request.has_response()) {
        handled = respond(peer, request.id(), request.response());
        wipe(*request.mutable_response()->mutable_data());
    } else if (request.has_cancel()) {
        cancel(peer, request.cancel());
    } else {
        answer_status(peer, request.id());
    }
    return handled;
}

std::string Service::network_of(const std::string& address) const {
    const auto parsed = config::IpAddress::parse(address);
    // A client of a local socket has no address; all of them are one.
    if (!parsed) return "local";
    return settings_.client_prefixes.network_of(*parsed).text();
}

Result<void> Service::begin(Peer& peer, std::uint64_t id, wire::AuthBegin& begin) {
    Session& session = *session_of(peer);
    if (session.running.contains(begin.exchange())) return permanent("began one exchange twice");
    if (session.running.size() >= settings_.exchanges_per_peer) {
        return permanent("began more exchanges than there can be sessions");
    }
    ++counters_.begun;
    auto running = std::make_shared<Running>();
    running->number = begin.exchange();
    running->mechanism = begin.mechanism();
    running->client_address = begin.client_address();
    running->client = network_of(begin.client_address());
    running->tls = begin.tls();
    running->exchange = make_exchange(begin);
    session.running.emplace(running->number, running);
    const Question question{numbers_.at(&peer), id, running};
    if (!running->exchange) {
        finish(question, outcome_of(wire::AuthOutcome::MALFORMED, "a mechanism that is not offered"), {});
    } else if (failures_.is_client_locked(running->client, loop_.now())) {
        finish(question, outcome_of(wire::AuthOutcome::LOCKED, "too many failures of the client"), {});
    } else if (begin.has_initial()) {
        take_step(question, running->exchange->start(begin.initial()));
    } else {
        take_step(question, running->exchange->start(std::nullopt));
    }
    return {};
}

std::unique_ptr<Exchange> Service::make_exchange(const wire::AuthBegin& begin) {
    const std::vector<std::string> names = offer();
    const std::string& name = begin.mechanism();
    if (std::find(names.begin(), names.end(), name) == names.end()) return nullptr;
    if (name == "PLAIN") return std::make_unique<PlainExchange>();
    if (name == "LOGIN") return std::make_unique<LoginExchange>();
    return std::make_unique<ScramExchange>(library_, name == "SCRAM-SHA-256-PLUS", begin.channel_binding(),
                                           [this](const std::string& login) { return find_verifier(login); });
}

ScramVerifier Service::find_verifier(const std::string& login) const {
    const ScramVerifier* example = nullptr;
    for (const PasswordFile* file : files_) {
        if (const ScramVerifier* found = file->table().find_scram(login)) return *found;
        if (example == nullptr) example = file->table().scram_example();
    }
    // The last verifier may have gone from the file in the middle of an exchange.
    return example == nullptr ? ScramVerifier() : made_up_verifier(login, salt_key_, *example);
}

Result<void> Service::respond(Peer& peer, std::uint64_t id, const wire::AuthResponse& response) {
    Session& session = *session_of(peer);
    const auto found = session.running.find(response.exchange());
    if (found == session.running.end()) {
        // It began before a restart of this process.
        wire::AuthReply reply;
        reply.set_id(id);
        *reply.mutable_outcome() = outcome_of(wire::AuthOutcome::UNAVAILABLE, "an unknown exchange");
        count(wire::AuthOutcome::UNAVAILABLE);
        peer.reply(reply);
        return {};
    }
    const Question question{numbers_.at(&peer), id, found->second};
    if (question.running->checking) return permanent("answered where no challenge was");
    if (!question.running->proven_login.empty()) {
        take_acknowledgement(question, response.data());
    } else {
        take_step(question, question.running->exchange->respond(response.data()));
    }
    return {};
}

void Service::cancel(Peer& peer, const wire::AuthCancel& cancel) {
    Session& session = *session_of(peer);
    const auto found = session.running.find(cancel.exchange());
    if (found == session.running.end()) return;
    ++counters_.cancelled;
    // A check that is under way goes on: hanging up must not be a way to guess without being counted.
    found->second->cancelled = true;
    session.running.erase(found);
}

void Service::answer_status(Peer& peer, std::uint64_t id) {
    wire::AuthReply reply;
    reply.set_id(id);
    wire::AuthState& state = *reply.mutable_state();
    const auto add = [&state](std::string_view name, std::uint64_t value) {
        wire::Counter& counter = *state.add_counters();
        counter.set_name(std::string(name));
        counter.set_value(value);
    };
    add("begun", counters_.begun);
    add("accepted", counters_.accepted);
    add("rejected", counters_.rejected);
    add("unavailable", counters_.unavailable);
    add("malformed", counters_.malformed);
    add("locked", counters_.locked);
    add("cancelled", counters_.cancelled);
    add("tracked_clients", failures_.tracked_clients());
    add("tracked_accounts", failures_.tracked_accounts());
    if (on_status_) on_status_(state);
    peer.reply(reply);
}

// ---- Answers.

void Service::challenge(const Question& question, const std::string& data) {
    const auto session = sessions_.find(question.session);
    if (question.running->cancelled || session == sessions_.end()) return;
    question.running->checking = false;
    wire::AuthReply reply;
    reply.set_id(question.id);
    reply.mutable_challenge()->set_data(data);
    session->second.peer->reply(reply);
}

void Service::finish(const Question& question, wire::AuthOutcome outcome, std::string_view login,
                     std::string_view method) {
    const Running& running = *question.running;
    count(outcome.result());
    log::info("auth")
        .add("result", result_name(outcome.result()))
        .add("login", login)
        .add("client", running.client_address)
        .add("mechanism", running.mechanism)
        .add("method", method)
        .add("reason", outcome.reason());
    const auto session = sessions_.find(question.session);
    if (running.cancelled || session == sessions_.end()) return;
    wire::AuthReply reply;
    reply.set_id(question.id);
    *reply.mutable_outcome() = std::move(outcome);
    session->second.running.erase(running.number);
    session->second.peer->reply(reply);
}

void Service::count(wire::AuthOutcome::Result result) {
    if (result == wire::AuthOutcome::ACCEPTED) ++counters_.accepted;
    if (result == wire::AuthOutcome::REJECTED) ++counters_.rejected;
    if (result == wire::AuthOutcome::UNAVAILABLE) ++counters_.unavailable;
    if (result == wire::AuthOutcome::MALFORMED) ++counters_.malformed;
    if (result == wire::AuthOutcome::LOCKED) ++counters_.locked;
}

}  // namespace postrider::auth
