#include "libcommon/config/settings_builder.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <map>

#include "libcommon/config/surroundings.h"

namespace postrider::config {

namespace {

/// The daemons that give up root for a user of their own, and that user's usual name.
constexpr std::array<std::pair<std::string_view, std::string_view>, 5> kDaemonUsers{
    {{"smtpd", "pr-smtpd"},
     {"router", "pr-router"},
     {"queue-manager", "pr-queue"},
     {"remote-delivery", "pr-remote"},
     {"authd", "pr-auth"}}};

constexpr std::string_view kDefaultRetry = "5m,15m,30m,1h,2h,4h";
constexpr unsigned kDefaultFreePercent = 5;
constexpr std::uint16_t kSmtpPort = 25;
constexpr Milliseconds kLongestGathering = std::chrono::hours(1);

/// The socket that the sendmail command speaks to, in run_dir.
constexpr std::string_view kSubmitSocket = "submit.sock";

bool has_blank_or_control(std::string_view text) {
    return std::any_of(text.begin(), text.end(), [](char c) { return static_cast<unsigned char>(c) <= ' '; });
}

Result<FreeFloor> parse_free_floor(const Directive& directive) {
    FreeFloor floor;
    bool percent = false;
    bool amount = false;
    for (const auto& word : directive.words) {
        bool& given = word.text.ends_with('%') ? percent : amount;
        if (given) return permanent("the second word must be of the other kind, a percentage or an amount");
        given = true;
        if (&given == &percent) {
            auto value = parse_percentage(word.text);
            if (!value) return failure(value.error());
            floor.percent = *value;
        } else {
            auto value = parse_size(word.text);
            if (!value) return failure(value.error());
            floor.amount = *value;
        }
    }
    return floor;
}

}  // namespace

SettingsBuilder::SettingsBuilder(std::string config_file, const Surroundings& surroundings, Errors& errors)
    : surroundings_(surroundings), errors_(errors) {
    settings_.config_file = std::move(config_file);
    settings_.spool_dir = "/var/spool/postrider";
    settings_.run_dir = "/run/postrider";
    settings_.state_dir = "/var/lib/postrider";
    settings_.recipient_delimiter = "+";
    settings_.forward_file = "~/.forward";
    settings_.min_free_space.percent = kDefaultFreePercent;
    settings_.min_free_inodes.percent = kDefaultFreePercent;
    settings_.double_bounce_to = "postmaster";
    if (auto retry = parse_durations(kDefaultRetry)) settings_.retry = std::move(*retry);
}

SettingsBuilder::Handler SettingsBuilder::handler(std::string_view name) {
    using B = SettingsBuilder;
    static const std::map<std::string_view, Handler> handlers{
        {"hostname", &B::hostname},
        {"listen", &B::listen},
        {"spool_dir", &B::directory},
        {"run_dir", &B::directory},
        {"state_dir", &B::directory},
        {"user", &B::user},
        {"auth", &B::auth},
        {"auth_on_25", &B::auth_on_25},
        {"auth_failures_per_client", &B::auth_failures},
        {"auth_failures_per_account", &B::auth_failures},
        {"resolver", &B::resolver},
        {"self_address", &B::self_address},
        {"recipient_delimiter", &B::recipient_delimiter},
        {"forward_file", &B::forward_file},
        {"forward_file_overrides_self", &B::forward_file_overrides_self},
        {"min_free_space", &B::free_floor},
        {"min_free_inodes", &B::free_floor},
        {"queue_directory_sync", &B::queue_directory_sync},
        {"queue_readers", &B::queue_readers},
        {"dsn_return", &B::dsn_return},
        {"dsn_only_to", &B::dsn_only_to},
        {"dsn_aggregate", &B::report_time},
        {"dsn_templates", &B::dsn_templates},
        {"delay_warning", &B::report_time},
        {"help_text", &B::help_text},
        {"reject_footer", &B::reject_footer},
        {"received_hide_client", &B::received_hide_client},
        {"double_bounce_to", &B::double_bounce_to},
        {"retry", &B::retry},
        {"mxbackup_enabled", &B::mxbackup_enabled},
        {"redirect_scope", &B::redirect_scope},
        {"etrn", &B::etrn},
        {"over_quota", &B::over_quota},
        {"redirect_all_matches", &B::forwarding},
        {"alias_fallthrough", &B::forwarding},
        {"lookup_may_pipe", &B::lookup_may_pipe},
        {"sender_login_check", &B::sender_login_check},
        {"account_message_rate", &B::sending_rate},
        {"account_recipient_rate", &B::sending_rate},
        {"client_connection_rate", &B::sending_rate},
        {"client_message_rate", &B::sending_rate},
        {"client_recipient_rate", &B::sending_rate},
        {"log_format", &B::log_format},
        {"log_to", &B::log_to},
        {"log_level", &B::log_level},
        {"tls_certificate", &B::tls_certificate},
        {"tls_min", &B::tls_min},
        {"tls_ciphers", &B::tls_ciphers},
        {"tls_session_tickets", &B::tls_session_tickets},
        {"tls_client_ca", &B::tls_client_ca},
    };
    auto found = handlers.find(name);
    return found == handlers.end() ? nullptr : found->second;
}

bool SettingsBuilder::knows(const DirectiveRow& row) {
    // `include` never arrives here: the reading of files replaces it.
    return row.table || row.limit || row.name == "include" || handler(row.name) != nullptr;
}

void SettingsBuilder::apply(Directive directive) {
    const DirectiveRow* row = find_directive(directive.name);
    if (row == nullptr || !knows(*row)) {
        errors_.add(directive.position, fmt::format("{} is not implemented yet", directive.name));
        return;
    }
    if (row->table) {
        table_line(std::move(directive));
        return;
    }
    settings_.origins.try_emplace(directive.name, directive.position);
    if (row->limit) {
        limit(directive, *row->limit);
    } else if (Handler handle = handler(row->name)) {
        (this->*handle)(directive);
    }
}

void SettingsBuilder::hostname(const Directive& directive) {
    const Word& word = directive.words[0];
    store(parse_host_name(word.text), settings_.hostname, word.position);
}

void SettingsBuilder::listen(const Directive& directive) {
    const Word& where = directive.words[0];
    const Word& kind = directive.words[1];
    Listener listener;
    listener.position = directive.position;
    listener.strict = directive.has_flag("strict", 2);
    if (kind.text == "lmtp") {
        errors_.add(kind.position, "listen lmtp is not implemented yet");
        return;
    }
    choose(kind,
           {{"smtp", ListenerKind::Smtp},
            {"submission", ListenerKind::Submission},
            {"local", ListenerKind::Local}},
           listener.kind);
    if (listener.kind == ListenerKind::Local) {
        listener.path = resolve_path(where.position.directory(), where.text);
    } else {
        Endpoint endpoint;
        if (!store(Endpoint::parse(where.text), endpoint, where.position)) return;
        listener.address = endpoint.address;
        listener.port = endpoint.port;
    }
    listener_tls(directive, listener);
    listener_auth(directive, listener);
    add_listener(std::move(listener));
}

void SettingsBuilder::add_listener(Listener listener) {
    std::string where = listener.endpoint_text();
    for (const auto& other : settings_.listeners) {
        if (other.endpoint_text() != where) continue;
        errors_.add(listener.position,
                    fmt::format("listen {} was already given at {}", where, other.position.text()));
        return;
    }
    settings_.listeners.push_back(std::move(listener));
}

void SettingsBuilder::directory(const Directive& directive) {
    const Word& word = directive.words[0];
    if (word.text.empty()) {
        errors_.add(word.position, "an empty path");
        return;
    }
    std::string path = resolve_path(word.position.directory(), word.text);
    while (path.size() > 1 && path.ends_with('/'))
        path.pop_back();
    if (directive.name == "spool_dir")
        settings_.spool_dir = std::move(path);
    else if (directive.name == "run_dir")
        settings_.run_dir = std::move(path);
    else
        settings_.state_dir = std::move(path);
}

void SettingsBuilder::user(const Directive& directive) {
    const Word& daemon = directive.words[0];
    const Word& name = directive.words[1];
    std::vector<std::string_view> names;
    for (const auto& [known, usual] : kDaemonUsers)
        names.push_back(known);
    if (std::find(names.begin(), names.end(), daemon.text) == names.end()) {
        refuse_choice(daemon, names);
        return;
    }
    if (const DaemonUser* other = settings_.user(daemon.text)) {
        errors_.add(directive.position,
                    fmt::format("user {} was already given at {}", daemon.text, other->position.text()));
        return;
    }
    if (name.text.empty() || has_blank_or_control(name.text)) {
        errors_.add(name.position, "not the name of a user");
        return;
    }
    settings_.users.push_back({daemon.text, name.text, directive.position});
}

void SettingsBuilder::resolver(const Directive& directive) {
    const Word& word = directive.words[0];
    Endpoint endpoint;
    if (store(Endpoint::parse(word.text, kDnsPort), endpoint, word.position)) {
        settings_.resolvers.push_back(endpoint);
    }
}

void SettingsBuilder::self_address(const Directive& directive) {
    for (const auto& word : directive.words) {
        IpAddress address;
        if (store(IpAddress::parse(word.text), address, word.position)) {
            settings_.self_addresses.push_back(address);
        }
    }
}

void SettingsBuilder::recipient_delimiter(const Directive& directive) {
    // Characters that mean something else in an address or in a path would make local parts ambiguous.
    constexpr std::string_view kUsable = "+-_=#%!&*~^.";
    const Word& word = directive.words[0];
    bool usable = word.text.empty() ||
                  (word.text.size() == 1 && kUsable.find(word.text.front()) != std::string_view::npos);
    if (usable) {
        settings_.recipient_delimiter = word.text;
    } else {
        errors_.add(word.position, fmt::format("\"{}\" is not one of {} or \"\"", word.text, kUsable));
    }
}

void SettingsBuilder::forward_file(const Directive& directive) {
    const Word& word = directive.words[0];
    if (word.text == "off") {
        settings_.forward_file.clear();
    } else if (word.text.size() > 2 && word.text.starts_with("~/") && !word.text.ends_with('/')) {
        settings_.forward_file = word.text;
    } else {
        errors_.add(word.position, "expected ~/FILE or off");
    }
}

void SettingsBuilder::forward_file_overrides_self(const Directive& directive) {
    const Word& word = directive.words[0];
    store(parse_boolean(word.text), settings_.forward_file_overrides_self, word.position);
}

void SettingsBuilder::free_floor(const Directive& directive) {
    bool space = directive.name == "min_free_space";
    store(parse_free_floor(directive), space ? settings_.min_free_space : settings_.min_free_inodes,
          directive.words.front().position);
}

void SettingsBuilder::queue_directory_sync(const Directive& directive) {
    choose(directive.words[0],
           {{"auto", DirectorySync::Auto}, {"yes", DirectorySync::Yes}, {"no", DirectorySync::No}},
           settings_.queue_directory_sync);
}

void SettingsBuilder::queue_readers(const Directive& directive) {
    settings_.queue_readers = directive.words[0].text;
}

void SettingsBuilder::dsn_return(const Directive& directive) {
    choose(directive.words[0], {{"headers", DsnReturn::Headers}, {"full", DsnReturn::Full}},
           settings_.dsn_return);
}

void SettingsBuilder::dsn_only_to(const Directive& directive) {
    const Word& word = directive.words[0];
    if (word.text == "spf-pass") {
        errors_.add(word.position,
                    "spf-pass is not implemented yet, since SPF is not; there are any and local");
        return;
    }
    choose(word, {{"any", DsnOnlyTo::Any}, {"local", DsnOnlyTo::Local}}, settings_.dsn_only_to);
}

void SettingsBuilder::dsn_templates(const Directive& directive) {
    const Word& word = directive.words[0];
    if (word.text.empty()) {
        errors_.add(word.position, "an empty path");
        return;
    }
    settings_.dsn_templates = resolve_path(word.position.directory(), word.text);
}

void SettingsBuilder::report_time(const Directive& directive) {
    const Word& word = directive.words[0];
    Milliseconds time{};
    if (!store(parse_duration(word.text), time, word.position)) return;
    if (directive.name == "delay_warning") {
        settings_.delay_warning = time;
    } else if (time > kLongestGathering) {
        // What failed and is not reported yet stays in memory, and is tried again after a crash.
        errors_.add(word.position, fmt::format("at most {}", format_duration(kLongestGathering)));
    } else {
        settings_.dsn_aggregate = time;
    }
}

void SettingsBuilder::help_text(const Directive& directive) {
    reply_line(directive.words[0], settings_.help_text.emplace_back());
}

void SettingsBuilder::reject_footer(const Directive& directive) {
    reply_line(directive.words[0], settings_.reject_footer);
}

void SettingsBuilder::reply_line(const Word& word, std::string& out) {
    // Room for the codes in front, within the 512 octets of RFC 5321, 4.5.3.1.5.
    constexpr std::size_t kLongest = 480;
    const bool printable = std::all_of(word.text.begin(), word.text.end(),
                                       [](char octet) { return octet >= ' ' && octet <= '~'; });
    if (word.text.empty() || word.text.size() > kLongest || !printable) {
        errors_.add(word.position, "expected 1 to 480 printable ASCII characters");
        return;
    }
    out = word.text;
}

void SettingsBuilder::received_hide_client(const Directive& directive) {
    const Word& word = directive.words[0];
    store(parse_boolean(word.text), settings_.received_hide_client, word.position);
}

void SettingsBuilder::double_bounce_to(const Directive& directive) {
    const Word& word = directive.words[0];
    if (word.text.empty() || has_blank_or_control(word.text)) {
        errors_.add(word.position, "not an address");
        return;
    }
    settings_.double_bounce_to = word.text;
}

void SettingsBuilder::retry(const Directive& directive) {
    store(parse_durations(directive.words[0].text), settings_.retry, directive.words[0].position);
}

void SettingsBuilder::mxbackup_enabled(const Directive& directive) {
    store(parse_boolean(directive.words[0].text), settings_.mxbackup_enabled, directive.words[0].position);
}

void SettingsBuilder::redirect_scope(const Directive& directive) {
    choose(directive.words[0], {{"local", RedirectScope::Local}, {"any", RedirectScope::Any}},
           settings_.redirect_scope);
}

void SettingsBuilder::etrn(const Directive& directive) {
    choose(
        directive.words[0],
        {{"off", EtrnAccess::Off}, {"granted", EtrnAccess::Granted}, {"exchangers", EtrnAccess::Exchangers}},
        settings_.etrn);
}

void SettingsBuilder::over_quota(const Directive& directive) {
    choose(directive.words[0], {{"defer", false}, {"bounce", true}}, settings_.over_quota_bounces);
}

void SettingsBuilder::forwarding(const Directive& directive) {
    const bool redirect = directive.name == "redirect_all_matches";
    store(parse_boolean(directive.words[0].text),
          redirect ? settings_.redirect_all_matches : settings_.alias_fallthrough,
          directive.words[0].position);
}

void SettingsBuilder::lookup_may_pipe(const Directive& directive) {
    store(parse_boolean(directive.words[0].text), settings_.lookup_may_pipe, directive.words[0].position);
}

void SettingsBuilder::sender_login_check(const Directive& directive) {
    store(parse_boolean(directive.words[0].text), settings_.sender_login_check, directive.words[0].position);
}

void SettingsBuilder::sending_rate(const Directive& directive) {
    const Word& word = directive.words[0];
    const auto* const row = std::find_if(kSendingRates.begin(), kSendingRates.end(),
                                         [&](const auto& one) { return one.directive == directive.name; });
    std::optional<Rate>& rate = settings_.rates.*row->rate;
    if (word.text == "off") {
        rate.reset();
    } else if (Rate limit; store(parse_rate(word.text), limit, word.position)) {
        rate = limit;
    }
}

void SettingsBuilder::log_format(const Directive& directive) {
    choose(directive.words[0], {{"text", LogFormat::Text}, {"json", LogFormat::Json}}, settings_.log_format);
}

void SettingsBuilder::log_to(const Directive& directive) {
    const Word& word = directive.words[0];
    if (word.text == "stderr") return;
    errors_.add(word.position, fmt::format("log_to {} is not implemented yet; only stderr is", word.text));
}

void SettingsBuilder::log_level(const Directive& directive) {
    choose(directive.words[0],
           {{"debug", LogLevel::Debug},
            {"info", LogLevel::Info},
            {"warning", LogLevel::Warning},
            {"error", LogLevel::Error}},
           settings_.log_level);
}

void SettingsBuilder::limit(const Directive& directive, Limit limit) {
    const LimitRow& row = limit_row(limit);
    const Word& word = directive.words[0];
    std::uint64_t value = 0;
    if (store(parse_limit(row, word.text), value, word.position)) settings_.limits.set(limit, value);
    if (const Option* overload = directive.option("overload")) {
        if (!store(parse_limit(row, overload->value), value, overload->position)) return;
        if (value > settings_.limits.get(limit)) {
            errors_.add(overload->position, "overload= must not be larger than the value in normal times");
            return;
        }
        settings_.limits.set_overload(limit, value);
    }
}

void SettingsBuilder::table_line(Directive directive) {
    if (directive.name == "alias_file") table_path(directive.words[1].text, directive.words[1].position);
    if (directive.name == "mailbox") template_path(directive.words[1]);
    if (directive.name == "virtual_domain") {
        if (directive.words.size() > 1) template_path(directive.words[1]);
        for (auto& option : directive.options) {
            if (option.key == "users") table_path(option.value, option.position);
        }
    }
    settings_.tables.push_back(std::move(directive));
}

void SettingsBuilder::table_path(std::string& path, const Position& position) {
    static constexpr std::array<std::string_view, 5> kServers{
        "pgsql:", "redis:", "ldap:", "sqlite:", "pcre:"};
    for (std::string_view server : kServers) {
        if (!path.starts_with(server)) continue;
        errors_.add(
            position,
            fmt::format("there are no tables from {}; there are regex:, glob:, cdb: and lmdb:", server));
        return;
    }
    static constexpr std::array<std::string_view, 5> kFiles{"regex:", "glob:", "cdb:", "lmdb:", "socket:"};
    std::string kind;
    for (std::string_view file : kFiles) {
        if (path.starts_with(file)) kind = file;
    }
    path.erase(0, kind.size());
    if (path.empty()) {
        errors_.add(position, "an empty path");
        return;
    }
    path = kind + resolve_path(position.directory(), path);
}

void SettingsBuilder::template_path(Word& word) {
    // `~` is a home and `%` a user or a domain: the first is absolute by itself, the second is not.
    std::size_t colon = word.text.find(':');
    bool is_file = word.text.starts_with("maildir:") || word.text.starts_with("mbox:");
    if (!is_file || colon + 1 == word.text.size()) return;
    std::string path = word.text.substr(colon + 1);
    if (path.front() == '~' || path.front() == '/') return;
    word.text = word.text.substr(0, colon + 1) + resolve_path(word.position.directory(), path);
}

Settings SettingsBuilder::finish() {
    default_listeners();
    default_listener_auth();
    default_users();
    default_resolvers();
    default_hostname();
    check_tls();
    if (!settings_.dsn_templates.empty()) {
        settings_.report_templates = read_report_templates(
            settings_.dsn_templates, settings_.origin("dsn_templates"), *surroundings_.files,
            settings_.limits.size(Limit::DsnTemplateSize), errors_);
    }
    return std::move(settings_);
}

void SettingsBuilder::default_listeners() {
    auto is_local = [](const Listener& listener) { return listener.kind == ListenerKind::Local; };
    bool local = std::any_of(settings_.listeners.begin(), settings_.listeners.end(), is_local);
    bool network = !std::all_of(settings_.listeners.begin(), settings_.listeners.end(), is_local);
    if (!network) {
        for (const char* any : {"0.0.0.0", "::"}) {
            Listener listener;
            listener.port = kSmtpPort;
            if (auto address = IpAddress::parse(any)) listener.address = *address;
            settings_.listeners.push_back(std::move(listener));
        }
    }
    if (!local) {
        Listener listener;
        listener.kind = ListenerKind::Local;
        listener.tls = ListenerTls::Off;
        listener.path = resolve_path(settings_.run_dir, kSubmitSocket);
        settings_.listeners.push_back(std::move(listener));
    }
}

void SettingsBuilder::default_users() {
    for (const auto& [daemon, name] : kDaemonUsers) {
        if (settings_.user(daemon) != nullptr) continue;
        settings_.users.push_back({std::string(daemon), std::string(name), {}});
    }
}

void SettingsBuilder::default_resolvers() {
    if (!settings_.resolvers.empty()) return;
    auto text = surroundings_.files->read(surroundings_.resolv_conf, settings_.limits.size(Limit::TableSize));
    settings_.resolvers = resolvers_of(text.value_or(std::string()));
}

void SettingsBuilder::default_hostname() {
    if (settings_.origins.contains("hostname")) return;
    std::string name = surroundings_.host_name();
    auto host = parse_host_name(name);
    if (host) {
        settings_.hostname = std::move(*host);
        return;
    }
    errors_.add(settings_.config_file,
                fmt::format("hostname is not set, and the system's name will not do: {}", host.error().text));
}

void SettingsBuilder::refuse_choice(const Word& word, const std::vector<std::string_view>& names) {
    std::string_view best = nearest(word.text, names);
    std::string hint = best.empty() ? std::string() : fmt::format("; did you mean \"{}\"?", best);
    errors_.add(word.position,
                fmt::format("\"{}\" is not one of {}{}", word.text, fmt::join(names, ", "), hint));
}

}  // namespace postrider::config
