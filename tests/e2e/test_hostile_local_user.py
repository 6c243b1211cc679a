#!/usr/bin/python3
"""A user of the host who wants to be another: other senders, logins, envelopes and headers than he may use; and what
he gives as an address, an option, a header or an SMTP command holds line breaks, NUL, control characters, or 100 kB."""

from __future__ import annotations

import base64
import dataclasses
import os
import sys

from caller import Caller, broke, host_config, values
from nsd import Nsd
from program import Program
from suite import Suite

# The addresses of others are theirs alone. Everybody's own is only needed where no account of the host is behind it.
CONFIG = """\
sender_login bob@local.test bob
sender_login boss.test bob
alias_file local.test aliases
sender_login alice@local.test uid:{uid}
auth passwd_file ${{dir}}/logins
"""
LONG = "x" * 100_000
EVIL = "dave@local.test"  # who must never get anything
GOOD = "alice@local.test"
MESSAGE = b"Subject: harmless\n\nbody\n"
PLAIN = base64.b64encode(b"\0bob\0secret").decode()
# Octets that the shell of a program could put there, but no program's argument can hold a NUL.
BREAKS = {"CRLF": "\r\n", "LF": "\n", "CR": "\r", "escape": "\x1b[2J", "delete": "\x7f", "backspace": "\b" * 20}


@dataclasses.dataclass(frozen=True)
class Case:
    what: str
    words: tuple[str | bytes, ...] = ("-i", GOOD)
    text: bytes = MESSAGE
    refused: bool = True  # nothing at all may be taken


def arguments() -> list[Case]:
    """Addresses and options on the command line."""
    cases = [Case(f"{name} in the {where}", words) for name, octets in BREAKS.items() for where, words in (
        ("recipient", ("-i", f"a{octets}RCPT TO:<{EVIL}>{octets}@local.test")),
        ("sender", ("-i", "-f", f"alice@local.test>{octets}RCPT TO:<{EVIL}", GOOD)))]
    return cases + [
        Case("100 kB in the recipient", ("-i", f"{LONG}@local.test")),
        Case("100 kB in the recipient's domain", ("-i", f"a@{LONG}")),
        Case("100 kB in the sender", ("-i", "-f", f"{LONG}@local.test", GOOD)),
        Case("100 kB of recipients", ("-i", ",".join([GOOD] * 6000)), refused=False),
        Case("100 kB of comment", ("-i", f"{GOOD} ({'(' * 50_000}{')' * 50_000})"), refused=False),
        Case("parameters behind the recipient", ("-i", f"{GOOD}> NOTIFY=NEVER"), refused=False),
        Case("parameters behind the sender", ("-i", "-f", "alice@local.test> SIZE=1 BODY=BINARYMIME", GOOD)),
        Case("a sender that is no UTF-8", ("-i", "-f", b"\xff\xfe@local.test", GOOD)),
        Case("a recipient that is no UTF-8", ("-i", b"\xc0\xae@local.test")),
        Case("a recipient with a C1 control", ("-i", b"a\xc2\x9bm@local.test")),
        Case("a program as recipient", ("-i", f"|/bin/touch {EVIL}")),
        Case("a file as recipient", ("-i", "/etc/passwd")),
        Case("a line break in -N", ("-i", "-N", f"never\r\nRCPT TO:<{EVIL}>", GOOD)),
        Case("a line break in -R", ("-i", "-R", f"full\r\nRCPT TO:<{EVIL}>", GOOD)),
        Case("a line break in -V", ("-i", "-V", f"x\r\nRCPT TO:<{EVIL}>", GOOD)),
        Case("100 kB in -V", ("-i", "-V", LONG, GOOD)),
        Case("a line break in -F", ("-i", "-F", f"x\r\nX-Injected: yes\r\nBcc: {EVIL}", GOOD), refused=False),
        Case("100 kB in -F", ("-i", "-F", LONG, GOOD)),
        Case("another queue", ("-i", "-oQ/tmp", GOOD)),
        Case("a configuration of his own", ("-i", "-C", "/dev/stdin", GOOD)),
    ]


