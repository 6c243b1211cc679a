#include "smtpd/auth/password_file.h"

#include <fmt/format.h>

#include <functional>
#include <optional>
#include <utility>

#include "libcommon/base/file.h"
#include "libcommon/base/wipe.h"
#include "libcommon/log/log.h"
#include "smtpd/auth/login_name.h"

namespace postrider::auth {

PasswordFileLoad load_password_file(const std::string& path, std::size_t size_limit) {
    PasswordFileLoad load;
    auto text = read_file(path, size_limit);
    if (!text) {
        load.errors.push_back(fmt::format("{}:1:1: {}", path, text.error().text));
        return load;
    }
    auto table = std::make_shared<PasswordTable>(PasswordTable::parse(*text, path, load.errors));
    wipe(*text);
    if (load.errors.empty()) load.table = std::move(table);
    return load;
}

PasswordFile::PasswordFile(async::Loop& loop, async::ThreadPool& pool, std::string path,
                           std::size_t size_limit, std::shared_ptr<const PasswordTable> table)
    : loop_(loop),
      pool_(pool),
      path_(std::move(path)),
      size_limit_(size_limit),
      table_(std::move(table)),
      files_(std::make_shared<config::FileSet>(std::vector<std::string>{path_})),
      scope_(loop) {}

async::Task<CheckResult> PasswordFile::check(std::shared_ptr<const Credentials> credentials,
                                             async::Deadline /*deadline*/) {
    CheckResult result;
    const PasswordHash* hash = table_->find(credentials->login);
    const bool known = hash != nullptr;
    // A user whom nobody knows, or who has no password, costs the same.
    if (!known || std::holds_alternative<NoPassword>(*hash)) hash = table_->dummy();
    if (hash != nullptr) {
        // The thread holds the table: it may be replaced meanwhile.
        std::function<bool()> work = [credentials, hash, table = table_] {
            return matches(*hash, credentials->password);
        };
        const bool real = hash == table_->find(credentials->login);
        const std::optional<bool> matched = co_await pool_.run(std::move(work));
        if (!matched) {
            result.reason = "too many passwords wait to be checked";
            co_return result;
        }
        if (real && *matched) {
            result.verdict = Verdict::Accepted;
            result.login = canonical_login(credentials->login);
            co_return result;
        }
    }
    result.verdict = known ? Verdict::Rejected : Verdict::UnknownUser;
    result.reason = known ? "wrong password" : "unknown user";
    co_return result;
}

void PasswordFile::watch(Milliseconds interval, std::function<void()> changed) {
    changed_ = std::move(changed);
    scope_.spawn(keep_watching(interval));
}

async::Task<void> PasswordFile::keep_watching(Milliseconds interval) {
    while (true) {
        co_await async::Sleep(loop_, interval);
        std::function<std::optional<PasswordFileLoad>()> work =
            [files = files_, path = path_, limit = size_limit_]() -> std::optional<PasswordFileLoad> {
            if (files->changed().empty()) return std::nullopt;
            return load_password_file(path, limit);
        };
        auto load = co_await pool_.run(std::move(work));
        if (!load || !*load) continue;
        for (const std::string& error : (*load)->errors)
            log::error("password_file_error").add("error", error);
        if (!(*load)->table) {
            log::error("password_file_not_loaded").add("file", path_).add("in_force", "the old one");
            continue;
        }
        table_ = std::move((*load)->table);
        log::info("password_file_loaded").add("file", path_).add("users", table_->size());
        if (changed_) changed_();
    }
}

}  // namespace postrider::auth
