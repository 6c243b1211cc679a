"""A journaled ext4 file system for each server, so that a sync costs what it costs on a real mail host.

The image file is written once in full (a hole would make the first sync of each block dearer than the rest)
and given a new file system for each run. The mount lives in this program's own mount namespace and the loop
device is released with it, so that nothing is left behind, however the program ends.
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path


def run(*command: str) -> str:
    done = subprocess.run(command, text=True, capture_output=True, stdin=subprocess.DEVNULL)
    if done.returncode != 0:
        raise RuntimeError(f"`{' '.join(command)}`: {done.stderr.strip()}")
    return done.stdout.strip()


def prepare_image(image: Path, megabytes: int) -> None:
    """Makes the image file, or keeps the one that is there."""
    if image.exists() and image.stat().st_blocks * 512 >= megabytes << 20:
        return
    image.parent.mkdir(parents=True, exist_ok=True)
    run("dd", "if=/dev/zero", f"of={image}", "bs=1M", f"count={megabytes}", "conv=fsync", "status=none")


def mount_fresh(image: Path, place: Path) -> None:
    """A new file system on the image, mounted at `place`."""
    device = run("losetup", "--find", "--show", "--direct-io=on", str(image))
    try:
        run("mkfs.ext4", "-q", "-F", "-m", "0", "-E", "lazy_itable_init=0,lazy_journal_init=0,nodiscard", device)
        place.mkdir(parents=True, exist_ok=True)
        run("mount", "-t", "ext4", "-o", "noatime", device, str(place))
    finally:
        # While it is mounted this only marks the device: the kernel releases it with the mount.
        run("losetup", "--detach", device)


def enter_private_mounts(argv: list[str]) -> None:
    """Starts this program again in a mount namespace of its own, unless it is in one already."""
    if os.environ.get("POSTRIDER_BENCH_MOUNTS") == "private":
        return
    os.environ["POSTRIDER_BENCH_MOUNTS"] = "private"
    os.execvp("unshare", ["unshare", "--mount", "--propagation", "private", "--", *argv])