def headers() -> list[Case]:
    """Recipients in the header, and headers as such."""
    to = ("-t", "-i")
    return [
        Case("-t: CR in To", to, f"To: {GOOD}\rBcc: {EVIL}\nSubject: x\n\nx\n".encode()),
        Case("-t: NUL in To", to, f"To: alice\0@local.test, {GOOD}\nSubject: x\n\nx\n".encode()),
        Case("-t: folds in an address", to, b"To: al\n ice@local.test\r\n\t\n RCPT TO\n\nx\n"),
        Case("-t: a quoted line break", to, f"To: \"a\n RCPT TO:<{EVIL}>\n b\"@local.test\n\nx\n".encode()),
        Case("-t: 100 kB", to, f"To: {LONG}@local.test\n\nx\n".encode()),
        Case("-t: 100 kB of folds", to, (f"To: {GOOD}" + ",\n " * 30_000 + f"\nSubject: {'x' * 10}\n\nx\n").encode(), refused=False),
        Case("-t: an open quote", to, f"To: \"{GOOD}\nSubject: x\n\n<{EVIL}>\n".encode()),
        Case("-t: an open comment", to, f"To: ({GOOD}\n\n<{EVIL}>\n".encode()),
        Case("-t: recipients below the header", to, f"To: {GOOD}\nSubject: x\n\nBcc: {EVIL}\n".encode(), refused=False),
        Case("a header of 2 MB", text=b"X-Long: " + b"x\n " * 700_000 + b"\n\nx\n"),
        Case("a header with an end of its own", text=b"Subject: x\n.\nRCPT TO:<dave@local.test>\n\nx\n", refused=False),
        Case("dots and commands in the body", text=f"Subject: x\n\n.\r\n.\nMAIL FROM:<>\nRCPT TO:<{EVIL}>\nDATA\n.\n".encode(),
             refused=False),
        Case("CR.CR and commands in the body", text=f"Subject: x\n\n\r.\rMAIL FROM:<>\rRCPT TO:<{EVIL}>\rDATA\rx\r.\r".encode(),
             refused=False),
        Case("NUL in the body", text=b"Subject: x\n\na\0b\n"),
        Case("nothing at all", text=b"", refused=False),
        Case("a body without end", text=b"\xff" * 3_000_000),
    ]


def dialogues() -> list[Case]:
    """Raw octets by -bs."""
    def said(*lines: str | bytes) -> bytes:
        octets = [line if isinstance(line, bytes) else line.encode() + b"\r\n" for line in ("EHLO x", *lines, "QUIT")]
        return b"".join(octets)

    start = ("MAIL FROM:<alice@local.test>", f"RCPT TO:<{GOOD}>")
    raw = {
        "AUTH PLAIN": said(f"AUTH PLAIN {PLAIN}", "MAIL FROM:<bob@local.test>", f"RCPT TO:<{EVIL}>"),
        "AUTH= of another": said("MAIL FROM:<alice@local.test> AUTH=bob@local.test", f"RCPT TO:<{GOOD}>"),
        "XCLIENT": said("XCLIENT LOGIN=bob ADDR=10.0.0.5", "MAIL FROM:<bob@local.test>", f"RCPT TO:<{EVIL}>"),
        "a bare LF between commands": said(*start, f"NOOP\nRCPT TO:<{EVIL}>"),
        "a bare CR between commands": said(*start, f"NOOP\rRCPT TO:<{EVIL}>"),
        "a NUL in an address": said("MAIL FROM:<alice@local.test>", b"RCPT TO:<alice\0@local.test>\r\n"),
        "a line break in a quoted address": said(start[0], b'RCPT TO:<"a\nb"@local.test>\r\n'),
        "an address of 100 kB": said(start[0], f"RCPT TO:<{LONG}@local.test>"),
        "a command of 1 MB": said(*start, "NOOP " + "x" * 1_000_000),
        "a greeting of 100 kB": said(f"EHLO {LONG}", start[0], f"RCPT TO:<{LONG}>"),
        "bare LF ends of DATA": said(*start, "DATA", f"Subject: x\n\nx\n.\nMAIL FROM:<>\nRCPT TO:<{EVIL}>\nDATA\nx".encode(), "",
                                     "."),
        "CR ends of DATA": said(*start, "DATA", b"Subject: x\r\n\r\nx\r\n.\rMAIL FROM:<>\r\n", "."),
        "a NUL in DATA": said(*start, "DATA", b"Subject: x\0\r\n\r\nx\r\n", "."),
        "octets of no kind": b"\x16\x03\x01\x02\x00" + os.urandom(5000) + b"\r\nQUIT\r\n",
        "BDAT larger than can be": said(*start, "BDAT 99999999999999999999 LAST"),
        "ten thousand commands": said(*["RSET"] * 10_000),
    }
    return [Case(f"-bs: {what}", ("-bs",), octets) for what, octets in raw.items()]


