#include "queue-manager/intake.h"

#include <algorithm>
#include <functional>
#include <utility>

#include "libcommon/ipc/channel.h"
#include "libcommon/log/log.h"

namespace postrider::queue_manager {

namespace {

// One smtpd worker has at most 2000 sessions, each with one message.
constexpr std::size_t kMaxOpenPerPeer = 2500;
constexpr std::size_t kMaxOpen = 10'000;
constexpr std::size_t kMaxPartialPerPeer = 100;
// Content that waits in memory for the disk; what would exceed it is refused for now.
constexpr std::size_t kMaxInlineBytes = std::size_t{64} << 20;
// A mailbox of RFC 5321 has at most 320 octets; SMTPUTF8 and xtext make it longer.
constexpr int kMaxField = 4096;
constexpr Milliseconds kSpaceInterval{5000};
// Why nothing is taken in; smtpd puts the code before it.
constexpr const char* kNoStorage = "insufficient system storage";
constexpr const char* kReadOnly = "the queue cannot be written now";
constexpr const char* kStopping = "the mail system is being stopped";
constexpr std::uint32_t kAllNotifyBits = 15;

bool too_long(const std::string& field) {
    return field.size() > static_cast<std::size_t>(kMaxField);
}

bool recipient_fits(const wire::Recipient& recipient) {
    return !too_long(recipient.address()) && !recipient.address().empty() && !too_long(recipient.orcpt()) &&
           recipient.notify() <= kAllNotifyBits;
}

}  // namespace

Result<void> sanitize_envelope(wire::Envelope& envelope, UnixMillis now, std::size_t max_recipients) {
    for (const std::string* field :
         {&envelope.sender(), &envelope.envid(), &envelope.client_address(), &envelope.client_name(),
          &envelope.helo(), &envelope.login(), &envelope.protocol(), &envelope.quarantine_rule(),
          &envelope.quarantine_reason()}) {
        if (too_long(*field)) return permanent("sent an envelope with a field that is too long");
    }
    if (envelope.recipients().empty()) return permanent("sent an envelope without recipients");
    if (static_cast<std::size_t>(envelope.recipients_size()) > max_recipients) {
        return permanent("sent an envelope with too many recipients");
    }
    bool fits = std::all_of(envelope.recipients().begin(), envelope.recipients().end(), recipient_fits);
    if (!fits) return permanent("sent an envelope with a recipient that cannot be one");
    // A report is something only we make: it would be answered differently.
    envelope.set_report(false);
    envelope.set_double_bounce(false);
    envelope.set_arrival_ms(now);
    return {};
}

Intake::Intake(async::Loop& loop, const Settings& settings, Spool& spool, Queue& queue)
    : settings_(settings),
      spool_(spool),
      queue_(queue),
      space_timer_(loop, [this] { check_space(); }),
      tasks_(loop) {}

void Intake::start() {
    check_space();
}

void Intake::stop() {
    stopped_ = true;
    space_timer_.disarm();
    set_refusal(kStopping);
}

void Intake::check_space() {
    space_timer_.arm(kSpaceInterval);
    auto space = spool_.free_space();
    if (!space) {
        log::error("cannot_measure_free_space").add("reason", space.error().text);
        return;
    }
    space_ = *space;
    bool low = settings_.min_free_space.undercut(space_.bytes, space_.total_bytes) ||
               settings_.min_free_inodes.undercut(space_.inodes, space_.total_inodes);
    if (space_.read_only) return set_refusal(kReadOnly);
    set_refusal(low ? kNoStorage : "");
}

void Intake::set_refusal(std::string reason) {
    if (stopped_) reason = kStopping;
    if (reason == refusal_) return;
    refusal_ = std::move(reason);
    if (refusal_.empty()) {
        log::info("intake_resumed").add("free_bytes", space_.bytes);
    } else {
        log::warning("intake_stopped").add("reason", refusal_).add("free_bytes", space_.bytes);
    }
    for (const auto& [peer, connection] : connections_)
        announce(*peer);
}

void Intake::announce(QueuePeer& peer) {
    wire::QueueReply notice;
    notice.mutable_intake()->set_accepting(refusal_.empty());
    notice.mutable_intake()->set_reason(refusal_);
    peer.reply(notice);
}

void Intake::connected(QueuePeer& peer) {
    auto connection = std::make_unique<Connection>();
    connection->peer = &peer;
    connection->number = next_connection_++;
    by_number_.emplace(connection->number, connection.get());
    connections_.emplace(&peer, std::move(connection));
    announce(peer);
}

void Intake::gone(QueuePeer& peer) {
    auto found = connections_.find(&peer);
    if (found == connections_.end()) return;
    for (const auto& [id, open] : found->second->open) {
        if (open.file) spool_.discard(id);
    }
    open_messages_ -= found->second->open.size();
    by_number_.erase(found->second->number);
    connections_.erase(found);
}

Result<void> Intake::open(QueuePeer& peer, std::uint64_t request, wire::OpenMessage&& frame) {
    Connection& connection = connection_of(peer);
    Partial partial;
    partial.envelope = std::move(*frame.mutable_envelope());
    partial.expected_size = frame.expected_size();
    partial.bytes = partial.envelope.ByteSizeLong();
    if (!frame.more()) {
        begin(connection, request, std::move(partial));
        return {};
    }
    if (connection.partial.size() >= kMaxPartialPerPeer)
        return permanent("begins too many envelopes at once");
    bool is_new = connection.partial.emplace(request, std::move(partial)).second;
    if (!is_new) return permanent("uses the id of a request that is not complete");
    return {};
}

Result<void> Intake::more_recipients(QueuePeer& peer, std::uint64_t request, wire::MoreRecipients&& frame) {
    Connection& connection = connection_of(peer);
    auto found = connection.partial.find(request);
    if (found == connection.partial.end()) return permanent("continues an envelope that it did not begin");
    Partial& partial = found->second;
    partial.bytes += frame.ByteSizeLong();
    if (partial.bytes > queue_file::Header::kMaxEnvelopeLength)
        return permanent("sent an envelope that is too long");
    for (auto& recipient : *frame.mutable_recipients()) {
        *partial.envelope.add_recipients() = std::move(recipient);
    }
    if (frame.more()) return {};
    Partial complete = std::move(partial);
    connection.partial.erase(found);
    begin(connection, request, std::move(complete));
    return {};
}

void Intake::begin(Connection& connection, std::uint64_t request, Partial partial) {
    QueuePeer& peer = *connection.peer;
    auto valid = sanitize_envelope(partial.envelope, queue_.now(), settings_.active_recipients);
    if (!valid) return peer.fail(request, valid.error());
    if (!refusal_.empty()) return peer.fail(request, Error(Severity::Temporary, refusal_));
    if (partial.expected_size > space_.bytes)
        return peer.fail(request, Error(Severity::Temporary, kNoStorage));
    if (connection.open.size() >= kMaxOpenPerPeer || open_messages_ >= kMaxOpen) {
        return peer.fail(request, Error(Severity::Temporary, "4.3.2 too many messages are being received"));
    }
    QueueId id = queue_.next_id();
    Open open;
    open.envelope = std::move(partial.envelope);
    connection.open.emplace(id, std::move(open));
    ++open_messages_;
    wire::QueueReply reply;
    reply.set_id(request);
    reply.mutable_opened()->set_queue_id(id.text());
    peer.reply(reply);
}

Result<void> Intake::open_content(QueuePeer& peer, std::uint64_t request, const wire::OpenContent& frame) {
    Connection& connection = connection_of(peer);
    auto id = QueueId::parse(frame.queue_id());
    if (!id) return permanent("asks for the content of what is no queue id");
    auto found = connection.open.find(*id);
    if (found == connection.open.end()) return permanent("asks for the content of what it did not open");
    Open& open = found->second;
    if (open.file) return permanent("asks twice for the content of a message");
    auto incoming = spool_.create(*id, open.envelope);
    if (!incoming) {
        cannot_create(incoming.error());
        peer.fail(request, Error(Severity::Temporary, kNoStorage));
        return {};
    }
    open.header = incoming->header;
    open.file = std::move(incoming->file);
    wire::QueueReply reply;
    reply.set_id(request);
    reply.mutable_content_opened();
    peer.reply(reply, std::move(incoming->writer));
    return {};
}

void Intake::cannot_create(const Error& error) {
    log::error("cannot_create_message").add("reason", error.text);
    // Until the next look at the disk, so that every MAIL does not find out for itself.
    set_refusal(kNoStorage);
}

Result<void> Intake::commit(QueuePeer& peer, std::uint64_t request, wire::CommitMessage&& frame) {
    Connection& connection = connection_of(peer);
    auto id = QueueId::parse(frame.queue_id());
    if (!id) return permanent("commits what is no queue id");
    auto found = connection.open.find(*id);
    if (found == connection.open.end()) return permanent("commits a message that it did not open");
    const bool has_file = static_cast<bool>(found->second.file);
    if (frame.has_content() == has_file) return permanent("commits content in the wrong place");
    if (frame.content().size() > ipc::kMaxInlineContent) return permanent("commits too much content at once");
    auto commit = std::make_shared<Commit>();
    commit->id = *id;
    commit->open = std::move(found->second);
    commit->frame = std::move(frame);
    connection.open.erase(found);
    --open_messages_;
    if (!commit->open.envelope.quarantine_rule().empty()) commit->target = Folder::Hold;
    tasks_.spawn(commit_open(connection.number, request, std::move(commit)));
    return {};
}

Result<Spool::Committed> Intake::make_durable(Spool& spool, Commit& commit) {
    const wire::CommitMessage& frame = commit.frame;
    if (frame.has_content()) {
        return spool.commit_message(commit.id, commit.open.envelope, frame.content(), commit.target);
    }
    Fd file = std::move(commit.open.file);
    auto header = spool.commit(commit.open.header, file.get(), frame.content_length(), frame.content_xxh3(),
                               commit.target);
    if (!header) return failure(std::move(header.error()));
    return Spool::Committed{*header, std::move(file)};
}

async::Task<void> Intake::commit_open(std::uint64_t number, std::uint64_t request,
                                      std::shared_ptr<Commit> commit) {
    const QueueId id = commit->id;
    Result<Spool::Committed> committed = temporary("the commit was not begun");
    auto in_journal = co_await commit_to_journal(commit);
    if (in_journal) {
        committed = std::move(*in_journal);
    } else {
        committed = co_await commit_to_file(commit);
    }
    auto found = by_number_.find(number);
    if (found == by_number_.end()) {
        // smtpd is gone, so the sender was not answered and will send again: this copy is not wanted.
        if (committed && commit->image) {
            queue_.journal()->end(id);
        } else if (committed) {
            static_cast<void>(spool_.remove(id, commit->target));
        }
        co_return;
    }
    QueuePeer& peer = *found->second->peer;
    if (!committed) {
        log::error("cannot_commit_message").add("id", id.text()).add("reason", committed.error().text);
        peer.fail(request, committed.error());
        co_return;
    }
    wire::QueueReply reply;
    reply.set_id(request);
    reply.mutable_committed();
    peer.reply(reply);
    queue_.accept(committed->header, std::move(commit->open.envelope), std::move(committed->file),
                  std::move(commit->image));
}

async::Task<Result<Spool::Committed>> Intake::commit_to_file(std::shared_ptr<Commit> commit) {
    const std::size_t in_memory = commit->frame.content().size();
    Result<Spool::Committed> committed = temporary("4.3.2 too many messages are being committed");
    if (inline_bytes_ + in_memory <= kMaxInlineBytes) {
        inline_bytes_ += in_memory;
        std::function<Result<Spool::Committed>()> work = [spool = &spool_, commit] {
            return make_durable(*spool, *commit);
        };
        auto result = co_await queue_.sync_pool().run(std::move(work));
        inline_bytes_ -= in_memory;
        if (result) committed = std::move(*result);
        // As long as nobody looks at the disk again, every message would find out for itself.
        if (result && !committed && committed.error().temporary()) set_refusal(kNoStorage);
    }
    // It was not even tried.
    if (commit->open.file) spool_.discard(commit->id);
    co_return committed;
}

async::Task<std::optional<Result<Spool::Committed>>> Intake::commit_to_journal(
    std::shared_ptr<Commit> commit) {
    IntakeJournal* journal = queue_.journal();
    const std::string& content = commit->frame.content();
    const bool small = commit->frame.has_content() && content.size() <= settings_.intake_journal_max;
    if (journal == nullptr || !small || commit->target != Folder::New) co_return std::nullopt;
    if (!queue_.room_for(static_cast<std::size_t>(commit->open.envelope.recipients_size())))
        co_return std::nullopt;
    auto encoded = queue_file::encode_complete(commit->id, commit->open.envelope, content);
    if (!encoded || !journal->has_room(encoded->bytes.size())) co_return std::nullopt;
    commit->image = std::make_shared<const std::string>(std::move(encoded->bytes));
    auto position = journal->append(commit->id, *commit->image);
    Result<void> durable;
    if (position) {
        durable = co_await journal->durable(*position);
    } else {
        durable = failure(std::move(position.error()));
    }
    if (durable) co_return Spool::Committed{encoded->header, Fd()};
    journal->end(commit->id);
    queue_.rescue_journal();
    co_return Result<Spool::Committed>(failure(std::move(durable.error())));
}

Result<void> Intake::abort(QueuePeer& peer, const wire::AbortMessage& frame) {
    Connection& connection = connection_of(peer);
    auto id = QueueId::parse(frame.queue_id());
    if (!id) return permanent("aborts what is no queue id");
    auto found = connection.open.find(*id);
    // One that is being committed: the answer crossed this frame, and the message stands.
    if (found == connection.open.end()) return {};
    if (found->second.file) spool_.discard(*id);
    connection.open.erase(found);
    --open_messages_;
    return {};
}

}  // namespace postrider::queue_manager
