#!/usr/bin/python3
"""A wrong configuration starts nothing and says where it is wrong; one that breaks later changes nothing; one that is
mended counts at once."""

from __future__ import annotations

import re
import signal
import statistics
import sys
import time

from nsd import Nsd
from process import TestFailure, wait_for
from program import Program
from smtp import Session, send_message
from suite import Suite

EX_CONFIG = 78

# A line for the end of a good postrider.conf, and what must be said about it; COLUMN is that of the bad word.
WRONG_LINES = [
    ("local_domian other.test", 1, "local_domain"),
    ("max_message_size huge", 18, "huge"),
    ("listen 127.0.0.1:99999 smtp", 8, ""),
    ("retry 5m,later", 7, ""),
    ("hostname second.test", 1, "hostname"),
    ("include no-such-file", 9, "no-such-file"),
    ("alias_file local.test no-such-file", 23, "no-such-file"),
    ('relay_domain "unfinished', 14, ""),
    ("net 10.0.0.0/99 relay", 5, ""),
    ("route partner.test via [192.0.2.300]", 24, ""),
]


def check_wrong_line(program: Program, number: int, line: str, column: int, mentions: str) -> None:
    suite = Suite(program.binaries, program.scratch(f"wrong-{number}"), program.stage(), line + "\n")
    wrong_line = len(suite.config_file.read_text(encoding="utf-8").splitlines())
    process = suite.launch()
    code = process.wait(30)
    said = suite.log()
    place = rf"postrider\.conf:{wrong_line}:{column}: .*{re.escape(mentions)}"
    good = code == EX_CONFIG and re.search(place, said) is not None
    program.judge(f"{line!r}: exit {code}", good, "" if good else f"expected {EX_CONFIG} and {place}, it said:\n{said}")
    started = suite.daemons() or suite.spool.exists() and suite.spool_files()
    program.judge("    nothing was started", not started, f"{started}" if started else "")
    checked = suite.command("check", check=False)
    program.judge("    `postrider check` says the same", re.search(place, checked.stdout + checked.stderr) is not None
                  and checked.returncode != 0)


def deliver(suite: Suite, recipient: str) -> int:
    """The reply to RCPT, and to the message if that was accepted."""
    session = suite.session("OUT")
    session.reply()
    session.command("EHLO out.example", 250)
    session.command("MAIL FROM:<sender@out.example>", 250)
    reply = session.command(f"RCPT TO:<{recipient}>")
    if reply.code == 250:
        session.command("RSET", 250)
        reply = send_message(session, "sender@out.example", [recipient], b"Subject: x\r\n\r\nHello.\r\n")
    session.command("QUIT")
    session.close()
    return reply.code


def check_broken_table(program: Program) -> None:
    """The old table stays in force, a log line says where the new one is wrong, and the next good one counts."""
    nsd = Nsd(program.scratch("nsd"), program.stage())
    suite = Suite(program.binaries, program.scratch("table"), program.stage(), "alias_file local.test aliases\n",
                  {"aliases": "sales: alice\n"})
    nsd.start()
    try:
        suite.start()
        program.judge("the alias works", deliver(suite, "sales@local.test") == 250)
        suite.write_file("aliases", "sales: bob\nother: carol\nthis line is no alias\n")
        wait_for("a log line with aliases:3:", lambda: re.search(r"aliases:3:\d+: ", suite.log()), 20)
        program.judge("the old table stays", deliver(suite, "sales@local.test") == 250)
        program.judge("nothing of the broken table counts", deliver(suite, "other@local.test") == 550)
        suite.wait_until_empty()
        program.judge("both messages went where the old table says", len(suite.mailbox("alice")) == 2
                      and not suite.mailbox("bob"))
        suite.write_file("aliases", "sales: bob\nother: carol\n")
        wait_for("the new alias to count", lambda: deliver(suite, "other@local.test") == 250, 20)
        suite.wait_until_empty()
        program.judge("the repaired table counts", len(suite.mailbox("carol")) >= 1)
        suite.stop()
    finally:
        suite.abandon()
        nsd.stop()


POLICY = "# 1\n# 2\n# 3\n# 4\nrcpt bob@local.test reject\n# 6\n{}\n"
BROKEN = POLICY.format("rcpt carol@local.test rejcet")
EDITS = 5
SECONDS_TO_COUNT = 1.0


