"""A socketmap server on a local socket, the kind that Sendmail's and Postfix's administrators run."""

from __future__ import annotations

import contextlib
import os
import socket
import threading
from pathlib import Path


class SocketmapServer:
    """Answers `MAP KEY` from `maps`; a value that is None stands for a database that does not answer."""

    def __init__(self, path: Path, maps: dict[str, dict[str, str | None]]) -> None:
        self.path = path
        self.maps = maps
        self.questions: list[str] = []
        self._listener: socket.socket | None = None
        self._open: list[socket.socket] = []

    def start(self) -> None:
        self.path.unlink(missing_ok=True)
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(self.path))
        os.chmod(self.path, 0o666)
        self._listener.listen(64)
        threading.Thread(target=self._accept, args=(self._listener,), daemon=True).start()

    def stop(self) -> None:
        """Ends all connections; nobody listens any more."""
        if self._listener:
            self._listener.shutdown(socket.SHUT_RDWR)
            self._listener.close()
            self._listener = None
        for connection in self._open:
            # close() alone leaves it open for as long as a thread reads it.
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
            connection.close()
        self._open.clear()
        self.path.unlink(missing_ok=True)

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            self._open.append(connection)
            threading.Thread(target=self._talk, args=(connection,), daemon=True).start()

    def _talk(self, connection: socket.socket) -> None:
        try:
            with connection.makefile("rwb") as stream:
                while True:
                    digits = b""
                    while (octet := stream.read(1)) not in (b":", b""):
                        digits += octet
                    if not digits:
                        return
                    question = stream.read(int(digits)).decode()
                    stream.read(1)
                    self.questions.append(question)
                    reply = self._reply(*question.split(" ", 1)).encode()
                    stream.write(b"%d:%s," % (len(reply), reply))
                    stream.flush()
        except (OSError, ValueError):
            return

    def _reply(self, name: str, key: str) -> str:
        if name not in self.maps:
            return f"PERM there is no map {name}"
        if key not in self.maps[name]:
            return "NOTFOUND "
        value = self.maps[name][key]
        return "TEMP the database is away" if value is None else f"OK {value}"
