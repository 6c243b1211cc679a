"""What a server's processes spend: CPU time from /proc, system calls from the kernel's counters."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import tempfile
import time
from pathlib import Path


def processes_of(root: int) -> list[int]:
    """The process and all its descendants."""
    children: dict[int, list[int]] = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                fields = Path(f"/proc/{entry}/stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            children.setdefault(int(fields[1]), []).append(int(entry))
    found, todo = [], [root]
    while todo:
        pid = todo.pop()
        found.append(pid)
        todo += children.get(pid, [])
    return found


def cpu_seconds(root: int) -> float:
    """User and system time of the tree so far, with that of its members that have ended."""
    ticks = 0
    for pid in processes_of(root):
        try:
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        # utime, stime, and those of the children already waited for (fields 14 to 17 of proc(5))
        ticks += sum(int(field) for field in fields[11:15])
    return ticks / os.sysconf("SC_CLK_TCK")


def perf_counts_system_calls() -> bool:
    try:
        done = subprocess.run(["perf", "stat", "-e", "raw_syscalls:sys_enter", "true"], text=True, capture_output=True)
    except FileNotFoundError:
        return False
    return done.returncode == 0 and "<not" not in done.stderr


class SystemCalls:
    """Counts the system calls of a tree of processes from `start` to `finish`.

    `perf` does so at next to no cost. Where the kernel does not let it, strace counts, which makes the server
    several times slower; so such runs are for counting alone and their rates are not used.
    """

    def __init__(self, with_perf: bool) -> None:
        self.with_perf = with_perf
        self._output = Path(tempfile.mkstemp(prefix="postrider-bench-")[1])
        self._counter: subprocess.Popen[bytes] | None = None

    def start(self, root: int) -> None:
        pids = processes_of(root)
        if self.with_perf:
            command = ["perf", "stat", "-x", ",", "-o", str(self._output), "-e", "raw_syscalls:sys_enter",
                       "-p", ",".join(map(str, pids))]
        else:
            command = ["strace", "-f", "-c", "-o", str(self._output)]
            command += [word for pid in pids for word in ("-p", str(pid))]
        self._counter = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                         stderr=subprocess.DEVNULL)
        time.sleep(0.3 if self.with_perf else 1.0)

    def finish(self) -> int:
        assert self._counter
        self._counter.send_signal(signal.SIGINT)
        self._counter.wait()
        text = self._output.read_text()
        self._output.unlink()
        if self.with_perf:
            found = re.search(r"^(\d+),", text, re.MULTILINE)
            return int(found[1]) if found else 0
        # "100.00    0.052377           3     14567       123 total"
        found = re.search(r"^100\.00\s+\S+\s+(?:\d+\s+)?(\d+)\s+(?:\d+\s+)?total", text, re.MULTILINE)
        return int(found[1]) if found else 0
