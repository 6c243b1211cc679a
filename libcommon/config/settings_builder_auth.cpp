// The directives about logging in.

#include <fmt/format.h>

#include "libcommon/config/settings_builder.h"

namespace postrider::config {

namespace {

constexpr std::string_view kDefaultPamService = "postrider";

/// Each failure of a client is remembered by its time, so that their number must have an end.
constexpr std::uint64_t kMostAuthFailures = 1000;

/// The name becomes a file name in /etc/pam.d.
bool is_pam_service(std::string_view name) {
    constexpr std::string_view kCharacters =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";
    constexpr std::size_t kLongest = 64;
    return !name.empty() && name.size() <= kLongest && name.front() != '.' &&
           name.find_first_not_of(kCharacters) == std::string_view::npos;
}

bool is_same_method(const AuthMethod& a, const AuthMethod& b) {
    return a.kind == b.kind && a.service == b.service && a.path == b.path;
}

}  // namespace

void SettingsBuilder::auth(const Directive& directive) {
    const Word& kind = directive.words[0];
    AuthMethod method;
    method.position = directive.position;
    if (kind.text == "pam") {
        if (pam_service(directive, method)) add_auth_method(std::move(method));
        return;
    }
    choose(kind,
           {{"pam", AuthKind::Pam}, {"passwd_file", AuthKind::PasswdFile}, {"dovecot", AuthKind::Dovecot}},
           method.kind);
    if (method.kind == AuthKind::Pam) return;  // the word was none of these
    if (directive.words.size() < 2 || directive.words[1].text.empty()) {
        errors_.add(directive.position, fmt::format("incomplete: auth {} PATH", kind.text));
        return;
    }
    if (const Option* service = directive.option("service")) {
        errors_.add(service->position, "service= is for auth pam");
        return;
    }
    const Word& path = directive.words[1];
    method.path = resolve_path(path.position.directory(), path.text);
    add_auth_method(std::move(method));
}

bool SettingsBuilder::pam_service(const Directive& directive, AuthMethod& method) {
    if (directive.words.size() > 1) {
        const Word& extra = directive.words[1];
        errors_.add(extra.position, fmt::format("unexpected word \"{}\"", extra.text));
        return false;
    }
    method.kind = AuthKind::Pam;
    method.service = kDefaultPamService;
    const Option* service = directive.option("service");
    if (service == nullptr) return true;
    if (!is_pam_service(service->value)) {
        errors_.add(service->position, "not the name of a PAM service");
        return false;
    }
    method.service = service->value;
    return true;
}

void SettingsBuilder::add_auth_method(AuthMethod method) {
    for (const AuthMethod& other : settings_.auth) {
        if (!is_same_method(other, method)) continue;
        errors_.add(method.position,
                    fmt::format("this method was already given at {}", other.position.text()));
        return;
    }
    settings_.auth.push_back(std::move(method));
}

void SettingsBuilder::auth_on_25(const Directive& directive) {
    const Word& word = directive.words[0];
    store(parse_boolean(word.text), settings_.auth_on_25, word.position);
}

void SettingsBuilder::auth_failures(const Directive& directive) {
    const Word& word = directive.words[0];
    Rate rate;
    if (!store(parse_rate(word.text), rate, word.position)) return;
    if (rate.count == 0 || rate.count > kMostAuthFailures) {
        errors_.add(word.position, fmt::format("the number must be from 1 to {}", kMostAuthFailures));
        return;
    }
    const bool client = directive.name == "auth_failures_per_client";
    (client ? settings_.auth_failures_per_client : settings_.auth_failures_per_account) = rate;
}

void SettingsBuilder::listener_auth(const Directive& directive, Listener& listener) {
    const Option* option = directive.option("auth");
    if (option == nullptr) return;
    if (listener.kind == ListenerKind::Local) {
        errors_.add(option->position, "nobody logs in on a local socket");
        return;
    }
    choose(Word{option->value, option->position, false},
           {{"encrypted", ListenerAuth::Encrypted},
            {"always", ListenerAuth::Always},
            {"off", ListenerAuth::Off}},
           listener.auth);
    listeners_with_auth_.insert(listener.endpoint_text());
}

void SettingsBuilder::default_listener_auth() {
    for (Listener& listener : settings_.listeners) {
        if (listeners_with_auth_.contains(listener.endpoint_text())) continue;
        const bool offered = listener.kind == ListenerKind::Submission ||
                             (listener.kind == ListenerKind::Smtp && settings_.auth_on_25);
        listener.auth = offered ? ListenerAuth::Encrypted : ListenerAuth::Off;
    }
}

}  // namespace postrider::config
