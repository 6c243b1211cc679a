"""A small SMTP server within the test that remembers every message, octet for octet, and refuses what it is told to.

Where what arrived has to be compared with what was sent, and where a server is to say no to one recipient and yes to
another. It takes a message into its memory before it answers with 250, so it never loses one and never has half.
"""

from __future__ import annotations

import contextlib
import dataclasses
import re
import socket
import threading
from collections.abc import Callable

from stage import Stage


@dataclasses.dataclass(frozen=True)
class Arrived:
    sender: str
    recipients: tuple[str, ...]
    content: bytes  # with CRLF and without the dots that SMTP adds


class RecordingSink:
    """Serves until `stop`. `judge` gives the reply to a recipient, or to the content when that is given, too; nothing
    means that it is accepted."""

    def __init__(self, name: str, stage: Stage, judge: Callable[[str, bytes | None], str] = lambda *_: "") -> None:
        self._address = stage.server(name)
        self._stage = stage
        self._judge = judge
        self._lock = threading.Lock()
        self._arrived: list[Arrived] = []
        self._listening: socket.socket | None = None

    def start(self) -> None:
        with self._stage.inside("world"):
            self._listening = socket.create_server(self._address, backlog=200)
        threading.Thread(target=self._accept, args=(self._listening,), daemon=True).start()

    def stop(self) -> None:
        if self._listening:
            with contextlib.suppress(OSError):
                self._listening.shutdown(socket.SHUT_RDWR)  # ends the accept that waits, which holds the address
            self._listening.close()
            self._listening = None

    def messages(self) -> list[Arrived]:
        with self._lock:
            return list(self._arrived)

    def clear(self) -> None:
        with self._lock:
            self._arrived.clear()

    def _accept(self, listening: socket.socket) -> None:
        while True:
            try:
                client, _ = listening.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        def say(text: str) -> None:
            client.sendall(text.encode() + b"\r\n")

        try:
            with client, client.makefile("rb") as lines:
                client.settimeout(120)
                client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                say("220 sink.test")
                sender, recipients = "", []
                for line in lines:
                    command = line.decode("utf-8", "replace").rstrip("\r\n")
                    verb = command.split(" ")[0].upper()
                    if verb == "EHLO":
                        say("250-sink.test\r\n250 8BITMIME")
                    elif verb == "MAIL":
                        sender, recipients = path_of(command), []
                        say("250 2.1.0 ok")
                    elif verb == "RCPT":
                        refusal = self._judge(path_of(command), None)
                        if not refusal:
                            recipients.append(path_of(command))
                        say(refusal or "250 2.1.5 ok")
                    elif verb == "DATA" and recipients:
                        say("354 go on")
                        content = read_content(lines)  # type: ignore[arg-type]
                        if content is None:
                            return
                        say(self._take(Arrived(sender, tuple(recipients), content)))
                        recipients = []
                    elif verb == "QUIT":
                        say("221 2.0.0 bye")
                        return
                    else:
                        say("503 5.5.1 no" if verb == "DATA" else "250 2.0.0 ok")
        except OSError:
            return

    def _take(self, message: Arrived) -> str:
        for recipient in message.recipients:
            refusal = self._judge(recipient, message.content)
            if refusal:
                return refusal
        with self._lock:
            self._arrived.append(message)
        return "250 2.0.0 taken"


def path_of(command: str) -> str:
    found = re.search(r"<([^>]*)>", command)
    return found[1] if found else ""


def read_content(lines: socket.SocketIO) -> bytes | None:
    """What DATA brings; nothing if it breaks off."""
    content = []
    for line in lines:
        if line == b".\r\n":
            return b"".join(content)
        content.append(line[1:] if line.startswith(b".") else line)
    return None
