"""A mail server that remembers which transactions came in which connection, and refuses where the test wants it."""

from __future__ import annotations

import socket
import threading
import time
from dataclasses import dataclass, field

from process import wait_for
from stage import Stage


@dataclass
class Transaction:
    sender: str
    recipients: list[str]
    complete: bool = False


@dataclass
class Connection:
    transactions: list[Transaction] = field(default_factory=list)

    def sizes(self) -> list[int]:
        return [len(transaction.recipients) for transaction in self.transactions if transaction.complete]


class CountingServer:
    """`refuses_at` is where it answers 451: "CONNECT", "MAIL", "RCPT", "DATA" or "END". `most_recipients` is how
    many a transaction may have, and `seconds` how long the reply to a message takes."""

    def __init__(self, name: str, stage: Stage) -> None:
        self.refuses_at = ""
        self.most_recipients = 1000
        self.seconds = 0.0
        self._lock = threading.Lock()
        self._open = 0
        with stage.inside("world"):
            self._listening = socket.create_server(stage.server(name), backlog=100)
        threading.Thread(target=self._accept, daemon=True).start()
        self.forget()

    def forget(self) -> None:
        """Begins with a new record, once the idle connections are closed."""
        wait_for("connections to be closed", lambda: self._open == 0)
        with self._lock:
            self.connections: list[Connection] = []
            self.order: list[Transaction] = []
            self.most_open = self._open

    def complete(self) -> int:
        with self._lock:
            return len(self.order)

    def wait_for(self, messages: int, seconds: float = 60.0) -> None:
        wait_for(f"{messages} messages", lambda: self.complete() >= messages, seconds)

    def close(self) -> None:
        self._listening.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listening.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        connection = Connection()
        with self._lock:
            self.connections.append(connection)
            self._open += 1
            self.most_open = max(self.most_open, self._open)
        with client, client.makefile("rb") as lines:
            try:
                self._talk(client, lines, connection)
            except OSError:
                pass
            finally:
                with self._lock:
                    self._open -= 1

    def _refusal(self, place: str) -> bytes:
        return b"451 4.3.0 later\r\n" if self.refuses_at == place else b""

    def _talk(self, client: socket.socket, lines: object, connection: Connection) -> None:
        client.sendall(self._refusal("CONNECT").replace(b"451", b"421") or b"220 counting.test\r\n")
        for line in lines:  # type: ignore[attr-defined]
            verb = line[:4].upper()
            text = line.decode("latin-1")
            if verb == b"QUIT":
                client.sendall(b"221 bye\r\n")
                return
            if verb == b"EHLO":
                client.sendall(b"250-counting.test\r\n250 PIPELINING\r\n")
            elif verb == b"MAIL":
                connection.transactions.append(Transaction(text[text.index("<") + 1:text.index(">")], []))
                client.sendall(self._refusal("MAIL") or b"250 ok\r\n")
            elif verb == b"RCPT":
                client.sendall(self._recipient(connection, text[text.index("<") + 1:text.index(">")]))
            elif verb == b"DATA":
                self._content(client, lines, connection)
            else:
                client.sendall(b"250 ok\r\n")

    def _recipient(self, connection: Connection, address: str) -> bytes:
        recipients = connection.transactions[-1].recipients
        if len(recipients) >= self.most_recipients:
            return b"452 4.5.3 too many recipients\r\n"
        refusal = self._refusal("RCPT")
        if not refusal:
            recipients.append(address)
        return refusal or b"250 ok\r\n"

    def _content(self, client: socket.socket, lines: object, connection: Connection) -> None:
        transaction = connection.transactions[-1]
        refusal = self._refusal("DATA")
        if refusal or not transaction.recipients:
            client.sendall(refusal or b"554 5.5.1 no recipients\r\n")
            return
        client.sendall(b"354 go on\r\n")
        for line in lines:  # type: ignore[attr-defined]
            if line == b".\r\n":
                break
        time.sleep(self.seconds)
        refusal = self._refusal("END")
        if not refusal:
            with self._lock:
                transaction.complete = True
                self.order.append(transaction)
        client.sendall(refusal or b"250 taken\r\n")
