"""Ends a daemon at its n-th file-system call, or lets that call fail: tests/tools/kill_at.cpp from Python."""

from __future__ import annotations

import subprocess
from pathlib import Path

from process import Skip, TestFailure

NEVER = 1 << 40


class KillAt:
    """Watches a process from its making on. `calls` says afterwards which calls it made below the folder."""

    def __init__(self, binaries: Path, pid: int, under: Path, at: int, error: str = "", reads: bool = False) -> None:
        program = binaries / "kill_at"
        if not program.exists():
            raise Skip("kill_at was not built for this machine")
        command = [str(program), "--pid", str(pid), "--under", str(under), "--at", str(at)]
        command += ["--error", error] if error else []
        command += ["--reads"] if reads else []
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                         stdin=subprocess.DEVNULL, text=True)
        assert self._process.stdout
        if self._process.stdout.readline() != "ready\n":
            self._process.kill()
            _, said = self._process.communicate()
            raise TestFailure(f"kill_at cannot watch the process {pid}: {said}")
        self.at = at
        self.calls: list[str] = []
        self.killed = False

    def has_ended(self) -> bool:
        """Whether the process was killed. The output is short enough to stay in the pipe until then."""
        return self._process.poll() is not None

    def finish(self) -> None:
        """Lets the process go, if it still is there."""
        self._process.terminate()
        try:
            said, errors = self._process.communicate(timeout=20)
        except subprocess.TimeoutExpired:
            self._process.kill()
            raise TestFailure("kill_at does not let go") from None
        lines = said.splitlines()
        if self._process.returncode != 0 or not lines:
            raise TestFailure(f"kill_at ended with {self._process.returncode}: {errors}")
        self.killed = lines[-1] == "killed"
        self.calls = lines[:-1]

    @property
    def reached(self) -> str:
        """The call at which it acted; empty if it came to none."""
        return self.calls[self.at - 1].split(" ", 1)[1] if len(self.calls) >= self.at else ""
