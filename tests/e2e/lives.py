"""Lives of messages, from the client's DATA to the last mailbox, each of which can be disturbed and is judged after.

A life is played with a suite that runs all the time; what disturbs it is the caller's. It knows what has to have
arrived where if its message was acknowledged, and what may have if it was not.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import signal
import time
from collections import Counter
from pathlib import Path

from process import TestFailure, wait_for
from queue_file import done_recipients, intake_journal, journal
from recording_sink import RecordingSink
from smtp import Closed, Session, stuffed
from suite import FIRST_USER_UID, USERS, Suite

CONFIG = """\
trusted_session_messages 100000
non_mail_commands 100000
error_delay 0
errors_before_drop 100000
respawn_delay 1s
respawn_delay_max 1s
retry 60s
destination_dead_time 1s
destination_dead_time_max 1s
double_bounce_to never-postmaster@remote.test
sender odd@odd.test quarantine "looks odd"
"""
POSTMASTER = "never-postmaster@remote.test"
FORWARDING = "carol"
CLOCK_STEP = 70  # seconds: more than any pause after a fault
FILLER = b"0123456789 abcdefghijklmnopqrstuvwxyz\r\n.dot at the beginning\r\n" * 20


@dataclasses.dataclass(frozen=True)
class Kind:
    """One kind of life: its transaction, and how often what has to arrive where. A place is a user, an address
    behind the sink, or "failed/"."""

    name: str
    sender: str
    recipients: tuple[str, ...]
    places: tuple[str, ...]
    released: bool = False  # from the quarantine, by an administrator


KINDS = (
    Kind("plain", "sender@remote.test", ("alice@local.test", "relayed@remote.test"), ("alice", "relayed@remote.test")),
    Kind("deferred", "sender@remote.test", ("bob@local.test", "later@remote.test"), ("bob", "later@remote.test")),
    Kind("returned", "author@remote.test", ("never@remote.test",), ("author@remote.test",)),
    Kind("unreturnable", "", ("never@remote.test",), ("failed/",)),
    Kind("released", "odd@odd.test", ("dave@local.test",), ("dave",), released=True),
    Kind("forwarded", "sender@remote.test", (f"{FORWARDING}@local.test",), (FORWARDING, "forwarded@remote.test")),
)


class LaterSink(RecordingSink):
    """Refuses never… for good, and what is for later… the first time that it sees the content."""

    def __init__(self, name: str, stage: object) -> None:
        self._seen: set[bytes] = set()
        super().__init__(name, stage, self._decide)  # type: ignore[arg-type]

    def _decide(self, recipient: str, content: bytes | None) -> str:
        if recipient.startswith("never"):
            return "550 5.1.1 never"
        if content is None or not recipient.startswith("later") or content in self._seen:
            return ""
        self._seen.add(content)
        return "451 4.2.0 later"


@dataclasses.dataclass
class Life:
    """One message on its way."""

    kind: Kind
    name: str
    content: bytes
    reply: int = 0  # the code of the final reply; 0: none came
    refused_with: set[int] = dataclasses.field(default_factory=set)

    @property
    def acknowledged(self) -> bool:
        return self.reply == 250


class Stable:
    """The suite, its sink, and what they have of each life."""

    def __init__(self, suite: Suite, sink: RecordingSink, intake_journal: bool = True) -> None:
        self.suite = suite
        self._intake_journal = intake_journal
        self.sink = sink
        self._number = 0
        self._log_end = 0
        self.pid = 0

    def prepare(self) -> None:
        file = self.suite.folder / "home" / FORWARDING / ".forward"
        file.write_text(f"{FORWARDING}\nforwarded@remote.test\n", encoding="ascii")
        os.chown(file, FIRST_USER_UID + USERS.index(FORWARDING), -1)
        self.pid = self.suite.daemons()["queue-manager"]
        self._log_end = self.suite.log_file.stat().st_size

    def begin(self, kind: Kind) -> Life:
        # It is made after the start; a message that comes before becomes a file at once.
        if self._intake_journal:
            wait_for("the intake journal", lambda: self.suite.counters()["journal_ready"] == 1)
        self._number += 1
        name = f"{kind.name}-{self._number}"
        content = f"Subject: life\r\nX-Test-Id: {name}\r\n\r\n".encode() + FILLER + f"End of {name}\r\n".encode()
        return Life(kind, name, content)

    def begin_anew(self, kind: Kind) -> Life:
        """The same with a queue-manager that knows of no fault yet: after one the intake journal is out of use."""
        if self._intake_journal:
            os.kill(self.pid, signal.SIGKILL)
            wait_for("the queue-manager to be back", self.restarted)
        return self.begin(kind)

    def send(self, life: Life) -> None:
        """One attempt to have it taken; the reply to it may be any but a permanent refusal."""
        try:
            with contextlib.closing(self.suite.session("IN", timeout=60)) as session:
                session.reply()
                session.command("EHLO client.test", 250)
                life.reply = self._transaction(session, life)
        except (Closed, OSError):
            life.reply = 0
        if life.reply != 250:
            life.refused_with.add(life.reply)
        if life.reply // 100 == 5:
            raise TestFailure(f"{life.name}: a fault of ours is no permanent error: {life.reply}")

    def _transaction(self, session: Session, life: Life) -> int:
        recipients = [f"RCPT TO:<{recipient}>" for recipient in life.kind.recipients]
        for command in (f"MAIL FROM:<{life.kind.sender}>", *recipients, "DATA"):
            reply = session.command(command)
            if reply.code >= 400:
                return reply.code
        session.send(stuffed(life.content))
        return session.reply().code

    def release(self) -> None:
        self.suite.command("quarantine", "release", "--from", "odd@odd.test", check=False)

    def nudge(self) -> None:
        """Lets time pass for the queue."""
        with contextlib.suppress(TestFailure):
            self.suite.move_clock(CLOCK_STEP)

    def restarted(self) -> bool:
        """Whether a queue-manager has read the queue since the last one was killed; then its clock is set."""
        with open(self.suite.log_file, "rb") as log:
            log.seek(self._log_end)
            if b" queue_read " not in log.read():
                return False
        pid = self.suite.daemons().get("queue-manager", self.pid)
        if pid == self.pid:
            return False
        try:
            self.suite.restore_clock()
        except TestFailure:
            return False
        self.pid = pid
        self._log_end = self.suite.log_file.stat().st_size
        return True

    # What there is of a life

    def places(self, life: Life) -> Counter[str]:
        """Where how many copies are, whole; anything that is not fails."""
        mark = f"X-Test-Id: {life.name}".encode()
        found: Counter[str] = Counter()
        for user in USERS:
            for text in self.suite.mailbox(user):
                if mark not in text:
                    continue
                self._must_be_whole(life, text.replace(b"\r\n", b"\n"), life.content.replace(b"\r\n", b"\n"))
                found[user] += 1
        for message in self.sink.messages():
            if mark not in message.content:
                continue
            for recipient in message.recipients:
                found[recipient] += 1
                if message.sender:  # what has none is a report, which quotes the header
                    self._must_be_whole(life, message.content, life.content)
        for file in self._files("failed"):
            found["failed/"] += mark in file.read_bytes()
        return found

    @staticmethod
    def _must_be_whole(life: Life, text: bytes, content: bytes) -> None:
        if not text.endswith(content):
            raise TestFailure(f"{life.name} arrived, but not whole: {text!r}")

    def _files(self, *folders: str) -> list[Path]:
        return [file for name in folders for file in (self.suite.spool / name).rglob("*") if file.is_file()]

    def nothing_left(self) -> bool:
        # In the order in which files move, so that none is missed on its way. What has no file the queue-manager knows.
        if self._files("tmp", "hold", "new", "cur"):
            return False
        try:
            counters = self.suite.counters()
        except TestFailure:
            return False
        return not any(counters[f"messages_{state}"] for state in ("open", "active", "waiting"))

    def in_hold(self) -> bool:
        return bool(self._files("hold"))

    def done_by_journal(self) -> set[str]:
        """The recipients that the queue has as done."""
        done: set[str] = set()
        for records in intake_journal(self.suite.spool / "journal").values():
            done |= done_recipients(records)
        for file in self._files("new", "cur"):
            with contextlib.suppress(FileNotFoundError):
                done |= done_recipients(journal(file))
        return done

    def judge(self, life: Life, most: int) -> int:
        """After its end: each place has at least one copy if the message was acknowledged, and at most `most`.
        Returns how many there were too many."""
        found = self.places(life)
        lost = [place for place in life.kind.places if life.acknowledged and not found[place]]
        if lost:
            raise TestFailure(f"{life.name} was acknowledged and lost for {lost}; there is {dict(found)}")
        too_often = {place: number for place, number in found.items() if number > most}
        strange = [place for place in found if place not in life.kind.places]
        if too_often or strange:
            raise TestFailure(f"{life.name}: expected at most {most} in {life.kind.places}, found {dict(found)}")
        corrupt = [file for file in self._files("corrupt") if life.acknowledged]
        if corrupt:
            raise TestFailure(f"{life.name} was acknowledged and is in corrupt/")
        return sum(number - 1 for number in found.values() if number > 1)

    def clear(self) -> None:
        """Forgets what arrived, so that the next look is short."""
        self.sink.clear()
        for user in USERS:
            for part in ("new", "cur"):
                for file in (self.suite.folder / "home" / user / "Maildir" / part).glob("*"):
                    file.unlink()
        for file in self._files("failed", "corrupt"):
            file.unlink()


def wait_for_end(stable: Stable, life: Life, seconds: float = 120.0) -> None:
    """Until nothing of it is in the queue. Time passes for the queue meanwhile; what is in quarantine is released."""
    end = time.monotonic() + seconds
    next_nudge = time.monotonic() + 0.25
    while True:
        if stable.nothing_left() and stable.places(life).total() >= (len(life.kind.places) if life.acknowledged else 0):
            return
        if time.monotonic() > end:
            raise TestFailure(f"{life.name} does not end: {[str(file) for file in stable.suite.spool_files()]}, "
                              f"{dict(stable.places(life))}\n{stable.suite.log_tail()}")
        if stable.in_hold():
            stable.release()
        if time.monotonic() > next_nudge:
            stable.nudge()
            next_nudge = time.monotonic() + 0.25
        time.sleep(0.01)
