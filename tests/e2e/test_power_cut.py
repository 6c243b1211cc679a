#!/usr/bin/python3
"""What the disk holds at a random moment under full load is enough to deliver everything that was acknowledged.

The spool is on an ext4 in a file of an XFS, and pictures of that file are taken while fifty sessions pour mail in.
A picture is what a power cut would leave: it is mounted, which plays back the journal of the file system, and a suite
is started on it. Everything acknowledged before the picture was begun, and not delivered when it was finished, is
delivered from it, octet for octet as it was sent. `--full` takes 20 pictures, some with queue_directory_sync.

Why a picture is honest. The loop device of the ext4 writes to its file with direct I/O, so nothing that the ext4
believes to be still on its way is in a page cache from where the copy would take it: the file holds what the
"disk" was told to write, and no more. XFS shares the extents of the copy while it keeps writers of the file out, so
that the picture is of one moment. Data that ext4 had not written back, sizes that its journal does not have yet, and
names without content are missing in it as they would be after a power cut; with data=ordered a size is journalled
only behind its data, but a new name is not, and that is what the order of the commit is about. What is not shown is
a disk that lies about its own cache, and no order of system calls helps against that one.
"""

from __future__ import annotations

import dataclasses
import os
import random
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path

from load import Load
from nsd import Nsd
from process import Skip, TestFailure, wait_for
from program import Program
from recording_sink import RecordingSink
from suite import USERS, Suite

CONFIG = """\
max_connections_per_client 1000
session_messages 100000
trusted_session_messages 100000
non_mail_commands 100000
error_delay 0
errors_before_drop 100000
retry 2h
"""
WAITING = "waiting@remote.test"  # refused for now while the pictures are taken, so that it is in all of them
RECIPIENTS = ["alice@local.test", "relayed@remote.test", "bob@local.test", WAITING]
SESSIONS = 50
UNSYNCED = b"not on the disk yet\n" * 200
BETWEEN = 300  # messages acknowledged between two pictures, about


def run(*command: str | Path) -> str:
    done = subprocess.run([str(word) for word in command], text=True, capture_output=True)
    if done.returncode != 0:
        raise TestFailure(f"{' '.join(map(str, command))}: {done.stderr.strip()}")
    return done.stdout.strip()


