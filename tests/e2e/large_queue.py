"""A suite with a queue of many waiting messages for many destinations, most of which refuse connections.

The messages are written into the spool by `bench_spool`, as if each had been deferred once. Those of
`dN.dead.test` go to a host on which nothing listens; those of `dN.live.test` to a sink that takes all.
"""

from __future__ import annotations

import ctypes
import json
import os
import struct
import subprocess
import time
from pathlib import Path

from nsd import Nsd
from process import wait_for
from stage import CLIENTS, SERVERS, Stage
from suite import DAEMON_UIDS, Suite

CONFIG = f"""\
net {CLIENTS['OUT']}/32 relay
max_connections_per_client 2000
session_messages 1000000
trusted_session_messages 1000000
retry 2h
"""
IN_OPEN = 0x20
IN_NONBLOCK = 0o4000


class OpenedFiles:
    """The names of the files that anybody opens in some folders, from the kernel."""

    def __init__(self, folders: list[Path]) -> None:
        libc = ctypes.CDLL(None, use_errno=True)
        self._descriptor = libc.inotify_init1(IN_NONBLOCK)
        for folder in folders:
            if libc.inotify_add_watch(self._descriptor, os.fsencode(folder), IN_OPEN) < 0:
                raise OSError(ctypes.get_errno(), f"inotify of {folder}")

    def __enter__(self) -> OpenedFiles:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._descriptor)

    def names(self) -> set[str]:
        """Those since the last call."""
        found = set()
        while True:
            try:
                events = os.read(self._descriptor, 1 << 20)
            except BlockingIOError:
                return found
            at = 0
            while at < len(events):
                length = struct.unpack_from("iIII", events, at)[3]
                name = events[at + 16:at + 16 + length].rstrip(b"\0").decode()
                at += 16 + length
                if name:
                    found.add(name)


class LargeQueue:
    """Owns the suite, its name server and its spool; the spool survives `stop`."""

    def __init__(self, binaries: Path, folder: Path, stage: Stage, config: str = "",
                 prefix: list[str] | None = None) -> None:
        self.folder = folder
        self._writer = binaries / "bench_spool"
        zones = {"dead.test": f"* 3600 IN A {SERVERS['SH']}\n", "live.test": f"* 3600 IN A {SERVERS['R']}\n"}
        self.nsd = Nsd(folder / "nsd", stage, zones)
        self.suite = Suite(binaries, folder / "suite", stage, CONFIG + config)
        self.suite.prefix = prefix or []

    @property
    def folders(self) -> list[Path]:
        return [self.suite.spool / "new", *(self.suite.spool / "cur" / f"{n:x}" for n in range(16))]

    def fill(self, messages: int, domains: int, suffix: str, *options: str) -> None:
        user = ["--user", str(DAEMON_UIDS["queue-manager"])] if os.geteuid() == 0 else []
        subprocess.run([str(self._writer), *user, *options, str(self.suite.spool), str(messages), str(domains), suffix],
                       check=True)

    def make_due(self) -> None:
        """Makes everything due a minute ago, without the suite's knowledge: it has to be stopped."""
        due = (time.time_ns() // 1_000_000 - 60_000) * 1_000_000
        for folder in self.folders:
            for entry in os.scandir(folder):
                os.utime(entry.path, ns=(due, due + entry.stat().st_mtime_ns % 1_000_000))
        os.sync()  # or new mail, whose syncs share a journal with these changes, would pay for them

    def start(self, seconds: float) -> float:
        """How long it takes until mail is taken."""
        begun = time.monotonic()
        self.suite.start(seconds)
        return time.monotonic() - begun

    def wait_until_known(self, seconds: float) -> float:
        """How long it takes until nothing is unread any more."""
        begun = time.monotonic()
        wait_for("all messages to be read", lambda: self.suite.counters()["messages_unread"] == 0, seconds)
        return time.monotonic() - begun

    def wait_until_parked(self, messages: int, seconds: float) -> float:
        """How long it takes until so many messages wait, and no other is there."""
        begun = time.monotonic()

        def calm() -> bool:
            # More than once: what is due is read with pauses.
            for _ in range(4):
                time.sleep(0.1)
                counters = self.suite.counters()
                if (counters["messages_waiting"], counters["messages_active"]) != (messages, 0):
                    return False
            return True
        wait_for("all messages to wait again", calm, seconds)
        return time.monotonic() - begun

    def listed(self, domain: str) -> tuple[set[str], float]:
        """The ids that `queue list --domain` shows, and how long it takes."""
        begun = time.monotonic()
        shown = json.loads(self.suite.command("queue", "list", "--domain", domain, "--json").stdout)
        return {message["id"] for message in shown}, time.monotonic() - begun

    def resident(self, daemon: str = "") -> dict[str, float]:
        """MiB that each process of the suite, or of one daemon, has in memory, and the most it ever had."""
        sums = {"VmRSS": 0.0, "VmHWM": 0.0}
        for name, pid in self.suite.daemons().items():
            if daemon and name != daemon:
                continue
            for line in Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines():
                key, _, value = line.partition(":")
                if key in sums:
                    sums[key] += int(value.split()[0]) / 1024
        return sums

    def cpu_seconds(self, daemon: str) -> float:
        pid = self.suite.daemons()[daemon]
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def change_times(self) -> dict[str, int]:
        """When each queue file was last changed in any way."""
        return {entry.name: entry.stat().st_ctime_ns for folder in self.folders for entry in os.scandir(folder)}

    def close(self) -> None:
        self.suite.abandon()
        self.nsd.stop()
