#include "local-delivery/maildir_size.h"

#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <charconv>
#include <cstdio>
#include <memory>
#include <utility>

#include "libcommon/base/fd.h"
#include "libcommon/base/file.h"

namespace postrider::local_delivery {

namespace {

// Where Courier and Dovecot count anew and begin a new file, too: no program appends to it for ever.
constexpr std::size_t kMaxFileSize = 5120;
constexpr mode_t kSizeFileMode = 0600;

struct FolderCloser {
    void operator()(DIR* folder) const { ::closedir(folder); }
};
using OpenFolder = std::unique_ptr<DIR, FolderCloser>;

/// A folder below another; nothing if there is none. A link is none.
OpenFolder open_folder(int parent, const char* name) {
    Fd opened(::openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    if (!opened) return nullptr;
    OpenFolder folder(::fdopendir(opened.get()));
    if (folder) static_cast<void>(opened.release());
    return folder;
}

bool take_number(std::string_view& text, std::int64_t& number) {
    while (text.starts_with(' '))
        text.remove_prefix(1);
    const auto [stop, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (error != std::errc()) return false;
    text.remove_prefix(static_cast<std::size_t>(stop - text.data()));
    return true;
}

/// Adds the messages of `new` or `cur`.
void count_messages(int parent, const char* name, MaildirUsage& usage) {
    const OpenFolder folder = open_folder(parent, name);
    if (!folder) return;
    while (const dirent* entry = ::readdir(folder.get())) {
        if (entry->d_name[0] == '.') continue;
        std::optional<std::uint64_t> octets = size_in_name(entry->d_name);
        if (!octets) {
            struct stat status {};
            if (::fstatat(::dirfd(folder.get()), entry->d_name, &status, AT_SYMLINK_NOFOLLOW) != 0 ||
                !S_ISREG(status.st_mode))
                continue;
            octets = static_cast<std::uint64_t>(status.st_size);
        }
        usage.octets += static_cast<std::int64_t>(*octets);
        ++usage.messages;
    }
}

void count_folder(int folder, MaildirUsage& usage) {
    count_messages(folder, "new", usage);
    count_messages(folder, "cur", usage);
}

}  // namespace

std::optional<MaildirUsage> parse_maildir_size(std::string_view text, std::uint64_t octets) {
    const std::size_t first_end = text.find('\n');
    if (first_end == std::string_view::npos || text.size() >= kMaxFileSize) return std::nullopt;
    if (text.substr(0, first_end) != fmt::format("{}S", octets)) return std::nullopt;
    text.remove_prefix(first_end + 1);
    MaildirUsage usage;
    while (!text.empty()) {
        const std::size_t end = text.find('\n');
        if (end == std::string_view::npos) return std::nullopt;
        std::string_view line = text.substr(0, end);
        MaildirUsage change;
        if (!take_number(line, change.octets) || !take_number(line, change.messages)) return std::nullopt;
        if (line.find_first_not_of(' ') != std::string_view::npos) return std::nullopt;
        if (__builtin_add_overflow(usage.octets, change.octets, &usage.octets) ||
            __builtin_add_overflow(usage.messages, change.messages, &usage.messages))
            return std::nullopt;
        text.remove_prefix(end + 1);
    }
    if (usage.octets < 0 || usage.messages < 0) return std::nullopt;
    return usage;
}

std::optional<std::uint64_t> size_in_name(std::string_view name) {
    constexpr std::string_view kMark = ",S=";
    name = name.substr(0, name.find(':'));
    const std::size_t mark = name.find(kMark);
    if (mark == std::string_view::npos) return std::nullopt;
    const std::string_view digits = name.substr(mark + kMark.size());
    std::uint32_t octets = 0;  // no message is larger, and a made-up number cannot run over
    const auto [stop, error] = std::from_chars(digits.data(), digits.data() + digits.size(), octets);
    if (error != std::errc()) return std::nullopt;
    const std::string_view rest = digits.substr(static_cast<std::size_t>(stop - digits.data()));
    if (!rest.empty() && rest.front() != ',') return std::nullopt;
    return octets;
}

Outcome MaildirSize::admit(std::uint64_t octets) {
    if (!limited()) return delivered("");
    if (!usage_) read();
    const bool sure = counted_ || (usage_ && fits(octets));
    if (!sure) count();
    return fits(octets) ? delivered("") : refuse(octets);
}

bool MaildirSize::fits(std::uint64_t octets) const {
    const auto used = static_cast<std::uint64_t>(usage_->octets);
    return used <= quota_.octets && octets <= quota_.octets - used;
}

Outcome MaildirSize::refuse(std::uint64_t octets) const {
    // No room will ever be enough for it.
    if (octets > quota_.octets)
        return failed(
            "5.2.3", fmt::format("the message is larger than the mailbox may be ({} octets)", quota_.octets));
    const std::string text = "the mailbox is full";
    return quota_.fails ? failed("5.2.2", text) : deferred("4.2.2", text);
}

void MaildirSize::read() {
    const Fd file(::open((path_ + "/maildirsize").c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
    struct stat status {};
    if (!file || ::fstat(file.get(), &status) != 0 || !S_ISREG(status.st_mode)) return;
    const Result<std::string> text = read_at(file, kMaxFileSize, 0);
    if (text) usage_ = parse_maildir_size(*text, quota_.octets);
}

void MaildirSize::count() {
    usage_ = MaildirUsage();
    counted_ = true;
    const OpenFolder mailbox(::opendir(path_.c_str()));
    if (!mailbox) return;  // the first message of this mailbox
    count_folder(::dirfd(mailbox.get()), *usage_);
    while (const dirent* entry = ::readdir(mailbox.get())) {
        const std::string_view name = entry->d_name;
        if (!name.starts_with('.') || name == "." || name == "..") continue;
        const OpenFolder folder = open_folder(::dirfd(mailbox.get()), entry->d_name);
        if (folder) count_folder(::dirfd(folder.get()), *usage_);
    }
    store();
}

void MaildirSize::store() const {
    // A file of its own that takes the old one's place: whoever reads sees one or the other.
    const std::string temporary_name = fmt::format("{}/tmp/maildirsize.{}", path_, ::getpid());
    const Fd file(
        ::open(temporary_name.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, kSizeFileMode));
    if (!file) return;
    const std::string text = fmt::format("{}S\n{} {}\n", quota_.octets, usage_->octets, usage_->messages);
    const bool written =
        write_all(file, text) && ::rename(temporary_name.c_str(), (path_ + "/maildirsize").c_str()) == 0;
    if (!written) static_cast<void>(::unlink(temporary_name.c_str()));
}

void MaildirSize::add(std::uint64_t octets) const {
    if (!limited()) return;
    // One write at the end, so that two deliveries at once cannot mix their lines.
    const Fd file(
        ::open((path_ + "/maildirsize").c_str(), O_WRONLY | O_APPEND | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
    if (file) static_cast<void>(write_all(file, fmt::format("{} 1\n", octets)));
}

}  // namespace postrider::local_delivery
