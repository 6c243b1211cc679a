#!/usr/bin/python3
"""What idle sessions cost, in clear text and encrypted: the memory of all smtpd processes, how fast a new client
is greeted meanwhile, and that every place comes back. `--full` for 10,000 sessions."""

from __future__ import annotations

import contextlib
import resource
import socket
import ssl
import statistics
import sys
import time
from pathlib import Path

from process import wait_for
from program import Program
from suite import Suite, is_of

CONFIG = """\
tls_certificate ${{dir}}/us.pem ${{dir}}/us.key
max_connections {most}
max_connections_per_client {most}
command_timeout 1h
command_timeout_before_rcpt 1h
"""
GREETED_WITHIN = 0.020
CLEAR_KIB, ENCRYPTED_KIB = 4, 40  # a session


def resident_kib(suite: Suite) -> int:
    total = 0
    for name, pid in suite.daemons().items():
        if is_of(name, "smtpd"):
            with open(f"/proc/{pid}/status", encoding="ascii") as status:
                total += next(int(line.split()[1]) for line in status if line.startswith("VmRSS:"))
    return total


def read_reply(connection: socket.socket) -> bytes:
    said = b""
    while not any(line[3:4] == b" " for line in said.split(b"\r\n")[:-1]):
        more = connection.recv(4096)
        if not more:
            break
        said += more
    return said


def command(connection: socket.socket, text: bytes) -> bytes:
    connection.sendall(text + b"\r\n")
    return read_reply(connection)


def open_session(suite: Suite, encrypted: bool) -> socket.socket:
    connection = socket.create_connection(suite.stage.us(), 60, (suite.stage.client("OUT"), 0))
    read_reply(connection)
    command(connection, b"EHLO out.example")
    if encrypted:
        command(connection, b"STARTTLS")
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        connection = context.wrap_socket(connection)
        command(connection, b"EHLO out.example")
    return connection


def greeting_time(suite: Suite) -> float:
    began = time.monotonic()
    with contextlib.closing(socket.create_connection(suite.stage.us(), 10, (suite.stage.client("OUT"), 0))) as one:
        greeting = read_reply(one)
    assert greeting.startswith(b"220"), greeting
    return time.monotonic() - began


def play(program: Program, suite: Suite, count: int, encrypted: bool) -> None:
    what = "encrypted" if encrypted else "clear"
    before = resident_kib(suite)
    sessions = [open_session(suite, encrypted) for _ in range(count)]
    grown = resident_kib(suite) - before
    times = [greeting_time(suite) for _ in range(20)]
    bound = (ENCRYPTED_KIB if encrypted else CLEAR_KIB) * count
    note = f"{count} sessions, {grown} KiB, {grown / count:.1f} KiB each"
    # A program built with sanitizers needs many times the memory.
    program.judge(f"{what}: memory of idle sessions", suite.is_sanitized or grown <= bound, note)
    median = statistics.median(times)
    program.judge(f"{what}: a new client is greeted at once", suite.is_sanitized or median < GREETED_WITHIN,
                  f"median {median * 1000:.1f} ms, worst {max(times) * 1000:.1f} ms")
    for session in sessions:
        session.close()
    # There are twice as many places as were taken, and the last tenth is scarce: with those taken that did not come
    # back there would be too few.
    wait_for("the places to come back", lambda: suite.log().count(" disconnect ") >= suite.log().count(" connect "), 60)
    again = [open_session(suite, False) for _ in range(count)]
    alive = sum(command(session, b"NOOP").startswith(b"250") for session in again)
    program.judge(f"{what}: all places came back", alive == count, f"{alive} of {count}")
    for session in again:
        session.close()
    wait_for("the places to come back", lambda: suite.log().count(" disconnect ") >= suite.log().count(" connect "), 60)


def main() -> int:
    with Program(__doc__, extra={"--full": {"action": "store_true"}}) as program:
        count = 10_000 if program.options.full else 500
        resource.setrlimit(resource.RLIMIT_NOFILE, (count + 1000, max(count + 1000, resource.getrlimit(resource.RLIMIT_NOFILE)[1])))
        stage = program.stage()
        suite = Suite(program.binaries, program.scratch("idle"), stage, CONFIG.format(most=2 * count))
        suite.make_certificate("us", "mx2.test")
        if suite.as_root:
            # The ports of the hosts' usual range are not enough for all that are still in TIME-WAIT.
            with stage.inside("world"):
                Path("/proc/sys/net/ipv4/ip_local_port_range").write_text("1024 65535", encoding="ascii")
        try:
            suite.start()
            with stage.inside("world"):
                for encrypted in (False, True):
                    play(program, suite, count, encrypted)
            suite.stop()
        finally:
            suite.abandon()
    return program.exit_code


if __name__ == "__main__":
    sys.exit(main())
