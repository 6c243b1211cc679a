#!/usr/bin/python3
"""A wrong configuration starts nothing and says where it is wrong; one that breaks later changes nothing."""

from __future__ import annotations

import re
import sys

from nsd import Nsd
from process import TestFailure, wait_for
from program import Program
from smtp import send_message
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


def main() -> int:
    with Program(__doc__) as program:
        for number, (line, column, mentions) in enumerate(WRONG_LINES):
            check_wrong_line(program, number, line, column, mentions)
        check_broken_table(program)
        if program.exit_code:
            raise TestFailure("see above")
    return program.exit_code


if __name__ == "__main__":
    sys.exit(main())
