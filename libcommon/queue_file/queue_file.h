#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "libcommon/base/fd.h"
#include "libcommon/base/result.h"
#include "libcommon/ipc/envelope.pb.h"
#include "libcommon/queue_file/header.h"
#include "libcommon/queue_file/journal.h"
#include "libcommon/queue_file/journal_key.h"
#include "libcommon/queue_file/journal_state.h"

/// One file per message: header, envelope, content, journal. The format is written down in
/// postrider-queue-file(5); this folder is the only code that knows it.
namespace postrider::queue_file {

/// A queue file without its content.
struct QueueFile {
    Header header;
    wire::Envelope envelope;
    JournalState journal;
    std::uint64_t journal_end = 0;  ///< file offset after the last valid record: where the next one goes
};

/// The first bytes of a new file, header and envelope; the content follows them.
struct Beginning {
    Header header;
    std::string bytes;
};

/// Encodes the beginning of a file. Error (Permanent): the envelope exceeds Header::kMaxEnvelopeLength.
[[nodiscard]] Result<Beginning> encode_beginning(QueueId id, const wire::Envelope& envelope);

/// Encodes a file whose content is known; the header is a complete one. Error as encode_beginning.
[[nodiscard]] Result<Beginning> encode_complete(QueueId id, const wire::Envelope& envelope,
                                                std::string_view content);

/// The 128 bytes of the completed header; `receiving` is the header that encode_beginning wrote.
[[nodiscard]] std::string complete_header(const Header& receiving, std::uint64_t content_length,
                                          std::uint64_t content_xxh3);

/// Reads everything but the content and checks it: header, envelope and their checksums, the length of the
/// content, the journal up to its last valid record. `key` as for JournalReader. Any file may be given.
/// Errors: Permanent when it is no complete queue file, Temporary when it cannot be read.
[[nodiscard]] Result<QueueFile> read_queue_file(const Fd& file, const std::optional<JournalKey>& key);

/// Reads the content and compares its hash with the header's. Needed once, for a file that was not seen being
/// committed. Errors as read_queue_file.
[[nodiscard]] Result<void> verify_content(const Fd& file, const Header& header);

}  // namespace postrider::queue_file
