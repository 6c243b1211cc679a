"""A plain SMTP client that sends exactly the octets it is told and reads whole replies."""

from __future__ import annotations

import dataclasses
import re
import socket
import ssl

from process import TestFailure


@dataclasses.dataclass(frozen=True)
class Reply:
    code: int
    lines: list[str]

    @property
    def enhanced(self) -> str:
        found = re.match(r"[245]\.\d{1,3}\.\d{1,3}\b", self.lines[0])
        return found.group() if found else ""

    @property
    def text(self) -> str:
        return "\n".join(self.lines)

    def __str__(self) -> str:
        return f"{self.code} {' / '.join(self.lines)}"


class Closed(TestFailure):
    """The server closed the connection where a reply was expected."""


class Session:
    """Owns one connection. Every wait has the time limit given when it was made."""

    def __init__(self, address: tuple[str, int], source: str = "", timeout: float = 40.0) -> None:
        self._socket = socket.create_connection(address, timeout, (source, 0) if source else None)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._timeout = timeout
        self._buffer = b""

    def send(self, octets: bytes) -> None:
        self._socket.settimeout(self._timeout)
        try:
            self._socket.sendall(octets)
        except (BrokenPipeError, ConnectionResetError) as error:
            raise Closed(f"the server had closed the connection: {error}") from error

    def _line(self) -> str:
        while b"\n" not in self._buffer:
            try:
                more = self._socket.recv(65536)
            except TimeoutError as error:
                raise TestFailure(f"no reply within {self._timeout:g} s (had {self._buffer!r})") from error
            except ConnectionResetError as error:
                raise Closed("the server reset the connection") from error
            if not more:
                raise Closed("the server closed the connection")
            self._buffer += more
        line, _, self._buffer = self._buffer.partition(b"\n")
        if not line.endswith(b"\r"):
            raise TestFailure(f"reply line does not end in CRLF: {line!r}")
        return line[:-1].decode("utf-8", "backslashreplace")

    def reply(self) -> Reply:
        self._socket.settimeout(self._timeout)
        lines: list[str] = []
        code = ""
        while True:
            line = self._line()
            form = re.fullmatch(r"([2-5]\d\d)([ -]?)(.*)", line)
            if not form or (lines and form[1] != code):
                raise TestFailure(f"not a reply line: {line!r}")
            code = form[1]
            lines.append(form[3])
            if form[2] != "-":
                return Reply(int(code), lines)

    def silent_for(self, seconds: float) -> None:
        """Fails when the server says anything, or closes, within that time."""
        self._socket.settimeout(seconds)
        try:
            more = self._buffer or self._socket.recv(65536)
        except TimeoutError:
            return
        raise TestFailure(f"expected silence for {seconds:g} s, got {more!r}")

    def expect_closed(self) -> None:
        self._socket.settimeout(self._timeout)
        try:
            more = self._buffer or self._socket.recv(65536)
        except ConnectionResetError:
            return
        except TimeoutError as error:
            raise TestFailure(f"the connection is still open after {self._timeout:g} s") from error
        if more:
            raise TestFailure(f"expected the connection to be closed, got {more!r}")

    def read_to_end(self, quiet_seconds: float) -> None:
        """Reads whatever the server says until it closes. When it has been quiet for so long, it gets to know that
        nothing more will come."""
        self._socket.settimeout(quiet_seconds)
        try:
            while self._socket.recv(65536):
                pass
        except TimeoutError:
            self._socket.shutdown(socket.SHUT_WR)
            self._socket.settimeout(self._timeout)
            while self._socket.recv(65536):
                pass
        except ConnectionResetError:
            return

    def command(self, text: str, *codes: int) -> Reply:
        """Sends one line and reads its reply, which must have one of `codes` if any are given."""
        self.send(text.encode("utf-8") + b"\r\n")
        reply = self.reply()
        if codes and reply.code not in codes:
            raise TestFailure(f"{text!r}: expected {codes}, got {reply}")
        return reply

    def start_tls(self, name: str = "", context: ssl.SSLContext | None = None, earlier: ssl.SSLSession | None = None) -> None:
        """Encrypts the connection. Whose certificate it is does not matter here, only which name is asked for. An
        `earlier` session, of the same context, is gone on with if the server lets it."""
        context = context or any_certificate()
        self._socket.settimeout(self._timeout)
        if self._buffer:
            raise TestFailure(f"something was sent before the handshake: {self._buffer!r}")
        try:
            self._socket = context.wrap_socket(self._socket, server_hostname=name or None, session=earlier)
        except (OSError, ssl.SSLError) as error:
            raise Closed(f"no TLS: {error}") from error

    @property
    def tls(self) -> ssl.SSLSocket:
        assert isinstance(self._socket, ssl.SSLSocket)
        return self._socket

    def close(self) -> None:
        self._socket.close()


def any_certificate() -> ssl.SSLContext:
    """For clients that do not look at whom they speak with."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def stuffed(content: bytes) -> bytes:
    """The content as sent within DATA, with dots doubled and the final dot."""
    body = re.sub(rb"(?m)^\.", b"..", content)
    return body + (b"" if body.endswith(b"\r\n") else b"\r\n") + b".\r\n"


def send_message(session: Session, sender: str, recipients: list[str], content: bytes) -> Reply:
    """One whole transaction in an open session; returns the reply to the final dot."""
    session.command(f"MAIL FROM:<{sender}>", 250)
    for recipient in recipients:
        session.command(f"RCPT TO:<{recipient}>", 250)
    session.command("DATA", 354)
    session.send(stuffed(content))
    return session.reply()
