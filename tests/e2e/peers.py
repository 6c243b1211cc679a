"""The foreign programs the tests talk to: Exim, Postfix, NSD and others, each from its Debian package or from npm.

They are unpacked into tests/.peers/ and run from there with scratch configurations. They are never
installed: no system mailer appears on the machine, no service is started, no user is created.

Run alone (`python3 peers.py`) it fetches all of them, which ./check does once before the tests start.
"""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PEERS = ROOT / "tests" / ".peers"
PACKAGES = ("exim4-daemon-light", "postfix", "nsd", "libnss-wrapper", "dovecot-core", "msmtp", "gsasl", "bsd-mailx", "git-email")
# What a package only recommends and yet does not run without.
NEEDED = {"git-email": ["libmailtools-perl"]}
# What a package wants beside it and does without: here, a mailer of its own.
NOT_NEEDED = {"bsd-mailx": "exim4-.*|liblockfile-bin"}
NPM_PACKAGES = ("nodemailer@7.0.13",)


class PeerError(RuntimeError):
    """A peer could not be had; the text says what to do."""


def _run(command: list[str], **options: object) -> str:
    try:
        done = subprocess.run(command, check=True, text=True, capture_output=True, **options)  # type: ignore
    except FileNotFoundError as error:
        raise PeerError(f"{command[0]} is not on this machine; the peers come from Debian's packages") from error
    except subprocess.CalledProcessError as error:
        said = (error.stderr or error.stdout).strip().splitlines()[-3:]
        raise PeerError(f"`{' '.join(command)}` failed: {' / '.join(said)}") from error
    return done.stdout


def _missing_with(package: str) -> list[str]:
    """The package and what apt would install with it here: the libraries that this machine lacks."""
    needed = NEEDED.get(package, [])
    planned = _run(["apt-get", "-s", "install", "--no-install-recommends", package, *needed])
    without = NOT_NEEDED.get(package, "")
    names = {name for name in re.findall(r"^Inst (\S+)", planned, re.MULTILINE) if not re.fullmatch(without, name)}
    return sorted({package, *needed, *names})


def _fetch(package: str, root: Path) -> None:
    """Unpacks the package and its missing libraries into `root`, whole or not at all."""
    staging = root.with_name(root.name + ".new")
    shutil.rmtree(staging, ignore_errors=True)
    debs = staging / "debs"
    debs.mkdir(parents=True)
    try:
        names = _missing_with(package)
    except PeerError:
        # A machine whose package lists were never fetched knows no package at all.
        if os.geteuid() != 0:
            raise PeerError(f"the package lists are missing: run `apt-get update` as root, to fetch {package}")
        _run(["apt-get", "-qq", "update"])
        names = _missing_with(package)
    # The sandbox user of apt cannot write into a checkout under a private directory such as /root.
    _run(["apt-get", "-qq", "-o", "APT::Sandbox::User=root", "download", *names], cwd=debs)
    tree = staging / "tree"
    tree.mkdir()
    for deb in debs.glob("*.deb"):
        _run(["dpkg", "-x", str(deb), str(tree)])
    # A mailer that is setuid root has no business in a checkout, where nobody would look for it.
    _run(["chmod", "-R", "u-s,g-s,go-w", str(tree)])
    root.parent.mkdir(parents=True, exist_ok=True)
    tree.rename(root)
    shutil.rmtree(staging)


def root_of(package: str, peers: Path = PEERS) -> Path:
    """The folder into which the package is unpacked; fetches it if it is not there."""
    return _root(peers / package, package, _fetch)


def _root(root: Path, package: str, fetch: Callable[[str, Path], None]) -> Path:
    if root.is_dir():
        return root
    root.parent.mkdir(parents=True, exist_ok=True)
    with open(root.parent / ".lock", "w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # tests that start together fetch once
        if not root.is_dir():
            fetch(package, root)
    return root


def _fetch_npm(package: str, root: Path) -> None:
    staging = root.with_name(root.name + ".new")
    shutil.rmtree(staging, ignore_errors=True)
    staging.mkdir(parents=True)
    _run(["npm", "pack", "--silent", package], cwd=staging)
    _run(["tar", "-xzf", *(archive.name for archive in staging.glob("*.tgz"))], cwd=staging)
    (staging / "package").rename(root)
    shutil.rmtree(staging)


def npm_root_of(package: str, peers: Path = PEERS) -> Path:
    """The same for a package of npm, by its name; its version is the one in NPM_PACKAGES."""
    return _root(peers / package, next(one for one in NPM_PACKAGES if one.startswith(f"{package}@")), _fetch_npm)


def program(package: str, path: str, peers: Path = PEERS) -> Path:
    found = root_of(package, peers) / path
    if not found.exists():
        raise PeerError(f"{package} as unpacked in {peers} has no {path}; remove that folder to fetch it again")
    return found


def environment(package: str, peers: Path = PEERS) -> dict[str, str]:
    """The caller's environment, with the libraries of the unpacked package in front."""
    root = root_of(package, peers)
    folders = [root / "usr/lib/x86_64-linux-gnu", root / "usr/lib/aarch64-linux-gnu", root / "usr/lib/postfix"]
    present = ":".join(str(folder) for folder in folders if folder.is_dir())
    return {**os.environ, "LD_LIBRARY_PATH": present}


def main() -> int:
    try:
        for package in PACKAGES:
            print(f"peers: {package} in {root_of(package)}")
        for package in NPM_PACKAGES:
            print(f"peers: {package} in {npm_root_of(package.split('@')[0])}")
    except PeerError as error:
        print(f"peers: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