class HostileUser:
    def __init__(self, program: Program, suite: Suite) -> None:
        self._program = program
        self._suite = suite
        self._alice = Caller(suite, "alice")

    def expect(self, what: str, good: object, note: object = "") -> None:
        self._program.judge(what, bool(good), "" if good else str(note)[:1500])

    def play(self, case: Case) -> None:
        """Nobody but the named recipient gets anything, he gets one message at most, and it has no field that
        was not given as one."""
        before = self._suite.mailbox("alice")
        done = self._alice.sendmail(*case.words, text=case.text)
        self._suite.wait_until_empty()
        new = [text for text in self._suite.mailbox("alice") if text not in before]
        own = [text for text in new if values(text, b"Return-Path") != [b"<>"]]
        injected = any(values(text, b"X-Injected") or EVIL.encode() in b"".join(values(text, b"To")) for text in own)
        taken = case.words == ("-bs",) and b" queued as " in done.stdout or case.words != ("-bs",) and done.returncode == 0
        good = not broke(done) and not self._suite.mailbox("dave") and not injected
        good = good and not (case.refused and own) and (len(own) == 1 if taken else len(own) <= 1)
        self.expect(case.what, good, (done.returncode, done.stderr[-600:], done.stdout[-300:], [text[-700:] for text in own]))

    def senders(self) -> None:
        """What belongs to others by sender_login is refused, however it is written; all else is not."""
        for sender in ("bob@local.test", "BOB@Local.Test", '"bob"@local.test', "bob@boss.test", "anybody@boss.test"):
            sent = self._alice.sendmail("-i", "-f", sender, GOOD, text=MESSAGE)
            self.expect(f"alice as {sender} is refused", sent.returncode == 69 and b"553 5.7.1" in sent.stderr, sent)
            talked = self._alice.sendmail("-bs", text=f"EHLO x\r\nMAIL FROM:<{sender}>\r\nRCPT TO:<{GOOD}>\r\nQUIT\r\n".encode())
            self.expect(f"and by -bs, {sender}", b"\n553 5.7.1" in talked.stdout and b"\n503 " in talked.stdout, talked)
        logged_in = self._alice.sendmail("-bs", text=f"EHLO x\r\nAUTH PLAIN {PLAIN}\r\nMAIL FROM:<bob@local.test>\r\nQUIT\r\n".encode())
        self.expect("nobody can log in here", b"AUTH" not in logged_in.stdout and b"\n502 " in logged_in.stdout
                    and b"\n553 5.7.1" in logged_in.stdout, logged_in)
        for sender in ("alice@local.test", "list-owner@local.test", "x@remote.test", "<>"):
            sent = self._alice.sendmail("-i", "-f", sender, "carol@local.test", text=b"From: bob@local.test\nSubject: mine\n\nx\n")
            self.expect(f"alice as {sender} is taken", sent.returncode == 0, sent)
        self._suite.wait_until_empty()
        texts = self._suite.mailbox("carol")
        self.expect("the From field is as it was", len(texts) == 4 and all(values(text, b"From") == [b"bob@local.test"]
                                                                           for text in texts), texts)
        trace = f"(local user uid:{self._alice.uid})".encode()
        self.expect("who it was is written down", all(trace in values(text, b"Received")[0] for text in texts), texts)
        if self._suite.as_root:
            bob = Caller(self._suite, "bob")
            for sender in ("bob@local.test", "x@boss.test"):
                sent = bob.sendmail("-i", "-f", sender, GOOD, text=MESSAGE)
                self.expect(f"bob as {sender} is taken", sent.returncode == 0, sent)
            self._suite.wait_until_empty()

    def sockets(self) -> None:
        """The other sockets of the suite are not for him."""
        if not self._suite.as_root:
            return
        for words in (("queue", "list"), ("queue", "flush", "--all"), ("explain", "bob@local.test")):
            done = self._alice.run(str(self._suite.binaries / "postrider"), "--config", str(self._suite.config_file), *words)
            self.expect(f"postrider {words[0]} {words[1]} is not for alice", done.returncode not in (0, 64) and not broke(done), done)


def main() -> int:
    with Program(__doc__) as program:
        folder, stage = program.scratch("hostile"), program.stage()
        nsd = Nsd(folder / "nsd", stage)
        suite = Suite(program.binaries, folder / "suite", stage, CONFIG.format(uid=os.geteuid()) + host_config(),
                      {"logins": "bob:{CRYPT}$6$abcdefgh$ltjgWl6579NluT/Vi1nwEvcil.G5Nbc4NiXZaNGStk8PSwGfQv72N2CKPPrVACtLtip/cZ/1GM/O6IND4WQhG.\n", "aliases": "postmaster: bob\n"})
        nsd.start()
        try:
            suite.start()
            before = suite.daemons()
            user = HostileUser(program, suite)
            user.senders()
            user.sockets()
            cases = [*arguments(), *headers(), *dialogues()]
            for case in cases:
                user.play(case)
            program.judge(f"{len(cases)} cases, and every daemon is the one it was", suite.daemons() == before, str(before))
            suite.stop()
        finally:
            suite.abandon()
            nsd.stop()
    return program.exit_code


if __name__ == "__main__":
    sys.exit(main())
