// `postrider config`: the configuration in force, in the language of the configuration.

#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <map>

#include "libcommon/config/directives.h"
#include "libcommon/config/settings.h"

namespace postrider::config {

namespace {

/// A value, or several, of one name; each as it would be written, with where it was.
struct Line {
    std::string words;
    Position position;
};
using Lines = std::vector<Line>;

std::string in_quotes(std::string_view text) {
    std::string quoted = "\"";
    for (char c : text) {
        if (c == '"' || c == '\\') quoted += '\\';
        quoted += c;
    }
    return quoted + '"';
}

/// Quotes a word where the parser would otherwise take it for something else.
std::string write_word(const Word& word) {
    bool plain = !word.quoted && !word.text.empty() && !word.text.starts_with('#') &&
                 word.text.find_first_of(" \t\"=") == std::string::npos && !word.text.ends_with('\\');
    return plain ? word.text : in_quotes(word.text);
}

std::string write_words(const Directive& directive) {
    std::vector<std::string> parts;
    for (const auto& word : directive.words)
        parts.push_back(write_word(word));
    for (const auto& option : directive.options) {
        bool plain = option.value.find_first_of(" \t\"\\") == std::string::npos;
        parts.push_back(option.key + "=" + (plain ? option.value : in_quotes(option.value)));
    }
    return fmt::format("{}", fmt::join(parts, " "));
}

std::string_view kind_name(ListenerKind kind) {
    switch (kind) {
        case ListenerKind::Smtp:
            return "smtp";
        case ListenerKind::Submission:
            return "submission";
        case ListenerKind::Lmtp:
            return "lmtp";
        case ListenerKind::Local:
            return "local";
    }
    return {};
}

std::string_view sync_name(DirectorySync sync) {
    if (sync == DirectorySync::Auto) return "auto";
    return sync == DirectorySync::Yes ? "yes" : "no";
}

std::string_view level_name(LogLevel level) {
    switch (level) {
        case LogLevel::Debug:
            return "debug";
        case LogLevel::Info:
            return "info";
        case LogLevel::Warning:
            return "warning";
        case LogLevel::Error:
            return "error";
    }
    return {};
}

/// `percent` and `amount`, without the one that asks for nothing.
std::string floor_text(const FreeFloor& floor, std::string (*format)(std::uint64_t)) {
    if (floor.amount == 0) return fmt::format("{}%", floor.percent);
    if (floor.percent == 0) return format(floor.amount);
    return fmt::format("{}% {}", floor.percent, format(floor.amount));
}

std::string count_text(std::uint64_t count) {
    return fmt::format("{}", count);
}

/// The options about TLS where they are not the default.
std::string tls_text(const Listener& listener) {
    static const std::map<ListenerTls, std::string_view> options{{ListenerTls::Offer, ""},
                                                                 {ListenerTls::Require, " tls=require"},
                                                                 {ListenerTls::Implicit, " tls=implicit"},
                                                                 {ListenerTls::Off, " tls=off"}};
    if (listener.kind == ListenerKind::Local) return {};
    return fmt::format("{}{}", options.at(listener.tls),
                       listener.asks_for_client_certificate ? " client_cert=request" : "");
}

Lines certificate_lines(const Settings& settings) {
    Lines lines;
    for (const auto& certificate : settings.tls_certificates) {
        const std::string name = certificate.name.empty() ? "" : " name=" + certificate.name;
        lines.push_back({fmt::format("{} {}{}", write_word({certificate.chain, {}, false}),
                                     write_word({certificate.key, {}, false}), name),
                         certificate.chain_position});
    }
    return lines;
}

std::string_view auth_name(ListenerAuth auth) {
    switch (auth) {
        case ListenerAuth::Encrypted:
            return "encrypted";
        case ListenerAuth::Always:
            return "always";
        case ListenerAuth::Off:
            return "off";
    }
    return {};
}

/// " auth=…" where it is not what the kind has by itself.
std::string auth_option(const Listener& listener) {
    const bool submission = listener.kind == ListenerKind::Submission;
    if (listener.auth == (submission ? ListenerAuth::Encrypted : ListenerAuth::Off)) return {};
    return fmt::format(" auth={}", auth_name(listener.auth));
}

Lines auth_lines(const Settings& settings) {
    Lines lines;
    for (const auto& method : settings.auth) {
        std::string words = "pam service=" + method.service;
        if (method.kind == AuthKind::PasswdFile)
            words = "passwd_file " + write_word({method.path, {}, false});
        if (method.kind == AuthKind::Dovecot) words = "dovecot " + write_word({method.path, {}, false});
        lines.push_back({std::move(words), method.position});
    }
    return lines;
}

Lines listener_lines(const Settings& settings) {
    Lines lines;
    for (const auto& listener : settings.listeners) {
        std::string where = write_word({listener.endpoint_text(), {}, false});
        lines.push_back(
            {fmt::format("{} {}{}{}", where, kind_name(listener.kind), listener.strict ? " strict" : "",
                         tls_text(listener) + auth_option(listener)),
             listener.position});
    }
    return lines;
}

Lines user_lines(const Settings& settings) {
    Lines lines;
    for (const auto& user : settings.users) {
        lines.push_back({fmt::format("{} {}", user.daemon, user.name), user.position});
    }
    return lines;
}

Lines resolver_lines(const Settings& settings) {
    Lines lines;
    for (const auto& resolver : settings.resolvers) {
        lines.push_back({resolver.text(), settings.origin("resolver")});
    }
    return lines;
}

Lines help_lines(const Settings& settings) {
    Lines lines;
    for (const auto& text : settings.help_text) {
        lines.push_back({write_word({text, {}, false}), settings.origin("help_text")});
    }
    return lines;
}

Lines self_address_lines(const Settings& settings) {
    Lines lines;
    for (const auto& address : settings.self_addresses) {
        lines.push_back({address.text(), settings.origin("self_address")});
    }
    return lines;
}

std::string_view etrn_name(EtrnAccess access) {
    switch (access) {
        case EtrnAccess::Off:
            return "off";
        case EtrnAccess::Granted:
            return "granted";
        case EtrnAccess::Exchangers:
            break;
    }
    return "exchangers";
}

std::string rate_text(const std::optional<Rate>& rate) {
    return rate ? format_rate(*rate) : "off";
}

/// The settings of one value each.
std::string setting_text(const Settings& settings, std::string_view name) {
    using Writer = std::function<std::string(const Settings&)>;
    auto path = [](std::string Settings::*member) -> Writer {
        return [member](const Settings& s) { return write_word({s.*member, {}, false}); };
    };
    static const std::map<std::string_view, Writer> writers{
        {"hostname", path(&Settings::hostname)},
        {"spool_dir", path(&Settings::spool_dir)},
        {"run_dir", path(&Settings::run_dir)},
        {"state_dir", path(&Settings::state_dir)},
        {"recipient_delimiter", path(&Settings::recipient_delimiter)},
        {"forward_file",
         [](const Settings& s) {
             return s.forward_file.empty() ? std::string("off") : write_word({s.forward_file, {}, false});
         }},
        {"forward_file_overrides_self",
         [](const Settings& s) { return std::string(s.forward_file_overrides_self ? "yes" : "no"); }},
        {"auth_on_25", [](const Settings& s) { return std::string(s.auth_on_25 ? "yes" : "no"); }},
        {"auth_failures_per_client",
         [](const Settings& s) { return format_rate(s.auth_failures_per_client); }},
        {"auth_failures_per_account",
         [](const Settings& s) { return format_rate(s.auth_failures_per_account); }},
        {"double_bounce_to", path(&Settings::double_bounce_to)},
        {"min_free_space", [](const Settings& s) { return floor_text(s.min_free_space, format_size); }},
        {"min_free_inodes", [](const Settings& s) { return floor_text(s.min_free_inodes, count_text); }},
        {"queue_directory_sync",
         [](const Settings& s) { return std::string(sync_name(s.queue_directory_sync)); }},
        {"queue_readers", path(&Settings::queue_readers)},
        {"dsn_return",
         [](const Settings& s) { return std::string(s.dsn_return == DsnReturn::Full ? "full" : "headers"); }},
        {"dsn_only_to",
         [](const Settings& s) { return std::string(s.dsn_only_to == DsnOnlyTo::Local ? "local" : "any"); }},
        {"dsn_aggregate", [](const Settings& s) { return format_duration(s.dsn_aggregate); }},
        {"delay_warning", [](const Settings& s) { return format_duration(s.delay_warning); }},
        {"dsn_templates",
         [](const Settings& s) {
             return s.dsn_templates.empty() ? std::string() : write_word({s.dsn_templates, {}, false});
         }},
        {"reject_footer",
         [](const Settings& s) {
             return s.reject_footer.empty() ? std::string() : write_word({s.reject_footer, {}, false});
         }},
        {"received_hide_client",
         [](const Settings& s) { return std::string(s.received_hide_client ? "yes" : "no"); }},
        {"retry", [](const Settings& s) { return format_durations(s.retry); }},
        {"mxbackup_enabled",
         [](const Settings& s) { return std::string(s.mxbackup_enabled ? "yes" : "no"); }},
        {"etrn", [](const Settings& s) { return std::string(etrn_name(s.etrn)); }},
        {"over_quota",
         [](const Settings& s) { return std::string(s.over_quota_bounces ? "bounce" : "defer"); }},
        {"redirect_scope",
         [](const Settings& s) {
             return std::string(s.redirect_scope == RedirectScope::Any ? "any" : "local");
         }},
        {"redirect_all_matches",
         [](const Settings& s) { return std::string(s.redirect_all_matches ? "yes" : "no"); }},
        {"alias_fallthrough",
         [](const Settings& s) { return std::string(s.alias_fallthrough ? "yes" : "no"); }},
        {"lookup_may_pipe", [](const Settings& s) { return std::string(s.lookup_may_pipe ? "yes" : "no"); }},
        {"sender_login_check",
         [](const Settings& s) { return std::string(s.sender_login_check ? "yes" : "no"); }},
        {"account_message_rate", [](const Settings& s) { return rate_text(s.rates.account_messages); }},
        {"account_recipient_rate", [](const Settings& s) { return rate_text(s.rates.account_recipients); }},
        {"client_connection_rate", [](const Settings& s) { return rate_text(s.rates.client_connections); }},
        {"client_message_rate", [](const Settings& s) { return rate_text(s.rates.client_messages); }},
        {"client_recipient_rate", [](const Settings& s) { return rate_text(s.rates.client_recipients); }},
        {"log_format",
         [](const Settings& s) { return std::string(s.log_format == LogFormat::Json ? "json" : "text"); }},
        {"tls_min",
         [](const Settings& s) { return std::string(s.tls_min == TlsVersion::V1_3 ? "1.3" : "1.2"); }},
        {"tls_ciphers",
         [](const Settings& s) {
             return s.tls_ciphers.empty() ? std::string() : write_word({s.tls_ciphers, {}, false});
         }},
        {"tls_session_tickets",
         [](const Settings& s) { return std::string(s.tls_session_tickets ? "yes" : "no"); }},
        {"tls_client_ca",
         [](const Settings& s) {
             return s.tls_client_ca.empty() ? std::string() : write_word({s.tls_client_ca, {}, false});
         }},
        {"log_to", [](const Settings&) { return std::string("stderr"); }},
        {"log_level", [](const Settings& s) { return std::string(level_name(s.log_level)); }},
    };
    auto found = writers.find(name);
    return found == writers.end() ? std::string() : found->second(settings);
}

std::string limit_text(const Settings& settings, Limit limit) {
    const LimitRow& row = limit_row(limit);
    std::string text = format_limit(row, settings.limits.get(limit));
    if (!row.overload) return text;
    return fmt::format("{} overload={}", text, format_limit(row, settings.limits.get(limit, Load::Overload)));
}

Lines lines_of(const Settings& settings, const DirectiveRow& row) {
    if (row.name == "listen") return listener_lines(settings);
    if (row.name == "tls_certificate") return certificate_lines(settings);
    if (row.name == "user") return user_lines(settings);
    if (row.name == "auth") return auth_lines(settings);
    if (row.name == "resolver") return resolver_lines(settings);
    if (row.name == "help_text") return help_lines(settings);
    if (row.name == "self_address") return self_address_lines(settings);
    Lines lines;
    if (row.table) {
        for (const Directive* line : settings.table(row.name)) {
            lines.push_back({write_words(*line), line->position});
        }
    } else if (row.limit) {
        lines.push_back({limit_text(settings, *row.limit), settings.origin(row.name)});
    } else if (std::string text = setting_text(settings, row.name); !text.empty()) {
        lines.push_back({std::move(text), settings.origin(row.name)});
    }
    return lines;
}

}  // namespace

std::string render(const Settings& settings, std::string_view only) {
    std::string out;
    for (const auto& row : directive_table()) {
        if (!only.empty() && row.name != only) continue;
        for (const auto& line : lines_of(settings, row)) {
            std::string text = fmt::format("{} {}", row.name, line.words);
            out += fmt::format("{:<46} # {}\n", text, line.position.line_text());
        }
    }
    return out;
}

}  // namespace postrider::config
