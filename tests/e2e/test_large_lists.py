#!/usr/bin/python3
"""T36: how many recipients may be behind an address and behind a message, with the limits as they are shipped, and
that whoever is named more than once gets one copy."""

from __future__ import annotations

import re
import sys

from nsd import Nsd
from program import Program
from sink import Sink
from smtp import send_message
from suite import Suite

LIMIT = 1000
HALF = 600
CONFIG = "alias_file local.test aliases\nerror_delay 0\n"


def members(prefix: str, count: int) -> str:
    return "".join(f"{prefix}{number}@remote.test\n" for number in range(count))


FILES = {"aliases": "most: :include:most\nmore: :include:most, alice\nfirst: :include:first\nsecond: :include:second\n"
                    "top: l1, l2\nl1: alice, bob\nl2: alice, carol\n",
         "most": members("m", LIMIT), "first": members("f", HALF), "second": members("s", HALF)}


class Lists:
    def __init__(self, program: Program, suite: Suite, sink: Sink) -> None:
        self._program = program
        self._suite = suite
        self._sink = sink
        self._session = suite.session("OUT", timeout=120)
        self._session.reply()
        self._session.command("EHLO out.example", 250)

    def _asked(self, *users: str) -> list[str]:
        """The replies to the recipients of one transaction, which is then given up."""
        self._session.command("MAIL FROM:<sender@out.example>", 250)
        replies = [str(self._session.command(f"RCPT TO:<{user}@local.test>"))[:9] for user in users]
        self._session.command("RSET", 250)
        return replies

    def _expect(self, what: str, found: object, wanted: object) -> None:
        self._program.judge(what, found == wanted, "" if found == wanted else f"{found}, expected {wanted}")

    def limits(self) -> None:
        self._expect(f"a list of {LIMIT} is accepted", self._asked("most"), ["250 2.1.5"])
        self._expect(f"one of {LIMIT + 1} is not", self._asked("more"), ["550 5.5.3"])
        self._expect(f"two of {HALF} in one message: the second one waits", self._asked("first", "second"), ["250 2.1.5", "452 4.5.3"])
        self._expect(f"a list of {LIMIT}, and one more recipient", self._asked("most", "alice"), ["250 2.1.5", "452 4.5.3"])
        self._expect("the same list twice", self._asked("most", "most"), ["250 2.1.5", "250 2.1.5"])

    def arrivals(self) -> None:
        reply = send_message(self._session, "sender@out.example", ["most@local.test"], b"Subject: all\r\n\r\nHello.\r\n")
        self._expect(f"a message to {LIMIT} is taken", reply.code, 250)
        self._suite.wait_until_empty(120)
        arrived = [address for message in self._sink.messages() for address in re.findall(rb"X-Rcpt-Args: <(m\d+)@", message)]
        self._expect("and each of them got it once", (len(arrived), len(set(arrived))), (LIMIT, LIMIT))

    def copies(self) -> None:
        """Each recipient in a message of its own, and the numbers of copies in the mailboxes afterwards."""
        for recipients, wanted in ((["top@local.test"], (1, 1, 1)), (["alice@local.test"] * 2, (2, 1, 1))):
            send_message(self._session, "sender@out.example", recipients, b"Subject: one copy\r\n\r\nHello.\r\n")
            self._suite.wait_until_empty()
            found = tuple(len(self._suite.mailbox(user)) for user in ("alice", "bob", "carol"))
            self._expect(f"{recipients}: one copy each", found, wanted)


def main() -> int:
    with Program(__doc__) as program:
        folder, stage = program.scratch("lists"), program.stage()
        nsd = Nsd(folder / "nsd", stage)
        suite = Suite(program.binaries, folder / "suite", stage, CONFIG, FILES)
        sink = Sink("R", folder / "sink", stage)
        nsd.start()
        sink.start()
        try:
            suite.start()
            lists = Lists(program, suite, sink)
            for part in (lists.limits, lists.arrivals, lists.copies):
                part()
            suite.stop()
        finally:
            suite.abandon()
            sink.stop()
            nsd.stop()
    return program.exit_code


if __name__ == "__main__":
    sys.exit(main())
