#include "smtpd/received.h"

#include <catch2/catch.hpp>

namespace postrider::smtpd {

namespace {

Trace example() {
    Trace trace;
    trace.helo = "client.example";
    trace.client_literal = "[192.0.2.1]";
    trace.hostname = "mx.test";
    trace.protocol = "ESMTP";
    trace.queue_id = "0123456789ABCDEF";
    trace.time = 1795295230000;  // Sat, 21 Nov 2026 21:07:10 UTC
    return trace;
}

}  // namespace

TEST_CASE("the trace field says where a message came from") {
    Trace trace = example();
    CHECK(received_header(trace) ==
          "Received: from client.example ([192.0.2.1])\r\n"
          "\tby mx.test (Postrider) with ESMTP id 0123456789ABCDEF;\r\n"
          "\tSat, 21 Nov 2026 21:07:10 +0000\r\n");

    trace.client_name = "rdns.example";
    trace.recipient = "bob@local.test";
    CHECK(received_header(trace) ==
          "Received: from client.example (rdns.example [192.0.2.1])\r\n"
          "\tby mx.test (Postrider) with ESMTP id 0123456789ABCDEF\r\n"
          "\tfor <bob@local.test>;\r\n"
          "\tSat, 21 Nov 2026 21:07:10 +0000\r\n");
}

TEST_CASE("a local client has a user and no address") {
    Trace trace = example();
    trace.client_literal.clear();
    trace.local_user = "uid:1000";
    CHECK(received_header(trace).starts_with("Received: from client.example (local user uid:1000)\r\n"));
}

TEST_CASE("nothing that a client says can forge a part of the field") {
    Trace trace = example();
    trace.helo = "a) by evil (x;\r\n\tMon\xc3\xa4";
    CHECK(received_header(trace).starts_with("Received: from a??by?evil??x????Mon?? ([192.0.2.1])\r\n"));
    trace.helo = "[IPv6:2001:db8::1]";
    CHECK(received_header(trace).starts_with("Received: from [IPv6:2001:db8::1] ("));
    trace.helo.clear();
    CHECK(received_header(trace).starts_with("Received: from unknown ("));
}

}  // namespace postrider::smtpd
