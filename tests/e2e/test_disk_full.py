#!/usr/bin/python3
"""A spool that fills up in the middle of DATA: 452, no file left, the session goes on, and so does the suite
as soon as there is room again. On a small tmpfs and on a small ext4. Then one without inodes, one that is mounted
read-only meanwhile, and one below min_free_space and min_free_inodes. Needs root for the mounts."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from nsd import Nsd
from process import Skip, wait_for
from program import Program
from recording_sink import RecordingSink
from smtp import Session, send_message
from suite import Suite

MEGABYTE = 1 << 20


def mount_small(kind: str, place: Path, options: str = "") -> None:
    """Eight megabytes. The mount ends with this program, which has a mount namespace of its own."""
    place.mkdir()
    if kind == "tmpfs":
        command = ["mount", "-t", "tmpfs", "-o", f"size=8m,mode=0755{options}", "none", str(place)]
    else:
        image = place.with_name("image")
        with open(image, "wb") as file:
            file.truncate(8 * MEGABYTE)
        subprocess.run(["mkfs.ext4", "-q", "-F", "-m", "0", str(image)], check=True)
        command = ["mount", "-o", "loop", str(image), str(place)]
    done = subprocess.run(command, text=True, capture_output=True)
    if done.returncode != 0:
        raise Skip(f"cannot mount a {kind} here: {done.stderr.strip()}")


def fill(file: Path) -> None:
    """Takes all the room there is."""
    with open(file, "wb", buffering=0) as filler:
        for size in (65536, 4096, 512):
            try:
                while True:
                    filler.write(b"x" * size)
            except OSError:
                pass
        try:
            os.fsync(filler.fileno())
        except OSError:
            pass


def begin(session: Session) -> None:
    session.command("MAIL FROM:<sender@out.example>", 250)
    session.command("RCPT TO:<alice@local.test>", 250)
    session.command("DATA", 354)


def is_accepted(session: Session) -> bool:
    """Tries a whole message; a temporary refusal at any step is a no."""
    for command in ("MAIL FROM:<sender@out.example>", "RCPT TO:<alice@local.test>", "DATA"):
        reply = session.command(command)
        if reply.code >= 400:
            if reply.code >= 500:
                raise AssertionError(f"a full disk is no permanent error: {command}: {reply}")
            session.command("RSET", 250)
            return False
    session.send(b"Subject: room again\r\n\r\nHello.\r\n.\r\n")
    return session.reply().code == 250


def play(program: Program, kind: str) -> None:
    folder = program.scratch(kind)
    disk = folder / "disk"
    mount_small(kind, disk)
    nsd = Nsd(folder / "nsd", program.stage())
    patience = "error_delay 0\nerrors_before_drop 1000\nnon_mail_commands 1000\n"
    suite = Suite(program.binaries, folder / "suite", program.stage(), patience, spool=disk / "spool")
    line = b"0123456789" * 7 + b"\r\n"
    nsd.start()
    try:
        suite.start()
        session = suite.session("OUT")
        session.reply()
        session.command("EHLO out.example", 250)
        begin(session)
        session.send(b"Subject: too much\r\n\r\n" + line * (MEGABYTE // len(line)))
        wait_for("the first half to be written", lambda: sum(file.stat().st_size for file in suite.spool_files()) > 0)
        fill(disk / "filler")
        session.send(line * (2 * MEGABYTE // len(line)) + b".\r\n")
        reply = session.reply()
        program.judge(f"{kind}: {reply}", reply.code == 452 and reply.enhanced in ("4.3.0", "4.3.1"))
        # The reply does not wait for it; and what it frees must not be room for the next message below.
        wait_for(f"{kind}: no file to be left", lambda: not suite.spool_files())
        program.judge(f"{kind}: the session goes on", session.command("NOOP").code == 250)
        fill(disk / "filler-2")  # what the refused message had taken is free again
        program.judge(f"{kind}: intake stays closed with 4xx while the disk is full", not is_accepted(session))
        reply = session.command("MAIL FROM:<sender@out.example>")
        program.judge(f"{kind}: MAIL says so: {reply}", reply.code == 452 and reply.enhanced == "4.3.1"
                      and reply.text.count("4.3.1") == 1)
        session.command("RSET", 250)
        program.judge(f"{kind}: still no file", not suite.spool_files(), f"{suite.spool_files()}")
        (disk / "filler").unlink()
        (disk / "filler-2").unlink()
        wait_for("intake to resume, in the same session", lambda: is_accepted(session), 30)
        session.command("QUIT", 221)
        suite.wait_until_empty()
        program.judge(f"{kind}: one message was delivered", len(suite.mailbox("alice")) == 1)
        suite.stop()
    finally:
        suite.abandon()
        nsd.stop()
        subprocess.run(["umount", "--lazy", str(disk)], capture_output=True)


PATIENCE = "error_delay 0\nerrors_before_drop 1000\nnon_mail_commands 1000\nretry 2h\n"


@contextmanager
def suite_on(program: Program, name: str, kind: str, options: str = "", config: str = "",
             sink: RecordingSink | None = None) -> Iterator[tuple[Suite, Path, Session]]:
    """A suite with its spool on a small disk, and a session with it."""
    folder = program.scratch(name)
    disk = folder / "disk"
    mount_small(kind, disk, options)
    nsd = Nsd(folder / "nsd", program.stage())
    suite = Suite(program.binaries, folder / "suite", program.stage(), PATIENCE + config, spool=disk / "spool")
    nsd.start()
    try:
        if sink:
            sink.start()
        suite.start()
        session = suite.session("IN")
        session.reply()
        session.command("EHLO in.example", 250)
        yield suite, disk, session
        session.command("QUIT", 221)
        suite.stop()
    finally:
        suite.abandon()
        nsd.stop()
        if sink:
            sink.stop()
        subprocess.run(["umount", "--lazy", str(disk)], capture_output=True)


def expect_refusal(program: Program, what: str, session: Session) -> None:
    """A message is refused with 452 now, and MAIL from then on."""
    program.judge(f"{what}: nothing is taken in", not is_accepted(session))
    reply = session.command("MAIL FROM:<sender@out.example>")
    program.judge(f"{what}: MAIL says so: {reply}", reply.code == 452 and reply.enhanced == "4.3.1")
    session.command("RSET", 250)


def expect_service(program: Program, what: str, suite: Suite, session: Session, before: int) -> None:
    wait_for(f"{what}: intake to resume, in the same session", lambda: is_accepted(session), 30)
    suite.wait_until_empty()
    program.judge(f"{what}: the message is delivered", len(suite.mailbox("alice")) == before + 1)


def play_inodes(program: Program) -> None:
    with suite_on(program, "inodes", "tmpfs", ",nr_inodes=80", "intake_journal_max 0\n") as (suite, disk, session):
        taken = []
        try:
            for number in range(1000):
                taken.append(disk / f"file-{number}")
                taken[-1].touch()
        except OSError:
            taken.pop()
        expect_refusal(program, "without inodes", session)
        for file in taken:
            file.unlink()
        expect_service(program, "with inodes again", suite, session, 0)


def play_floors(program: Program) -> None:
    """The intake stops before the disk is full."""
    for name, config in (("min_free_space", "min_free_space 4M\n"), ("min_free_inodes", "min_free_inodes 40\n")):
        with suite_on(program, name, "tmpfs", ",nr_inodes=120", config) as (suite, disk, session):
            program.judge(f"{name}: enough at first", is_accepted(session))
            suite.wait_until_empty()
            taken = [disk / f"file-{number}" for number in range(60)]
            for file in taken:
                file.write_bytes(b"x" * 90_000)
            wait_for(f"{name}: the intake to stop", lambda: " intake_stopped " in suite.log(), 20)
            expect_refusal(program, name, session)
            for file in taken:
                file.unlink()
            expect_service(program, name, suite, session, 1)


def play_read_only(program: Program) -> None:
    """Mounted read-only while a message waits; what waits is neither lost nor attempted over and over."""
    refusing = threading.Event()
    refusing.set()
    sink = RecordingSink("R", program.stage(), lambda *_: "451 4.2.0 later" if refusing.is_set() else "")
    with suite_on(program, "read-only", "ext4", sink=sink, config="intake_journal_max 0\n") as (suite, disk, session):
        reply = send_message(session, "sender@remote.test", ["waits@remote.test"], b"Subject: waits\r\n\r\nbody\r\n")
        program.judge(f"a message waits: {reply}", reply.code == 250)
        wait_for("it to wait", lambda: " deferred " in suite.log() and not any((suite.spool / "new").iterdir()))
        refusing.clear()
        subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
        expect_refusal(program, "read-only", session)
        wait_for("the log to say why", lambda: "the queue cannot be written now" in suite.log(), 20)
        suite.command("queue", "flush", "--all")
        wait_for("it to be noticed", lambda: " cannot_read_message " in suite.log())
        program.judge("what waits is still there", len(suite.spool_files()) == 1 and not sink.messages())
        subprocess.run(["mount", "-o", "remount,rw", str(disk)], check=True)
        wait_for("intake to resume, in the same session", lambda: is_accepted(session), 30)
        suite.move_clock(120)
        suite.wait_until_empty()
        program.judge("both are delivered, once", len(sink.messages()) == 1 and len(suite.mailbox("alice")) == 1)


def main() -> int:
    if os.geteuid() == 0 and os.environ.get("POSTRIDER_TEST_MOUNTS") != "private" and shutil.which("unshare"):
        os.environ["POSTRIDER_TEST_MOUNTS"] = "private"
        os.execvp("unshare", ["unshare", "--mount", "--propagation", "private", "--", sys.executable, *sys.argv])
    with Program(__doc__) as program:
        if os.geteuid() != 0:
            raise Skip("only root can mount a small disk")
        for kind in ("tmpfs", "ext4"):
            play(program, kind)
        play_inodes(program)
        play_floors(program)
        play_read_only(program)
    return program.exit_code


if __name__ == "__main__":
    sys.exit(main())
