// The rows of the directive table that are not limits. To switch a row or keyword on once a daemon does what
// it asks for, delete the word `planned` around it, or `kPlanned` behind it.

#include <algorithm>
#include <utility>

#include "libcommon/config/directives.h"

namespace postrider::config {

namespace {

constexpr auto kPlanned = Status::Planned;

/// Marks a row as one that no daemon acts on yet.
DirectiveRow planned(DirectiveRow row) {
    row.status = kPlanned;
    return row;
}

/// Lets a row stand several times, with up to `most_words` words.
DirectiveRow repeated(DirectiveRow row, std::size_t most_words) {
    row.occurs = Occurs::Repeatedly;
    row.most_words = most_words;
    return row;
}

/// A once-only directive of one word.
DirectiveRow value(std::string_view name, std::string_view arguments, std::string_view default_text,
                   Reader reader, std::string_view doc) {
    DirectiveRow row;
    row.name = name;
    row.arguments = arguments;
    row.default_text = default_text;
    row.reader = reader;
    row.doc = doc;
    return row;
}

/// A line of a table.
DirectiveRow table(std::string_view name, std::size_t least_words, std::size_t most_words,
                   std::string_view arguments, std::string_view doc) {
    DirectiveRow row;
    row.name = name;
    row.occurs = Occurs::Repeatedly;
    row.least_words = least_words;
    row.most_words = most_words;
    row.arguments = arguments;
    row.reader = Reader::Router;
    row.doc = doc;
    row.table = true;
    return row;
}

DirectiveRow listen_row() {
    DirectiveRow row;
    row.name = "listen";
    row.occurs = Occurs::Repeatedly;
    row.least_words = 2;
    row.most_words = 2;
    row.options = {{"tls"}, {"client_cert"}, {"auth"}, {"proxy", kPlanned}};
    row.flags = {{"strict"}};
    row.arguments = "ADDRESS:PORT smtp|submission [strict] [tls=] [client_cert=] [auth=] | PATH local";
    row.default_text = "0.0.0.0:25 smtp, [::]:25 smtp, RUN_DIR/submit.sock local";
    row.reader = Reader::Smtpd;
    row.doc = "Where connections are accepted, and what is spoken there.";
    return row;
}

DirectiveRow user_row() {
    DirectiveRow row;
    row.name = "user";
    row.occurs = Occurs::Repeatedly;
    row.least_words = 2;
    row.most_words = 2;
    row.arguments = "DAEMON NAME|UID";
    row.default_text = "pr-smtpd, pr-router, pr-queue, pr-remote, pr-auth";
    row.doc = "The user that a daemon becomes when started as root.";
    return row;
}

DirectiveRow resolver_row() {
    DirectiveRow row = value("resolver", "ADDRESS[:PORT]", "the servers in /etc/resolv.conf",
                             Reader::Everyone, "A DNS server.");
    row.occurs = Occurs::Repeatedly;
    return row;
}

/// A directive of one word that may stand several times.
DirectiveRow several(std::string_view name, std::string_view arguments, Reader reader, std::string_view doc) {
    DirectiveRow row = value(name, arguments, "", reader, doc);
    row.occurs = Occurs::Repeatedly;
    return row;
}

DirectiveRow self_address_row() {
    DirectiveRow row = value("self_address", "ADDRESS …", "the addresses of the interfaces", Reader::Everyone,
                             "Addresses under which other hosts reach this one.");
    row.occurs = Occurs::Repeatedly;
    row.most_words = kAnyNumber;
    return row;
}

DirectiveRow auth_row() {
    DirectiveRow row = value("auth", "pam [service=NAME] | passwd_file FILE | dovecot SOCKET", "",
                             Reader::Authd, "How clients log in.");
    row.occurs = Occurs::Repeatedly;
    row.most_words = 2;
    row.options = {{"service"}};
    return row;
}

DirectiveRow free_row(std::string_view name, std::string_view arguments, std::string_view doc) {
    DirectiveRow row = value(name, arguments, "5%", Reader::QueueManager, doc);
    row.most_words = 2;
    return row;
}

DirectiveRow tls_certificate_row() {
    DirectiveRow row = repeated(
        value("tls_certificate", "CHAIN KEY [name=NAME]", "", Reader::Smtpd, "A certificate for TLS."), 2);
    row.least_words = 2;
    row.options = {{"name"}};
    return row;
}

DirectiveRow include_row() {
    DirectiveRow row = value("include", "FILE | DIR/*.SUFFIX | FILE as [KIND] CLASS", "", Reader::Everyone,
                             "Reads another file, all files of a folder with a suffix, or keys of a table.");
    row.occurs = Occurs::Repeatedly;
    return row;
}

DirectiveRow virtual_domain_row() {
    DirectiveRow row =
        table("virtual_domain", 1, 2, "DOMAIN [TEMPLATE] [owner=USER] [users=TABLE] [quota=SIZE]",
              "A domain whose mailboxes belong to one user of the system.");
    row.options = {{"owner"}, {"users"}, {"quota"}};
    return row;
}

DirectiveRow mxbackup_row() {
    DirectiveRow row =
        table("mxbackup", 1, 1, "DOMAIN [subdomains] [disabled]", "A domain we are a backup MX for.");
    row.flags = {{"subdomains"}, {"disabled"}};
    return row;
}

DirectiveRow route_row() {
    DirectiveRow row =
        table("route", 2, 3,
              "DOMAIN|.DOMAIN|*.DOMAIN|* mx | via HOST|[ADDRESS][:PORT] [hold] [hold_expire=] [schedule=] "
              "[compulsory] [retry=] [lifetime=] [maxconn=] [rcpts=] [msgs=] [rate=]",
              "How mail for a domain that is not local leaves.");
    row.options = {{"retry"}, {"lifetime"}, {"hold_expire"}, {"schedule"},      {"maxconn"},
                   {"rcpts"}, {"msgs"},     {"rate"},        {"tls", kPlanned}, {"auth", kPlanned}};
    row.flags = {{"hold"}, {"compulsory"}, {"lmtp", kPlanned}};
    return row;
}

/// A line of the policy table. Everything behind the key is an item (router/policy_item.h), and `use` and the
/// text of a reply are plain words, so their number is not limited.
DirectiveRow policy_row(std::string_view name, std::string_view arguments, std::string_view doc,
                        std::vector<Keyword> options, std::vector<Keyword> flags) {
    DirectiveRow row = table(name, 1, kAnyNumber, arguments, doc);
    row.options = std::move(options);
    row.flags = std::move(flags);
    return row;
}

DirectiveRow net_row() {
    return policy_row("net", "ADDRESS[/PREFIX] ITEM …", "What clients in a network may do.",
                      {{"maxsize"},
                       {"conns"},
                       {"maxrcpt"},
                       {"maxrcpt0"},
                       {"tls"},
                       {"quirks"},
                       {"etrn"},
                       {"tarpit"},
                       {"trust"},
                       {"dnsbl"},
                       {"dnswl"},
                       {"at"},
                       {"spf", kPlanned},
                       {"rate"},
                       {"over"},
                       {"connrate"},
                       {"filter", kPlanned},
                       {"senddns"},
                       {"rcptdns"},
                       {"rcptrate"}},
                      {{"accept"},
                       {"reject"},
                       {"defer"},
                       {"relay"},
                       {"vrfy"},
                       {"expn"},
                       {"etrn"},
                       {"authreq"},
                       {"quarantine"},
                       {"discard"}});
}

DirectiveRow rdns_row() {
    return policy_row("rdns", "DOMAIN ITEM …", "Policy for clients by their name in the DNS.", {},
                      {{"accept"}, {"reject"}, {"defer"}, {"relay"}, {"quarantine"}, {"discard"}});
}

DirectiveRow helo_row() {
    return policy_row("helo", "PATTERN ITEM …", "Policy for clients by the name they greet with.",
                      {{"quirks"}},
                      {{"accept"}, {"reject"}, {"defer"}, {"strict"}, {"fqdn"}, {"quarantine"}, {"discard"}});
}

DirectiveRow login_row() {
    return policy_row(
        "login", "LOGIN|* ITEM …", "Policy for clients by the account they logged in to.",
        {{"maxsize"}, {"etrn"}, {"trust"}, {"rate"}, {"rcptrate"}, {"over"}, {"filter", kPlanned}},
        {{"accept"},
         {"reject"},
         {"defer"},
         {"relay"},
         {"vrfy"},
         {"expn"},
         {"etrn"},
         {"quarantine"},
         {"discard"}});
}

DirectiveRow port_row() {
    return policy_row("port", "PORT ITEM …", "Policy for the clients of a listener.",
                      {{"maxsize"}, {"maxrcpt"}, {"maxrcpt0"}, {"tls"}, {"quirks"}},
                      {{"authreq"}, {"strict"}, {"fqdn"}});
}

DirectiveRow sender_row() {
    return policy_row(
        "sender", "ADDRESS ITEM …", "Policy for envelope senders.",
        {{"tls"}, {"senddns"}, {"spf", kPlanned}, {"rate"}, {"rcptrate"}, {"over"}},
        {{"accept"}, {"reject"}, {"defer"}, {"authreq"}, {"norelay"}, {"quarantine"}, {"discard"}});
}

DirectiveRow rcpt_row() {
    return policy_row("rcpt", "ADDRESS ITEM …", "Policy for recipients.",
                      {{"mx"}, {"dnsbl"}, {"maxsize"}, {"filter", kPlanned}, {"verify"}},
                      {{"accept"}, {"reject"}, {"defer"}, {"relay"}, {"local"}, {"quarantine"}, {"discard"}});
}

/// A line with items of any kind of line: the router checks which of them are in place.
DirectiveRow all_items_row(std::string_view name, std::string_view arguments, std::string_view doc) {
    DirectiveRow row = policy_row(name, arguments, doc, {}, {});
    for (const DirectiveRow& kind :
         {net_row(), rdns_row(), helo_row(), login_row(), port_row(), sender_row(), rcpt_row()}) {
        const auto add_new = [](std::vector<Keyword>& known, const std::vector<Keyword>& more) {
            for (const Keyword& keyword : more) {
                const auto found = std::find_if(known.begin(), known.end(),
                                                [&](const Keyword& one) { return one.name == keyword.name; });
                if (found == known.end()) known.push_back(keyword);
            }
        };
        add_new(row.options, kind.options);
        add_new(row.flags, kind.flags);
    }
    return row;
}

void append(std::vector<DirectiveRow>& rows, std::vector<DirectiveRow> more) {
    rows.insert(rows.end(), std::make_move_iterator(more.begin()), std::make_move_iterator(more.end()));
}

std::vector<DirectiveRow> setting_rows() {
    return {
        value("hostname", "NAME", "the system's full name", Reader::Everyone,
              "The name in greetings, Received fields and reports; it contains a dot."),
        listen_row(),
        value("spool_dir", "DIR", "/var/spool/postrider", Reader::QueueManager, "The queue."),
        value("run_dir", "DIR", "/run/postrider", Reader::Everyone, "The sockets of the daemons."),
        value("state_dir", "DIR", "/var/lib/postrider", Reader::Everyone,
              "What the daemons learn and keep across restarts."),
        user_row(),
        auth_row(),
        value("auth_on_25", "yes|no", "no", Reader::Smtpd,
              "Whether clients can log in on smtp listeners that do not say so themselves."),
        value("auth_failures_per_client", "RATE", "20/1h", Reader::Authd,
              "Failed logins of a client after which it is refused."),
        value("auth_failures_per_account", "RATE", "10/1h", Reader::Authd,
              "Failed logins of an account after which it is locked."),
        resolver_row(),
        self_address_row(),
        value("recipient_delimiter", "CHARACTER", "+", Reader::Router,
              "Separates user and detail in a local part; \"\" for none."),
        value("forward_file", "~/FILE|off", "~/.forward", Reader::Router,
              "The forward file of a user of the system."),
        value("forward_file_overrides_self", "yes|no", "yes", Reader::Router,
              "Whether the forward file counts for a user whom an alias calls himself, too."),
        free_row("min_free_space", "PERCENT|SIZE [SIZE]",
                 "Free space of the spool below which intake stops."),
        free_row("min_free_inodes", "PERCENT|NUMBER [NUMBER]",
                 "Free inodes of the spool below which intake stops."),
        value("queue_directory_sync", "auto|yes|no", "auto", Reader::QueueManager,
              "Whether a commit syncs the folder, too; auto decides by the file system."),
        value("queue_readers", "GROUP", "", Reader::QueueManager,
              "A group whose members may look at the queue; they cannot change it."),
        several("help_text", "TEXT", Reader::Smtpd, "A line of the reply to HELP."),
        value("reject_footer", "TEXT", "", Reader::Smtpd,
              "The last line of every permanent refusal: whom to ask, for example."),
        value("received_hide_client", "yes|no", "no", Reader::Smtpd,
              "Whether Received leaves out who a client is that has logged in."),
        value("dsn_return", "headers|full", "headers", Reader::QueueManager,
              "What a failure report returns when the sender did not say."),
        value("dsn_only_to", "any|local", "any", Reader::QueueManager,
              "Which senders get reports: all, or only our own and those of clients that may relay."),
        value("dsn_aggregate", "DURATION", "60s", Reader::QueueManager,
              "How long failures of a message are gathered for one report."),
        value("dsn_templates", "DIR", "", Reader::QueueManager,
              "The folder of the texts that people read in reports."),
        value("delay_warning", "DURATION", "4h", Reader::QueueManager,
              "When a sender is told that his message is delayed; 0: never."),
        value("double_bounce_to", "ADDRESS|off|discard", "postmaster", Reader::QueueManager,
              "Who gets a report that cannot be delivered."),
        value("retry", "DURATION,…", "5m,15m,30m,1h,2h,4h", Reader::QueueManager,
              "The waits between attempts; the last one repeats."),
        value("mxbackup_enabled", "yes|no", "yes", Reader::Router,
              "Whether mail is accepted for the domains of mxbackup lines."),
        value("etrn", "off|granted|exchangers", "exchangers", Reader::Smtpd,
              "Who may have mail sent with ETRN."),
        value("over_quota", "defer|bounce", "defer", Reader::Router,
              "Whether mail for a full mailbox waits for room, or is returned at once."),
        value("redirect_scope", "local|any", "local", Reader::Router,
              "Which addresses redirect lines look at that do not say so themselves."),
        value("redirect_all_matches", "yes|no", "yes", Reader::Router,
              "Whether all redirect lines apply that match an address, or the first one only."),
        value("alias_fallthrough", "yes|no", "yes", Reader::Router,
              "Whether domains with an alias file of their own have that of * as well."),
        value("lookup_may_pipe", "yes|no", "no", Reader::Router,
              "Whether users= from a socket: may send mail to programs and files."),
        value("sender_login_check", "yes|no", "yes", Reader::Router,
              "Whether a sender must belong to the login on submission."),
        value("account_message_rate", "RATE|off", "off", Reader::Router,
              "Messages that one login may send in a period."),
        value("account_recipient_rate", "RATE|off", "off", Reader::Router,
              "Recipients that one login may send to in a period."),
        value("client_connection_rate", "RATE|off", "60/1m", Reader::Router,
              "Connections of a client that may not relay, in a period; then 421."),
        value("client_message_rate", "RATE|off", "120/1m", Reader::Router,
              "Messages of a client that may not relay, in a period; then 452."),
        value("client_recipient_rate", "RATE|off", "600/1m", Reader::Router,
              "Recipients of a client that may not relay, in a period; then 452."),
        value("log_format", "text|json", "text", Reader::Everyone, "The form of log lines."),
        value("log_to", "stderr", "stderr", Reader::Everyone, "Where log lines go."),
        value("log_level", "debug|info|warning|error", "info", Reader::Everyone,
              "The least important lines that are logged."),
        include_row(),
    };
}

std::vector<DirectiveRow> tls_rows() {
    return {
        tls_certificate_row(),
        value("tls_min", "1.2|1.3", "1.2", Reader::Smtpd, "The oldest version of TLS that clients may use."),
        value("tls_ciphers", "LIST", "", Reader::Smtpd, "The ciphers of TLS 1.2, as in ciphers(1)."),
        value("tls_session_tickets", "yes|no", "yes", Reader::Smtpd,
              "Whether clients may go on with an earlier TLS session."),
        value("tls_client_ca", "FILE", "", Reader::Smtpd,
              "The authorities whose certificates clients are known by."),
    };
}

DirectiveRow redirect_row(std::string_view name, std::string_view doc) {
    DirectiveRow row = table(name, 2, kAnyNumber, "PATTERN DESTINATION … [scope=local|any]", doc);
    row.options = {{"scope"}};
    return row;
}

std::vector<DirectiveRow> table_rows() {
    return {
        table("local_domain", 1, kAnyNumber, "DOMAIN …", "Domains whose users are users of the system."),
        virtual_domain_row(),
        table("relay_domain", 1, kAnyNumber, "DOMAIN|.DOMAIN|*.DOMAIN …",
              "Domains for which mail is accepted and passed on."),
        mxbackup_row(),
        table("alias_domain", 3, 3, "DOMAIN -> DOMAIN", "Another name of a local domain."),
        table("catchall", 2, 2, "DOMAIN MAILBOX", "Who gets what no user of a domain gets."),
        redirect_row("redirect", "Sends mail elsewhere."),
        redirect_row("redirect+copy", "Sends mail elsewhere as well."),
        table("alias_file", 2, 2, "DOMAIN|* FILE", "The aliases of a domain, or of all local domains."),
        table("mailbox", 2, 2, "DOMAIN TEMPLATE", "Where the mailboxes of a local domain are."),
        route_row(),
        net_row(),
        rdns_row(),
        helo_row(),
        login_row(),
        port_row(),
        sender_row(),
        rcpt_row(),
        all_items_row("class", "NAME ITEM …", "A named set of items of the policy table."),
        all_items_row("default", "KIND ITEM …", "Policy where no line says otherwise."),
        table("sender_login", 2, kAnyNumber, "ADDRESS|@DOMAIN|DOMAIN LOGIN …",
              "Which logins may use a sender address."),
    };
}

std::vector<DirectiveRow> planned_setting_rows() {
    return {
        planned(value("metrics_listen", "ADDRESS:PORT", "off", Reader::Everyone, "Counters over HTTP.")),
    };
}

/// Limits of what is not built yet; they move to the limits table together with what they bound.
std::vector<DirectiveRow> planned_limit_rows() {
    constexpr auto kSmtpd = Reader::Smtpd;
    return {
        planned(value("proxy_timeout", "DURATION", "3s", kSmtpd, "A PROXY header.")),
        planned(value("milter_connect_timeout", "DURATION", "10s", kSmtpd, "A connection to a filter.")),
        planned(value("milter_command_timeout", "DURATION", "30s", kSmtpd, "A filter's answer.")),
        planned(value("milter_content_timeout", "DURATION", "300s", kSmtpd, "A filter's verdict.")),
        planned(value("mta_sts_timeout", "DURATION", "60s", Reader::RemoteDelivery,
                      "Fetching an MTA-STS policy.")),
    };
}

}  // namespace

std::vector<DirectiveRow> general_rows() {
    std::vector<DirectiveRow> rows = setting_rows();
    append(rows, tls_rows());
    append(rows, table_rows());
    append(rows, planned_setting_rows());
    append(rows, planned_limit_rows());
    return rows;
}

}  // namespace postrider::config
