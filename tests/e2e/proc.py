"""What the kernel says about a running process: the parts of /proc that separation is judged by."""

from __future__ import annotations

import dataclasses
import os
import re
from pathlib import Path


@dataclasses.dataclass(frozen=True)
class Process:
    pid: int
    name: str
    uids: tuple[int, ...]          # real, effective, saved, file system
    gids: tuple[int, ...]
    groups: tuple[int, ...]
    capabilities: dict[str, int]   # Inh, Prm, Eff, Bnd, Amb
    no_new_privs: int
    seccomp: int                   # 2: a filter
    root: Path
    descriptors: dict[int, str]
    limits: dict[str, tuple[str, str]]
    dumpable: bool

    @staticmethod
    def read(pid: int) -> Process:
        base = Path(f"/proc/{pid}")
        fields = dict(line.split(":", 1) for line in (base / "status").read_text(encoding="utf-8").splitlines())

        def numbers(name: str) -> tuple[int, ...]:
            return tuple(int(word) for word in fields[name].split())

        # The files of a process that may not be dumped belong to root, whatever its own user is.
        owner = (base / "status").stat().st_uid
        return Process(pid, fields["Name"].strip(), numbers("Uid"), numbers("Gid"), numbers("Groups"),
                       {key[3:]: int(fields[key], 16) for key in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")},
                       int(fields["NoNewPrivs"]), int(fields["Seccomp"]), _root(base), _descriptors(base), _limits(base),
                       dumpable=owner == numbers("Uid")[1] and owner != 0)


def _root(base: Path) -> Path:
    try:
        return Path(os.readlink(base / "root"))
    except PermissionError:  # not even its own user may look into a process that may not be dumped
        return Path("/")


def _descriptors(base: Path) -> dict[int, str]:
    found: dict[int, str] = {}
    try:
        entries = list((base / "fd").iterdir())
    except PermissionError:
        return found
    for entry in entries:
        try:
            found[int(entry.name)] = os.readlink(entry)
        except FileNotFoundError:
            pass  # closed meanwhile
    return found


def _limits(base: Path) -> dict[str, tuple[str, str]]:
    found = {}
    for line in (base / "limits").read_text(encoding="ascii").splitlines()[1:]:
        name, soft, hard = re.split(r"\s{2,}", line)[:3]
        found[name] = (soft, hard)
    return found


def children_of(pid: int) -> list[int]:
    listed: list[int] = []
    for task in Path(f"/proc/{pid}/task").iterdir():
        listed += [int(word) for word in (task / "children").read_text().split()]
    return listed


def files_of(process: Process) -> list[str]:
    """The descriptors that are files of the file system: neither sockets nor the kernel's own kinds."""
    harmless = ("/dev/null", "/dev/urandom", "/dev/random")
    return [f"{number} → {target}" for number, target in sorted(process.descriptors.items())
            if target.startswith("/") and target not in harmless]
