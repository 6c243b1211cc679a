#!/usr/bin/python3
"""A message of 100 MiB, by DATA and in chunks: the memory of the session worker does not grow with it, and it comes
in at the speed of the connection. Nor does it grow with a million chunks of one octet."""

from __future__ import annotations

import contextlib
import shutil
import sys
import tempfile
import time
from pathlib import Path

from program import Program
from smtp import Session
from suite import Suite, is_of

CONFIG = """\
max_message_size 200M
bdat_chunks 2000000
local_domain null.test
alias_file null.test aliases
"""
FILES = {"aliases": "null: /dev/null\npostmaster: /dev/null\n"}
MEGABYTE = 1 << 20
SIZE = 100 * MEGABYTE
LINE = b"0123456789abcdef" * 4 + b"\r\n"
BLOCK = LINE * (MEGABYTE // len(LINE))
CHUNK = 10 * len(BLOCK)


def peaks_kib(suite: Suite) -> list[int]:
    found = []
    for name, pid in sorted(suite.daemons().items()):
        if is_of(name, "smtpd"):
            with open(f"/proc/{pid}/status", encoding="ascii") as status:
                found.append(next(int(line.split()[1]) for line in status if line.startswith("VmHWM:")))
    return found


def begin(session: Session) -> None:
    session.command("MAIL FROM:<a@inside.test>", 250)
    session.command("RCPT TO:<null@null.test>", 250)


def by_data(session: Session, size: int) -> None:
    session.command("DATA", 354)
    for _ in range(size // len(BLOCK)):
        session.send(BLOCK)
    session.send(b".\r\n")
    assert session.reply().code == 250


def by_chunks(session: Session, size: int) -> None:
    for _ in range(size // CHUNK):
        session.send(b"BDAT %d\r\n" % CHUNK)
        for _ in range(CHUNK // len(BLOCK)):
            session.send(BLOCK)
        assert session.reply().code == 250
    assert session.command("BDAT 0 LAST").code == 250


def by_octets(session: Session, count: int) -> None:
    """Each octet in a chunk of its own, so that each CR is in another than its LF."""
    at_once = 1000
    for _ in range(count // at_once):
        session.send(b"BDAT 1\r\n\rBDAT 1\r\n\n" * (at_once // 2))
        for _ in range(at_once):
            assert session.reply().code == 250
    assert session.command("BDAT 0 LAST").code == 250


def main() -> int:
    with Program(__doc__) as program:
        # On a disk the figure would be the disk's.
        spool = Path(tempfile.mkdtemp(prefix="postrider-spool-", dir="/dev/shm"))
        spool.chmod(0o755)
        suite = Suite(program.binaries, program.scratch("large"), program.stage(), CONFIG, FILES, spool=spool / "spool")
        try:
            suite.start()
            with contextlib.closing(suite.session("IN")) as session:
                session.reply()
                session.command("EHLO inside.test", 250)
                for what, send in (("DATA", by_data), ("BDAT", by_chunks)):
                    begin(session)
                    send(session, CHUNK)
                    suite.wait_until_empty()
                    before = peaks_kib(suite)
                    began = time.monotonic()
                    begin(session)
                    send(session, SIZE)
                    rate = SIZE / MEGABYTE / (time.monotonic() - began)
                    grown = max(now - then for now, then in zip(peaks_kib(suite), before))
                    program.judge(f"{what}: memory stays", suite.is_sanitized or grown < 1024, f"{grown} KiB more")
                    program.judge(f"{what}: speed", suite.is_sanitized or rate > 200, f"{rate:.0f} MiB/s")
                    suite.wait_until_empty()
                count = 50_000 if suite.is_sanitized else 1_000_000
                before = peaks_kib(suite)
                begin(session)
                by_octets(session, count)
                grown = max(now - then for now, then in zip(peaks_kib(suite), before))
                program.judge(f"{count} chunks of one octet: memory stays", suite.is_sanitized or grown < 1024, f"{grown} KiB more")
                session.command("QUIT", 221)
            suite.stop()
        finally:
            suite.abandon()
            shutil.rmtree(spool, ignore_errors=True)
    return program.exit_code


if __name__ == "__main__":
    sys.exit(main())
