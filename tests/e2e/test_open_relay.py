#!/usr/bin/python3
"""Strangers ask a running suite, in every form of tests/relay_forms.txt and under invented configurations, to pass
mail on to domains that are not its own. What it accepts is sent, and nothing may leave that was not to leave.

The router's decisions alone are tried with many more configurations by the unit test of the same name.
"""

from __future__ import annotations

import random
import re
import sys
from collections.abc import Iterator
from pathlib import Path

from nsd import Nsd
from program import Program
from sink import Sink
from smtp import Closed, Session, stuffed
from stage import Stage
from suite import Suite

SEEDS = range(20040309, 20040314)
FORMS = Path(__file__).resolve().parents[1] / "relay_forms.txt"
FOREIGN = ("hotmail.com", "remote.test", "othercompany.test", "evil.test", "com")
SENDERS = ("", "alice@local.test", "postmaster@mx2.test", "x@[192.0.2.10]", "x@[10.0.0.5]", "tomy@sender.example")

# So that a stranger who is refused a thousand times is not sent away.
PATIENCE = """error_delay 0
errors_before_drop 100000
non_mail_commands 100000
max_recipients 100000
max_null_recipients 100000
max_connections_per_client 1000
route * via ${R}
alias_file * aliases
"""
ALIASES = {"aliases": "postmaster: alice\nroot: alice\n"}
# Lines of which none opens anything to the client of this test.
CLOSED_LINES = (
    "net 0.0.0.0/0 maxsize=10M conns=1000", "net 203.0.113.0/24 quirks=nopipelining", "net 203.0.113.128/25 relay",
    "net ${OUT} vrfy expn etrn", "rdns liar.example relay", "rdns .out.example relay", "helo mx2.test accept",
    "login * relay", "port 25 maxsize=5M", "sender alice@local.test accept", "sender <> accept",
    "rcpt hotmail.com maxsize=1M", "rcpt tomy@ maxsize=2M", "rcpt remote.test quarantine", "rcpt *.evil.test discard",
    "rcpt othercompany.test mx=backup", "rcpt postmaster@ accept", "default rcpt verify=off", "default net conns=500",
    "class customer relay", "redirect any@* alice@local.test scope=any", "redirect some@* alice@local.test",
    "redirect *@evil.test alice@local.test scope=any", "catchall local.test dave", "recipient_delimiter %",
)


