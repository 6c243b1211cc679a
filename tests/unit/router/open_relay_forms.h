#pragma once

#include <fmt/format.h>

#include <algorithm>
#include <fstream>
#include <string>
#include <utility>
#include <vector>

/// The forms in which somebody may ask a server to pass mail on. What each of them means is known from how it
/// is made, so that nothing has to be parsed to judge what became of it.
namespace postrider::router::test {

/// Whose an address is, as tests/relay_forms.txt says it.
struct Form {
    std::string whose;
    std::string text;  ///< {f} is a foreign domain, {o} one of ours
};

inline std::vector<Form> address_forms() {
    constexpr std::size_t kColumn = 8;
    std::ifstream file(RELAY_FORMS);
    std::vector<Form> forms;
    for (std::string line; std::getline(file, line);) {
        if (line.size() <= kColumn || line.front() == '#') continue;
        std::string whose = line.substr(0, kColumn);
        whose.erase(whose.find_last_not_of(' ') + 1);
        forms.push_back({std::move(whose), line.substr(kColumn)});
    }
    forms.push_back({"nobody", ""});
    return forms;
}

/// A probe, and the domain that it is for: canonical, a literal in brackets, or empty if it is no address.
struct Probe {
    std::string text;
    std::string domain;
};

inline Probe probe_of(const Form& form, const std::string& foreign, const std::string& own,
                      const std::string& primary) {
    Probe probe;
    probe.text = fmt::format(fmt::runtime(form.text), fmt::arg("f", foreign), fmt::arg("o", own));
    if (form.whose == "own") probe.domain = own;
    if (form.whose == "bare") probe.domain = primary;
    if (form.whose == "foreign" || form.whose == "literal") {
        probe.domain = probe.text.substr(probe.text.rfind('@') + 1);
        if (probe.domain.ends_with('.')) probe.domain.pop_back();
    }
    return probe;
}

/// The ways in which the name of a domain is written, with what it means then: another domain if glued to
/// something, itself in other letters, or nothing.
inline std::vector<Probe> domain_probes(const std::string& domain, const std::string& own) {
    const auto upper = [&] {
        std::string text = domain;
        std::transform(text.begin(), text.end(), text.begin(),
                       [](char c) { return c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c; });
        return text;
    };
    const std::size_t dot = domain.find('.');
    const std::string tail = dot == std::string::npos ? std::string() : domain.substr(dot);
    const std::string head = domain.substr(0, dot);
    std::vector<Probe> probes = {
        {"u@" + domain, domain},
        {"U@" + upper(), domain},
        {"u@" + domain + ".", domain},
        {"u@" + upper() + ".", domain},
        {"u@" + domain + "..", ""},
        {"u@." + domain, ""},
        {"u@sub." + domain, "sub." + domain},
        {"u@a.b." + domain, "a.b." + domain},
        {"u@x" + domain, "x" + domain},
        {"u@x-" + domain, "x-" + domain},
        {"u@_x." + domain, "_x." + domain},
        {"u@" + domain + ".hotmail.com", domain + ".hotmail.com"},
        {"u@" + domain + "x", domain + "x"},
        {"u@" + own + "." + domain, own + "." + domain},
        {"u@" + domain + "%00." + own, ""},
        {"u@" + domain + "\\0." + own, ""},
        {"u@" + domain + "=00" + own, ""},
        {"u@" + domain + "+00" + own, ""},
        {"u@" + domain + std::string(1, '\0') + own, ""},
        {"u" + std::string(1, '\0') + "@" + domain, ""},
        {"u@" + domain + "\n", ""},
        {"u@" + domain + "\t@" + own, ""},
        {"u@" + domain + "\r\nRCPT TO:<u@" + own + ">", ""},
        {"u@" + domain + "\xff", ""},
        {"u@" + domain + "\xc0\xae" + "test", ""},  // an overlong dot
        {"u@" + domain + "\xe2\x80\x8b\xff", ""},   // a space of no width, and no UTF-8
        {"u\xc0\x80@" + domain, ""},                // an overlong NUL
        {"\xc3\xbc@" + domain, domain},             // a local part beyond ASCII
        {"u@\xc3\xbc." + domain, "xn--tda." + domain},
        {"u@xn--tda." + domain, "xn--tda." + domain},
        {"u@XN--TDA." + domain, "xn--tda." + domain},
    };
    if (!tail.empty()) {
        probes.push_back({"u@" + tail.substr(1), tail.substr(1)});
        // Wide letters and the ideographic dot mean the plain ones (UTS 46); a letter of Greek does not.
        probes.push_back({"u@" + head + "\xe3\x80\x82" + tail.substr(1), domain});
        probes.push_back({"u@\xef\xbd\x98" + domain, "x" + domain});
        probes.push_back({"u@" + head + "\xc2\xad" + tail, domain});  // a soft hyphen means nothing
    }
    return probes;
}

}  // namespace postrider::router::test
