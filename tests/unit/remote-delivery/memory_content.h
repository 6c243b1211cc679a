#pragma once

#include <sys/mman.h>
#include <unistd.h>

#include <stdexcept>
#include <string>

#include "remote-delivery/content.h"

namespace postrider::remote_delivery::test {

/// A file that exists in memory only, holding `text`.
inline Fd memory_file(const std::string& text) {
    Fd file(::memfd_create("content", MFD_CLOEXEC));
    if (!file || ::write(file.get(), text.data(), text.size()) != static_cast<ssize_t>(text.size())) {
        throw std::runtime_error("no file in memory");
    }
    return file;
}

/// Content that stands behind a header of ten octets, as in a queue file.
inline Content content_of(const std::string& text) {
    return Content(memory_file("0123456789" + text), 10, text.size());
}

}  // namespace postrider::remote_delivery::test