class Policy:
    """T65: a suite whose policy is edited under it."""

    def __init__(self, program: Program, suite: Suite) -> None:
        self._program = program
        self._suite = suite
        self._session = self._begin()

    def _begin(self) -> Session:
        session = self._suite.session("OUT")
        session.reply()
        session.command("EHLO out.example", 250)
        session.command("MAIL FROM:<sender@out.example>", 250)
        return session

    def _asked(self, user: str) -> int:
        return self._session.command(f"RCPT TO:<{user}@local.test>").code

    def broken_line(self) -> None:
        self._program.judge("the policy counts", (self._asked("bob"), self._asked("carol")) == (550, 250))
        self._suite.write_file("policy", BROKEN)
        wait_for("a log line with policy:7:", lambda: re.search(r"policy:7:\d+: ", self._suite.log()), 20)
        self._program.judge("an error in line 7: the old policy stays", (self._asked("bob"), self._asked("carol")) == (550, 250))
        checked = self._suite.command("check", check=False)
        self._program.judge("    `postrider check` says where", checked.returncode == EX_CONFIG
                            and re.search(r"policy:7:\d+: .*rejcet", checked.stdout + checked.stderr) is not None)

    def mended(self) -> None:
        """An open session sees each edit within the time, as long as the machine is not busy with something else."""
        times = []
        for edit in range(EDITS):
            wanted = (550, 250)[edit % 2]
            self._suite.write_file("policy", POLICY.format("rcpt carol@local.test reject" if wanted == 550 else "# 7"))
            begun = time.monotonic()
            wait_for("the edit to count", lambda: self._asked("carol") == wanted, 20)
            times.append(time.monotonic() - begun)
        took = statistics.median(times)
        self._program.judge("the mended policy counts in an open session", took <= SECONDS_TO_COUNT,
                            f"median {took:.2f} s, longest {max(times):.2f} s")

    def lost(self, what: str) -> None:
        """A router that is started while the policy is broken, or not there, lets nothing through."""
        if what == "broken":
            self._suite.write_file("policy", BROKEN)
        else:
            (self._suite.folder / "policy").unlink()
        self._suite.signal_daemon("router", signal.SIGKILL)
        replies = set()
        end = time.monotonic() + 3
        while time.monotonic() < end:
            session = self._suite.session("OUT")
            greeting = session.reply()
            if greeting.code == 220:
                session.command("EHLO out.example")
                replies.add(str(session.command("MAIL FROM:<sender@out.example>")))
            else:
                replies.add(str(greeting))
            session.close()
            time.sleep(0.2)
        self._program.judge(f"the policy is {what} when the router starts: everybody waits",
                            all(reply.startswith(("451 4.3.0 ", "421 ")) for reply in replies), f"{replies}")
        self._suite.write_file("policy", POLICY.format("rcpt carol@local.test reject"))
        wait_for("service to return", lambda: deliver(self._suite, "alice@local.test") == 250, 70)
        self._session.close()
        self._session = self._begin()
        self._program.judge("    mended, it counts", (self._asked("bob"), self._asked("carol"), self._asked("dave")) == (550, 550, 250))

    def close(self) -> None:
        self._session.close()


def check_policy(program: Program) -> None:
    nsd = Nsd(program.scratch("policy-nsd"), program.stage())
    suite = Suite(program.binaries, program.scratch("policy"), program.stage(), "include policy\nerror_delay 0\nerrors_before_drop 100000\n",
                  {"policy": POLICY.format("# 7")})
    nsd.start()
    try:
        suite.start()
        policy = Policy(program, suite)
        policy.broken_line()
        policy.mended()
        policy.lost("broken")
        policy.lost("missing")
        policy.close()
        suite.stop()
    finally:
        suite.abandon()
        nsd.stop()


def main() -> int:
    with Program(__doc__) as program:
        for number, (line, column, mentions) in enumerate(WRONG_LINES):
            check_wrong_line(program, number, line, column, mentions)
        check_broken_table(program)
        check_policy(program)
        if program.exit_code:
            raise TestFailure("see above")
    return program.exit_code


if __name__ == "__main__":
    sys.exit(main())
