#pragma once

#include <fcntl.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>

#include "libcommon/base/fd.h"
#include "local-delivery/message_text.h"

namespace postrider::local_delivery {

/// A folder that disappears with the test.
struct Scratch {
    Scratch() {
        char name[] = "/tmp/postrider-local-XXXXXX";
        path = ::mkdtemp(name);
    }
    ~Scratch() { std::filesystem::remove_all(path); }
    std::string path;
};

inline std::string contents(const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    std::ostringstream text;
    text << file.rdbuf();
    return text.str();
}

/// A queue file that holds `content` behind something else, and the message in it.
struct QueuedMessage {
    QueuedMessage(const Scratch& scratch, const std::string& content) {
        const std::string name = scratch.path + "/queue-file";
        const std::string before = "not the content";
        std::ofstream(name, std::ios::binary) << before << content << "journal";
        file = Fd(::open(name.c_str(), O_RDONLY | O_CLOEXEC));
        text.file = file.get();
        text.offset = before.size();
        text.length = content.size();
        text.sender = "sender@remote.test";
        text.recipient = "alice@local.test";
        text.original_recipient = "alice@local.test";
    }
    Fd file;
    MessageText text;
};

}  // namespace postrider::local_delivery
