"""A caller of `sendmail` on the suite's host: who he is, what he says, and what came of it."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from suite import FIRST_USER_UID, SANITIZER, USERS, Suite

SECONDS = 120


def host_config() -> str:
    """The host's own name is a domain with the same users."""
    if os.geteuid() == 0:
        return "local_domain mx2.test\nmailbox mx2.test maildir:~/Maildir\n"
    return f"virtual_domain mx2.test maildir:${{dir}}/home/%u/Maildir users=users owner={os.geteuid()}\n"


class Caller:
    """Runs programs as one user. As root that is a user of the suite's own view of the host (USERS); an ordinary
    user can only be himself."""

    def __init__(self, suite: Suite, name: str) -> None:
        self.suite = suite
        self.name = name
        self.uid = FIRST_USER_UID + USERS.index(name) if suite.as_root else os.geteuid()
        self._script = suite.folder / "sendmail"
        if not self._script.exists():
            # For programs that call a sendmail by its path and know nothing of -C.
            self._script.write_text(f'#!/bin/sh\nexec "{suite.binaries}/sendmail" -C "{suite.config_file}" "$@"\n')
            self._script.chmod(0o755)

    @property
    def sendmail_script(self) -> Path:
        return self._script

    def command(self, *words: str | bytes) -> list[str | bytes]:
        """What starts the words as a program of this user."""
        if not self.suite.as_root:
            return [*words]
        return [*self.suite.view(), "setpriv", f"--reuid={self.uid}", f"--regid={self.uid}", "--clear-groups", "--", *words]

    def run(self, *words: str | bytes, text: bytes = b"", **options: object) -> subprocess.CompletedProcess[bytes]:
        return subprocess.run(self.command(*words), input=text, capture_output=True, timeout=SECONDS,  # type: ignore
                              **options)

    def sendmail(self, *words: str | bytes, text: bytes = b"", config: Path | None = None,
                 ) -> subprocess.CompletedProcess[bytes]:
        return self.run(str(self.suite.binaries / "sendmail"), "-C", str(config or self.suite.config_file), *words,
                        text=text)

    def start_sendmail(self, *words: str) -> subprocess.Popen[bytes]:
        """Sendmail with pipes, for a talk with it. Its process is the child itself."""
        return subprocess.Popen(self.command(str(self.suite.binaries / "sendmail"), "-C", str(self.suite.config_file),
                                             *words),
                                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def broke(done: subprocess.CompletedProcess[bytes]) -> bool:
    """Whether a program crashed or a sanitizer had something to say about it."""
    return done.returncode < 0 or bool(SANITIZER.search(done.stderr.decode("utf-8", "replace")))


def parts(message: bytes) -> tuple[list[bytes], bytes]:
    """The header as fields with their folding, and the body; line ends as LF."""
    header, _, body = message.replace(b"\r\n", b"\n").partition(b"\n\n")
    fields: list[bytes] = []
    for line in header.split(b"\n"):
        if line[:1] in (b" ", b"\t") and fields:
            fields[-1] += b"\n" + line
        else:
            fields.append(line)
    return fields, body


def values(message: bytes, name: bytes) -> list[bytes]:
    """What stands in every field of that name."""
    return [field.partition(b":")[2].strip() for field in parts(message)[0]
            if field.partition(b":")[0].lower() == name.lower()]
