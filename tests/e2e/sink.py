"""smtp-sink from Debian's postfix package as a fast remote server that keeps each transaction as a file.

Where thousands of messages arrive, Exim with its process for each of them would be what is measured.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import peers
from process import accepts_connections, end_group, wait_for
from stage import Stage


class Sink:
    def __init__(self, name: str, folder: Path, stage: Stage) -> None:
        self._folder = folder
        self._stage = stage
        self._address = stage.server(name)
        self._process: subprocess.Popen[bytes] | None = None
        folder.mkdir(parents=True)
        if os.geteuid() == 0:
            shutil.chown(folder, "nobody")

    def start(self, refuse: str = "", reject: str = "") -> None:
        """With `refuse` naming an SMTP command, that command gets a temporary refusal; with `reject` one for good."""
        refusal = (["-r", refuse] if refuse else []) + (["-f", reject] if reject else [])
        confine = ["-u", "nobody", "-R", str(self._folder)] if os.geteuid() == 0 else []
        program = str(peers.program("postfix", "usr/sbin/smtp-sink"))
        self._process = subprocess.Popen(
            [*self._stage.command("world"), program, *confine, *refusal, "-d", "message.", "{}:{}".format(*self._address), "1000"],
            cwd=self._folder, stdin=subprocess.DEVNULL, env=peers.environment("postfix"), start_new_session=True)
        with self._stage.inside("world"):
            wait_for("smtp-sink to listen", lambda: accepts_connections(self._address))

    def stop(self) -> None:
        if self._process:
            end_group(self._process)
            self._process = None

    def messages(self) -> Iterator[bytes]:
        """What arrived, each behind the lines in which smtp-sink keeps the envelope. A transaction that broke
        off may have left a file, too."""
        for file in self._folder.glob("message.*"):
            yield file.read_bytes()
