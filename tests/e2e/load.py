"""Many sessions at once, each message with an id of its own, and a record of what the server promised."""

from __future__ import annotations

import contextlib
import re
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable

from process import TestFailure
from smtp import Session, stuffed

MESSAGES_A_SESSION = 10


def test_ids(messages: Iterable[bytes]) -> Counter[str]:
    """How often each message of a load is there, whole: one whose transfer was cut off does not count."""
    found: Counter[str] = Counter()
    for message in messages:
        match = re.search(rb"^X-Test-Id: (\S+)", message, re.MULTILINE)
        if match and re.search(rb"^End of " + re.escape(match[1]) + rb"\r?$", message, re.MULTILINE):
            found[match[1].decode()] += 1
    return found


class Load:
    """`sessions` threads that send until `count` messages were answered with 250.

    A message that was not is sent again under a new id, since its fate is unknown: "17.1" is the second
    attempt of message 17. `acknowledged` maps each id that was promised to its recipient.
    """

    def __init__(self, connect: Callable[[], Session], recipients: list[str], count: int, sessions: int = 50,
                 size: int = 2000) -> None:
        self._connect = connect
        self._recipients = recipients
        self._count = count
        self._sessions = sessions
        self._filler = b"0123456789 abcdefghijklmnopqrstuvwxyz 0123456789 ABCDEFGHIJKLM\r\n" * (size // 64)
        self._lock = threading.Lock()
        self._next = 0
        self._limit = 0.0
        self.acknowledged: dict[str, str] = {}
        self.refusals: Counter[int] = Counter()
        self.broken_sessions = 0
        self.wrong: list[str] = []

    def content(self, name: str) -> bytes:
        """What is sent under that id."""
        recipient = self.recipient(name)
        return (f"Subject: load\r\nX-Test-Id: {name}\r\nFrom: <load@client.test>\r\nTo: <{recipient}>\r\n\r\n"
                .encode() + self._filler + f"End of {name}\r\n".encode())

    def recipient(self, name: str) -> str:
        return self._recipients[int(name.split(".")[0]) % len(self._recipients)]

    def stop(self) -> None:
        """No new message from now; `run` returns when those under way are acknowledged."""
        with self._lock:
            self._count = self._next

    def run(self, seconds: float) -> None:
        """Returns when all are acknowledged; fails after `seconds`, or on a reply that must never be given."""
        self._limit = time.monotonic() + seconds
        threads = [threading.Thread(target=self._client, daemon=True) for _ in range(self._sessions)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if self.wrong:
            raise TestFailure(f"replies that should not have been: {self.wrong[:5]}")
        if len(self.acknowledged) < self._count:
            raise TestFailure(f"after {seconds:g} s only {len(self.acknowledged)} of {self._count} were acknowledged; "
                              f"refusals {dict(self.refusals)}, broken sessions {self.broken_sessions}")

    def _take(self) -> int | None:
        with self._lock:
            if self._next >= self._count or self.wrong:
                return None
            self._next += 1
            return self._next - 1

    def _client(self) -> None:
        number, attempt = self._take(), 0
        while number is not None and time.monotonic() < self._limit:
            try:
                with contextlib.closing(self._connect()) as session:
                    session.reply()
                    session.command("EHLO client.test")
                    for _ in range(MESSAGES_A_SESSION):
                        if number is None:
                            session.command("QUIT")
                            return
                        if self._send(session, number, attempt):
                            number, attempt = self._take(), 0
                        else:
                            attempt += 1
            except (OSError, TestFailure):
                # The server was killed, or refused the connection for now.
                with self._lock:
                    self.broken_sessions += 1
                attempt += 1
                time.sleep(0.05)

    def _send(self, session: Session, number: int, attempt: int) -> bool:
        name = f"{number}.{attempt}"
        recipient = self.recipient(name)
        for command in ("MAIL FROM:<load@client.test>", f"RCPT TO:<{recipient}>", "DATA"):
            reply = session.command(command)
            if reply.code >= 400:
                return self._refused(session, f"{command}: {reply}", reply.code)
        session.send(stuffed(self.content(name)))
        reply = session.reply()
        if reply.code != 250:
            return self._refused(session, f"end of data: {reply}", reply.code)
        with self._lock:
            self.acknowledged[name] = recipient
        return True

    def _refused(self, session: Session, what: str, code: int) -> bool:
        with self._lock:
            self.refusals[code] += 1
            if code // 100 == 5:
                self.wrong.append(what)  # nothing is wrong with the message: never a permanent refusal
        if code != 421:
            session.command("RSET")
        time.sleep(0.05)
        return False