class Disk:
    """An ext4 for the spool, in a file of an XFS of its own, and its pictures."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._loop = ""
        self._outer = folder / "outer"
        self.mounted = folder / "disk"
        self._image = self._outer / "disk.img"

    def make(self) -> None:
        self._folder.chmod(0o755)  # the daemons have users of their own
        self._outer.mkdir()
        self.mounted.mkdir()
        backing = self._folder / "outer.img"
        with open(backing, "wb") as file:
            file.truncate(8 << 30)
        run("mkfs.xfs", "-q", "-m", "reflink=1", backing)
        run("mount", "-o", "loop", backing, self._outer)
        # Written, not only reserved: the first write to each block is then like any other.
        run("dd", "if=/dev/zero", f"of={self._image}", "bs=1M", "count=192", "status=none", "conv=fsync")
        run("mkfs.ext4", "-q", "-F", "-m", "0", "-E", "lazy_itable_init=0,lazy_journal_init=0", self._image)
        self._loop = run("losetup", "--find", "--show", "--direct-io=on", self._image)
        if run("losetup", "--noheadings", "--output", "DIO", self._loop).strip() != "1":
            raise TestFailure("the loop device does not write directly, so a picture would not be one of a power cut")
        run("mount", "-t", "ext4", self._loop, self.mounted)

    def picture(self, number: int) -> Path:
        # Nobody syncs this file, so no picture may have its content.
        (self.mounted / f"unsynced-{number}").write_bytes(UNSYNCED)
        file = self._outer / f"picture-{number}.img"
        run("cp", "--reflink=always", self._image, file)
        return file

    def mount(self, picture: Path) -> Path:
        place = self._folder / picture.stem
        place.mkdir()
        run("mount", "-t", "ext4", "-o", "loop", picture, place)
        unsynced = place / f"unsynced-{picture.stem.split('-')[1]}"
        if unsynced.exists() and unsynced.read_bytes() == UNSYNCED:
            raise TestFailure("the picture has what was never synced: it is not one of a power cut")
        return place

    @staticmethod
    def unmount(place: Path, picture: Path) -> None:
        subprocess.run(["umount", "--lazy", str(place)], capture_output=True)
        picture.unlink()

    def close(self) -> None:
        for place in (self.mounted, self._outer):
            subprocess.run(["umount", "--lazy", str(place)], capture_output=True)
        if self._loop:
            subprocess.run(["losetup", "--detach", self._loop], capture_output=True)
        shutil.rmtree(self._folder, ignore_errors=True)


@dataclasses.dataclass
class Picture:
    file: Path
    acknowledged: set[str]  # before it was begun
    delivered: set[str]  # when it was finished


class Deliveries:
    """What arrived at the sink and in the mailboxes of a suite, by id; what is not as it was sent is collected."""

    def __init__(self, load: Load, suite: Suite, sink: RecordingSink) -> None:
        self.wrong: list[str] = []
        self.copies: Counter[str] = Counter()
        texts = [(message.content, load.content) for message in sink.messages()]
        texts += [(text, lambda name: load.content(name).replace(b"\r\n", b"\n"))
                  for user in USERS for text in suite.mailbox(user)]
        for text, sent in texts:
            found = re.search(rb"^X-Test-Id: (\S+?)\r?$", text, re.MULTILINE)
            name = found[1].decode() if found else ""
            if found and text.endswith(sent(name)):
                self.copies[name] += 1
            else:
                self.wrong.append(name or repr(text[:200]))


def take_pictures(disk: Disk, load: Load, suite: Suite, sink: RecordingSink, count: int,
                  choose: random.Random) -> list[Picture]:
    """Under load, each at a moment that is not chosen by what the suite does."""
    sending = threading.Thread(target=lambda: load.run(900), daemon=True)
    sending.start()
    pictures: list[Picture] = []
    try:
        for number in range(count):
            wanted = len(load.acknowledged) + choose.randrange(BETWEEN // 2, BETWEEN + BETWEEN // 2)
            wait_for(f"{wanted} messages to be acknowledged", lambda: len(load.acknowledged) >= wanted or load.wrong, 300)
            time.sleep(choose.random() / 10)
            acknowledged = set(list(load.acknowledged))
            file = disk.picture(number)
            pictures.append(Picture(file, acknowledged, set(Deliveries(load, suite, sink).copies)))
    finally:
        load.stop()
        sending.join(120)
    if load.wrong:
        raise TestFailure(f"replies that should not have been: {load.wrong[:5]}")
    return pictures


def examine(program: Program, number: int, disk: Disk, picture: Picture, load: Load, suite: Suite,
            sink: RecordingSink) -> None:
    """Delivers all that is in a picture."""
    sink.clear()
    must = picture.acknowledged - picture.delivered
    try:
        suite.start(60)
        suite.command("queue", "flush", "--all")
        wait_for("the queue of the picture to be empty", lambda: not busy_files(suite), 180)
        deliveries = Deliveries(load, suite, sink)
        corrupt = [mark[1].decode() for file in (suite.spool / "corrupt").glob("*")
                   if (mark := re.search(rb"^X-Test-Id: (\S+?)\r?$", file.read_bytes(), re.MULTILINE))]
        incomplete = len(list((suite.spool / "corrupt").glob("*")))
        suite.stop()
    finally:
        suite.abandon()
    lost = sorted(must - set(deliveries.copies))
    again = sum(name in picture.delivered for name in deliveries.copies)
    unasked = sum(name not in load.acknowledged for name in deliveries.copies)
    program.judge(f"picture {number}: {len(must)} acknowledged and not delivered, all of them arrive", not lost,
                  f"{sum(deliveries.copies.values())} delivered, {again} a second time, {unasked} that were never "
                  f"acknowledged, {incomplete} incomplete" + (f"; lost {lost[:10]}" if lost else ""))
    program.judge(f"picture {number}: as they were sent", not deliveries.wrong, str(deliveries.wrong[:5]))
    promised = sorted(set(corrupt) & picture.acknowledged)
    program.judge(f"picture {number}: nothing acknowledged is in corrupt/", not promised, str(promised[:5]))
    if not must:
        raise TestFailure(f"picture {number} shows nothing: all had been delivered")


def busy_files(suite: Suite) -> bool:
    return any(file.is_file() for name in ("tmp", "new", "cur") for file in (suite.spool / name).rglob("*"))


def play(program: Program, name: str, config: str, count: int, choose: random.Random) -> None:
    """Pictures of one suite under load."""
    stage, folder = program.stage(), program.scratch(name)
    disk = Disk(Path(tempfile.mkdtemp(prefix="postrider-test-disk-", dir="/var/tmp")))
    refusing = threading.Event()
    refusing.set()

    def decide(recipient: str, content: bytes | None) -> str:
        return "451 4.2.0 later" if content is None and recipient == WAITING and refusing.is_set() else ""

    sink = RecordingSink("R", stage, decide)
    nsd = Nsd(folder / "nsd", stage)
    try:
        disk.make()
        suite = Suite(program.binaries, folder / "suite", stage, CONFIG + config, spool=disk.mounted / "spool")
        nsd.start()
        sink.start()
        load = Load(lambda: suite.session("IN"), RECIPIENTS, 1_000_000, SESSIONS)
        try:
            suite.start()
            begun = time.monotonic()
            pictures = take_pictures(disk, load, suite, sink, count, choose)
            print(f"{name}: {count} pictures of {len(load.acknowledged)} messages in {time.monotonic() - begun:.0f} s")
        finally:
            suite.abandon()
        refusing.clear()
        for number, picture in enumerate(pictures):
            place = disk.mount(picture.file)
            after = Suite(program.binaries, folder / f"after-{number}", stage, CONFIG + config, spool=place / "spool")
            try:
                examine(program, number, disk, picture, load, after, sink)
            finally:
                disk.unmount(place, picture.file)
    finally:
        sink.stop()
        nsd.stop()
        disk.close()


def main() -> int:
    if os.geteuid() == 0 and os.environ.get("POSTRIDER_TEST_MOUNTS") != "private":
        os.environ["POSTRIDER_TEST_MOUNTS"] = "private"
        os.execvp("unshare", ["unshare", "--mount", "--propagation", "private", "--", sys.executable, *sys.argv])
    extra: dict[str, dict[str, object]] = {
        "--full": {"action": "store_true", "help": "20 pictures"},
        "--seed": {"type": int, "default": int(time.time()), "help": "repeats the choice of an earlier run"},
    }
    with Program(__doc__, extra=extra) as program:
        if os.geteuid() != 0:
            raise Skip("only root can mount the disks")
        choose = random.Random(program.options.seed)
        print(f"seed {program.options.seed}")
        full = program.options.full
        play(program, "auto", "", 14 if full else 3, choose)
        play(program, "directory", "queue_directory_sync yes\n", 6 if full else 1, choose)
    return program.exit_code


if __name__ == "__main__":
    sys.exit(main())
