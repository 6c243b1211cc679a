"""Where a test plays: which address the suite, each remote server and each client has.

The names are those of the harness table in the acceptance scenarios. As root they are real hosts in
network namespaces (`NetnsStage`); an ordinary user gets loopback addresses and free ports instead
(`LoopbackStage`), where routes stand in for MX look-up.
"""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Iterator
from typing import Protocol

from netns import Namespaces

SERVERS = {"P": "192.0.2.20", "M3": "192.0.2.30", "M4": "192.0.2.40", "R": "192.0.2.60", "SH": "192.0.2.70"}
CLIENTS = {"OUT": "203.0.113.9", "IN": "10.0.0.5"}
NAME_SERVER = "192.0.2.53"
US = "192.0.2.10"

# The domains each server is the MX of, for a stage without MX routing.
MX_DOMAINS = {
    "P": ["primary.test", ".primary.test", "hostonly.test", ".hostonly.test", "twobk.test"],
    "R": ["remote.test"],
}


class Stage(Protocol):
    has_mx: bool

    def us(self, listener: str = "smtp") -> tuple[str, int]: ...
    def server(self, name: str) -> tuple[str, int]: ...
    def client(self, name: str) -> str: ...
    def resolver(self) -> tuple[str, int]: ...
    def port_behind_resolver(self) -> int: ...
    def command(self, side: str) -> list[str]: ...
    def inside(self, side: str) -> contextlib.AbstractContextManager[None]: ...
    def close(self) -> None: ...


def free_port(address: str = "127.0.0.1") -> int:
    with socket.socket() as probe:
        probe.bind((address, 0))
        return int(probe.getsockname()[1])


class NetnsStage:
    """The hosts of the scenarios with their own addresses and ports; needs root."""

    has_mx = True

    def __init__(self) -> None:
        world = [CLIENTS["OUT"], "203.0.113.8", *SERVERS.values(), CLIENTS["IN"], NAME_SERVER]
        self._namespaces = Namespaces([US], world)
        self._listeners = {"smtp": 25}

    def us(self, listener: str = "smtp") -> tuple[str, int]:
        return US, self._listeners.setdefault(listener, 2500 + len(self._listeners))

    def server(self, name: str) -> tuple[str, int]:
        return SERVERS[name], 25

    def client(self, name: str) -> str:
        return CLIENTS.get(name, name)

    def resolver(self) -> tuple[str, int]:
        return NAME_SERVER, 53

    def port_behind_resolver(self) -> int:
        return 5300

    def command(self, side: str) -> list[str]:
        return self._namespaces.command(side)

    def inside(self, side: str) -> contextlib.AbstractContextManager[None]:
        return self._namespaces.inside(side)

    def close(self) -> None:
        self._namespaces.close()


class LoopbackStage:
    """Everything on 127.0.0.0/8 with free ports; any user can play here."""

    has_mx = False
    _clients = {"OUT": "127.0.0.9", "IN": "127.0.0.5"}

    def __init__(self) -> None:
        self._ports: dict[str, int] = {}

    def _port(self, key: str) -> int:
        if key not in self._ports:
            self._ports[key] = free_port()
        return self._ports[key]

    def us(self, listener: str = "smtp") -> tuple[str, int]:
        return "127.0.0.1", self._port(f"us/{listener}")

    def server(self, name: str) -> tuple[str, int]:
        return "127.0.0.1", self._port(f"server/{name}")

    def client(self, name: str) -> str:
        return self._clients.get(name, name)

    def resolver(self) -> tuple[str, int]:
        return "127.0.0.1", self._port("resolver")

    def port_behind_resolver(self) -> int:
        return self._port("behind resolver")

    def command(self, side: str) -> list[str]:
        return []

    @contextlib.contextmanager
    def inside(self, side: str) -> Iterator[None]:
        yield

    def close(self) -> None:
        pass


def default_stage() -> Stage:
    return NetnsStage() if os.geteuid() == 0 else LoopbackStage()
