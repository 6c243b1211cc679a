#pragma once

#include <map>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "libcommon/config/settings.h"
#include "router/expansion.h"
#include "router/table_builder.h"

namespace postrider::router::test {

/// Files in memory, by their absolute paths.
class MemoryFiles : public config::FileSource {
  public:
    explicit MemoryFiles(std::map<std::string, std::string> files) : files_(std::move(files)) {}

    [[nodiscard]] Result<std::string> read(const std::string& path, std::size_t /*limit*/) override {
        const auto found = files_.find(path);
        if (found == files_.end()) return temporary(path + ": No such file or directory");
        return found->second;
    }
    [[nodiscard]] Result<std::vector<std::string>> list(const std::string& directory) override {
        std::vector<std::string> names;
        const std::string inside = directory + "/";
        for (const auto& [path, text] : files_) {
            const bool is_in = path.starts_with(inside) && path.find('/', inside.size()) == std::string::npos;
            if (is_in) names.push_back(path.substr(inside.size()));
        }
        if (names.empty()) return temporary(directory + ": No such file or directory");
        return names;
    }

  private:
    std::map<std::string, std::string> files_;
};

/// The settings that /etc/postrider/postrider.conf among `files` describes. Throws where it has an error.
inline config::Settings read_settings(MemoryFiles& files) {
    config::Surroundings surroundings;
    surroundings.files = &files;
    surroundings.host_name = [] { return std::string("mx2.test"); };
    surroundings.resolv_conf = "/etc/resolv.conf";
    config::LoadResult loaded = config::load("/etc/postrider/postrider.conf", surroundings);
    if (!loaded.settings) throw std::runtime_error(loaded.errors.at(0));
    return std::move(*loaded.settings);
}

/// Builds tables from the text of postrider.conf and further files in /etc/postrider. Of the owners of
/// virtual domains vmail (500) and root (0) exist.
inline BuildResult build(const std::string& configuration,
                         const std::map<std::string, std::string>& others = {},
                         const Tables* previous = nullptr) {
    std::map<std::string, std::string> files;
    files["/etc/postrider/postrider.conf"] = configuration;
    for (const auto& [name, text] : others)
        files["/etc/postrider/" + name] = text;
    MemoryFiles source(std::move(files));
    const config::Settings settings = read_settings(source);
    BuildInputs inputs;
    inputs.files = &source;
    inputs.previous = previous;
    inputs.find_owner = [](const std::string& name) -> Result<config::UserIds> {
        if (name == "vmail") return config::UserIds{500, 500};
        if (name == "root") return config::UserIds{0, 0};
        return permanent("there is no user \"" + name + "\"");
    };
    return build_tables(settings, inputs);
}

/// As build(), for configurations without errors.
inline std::shared_ptr<const Tables> tables_of(const std::string& configuration,
                                               const std::map<std::string, std::string>& others = {}) {
    BuildResult built = build(configuration, others);
    if (!built.tables) throw std::runtime_error(built.errors.at(0));
    return built.tables;
}

/// What the world is like for a test: the users of the scenarios alice, bob, carol and dave, a DNS without
/// any name, and what it adds.
class FakeFacts : public Facts {
  public:
    FakeFacts() {
        uid_t uid = 1000;
        for (const char* name : {"alice", "bob", "carol", "dave"})
            add(name, ++uid);
    }
    void add(const std::string& name, uid_t uid) {
        SystemUser user;
        user.name = name;
        user.uid = uid;
        user.gid = uid;
        user.home = "/home/" + name;
        answers_[name] = {FactState::Known, std::make_shared<const SystemUser>(user)};
    }
    void set(const std::string& name, FactState state) { answers_[name] = {state, nullptr}; }

    /// Addresses of a name, each as A or AAAA record.
    void set_addresses(const std::string& name, const std::vector<std::string>& addresses) {
        answers_of(name);
        for (const std::string& text : addresses) {
            const config::IpAddress address = config::IpAddress::parse(text).value();
            records(name, address.is_v4() ? dns::Type::A : dns::Type::Aaaa).addresses.push_back(address);
        }
    }
    void set_mx(const std::string& name, std::vector<dns::Mx> mx) {
        records(name, dns::Type::Mx).mx = std::move(mx);
    }
    void set_reverse(const std::string& name, std::vector<std::string> names) {
        records(name, dns::Type::Ptr).names = std::move(names);
    }
    void set_text(const std::string& name, std::vector<std::string> texts) {
        records(name, dns::Type::Txt).texts = std::move(texts);
    }
    /// What the DNS says of a name and a type instead, Unavailable or Pending.
    void set_dns(const std::string& name, dns::Type type, FactState state) {
        answers_of(name)[type] = DnsAnswer{state, {}};
    }
    /// A name that exists without any record.
    void add_name(const std::string& name) { answers_of(name); }

    /// What a server on a socket says of a user; without this it knows nobody.
    void set_external(const std::string& address, ExternalAnswer answer) {
        external_[address] = std::move(answer);
    }
    void add_external(const std::string& address, const std::string& value) {
        set_external(address, {FactState::Known, std::make_shared<const std::string>(value), {}});
    }

    std::vector<std::string> asked;
    std::vector<std::string> asked_servers;  // SOCKET ADDRESS
    std::size_t dns_questions = 0;

  private:
    [[nodiscard]] UserAnswer answer_user(const std::string& name) override {
        asked.push_back(name);
        const auto found = answers_.find(name);
        if (found == answers_.end()) return {FactState::Unknown, nullptr};
        return found->second;
    }
    [[nodiscard]] DnsAnswer answer_dns(const DnsQuestion& question) override {
        ++dns_questions;
        DnsAnswer answer;
        answer.state = FactState::Unknown;
        const auto name = names_.find(question.name);
        if (name == names_.end()) {
            answer.answer.outcome = dns::Outcome::NoSuchName;
            return answer;
        }
        const auto found = name->second.find(question.type);
        return found == name->second.end() ? answer : found->second;
    }

    [[nodiscard]] ExternalAnswer answer_external(const ExternalQuestion& question) override {
        asked_servers.push_back(question.socket + " " + question.address);
        const auto found = external_.find(question.address);
        if (found == external_.end()) return {FactState::Unknown, nullptr, {}};
        return found->second;
    }

    using AnswersOfName = std::map<dns::Type, DnsAnswer>;
    AnswersOfName& answers_of(const std::string& name) { return names_[name]; }
    dns::Records& records(const std::string& name, dns::Type type) {
        DnsAnswer& answer = answers_of(name)[type];
        answer.state = FactState::Known;
        answer.answer.outcome = dns::Outcome::Found;
        return answer.answer.records;
    }

    std::map<std::string, UserAnswer> answers_;
    std::map<std::string, AnswersOfName> names_;
    std::map<std::string, ExternalAnswer> external_;
};

}  // namespace postrider::router::test
