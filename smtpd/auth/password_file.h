#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "libcommon/async/scope.h"
#include "libcommon/async/thread_pool.h"
#include "libcommon/config/file_watch.h"
#include "smtpd/auth/method.h"
#include "smtpd/auth/password_table.h"

namespace postrider::auth {

/// What came of reading a password file: a table, or errors.
struct PasswordFileLoad {
    std::shared_ptr<const PasswordTable> table;
    std::vector<std::string> errors;  ///< "file:line:column: message"
};

/// Reads the file; of at most `size_limit` bytes.
[[nodiscard]] PasswordFileLoad load_password_file(const std::string& path, std::size_t size_limit);

/// `auth passwd_file`: hashes are computed by helper threads. The file is looked at at regular intervals and
/// read again when it changed; while it has an error, the old users stay.
class PasswordFile : public Method {
  public:
    /// References outlive it.
    PasswordFile(async::Loop& loop, async::ThreadPool& pool, std::string path, std::size_t size_limit,
                 std::shared_ptr<const PasswordTable> table);

    [[nodiscard]] std::string_view name() const override { return "passwd_file"; }
    async::Task<CheckResult> check(std::shared_ptr<const Credentials> credentials,
                                   async::Deadline deadline) override;

    [[nodiscard]] const PasswordTable& table() const { return *table_; }

    /// Begins to watch the file; `changed` is called after each new table. Returns at once.
    void watch(Milliseconds interval, std::function<void()> changed);

  private:
    async::Task<void> keep_watching(Milliseconds interval);

    async::Loop& loop_;
    async::ThreadPool& pool_;
    std::string path_;
    std::size_t size_limit_;
    std::shared_ptr<const PasswordTable> table_;
    std::shared_ptr<config::FileSet> files_;
    std::function<void()> changed_;
    async::Scope scope_;
};

}  // namespace postrider::auth
