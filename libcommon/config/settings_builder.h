#pragma once

#include <functional>
#include <initializer_list>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "libcommon/config/directives.h"
#include "libcommon/config/settings.h"

// Turns checked directives into Settings; used by settings.cpp alone.

namespace postrider::config {

/// Reads directives one after the other; finish() then fills in the defaults.
class SettingsBuilder {
  public:
    SettingsBuilder(std::string config_file, const Surroundings& surroundings, Errors& errors);

    /// Takes one directive that passed check_directives().
    void apply(Directive directive);

    /// The settings with all defaults. Only of use when no error was added.
    [[nodiscard]] Settings finish();

    /// Whether apply() knows what to do with a directive; every Implemented row of the table must be such.
    [[nodiscard]] static bool knows(const DirectiveRow& row);

  private:
    using Handler = void (SettingsBuilder::*)(const Directive&);

    static Handler handler(std::string_view name);

    /// One handler for each general directive that is more than a limit.
    void hostname(const Directive& directive);
    void listen(const Directive& directive);
    void directory(const Directive& directive);
    void user(const Directive& directive);
    void auth(const Directive& directive);
    void auth_on_25(const Directive& directive);
    void auth_failures(const Directive& directive);
    void resolver(const Directive& directive);
    void self_address(const Directive& directive);
    void recipient_delimiter(const Directive& directive);
    void forward_file(const Directive& directive);
    void forward_file_overrides_self(const Directive& directive);
    void free_floor(const Directive& directive);
    void queue_directory_sync(const Directive& directive);
    void queue_readers(const Directive& directive);
    void dsn_return(const Directive& directive);
    void dsn_only_to(const Directive& directive);
    void dsn_templates(const Directive& directive);
    void report_time(const Directive& directive);
    void help_text(const Directive& directive);
    void reject_footer(const Directive& directive);
    void received_hide_client(const Directive& directive);
    void reply_line(const Word& word, std::string& out);
    void double_bounce_to(const Directive& directive);
    void retry(const Directive& directive);
    void mxbackup_enabled(const Directive& directive);
    void redirect_scope(const Directive& directive);
    void etrn(const Directive& directive);
    void over_quota(const Directive& directive);
    void forwarding(const Directive& directive);
    void lookup_may_pipe(const Directive& directive);
    void sender_login_check(const Directive& directive);
    void sending_rate(const Directive& directive);
    void log_format(const Directive& directive);
    void log_to(const Directive& directive);
    void log_level(const Directive& directive);

    void limit(const Directive& directive, Limit limit);
    void table_line(Directive directive);
    void table_path(std::string& path, const Position& position);
    void template_path(Word& word);

    void tls_certificate(const Directive& directive);
    void tls_min(const Directive& directive);
    void tls_ciphers(const Directive& directive);
    void tls_session_tickets(const Directive& directive);
    void tls_client_ca(const Directive& directive);
    void listener_tls(const Directive& directive, Listener& listener);
    void check_tls();

    void add_auth_method(AuthMethod method);
    bool pam_service(const Directive& directive, AuthMethod& method);
    void add_listener(Listener listener);
    void listener_auth(const Directive& directive, Listener& listener);
    void default_listener_auth();
    void default_listeners();
    void default_users();
    void default_resolvers();
    void default_hostname();

    /// Stores a parsed value, or adds its error at the position.
    template <typename T, typename U>
    bool store(Result<T> value, U& out, const Position& position) {
        if (!value) {
            errors_.add(position, value.error().text);
            return false;
        }
        out = std::move(*value);
        return true;
    }

    /// Stores the value that belongs to a word; any other word is an error that lists the choices.
    template <typename T>
    void choose(const Word& word, std::initializer_list<std::pair<std::string_view, T>> choices, T& out) {
        std::vector<std::string_view> names;
        for (const auto& [name, value] : choices) {
            if (word.text == name) {
                out = value;
                return;
            }
            names.push_back(name);
        }
        refuse_choice(word, names);
    }

    void refuse_choice(const Word& word, const std::vector<std::string_view>& names);

    Settings settings_;
    std::vector<Position> tls_wanted_;           // where something cannot be done without a certificate
    std::vector<Position> authorities_wanted_;   // where client certificates are asked for
    std::set<std::string> listeners_with_auth_;  // endpoints of the `listen` lines that have auth=
    const Surroundings& surroundings_;
    Errors& errors_;
};

}  // namespace postrider::config