class World:
    """One configuration, and what it opens: `d`, `.d` or `*.d`."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)
        self.local = {"local.test"}
        self.relayed: list[str] = []
        self.lines: list[str] = []
        for domain in ("second.test", "d2.test", "primary.test", "hostonly.test", "dyn.example", "xn--bcher-kva.example"):
            self._add_domain(domain)
        self.lines += [line for line in CLOSED_LINES if self._random.random() < 0.5]

    def _add_domain(self, domain: str) -> None:
        form = self._random.choice(("", ".", "*.")) + domain
        kind = self._random.choice(("alias", "relay", "relay", "backup", "disabled", "rcpt", "none"))
        if kind == "alias":
            self.local.add(domain)
            self.lines.append(f"alias_domain {domain} -> local.test")
        elif kind == "disabled":
            self.lines.append(f"mxbackup {domain} subdomains disabled")
        elif kind != "none":
            # Mail for a primary would go past the route of everything else.
            line = {"relay": f"relay_domain {form}", "rcpt": f"rcpt {form} relay",
                    "backup": f"mxbackup {domain} subdomains\nroute *.{domain} via ${{R}}"}
            self.relayed.append(f"*.{domain}" if kind == "backup" else form)
            self.lines.append(line[kind])

    def is_relayed(self, domain: str) -> bool:
        return any((below and domain.endswith("." + base)) or (own and domain == base)
                   for own, below, base in map(_parts, self.relayed))

    def is_ours(self, domain: str) -> bool:
        return domain in self.local or self.is_relayed(domain)

    def own_domain(self) -> str:
        return self._random.choice(sorted(self.local) + [_parts(pattern)[2] for pattern in self.relayed])

    def probes(self) -> Iterator[tuple[bytes, str]]:
        """What stands in RCPT TO, and the domain that it is for; empty if that is no address."""
        for line in FORMS.read_text(encoding="utf-8").splitlines():
            if not line or line.startswith("#"):
                continue
            whose, text = line[:8].strip(), line[8:]
            own = self.own_domain()
            text = text.replace("{f}", self._random.choice(FOREIGN)).replace("{o}", own)
            domain = {"own": own, "bare": "local.test", "nobody": ""}.get(whose, text.rpartition("@")[2].removesuffix("."))
            yield f"<{text}>".encode(), domain
            yield text.encode(), domain
        own = self.own_domain()
        yield f"<tomy@hotmail.com\0@{own}>".encode(), ""
        yield f"<tomy@{own}\0.hotmail.com>".encode(), ""
        yield f"<tomy@hotmail.com\r@{own}>".encode(), ""
        yield b"<tomy@hotmail\xe3\x80\x82com>", "hotmail.com"
        yield b"<\xc3\xbcber@hotmail.com>", "hotmail.com"
        for domain in FOREIGN + tuple(sorted(self.local)) + tuple(_parts(pattern)[2] for pattern in self.relayed):
            for name in (domain, domain.upper(), f"x.{domain}", f"x{domain}", f"{domain}.hotmail.com", domain.partition(".")[2]):
                yield f"<u@{name}>".encode(), name.lower()


def _parts(pattern: str) -> tuple[bool, bool, str]:
    """Whether the pattern has the domain itself, those below it, and which domain."""
    if pattern.startswith("*."):
        return True, True, pattern[2:]
    return (False, True, pattern[1:]) if pattern.startswith(".") else (True, False, pattern)


class Siege:
    """One suite under one configuration, and what it lets through."""

    def __init__(self, program: Program, seed: int, stage: Stage) -> None:
        folder = program.scratch(str(seed))
        self._program = program
        self._seed = seed
        self._world = World(seed)
        self._suite = Suite(program.binaries, folder / "suite", stage, PATIENCE + "\n".join(self._world.lines) + "\n", ALIASES)
        self._sink = Sink("R", folder / "sink", stage)
        self._accepted: dict[str, int] = {}  # recipients by their domain
        self._asked = 0

    def run(self) -> None:
        self._sink.start()
        try:
            self._suite.start()
            for number, sender in enumerate(SENDERS):
                self._ask_all(sender, ("out.example", "mx2.test", "[10.0.0.5]")[number % 3])
            self._suite.wait_until_empty(120)
            self._judge_arrivals()
            self._suite.stop()
        finally:
            self._suite.abandon()
            self._sink.stop()

    def _begin(self, sender: str, greeting: str) -> Session:
        session = self._suite.session("OUT")
        session.reply()
        session.command(f"EHLO {greeting}", 250)
        session.command(f"MAIL FROM:<{sender}>", 250)
        return session

    def _ask_all(self, sender: str, greeting: str) -> None:
        session = self._begin(sender, greeting)
        wrong = []
        some = False
        for probe, domain in self._world.probes():
            self._asked += 1
            try:
                session.send(b"RCPT TO:" + probe + b"\r\n")
                reply = session.reply()
            except Closed:  # one cannot be in step after it
                session.close()
                session, some = self._begin(sender, greeting), False
                continue
            if reply.code != 250:
                continue
            some = True
            self._accepted[domain] = self._accepted.get(domain, 0) + 1
            if not self._world.is_ours(domain):
                wrong.append((probe, str(reply)))
        if some:
            session.command("DATA", 354)
            session.send(stuffed(b"Subject: passed on\r\n\r\nHello.\r\n"))
            session.reply()
        session.close()
        note = "" if not wrong else f"{wrong}\n" + "\n".join(self._world.lines)
        self._program.judge(f"seed {self._seed}, from <{sender}>: nothing is accepted that is not ours", not wrong, note)

    def _judge_arrivals(self) -> None:
        taken = {domain for domain in self._accepted if self._world.is_relayed(domain)}
        left = set()
        for message in self._sink.messages():
            left |= {found.decode().rpartition("@")[2].lower() for found in re.findall(rb"X-Rcpt-Args: <(.*)>", message)}
        # Reports go to those who claimed to have sent.
        strange = {domain for domain in left if not self._world.is_relayed(domain)} - {sender.rpartition("@")[2] for sender in SENDERS}
        self._program.judge(f"seed {self._seed}: what left was for domains that we relay", not strange, f"{strange}" if strange else "")
        # Or nothing would have been shown.
        good = "local.test" in self._accepted and left >= taken and (taken or not self._world.relayed)
        self._program.judge(f"seed {self._seed}: {self._asked} probes, {sum(self._accepted.values())} were for us",
                            bool(good), "" if good else f"accepted {self._accepted}, left {left}")


def main() -> int:
    with Program(__doc__) as program:
        stage = program.stage()
        nsd = Nsd(program.scratch("nsd"), stage)
        nsd.start()
        try:
            for seed in SEEDS:
                Siege(program, seed, stage).run()
        finally:
            nsd.stop()
    return program.exit_code


if __name__ == "__main__":
    sys.exit(main())
