"""The load: smtp-source as the clients and smtp-sink as the remote server, both from Debian's postfix package."""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
import threading
import time
from pathlib import Path

from servers import USERS, Server


class Sink:
    """A running smtp-sink and the number of messages it has taken."""

    def __init__(self, program: Path, environment: dict[str, str], port: int) -> None:
        self.messages = 0
        self.last_arrival = 0.0
        self._process = subprocess.Popen([str(program), "-u", "nobody", "-c", f"127.0.0.1:{port}", "1000"],
                                         stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, env=environment)
        threading.Thread(target=self._count, daemon=True).start()

    def _count(self) -> None:
        assert self._process.stdout
        descriptor, rest = self._process.stdout.fileno(), b""
        while piece := os.read(descriptor, 1 << 16):
            now = time.monotonic()
            # smtp-sink prints its running counters after each message; only the last ones matter.
            found = re.findall(rb"mesg=(\d+)\r", rest + piece)
            if found and int(found[-1]) != self.messages:
                self.messages, self.last_arrival = int(found[-1]), now
            rest = piece[-64:]
            time.sleep(0.01)  # many counters at once, so that counting costs the servers nothing

    def close(self) -> None:
        self._process.kill()
        self._process.wait()


class Source:
    """Sends `count` messages over `sessions` sessions, one message a connection, as smtp-source does."""

    def __init__(self, program: Path, environment: dict[str, str]) -> None:
        self._program = program
        self._environment = environment

    def _start(self, server: Server, recipient: str, size: int, sessions: int, count: int) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [str(self._program), "-s", str(sessions), "-m", str(count), "-l", str(size), "-M", "client.bench.test",
             "-f", "sender@bench.test", "-t", recipient, f"127.0.0.1:{server.port}"],
            stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, env=self._environment)

    def send(self, server: Server, work: str, size: int, sessions: int, count: int) -> None:
        """Returns when every message was answered with 250; RuntimeError if one was not."""
        if work != "local":
            self._finish([self._start(server, server.recipient(work, 0), size, sessions, count)])
            return
        # One process a session, each for one user, until every user has had their share.
        for first in range(0, USERS, sessions):
            users = range(first, min(first + sessions, USERS))
            self._finish([self._start(server, server.recipient(work, user), size, 1, count // USERS) for user in users])

    @staticmethod
    def _finish(processes: list[subprocess.Popen[bytes]]) -> None:
        for process in processes:
            _, errors = process.communicate()
            if process.returncode != 0:
                for other in processes:
                    with contextlib.suppress(ProcessLookupError):
                        other.kill()
                raise RuntimeError(f"smtp-source: {errors.decode(errors='replace').strip()}")
