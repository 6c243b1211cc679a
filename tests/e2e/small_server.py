"""A mail server on a Unix socket that offers little, or goes away in the middle, as the test wants it."""

from __future__ import annotations

import socket
import threading
from pathlib import Path


class SmallServer:
    """Serves one session. Used as `with SmallServer(...) as server:`; afterwards `commands` tells what was said."""

    def __init__(self, path: Path, offers: tuple[str, ...] = (), leaves_at: str = "") -> None:
        """`leaves_at` is the verb of the command that is never answered; "CONTENT" for the message, "CONNECT" for
        the greeting."""
        self.commands: list[str] = []
        self.content = b""
        self._offers = offers
        self._leaves_at = leaves_at
        self._listening = socket.socket(socket.AF_UNIX)
        path.unlink(missing_ok=True)
        self._listening.bind(str(path))
        path.chmod(0o666)
        self._listening.listen()
        self._listening.settimeout(30)
        self._thread = threading.Thread(target=self._serve)

    def __enter__(self) -> SmallServer:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._thread.join()
        self._listening.close()

    def _serve(self) -> None:
        try:
            client, _ = self._listening.accept()
        except TimeoutError:
            return
        with client, client.makefile("rb") as lines:
            client.settimeout(30)
            if self._leaves_at == "CONNECT":
                return
            client.sendall(b"220 small.test\r\n")
            for line in lines:
                self.commands.append(line.decode("utf-8", "replace").rstrip("\r\n"))
                verb = self.commands[-1].split(" ")[0].upper()
                if verb == self._leaves_at:
                    return
                client.sendall(self._reply(verb))
                if verb == "DATA" and not self._take_content(client, lines):  # type: ignore[arg-type]
                    return

    def _reply(self, verb: str) -> bytes:
        if verb == "EHLO":
            words = ["small.test", *self._offers]
            return b"".join(f"250{'-' if word is not words[-1] else ' '}{word}\r\n".encode() for word in words)
        return {"DATA": b"354 go on\r\n", "QUIT": b"221 bye\r\n"}.get(verb, b"250 ok\r\n")

    def _take_content(self, client: socket.socket, lines: list[bytes]) -> bool:
        for line in lines:
            if line == b".\r\n":
                break
            self.content += line
            if self._leaves_at == "MIDDLE":
                return False
        if self._leaves_at == "CONTENT":
            return False
        client.sendall(b"250 taken\r\n")
        return True
