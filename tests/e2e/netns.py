"""Two network namespaces joined by a wire: one for the suite, one for the rest of the world.

MX routing always goes to port 25 and never to an address of the host itself, so it can only be tested
between hosts. As root the tests make themselves two: `us` has the suite's address, `world` has those of
the remote servers, of the name server and of the clients. Both are removed at the end.
"""

from __future__ import annotations

import atexit
import contextlib
import ctypes
import os
import subprocess
from collections.abc import Iterator

CLONE_NEWNET = 0x40000000


class NetnsError(RuntimeError):
    """The kernel or iproute2 refused what the namespaces need."""


def _ip(*words: str) -> None:
    done = subprocess.run(["ip", *words], text=True, capture_output=True)
    if done.returncode != 0:
        raise NetnsError(f"`ip {' '.join(words)}`: {done.stderr.strip()}")


class Namespaces:
    """Owns both namespaces; `close` removes them with everything in them."""

    def __init__(self, us: list[str], world: list[str]) -> None:
        self._names = {side: f"postrider-{side}-{os.getpid()}" for side in ("us", "world")}
        self._libc = ctypes.CDLL(None, use_errno=True)
        atexit.register(self.close)
        for name in self._names.values():
            _ip("netns", "add", name)
            _ip("-n", name, "link", "set", "lo", "up")
        _ip("-n", self._names["us"], "link", "add", "wire", "type", "veth",
            "peer", "name", "wire", "netns", self._names["world"])
        for side, addresses in (("us", us), ("world", world)):
            name = self._names[side]
            for address in addresses:
                _ip("-n", name, "address", "add", f"{address}/32", "dev", "wire")
            _ip("-n", name, "link", "set", "wire", "up")
            # Every address of the other side answers on the wire itself, so no gateway is needed.
            _ip("-n", name, "route", "add", "default", "dev", "wire", "src", addresses[0])

    def command(self, side: str) -> list[str]:
        """What to put before a command line to run it on that side; the process id stays the same."""
        return ["nsenter", f"--net=/run/netns/{self._names[side]}", "--"]

    @contextlib.contextmanager
    def inside(self, side: str) -> Iterator[None]:
        """Sockets that the calling thread makes within belong to that side, and stay there."""
        with open("/proc/thread-self/ns/net", "rb") as home:
            with open(f"/run/netns/{self._names[side]}", "rb") as there:
                self._enter(there.fileno())
            try:
                yield
            finally:
                self._enter(home.fileno())

    def _enter(self, descriptor: int) -> None:
        if self._libc.setns(descriptor, CLONE_NEWNET) != 0:
            raise NetnsError(f"setns: {os.strerror(ctypes.get_errno())}")

    def close(self) -> None:
        for name in self._names.values():
            subprocess.run(["ip", "netns", "delete", name], capture_output=True)
        atexit.unregister(self.close)
