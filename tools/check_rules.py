#!/usr/bin/python3
"""The rules of the code that no compiler knows. Prints file:line: message for each breach; exit 1 if any."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

MOST_LINES = 600
DAEMONS = ("smtpd", "queue-manager", "router", "local-delivery", "remote-delivery", "supervisor", "admin")
SOURCES = (".cpp", ".h", ".proto", ".py", ".sh", ".cmake")
INCLUDE = re.compile(r'\s*#\s*include\s+"([^"]+)"')
# What must not be called where something safer stands in libcommon, or nowhere at all.
FORBIDDEN = {
    re.compile(r"\b(strcpy|strcat|sprintf|gets|system|popen|tmpnam|mktemp)\s*\("): "an unsafe function",
    re.compile(r"\bfdatasync\s*\("): "fdatasync does not make a new name durable; a commit is one fsync",
    re.compile(r"\b(ldns_resolver_\w+|ldns_(udp|tcp)_\w+)\s*\("): "ldns' own sockets block; use libcommon/dns",
}


def tracked() -> list[Path]:
    listed = subprocess.run(["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
                            check=True, capture_output=True).stdout
    return [path for path in map(Path, listed.decode().split("\0")) if path.suffix in SOURCES and path.is_file()]


def include_breach(path: Path, name: str) -> str | None:
    """Daemons share nothing but libcommon; only a daemon's own tests may look into its folder."""
    owner = name.split("/")[0]
    if "/" not in name:
        return f'include "{name}" from the repository root, as "{path.parent}/{name}"'
    if owner not in DAEMONS:
        return None
    here = path.parts[0]
    if here in DAEMONS and here != owner:
        return f"{here} must not include a header of {owner}; what both need belongs into libcommon"
    if here == "libcommon":
        return f"libcommon must not depend on {owner}"
    return None


def code_of(line: str) -> str:
    """The line without its comment and the insides of its strings."""
    return re.sub(r'"(\\.|[^"\\])*"', '""', line).split("//")[0]


def breaches(path: Path) -> list[str]:
    lines = path.read_text(encoding="utf-8").splitlines()
    found = []
    if len(lines) > MOST_LINES:
        found.append(f"{path}:{MOST_LINES}: the file has {len(lines)} lines; at most {MOST_LINES}")
    if path.suffix not in (".cpp", ".h"):
        return found
    if path.suffix == ".h" and "#pragma once" not in lines:
        found.append(f"{path}:1: a header begins with #pragma once")
    for number, line in enumerate(lines, 1):
        include = INCLUDE.match(line)
        message = include_breach(path, include[1]) if include else None
        code = code_of(line)
        for pattern, reason in FORBIDDEN.items():
            if not include and path.parts[0] != "tests" and pattern.search(code):
                message = reason
        if message:
            found.append(f"{path}:{number}: {message}")
    return found


def main() -> int:
    found = [breach for path in tracked() for breach in breaches(path)]
    print("\n".join(found), end="\n" if found else "")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
