#!/usr/bin/python3
"""A spool that fills up in the middle of DATA: 452, no file left, the session goes on, and so does the suite
as soon as there is room again. On a small tmpfs and on a small ext4; needs root for the mounts."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from nsd import Nsd
from process import Skip, wait_for
from program import Program
from smtp import Session
from suite import Suite

MEGABYTE = 1 << 20


def mount_small(kind: str, place: Path) -> None:
    """Eight megabytes. The mount ends with this program, which has a mount namespace of its own."""
    place.mkdir()
    if kind == "tmpfs":
        command = ["mount", "-t", "tmpfs", "-o", "size=8m,mode=0755", "none", str(place)]
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
        program.judge(f"{kind}: MAIL says so: {reply}", reply.code == 452 and reply.enhanced == "4.3.1")
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


def main() -> int:
    if os.geteuid() == 0 and os.environ.get("POSTRIDER_TEST_MOUNTS") != "private" and shutil.which("unshare"):
        os.environ["POSTRIDER_TEST_MOUNTS"] = "private"
        os.execvp("unshare", ["unshare", "--mount", "--propagation", "private", "--", sys.executable, *sys.argv])
    with Program(__doc__) as program:
        if os.geteuid() != 0:
            raise Skip("only root can mount a small disk")
        for kind in ("tmpfs", "ext4"):
            play(program, kind)
    return program.exit_code


if __name__ == "__main__":
    sys.exit(main())
