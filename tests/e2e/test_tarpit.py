#!/usr/bin/python3
"""How a tarpit delays refusals: exactly as configured, nobody but those who are refused, and no client that has
hung up is waited for. 500 sessions at once."""

from __future__ import annotations

import contextlib
import statistics
import sys
import time

from process import wait_for
from program import Program
from smtp import Session
from suite import Suite

CONFIG = """\
net ${OUT} tarpit=1s+100%<4s
max_connections_per_client 1000
errors_before_drop 1000
"""
EXPECTED = (1.0, 2.0, 4.0, 4.0)
STUCK = 500


def seconds(session: Session, text: str, code: int) -> float:
    began = time.monotonic()
    session.command(text, code)
    return time.monotonic() - began


def delays(program: Program, suite: Suite) -> None:
    with contextlib.closing(suite.session("OUT")) as session:
        session.reply()
        times = [seconds(session, "EHLO out.example", 250)]
        times += [seconds(session, "RCPT TO:<alice@local.test>", 503) for _ in EXPECTED]
        times.append(seconds(session, "MAIL FROM:<a@out.example>", 250))
        times.append(seconds(session, "QUIT", 221))
    refused = times[1:-2]
    good = all(wanted <= found <= wanted * 1.1 + 0.1 for wanted, found in zip(EXPECTED, refused))
    program.judge("refusals take 1, 2, 4, 4 seconds", good, ", ".join(f"{one:.2f}" for one in refused))
    quick = [times[0], *times[-2:]]
    program.judge("nothing else takes longer", max(quick) < 0.3, ", ".join(f"{one:.3f}" for one in quick))


def crowd(program: Program, suite: Suite) -> None:
    def transaction() -> float:
        began = time.monotonic()
        with contextlib.closing(suite.session("IN")) as session:
            session.reply()
            for text in ("EHLO inside.test", "MAIL FROM:<a@inside.test>", "RCPT TO:<alice@local.test>", "QUIT"):
                session.command(text)
        return time.monotonic() - began

    alone = statistics.median(transaction() for _ in range(20))
    stuck = [suite.session("OUT") for _ in range(STUCK)]
    for session in stuck:
        session.reply()
        session.send(b"RCPT TO:<alice@local.test>\r\n" * 3)
    together = statistics.median(transaction() for _ in range(20))
    program.judge(f"{STUCK} sessions in the tarpit slow nobody else", together < 3 * alone + 0.02,
                  f"{alone * 1000:.1f} ms alone, {together * 1000:.1f} ms beside them")
    refused = sum(session.reply().code == 503 for session in stuck)
    program.judge("each of them hears why it had to wait", refused == STUCK, f"{refused} of {STUCK}")
    for session in stuck:
        session.close()
    began = time.monotonic()
    wait_for("the sessions to end", lambda: suite.log().count(" disconnect ") >= suite.log().count(" connect "), 20)
    program.judge("clients that hang up are not waited for", time.monotonic() - began < 1.5,
                  f"{time.monotonic() - began:.2f} s")


def main() -> int:
    with Program(__doc__) as program:
        suite = Suite(program.binaries, program.scratch("tarpit"), program.stage(), CONFIG)
        try:
            suite.start()
            delays(program, suite)
            crowd(program, suite)
            suite.stop()
        finally:
            suite.abandon()
    return program.exit_code


if __name__ == "__main__":
    sys.exit(main())
