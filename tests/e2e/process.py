"""Starting and ending the programs of a test, and waiting for what they do."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


class TestFailure(AssertionError):
    """What a test found wrong, in words for the person who reads the report."""

    __test__ = False


class Skip(Exception):
    """The test cannot run here; the text says what it lacks. Test programs exit with 77 for it."""


def wait_for(what: str, check: Callable[[], T], seconds: float = 20.0) -> T:
    """Calls `check` until it gives something true; fails with `what` when the time is over."""
    end = time.monotonic() + seconds
    while True:
        result = check()
        if result:
            return result
        if time.monotonic() > end:
            raise TestFailure(f"waited {seconds:g} s in vain: {what}")
        time.sleep(0.05)


PROBE_ADDRESS = "127.0.0.2"


def accepts_connections(address: tuple[str, int]) -> bool:
    """Whether somebody listens there. On the loopback it asks from an address that no test takes for the suite's."""
    source = (PROBE_ADDRESS, 0) if address[0].startswith("127.") else None
    try:
        with socket.create_connection(address, timeout=1, source_address=source):
            return True
    except OSError:
        return False


def end_group(process: subprocess.Popen[bytes], seconds: float = 5.0) -> None:
    """Ends a process started with its own process group, and all its children."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGTERM)
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(seconds)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def end_session(leader: subprocess.Popen[bytes]) -> list[int]:
    """Kills every process of the session that `leader` was started in, and returns which those were.

    Daemons have process groups of their own, but nothing leaves the session.
    """
    killed: list[int] = []
    while members := [pid for pid in _processes() if _session_of(pid) == leader.pid]:
        for pid in members:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        killed += [pid for pid in members if pid not in killed]
        time.sleep(0.02)
    leader.wait()
    return killed


def _processes() -> list[int]:
    return [int(entry) for entry in os.listdir("/proc") if entry.isdigit()]


def _session_of(pid: int) -> int:
    """0 for a process that has ended, also when nobody has waited for it yet."""
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as stat:
            state, _, _, session = stat.read().rpartition(")")[2].split()[:4]
    except (FileNotFoundError, ProcessLookupError):
        return 0
    return 0 if state == "Z" else int(session)
