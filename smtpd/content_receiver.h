#pragma once

#include <xxhash.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "libcommon/base/fd.h"
#include "libcommon/base/result.h"
#include "libcommon/config/settings.h"
#include "libcommon/mail/dot_stuffing.h"
#include "libcommon/mail/header_scan.h"
#include "smtpd/verdict.h"

namespace postrider::smtpd {

/// How content comes, and what is to become of it.
struct ContentOptions {
    bool in_chunks = false;  ///< by BDAT, not by DATA
    bool binary = false;     ///< BINARYMIME: any octets
    std::uint64_t max_size = 0;
    /// Fields, with CRLF, that are added at the end of the header if it has none of that name (RFC 6409, 8);
    /// empty: nothing is added.
    std::string date_field;
    std::string message_id_field;
};

/// Takes what follows a 354 or a BDAT: removes the dot-stuffing, keeps the content or, if it is not small,
/// writes it into the message's descriptor, and finds out whether the message can be accepted. It reads to
/// the end of the content whatever is wrong with it, because nothing of it may be taken for a command. Memory
/// is bounded, whatever the size of the message.
class ContentReceiver {
  public:
    /// The content begins with `trace`, our own `Received:` field.
    ContentReceiver(std::string trace, const config::Settings& settings, ContentOptions options);

    /// Takes the next octets of DATA from the client, which may be any number. Returns how many were used:
    /// all of them, unless the content ended before, when the rest are commands.
    [[nodiscard]] std::size_t feed(std::string_view octets);

    /// Takes the next octets of a chunk.
    void feed_chunk(std::string_view octets);

    /// Whether the end of the content was seen. Of chunks, the sender of BDAT LAST knows it.
    [[nodiscard]] bool done() const { return decoder_.done(); }

    /// Whether the message will be refused, whatever still comes.
    [[nodiscard]] bool is_worthless() const;

    /// Whether more has come than is kept in memory: it is to be given a descriptor, or up. To be asked after
    /// each feed, and again after finish(), which may add to the content.
    [[nodiscard]] bool needs_file() const;
    /// The content goes to `file`, at its position, from now on; blocks for what was kept so far.
    void write_to(Fd file);
    /// There is no place for the content: it is refused with `why`.
    void give_up(Verdict why);

    /// To be called once, at the end of the content: writes what is still in memory, if there is a
    /// descriptor. Returns why the message is refused; accepted if it is complete.
    [[nodiscard]] Verdict finish();
    /// Why writing failed after finish(); accepted if it did not.
    [[nodiscard]] Verdict write_verdict() const;

    /// All of the content, if it was not written. Valid after finish(), once.
    [[nodiscard]] std::optional<std::string> take_content();
    /// What was kept or written, the trace included. Valid after finish().
    [[nodiscard]] std::uint64_t length() const { return length_; }
    [[nodiscard]] std::uint64_t hash() const;

    /// What went wrong with the descriptor, for the log.
    [[nodiscard]] const std::optional<Error>& write_error() const { return write_error_; }

  private:
    struct FreeHashState {
        void operator()(XXH3_state_t* state) const { XXH3_freeState(state); }
    };

    void take_decoded(std::size_t before);
    void complete_header();
    void write_buffer();
    [[nodiscard]] mail::DataFault fault() const;
    [[nodiscard]] std::uint64_t octets() const;

    Fd file_;  // none while all is in memory
    const config::Settings& settings_;
    ContentOptions options_;
    mail::DataDecoder decoder_;
    mail::ChunkChecker chunk_checker_;
    std::uint64_t chunk_octets_ = 0;
    std::size_t trace_length_;
    bool header_done_ = false;
    mail::HeaderScanner header_;
    std::unique_ptr<XXH3_state_t, FreeHashState> hash_state_;
    std::string buffer_;  // received and not yet written
    std::uint64_t length_ = 0;
    std::optional<Error> write_error_;
    std::optional<Verdict> given_up_;
};

}  // namespace postrider::smtpd
