#!/usr/bin/python3
"""What a sender hears who asked for NOTIFY=SUCCESS, from us and from the next host: of a mailbox, of an address that
stands for others, of a forward file, and of a list with an owner. One report is compared field by field."""

from __future__ import annotations

import email
import email.message
import email.policy
import os
import re
import sys

from exim import EximPeer
from nsd import Nsd
from process import wait_for
from program import Program
from suite import FIRST_USER_UID, USERS, Suite

SENDER = "alice@local.test"
CONFIG = "alias_file local.test aliases\nretry 2h\ndsn_return full\n"
FILES = {"aliases": "team: bob, rob@remote.test\nsolo: rob@remote.test\npart: bob, gone@remote.test\n"
                    "news: bob, gone@remote.test\nowner-news: carol\nmixed: carol, news\n"
                    "club: slow@remote.test\nowner-club: carol\n"}
DATE = r"\w{3}, \d{1,2} \w{3} \d{4} \d\d:\d\d:\d\d \+0000"
ID = "[0-9A-Z]{16}"


def parsed(content: bytes) -> email.message.EmailMessage:
    message = email.message_from_bytes(content, policy=email.policy.default)
    assert isinstance(message, email.message.EmailMessage)
    return message


def outcomes(content: bytes) -> list[tuple[str, str]]:
    """Action and Final-Recipient of each recipient that a report tells of; nothing if it is no report."""
    return [(str(part["Action"]), str(part["Final-Recipient"])) for part in parsed(content).walk() if part["Action"]]


def fields(part: email.message.Message) -> dict[str, str]:
    return {name: re.sub(r"\s+", " ", str(value)) for name, value in part.raw_items()}


