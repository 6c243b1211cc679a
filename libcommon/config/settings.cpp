#include "libcommon/config/settings.h"

#include <algorithm>
#include <filesystem>
#include <iterator>

#include "libcommon/config/directives.h"
#include "libcommon/config/key_files.h"
#include "libcommon/config/settings_builder.h"
#include "libcommon/config/surroundings.h"

namespace postrider::config {

namespace {

/// Passes everything on to another source, and remembers the state of each file before it is read.
class WatchedFiles : public FileSource {
  public:
    WatchedFiles(FileSource& inner, FileSet& watch) : inner_(inner), watch_(watch) {}

    Result<std::string> read(const std::string& path, std::size_t limit) override {
        watch_.add(path);
        return inner_.read(path, limit);
    }

    Result<std::vector<std::string>> list(const std::string& directory) override {
        watch_.add(directory);
        return inner_.list(directory);
    }

  private:
    FileSource& inner_;
    FileSet& watch_;
};

/// The configuration's own bounds hold before any of it is read: always the defaults.
ParseLimits parse_limits() {
    Limits limits;
    return {.include_depth = limits.size(Limit::ConfigIncludeDepth),
            .total_size = limits.size(Limit::ConfigSize),
            .files = limits.size(Limit::ConfigFiles)};
}

/// Daemons change their working directory after reading the configuration, so paths are made absolute first.
std::string absolute_path(const std::string& path) {
    std::error_code error;
    auto here = std::filesystem::current_path(error);
    return resolve_path(error ? "/" : here.string(), path);
}

}  // namespace

std::string Listener::endpoint_text() const {
    return kind == ListenerKind::Local ? path : Endpoint{address, port}.text();
}

std::vector<const Directive*> Settings::table(std::string_view name) const {
    std::vector<const Directive*> lines;
    for (const auto& directive : tables) {
        if (directive.name == name) lines.push_back(&directive);
    }
    return lines;
}

Position Settings::origin(std::string_view name) const {
    auto found = origins.find(name);
    return found == origins.end() ? Position{} : found->second;
}

const DaemonUser* Settings::user(std::string_view daemon) const {
    auto found =
        std::find_if(users.begin(), users.end(), [&](const DaemonUser& u) { return u.daemon == daemon; });
    return found == users.end() ? nullptr : &*found;
}

LoadResult load(const std::string& path) {
    DiskFiles files;
    return load(path, Surroundings{&files, system_host_name, "/etc/resolv.conf"});
}

LoadResult load(const std::string& path, const Surroundings& surroundings) {
    LoadResult result;
    WatchedFiles files(*surroundings.files, result.watch);
    Surroundings watched{&files, surroundings.host_name, surroundings.resolv_conf};
    Errors errors(Limits().size(Limit::ConfigErrors));
    std::string config_file = absolute_path(path);
    ParsedFiles parsed = parse_files(config_file, files, parse_limits(), errors);
    std::vector<Directive> keys = lines_of_keys(parsed.key_files, parsed.directives, errors);
    std::move(keys.begin(), keys.end(), std::back_inserter(parsed.directives));
    SettingsBuilder builder(config_file, watched, errors);
    for (auto& directive : check_directives(std::move(parsed.directives), errors)) {
        builder.apply(std::move(directive));
    }
    Settings settings = builder.finish();
    result.files = parsed.files;
    settings.files = std::move(parsed.files);
    result.errors = errors.take();
    (result.errors.empty() ? result.settings : result.remains) = std::move(settings);
    return result;
}

}  // namespace postrider::config