class Reports:
    def __init__(self, program: Program, suite: Suite, remote: EximPeer) -> None:
        self._program = program
        self._suite = suite
        self._remote = remote
        self._number = 0

    def expect(self, what: str, good: object, note: object = "") -> None:
        self._program.judge(what, bool(good), "" if good else str(note)[:3000])

    def send(self, notify: str, *recipients: str) -> bytes:
        """Sends a message and returns a text that stands in it and in every report about it."""
        self._number += 1
        session = self._suite.session("IN")
        session.reply()
        session.command("EHLO test", 250)
        session.command(f"MAIL FROM:<{SENDER}> RET=HDRS ENVID=no+2D{self._number}", 250)
        for recipient in recipients:
            session.command(f"RCPT TO:<{recipient}> NOTIFY={notify} ORCPT=rfc822;Asked+2B{recipient}", 250)
        session.command("DATA", 354)
        session.send(f"Subject: number {self._number}.\r\nMessage-ID: <{self._number}@test>\r\n\r\nbody\r\n.\r\n".encode())
        sent = session.reply()
        session.close()
        self.expect(f"{notify} {' '.join(recipients)} is taken", sent.code == 250, sent)
        return f"Subject: number {self._number}.".encode()

    def told(self, user: str, about: bytes) -> list[tuple[str, str]]:
        """What the reports in a mailbox say about a message."""
        said = [outcomes(text) for text in self._suite.mailbox(user) if about in text]
        return sorted((action, final.removeprefix("rfc822; ")) for one in said for action, final in one)

    def check(self, what: str, notify: str, recipients: tuple[str, ...], wanted: list[tuple[str, str]],
              carol: list[tuple[str, str]] | None = None, remote_tells: bool = False) -> bytes:
        """Whether the sender, and carol as the owner of the list, are told what is `wanted`; and whether the next host
        was asked to tell of success."""
        about = self.send(notify, *recipients)
        self._suite.wait_until_empty()
        self.expect(what, self.told("alice", about) == sorted(wanted), (self.told("alice", about), self._suite.log_tail()))
        self.expect(f"{what}: the owner", self.told("carol", about) == (carol or []), self.told("carol", about))
        wait_for("Exim to have delivered all", self._remote.queue_is_empty)
        told = any(about in arrival.content and b"Action: " in arrival.content for arrival in self._remote.arrivals(SENDER))
        self.expect(f"{what}: the next host {'tells' if remote_tells else 'is not to tell'}", told == remote_tells)
        return about

    def field_by_field(self, about: bytes) -> None:
        """The report about an address that stands for two others: nothing but what stands here is in it."""
        report = parsed(next(text for text in self._suite.mailbox("alice") if about in text and outcomes(text)))
        header = fields(report)
        header.pop("Received", None)
        wanted = {
            "Return-Path": "<>", "Delivered-To": SENDER,
            "From": "Mail Delivery System <MAILER-DAEMON@mx2.test>", "To": f"<{SENDER}>",
            "Subject": "Mail sent on to several addresses", "Date": DATE, "Message-ID": f"<{ID}@mx2.test>",
            "Auto-Submitted": "auto-replied", "MIME-Version": "1.0",
            "Content-Type": f'multipart/report; report-type="?delivery-status"?; boundary="=_{ID}"',
        }
        self.compare("the header", header, wanted)
        text, status, original = report.iter_parts()
        self.expect("its parts", [part.get_content_type() for part in (text, status, original)] ==
                    ["text/plain", "message/delivery-status", "text/rfc822-headers"])
        self.expect("the text", re.fullmatch(
            r"This is the mail system at mx2\.test\.\n\nAs you asked: your message has reached an address that stands for\n"
            r"several others, and was sent on to these\. Delivery to them is not reported\.\n\n<team@local\.test>\n"
            r"    sent on to several addresses\n*", text.get_content().replace("\r", "")), text.get_content())
        message_part, *recipient_parts = status.get_payload()
        self.compare("the fields of the message", fields(message_part), {
            "Original-Envelope-Id": r"no-\d+", "Reporting-MTA": "dns; mx2.test", "X-Postrider-Queue-ID": ID,
            "Arrival-Date": DATE})
        self.expect("it tells of one recipient", len(recipient_parts) == 1, recipient_parts)
        self.compare("the fields of the recipient", fields(recipient_parts[0]), {
            "Original-Recipient": r"rfc822;Asked\+team@local\.test", "Final-Recipient": "rfc822; team@local.test",
            "Action": "expanded", "Status": "2.0.0", "Diagnostic-Code": "x-postrider; sent on to several addresses",
            "Last-Attempt-Date": DATE})
        returned = parsed(original.get_content().encode())
        self.expect("the header of the message", (returned["Subject"], returned["Message-ID"]) ==
                    (about.decode().removeprefix("Subject: "), f"<{about.decode().split()[-1][:-1]}@test>"), original)
        self.expect("and nothing of its body", b"body" not in report.as_bytes())

    def compare(self, what: str, found: dict[str, str], wanted: dict[str, str]) -> None:
        wrong = {name: found.get(name) for name, pattern in wanted.items()
                 if name not in found or (found[name] != pattern and not re.fullmatch(pattern, found[name]))}
        more = found.keys() - wanted.keys()
        self.expect(f"field by field: {what}", not wrong and not more, (wrong, more))

    def run(self) -> None:
        self._remote.reject("gone", "550 5.1.1 no such user")
        self.check("a mailbox", "SUCCESS", ("bob@local.test",), [("delivered", "bob@local.test")])
        about = self.check("an alias of two", "SUCCESS", ("team@local.test",), [("expanded", "team@local.test")])
        self.field_by_field(about)
        self.check("an alias of two, failures only", "FAILURE", ("team@local.test",), [])
        self.check("an alias of one", "SUCCESS", ("solo@local.test",), [], remote_tells=True)
        self.check("two such aliases and a mailbox", "SUCCESS", ("team@local.test", "mixed@local.test", "dave@local.test"),
                   [("expanded", "team@local.test"), ("expanded", "mixed@local.test"), ("delivered", "dave@local.test")],
                   carol=[("failed", "gone@remote.test")])
        self.check("a member that fails", "SUCCESS,FAILURE", ("part@local.test",),
                   [("expanded", "part@local.test"), ("failed", "gone@remote.test")])
        self.check("a member that fails, success only", "SUCCESS", ("part@local.test",), [("expanded", "part@local.test")])
        self.check("a list", "SUCCESS,FAILURE", ("news@local.test",), [("delivered", "news@local.test")],
                   carol=[("failed", "gone@remote.test")])
        self.check("a list, failures only", "FAILURE", ("news@local.test",), [], carol=[("failed", "gone@remote.test")])
        self.forward("dave", "bob@local.test, carol@local.test\n")
        self.check("a forward file with two", "SUCCESS", ("dave@local.test",), [("expanded", "dave@local.test")])
        self.forward("dave", "bob@local.test\n")
        self.check("a forward file with one", "SUCCESS", ("dave@local.test",), [("delivered", "bob@local.test")])
        self.delayed()

    def delayed(self) -> None:
        """The sender is told that his message to a mailbox is late; of members of a list nobody is."""
        for name in ("slow", "late"):
            self._remote.reject(name, "450 4.2.1 not now")
        about = self.send("SUCCESS,DELAY", "club@local.test", "late@remote.test")
        wanted = [("delivered", "club@local.test")]
        wait_for("the list to be told of", lambda: self.told("alice", about) == wanted)
        wait_for("both to wait", lambda: [entry["state"] for entry in self._suite.queue()] == ["waiting"])
        self._suite.move_clock(5 * 3600)
        wanted.append(("delayed", "late@remote.test"))
        wait_for("the delay to be told of", lambda: self.told("alice", about) == sorted(wanted))
        self._remote.accept_everything()
        # Exim remembers within a connection what it looked up, and an idle one is used again.
        wait_for("all to be taken", lambda: self._suite.command("queue", "flush", "--all") and self._suite.queue_is_empty())
        self.expect("a member that is late", self.told("alice", about) == sorted(wanted), self.told("alice", about))
        self.expect("a member that is late: the owner", not self.told("carol", about), self.told("carol", about))

    def forward(self, user: str, text: str) -> None:
        name = ".forward" if self._suite.as_root else "Maildir.fwd"
        path = self._suite.folder / "home" / user / name
        path.write_text(text)
        path.chmod(0o600)
        if self._suite.as_root:
            os.chown(path, FIRST_USER_UID + USERS.index(user), -1)


def main() -> int:
    with Program(__doc__) as program:
        folder, stage = program.scratch("reports"), program.stage()
        nsd = Nsd(folder / "nsd", stage)
        remote = EximPeer("R", folder / "exim", stage)
        suite = Suite(program.binaries, folder / "suite", stage, CONFIG, FILES)
        nsd.start()
        remote.start()
        try:
            suite.start()
            Reports(program, suite, remote).run()
            suite.stop()
        finally:
            suite.abandon()
            remote.stop()
            nsd.stop()
    return program.exit_code


if __name__ == "__main__":
    sys.exit(main())
