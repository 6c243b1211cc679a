#!/usr/bin/python3
"""Forward files of users of the system and beside virtual mailboxes: which one is read, what may be believed of it,
where it leads, and that it neither loops nor loses anything."""

from __future__ import annotations

import os
import shutil
import signal
import sys
import time
from pathlib import Path

from nsd import Nsd
from process import wait_for
from program import Program
from sink import Sink
from smtp import send_message
from suite import FIRST_USER_UID, USERS, Suite

CONFIG = """alias_file local.test aliases
virtual_domain v.test maildir:${dir}/virtual/%u owner=64399 users=virtual_users
retry 2h
forward_file_size 4k
pipe_timeout 2s
"""
FILES = {"aliases": "bob: $user, robert@remote.test\nring: ring2\nring2: dave\nboth: alice, carol\nkeeper: dave\n",
         "virtual_users": "erin\nfrank forward=$user,dave@local.test\ngrace forward=dave@local.test\n"}
SENDER = "sender@remote.test"


class ForwardFiles:
    """One suite, and the homes of its users."""

    def __init__(self, program: Program, suite: Suite, sink: Sink) -> None:
        self.sink = sink
        self._program = program
        self._suite = suite
        self._number = 0

    def expect(self, what: str, good: object, note: object = "") -> None:
        self._program.judge(what, bool(good), "" if good else str(note)[:1500])

    def home(self, user: str) -> Path:
        return self._suite.folder / "home" / user

    def forward(self, user: str, text: str | bytes, name: str = ".forward", mode: int = 0o600) -> Path:
        path = self.home(user) / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        os.chown(path, FIRST_USER_UID + USERS.index(user), -1)
        path.chmod(mode)
        return path

    def clear(self) -> None:
        for user in USERS:
            shutil.rmtree(self.home(user) / "Maildir", ignore_errors=True)
            for path in self.home(user).glob(".forward*"):
                path.unlink()
            self.home(user).chmod(0o700)
        shutil.rmtree(self._suite.folder / "virtual", ignore_errors=True)
        (self._suite.folder / "virtual").mkdir()
        os.chown(self._suite.folder / "virtual", 64399, 64399)

    def send(self, *recipients: str) -> bytes:
        self._number += 1
        subject = f"number {self._number} of {self._suite.folder.name}."
        session = self._suite.session("IN")
        session.reply()
        session.command("EHLO test", 250)
        sent = send_message(session, SENDER, list(recipients), f"Subject: {subject}\r\n\r\nbody\r\n".encode())
        session.close()
        self.expect(f"{recipients} is taken", sent.code == 250, sent)
        return subject.encode()

    def copies(self, subject: bytes) -> dict[str, int]:
        found = {user: sum(subject in text for text in self._suite.mailbox(user)) for user in USERS}
        for folder in (self._suite.folder / "virtual").glob("*"):
            if folder.is_dir():
                found[folder.name] = sum(subject in file.read_bytes() for file in folder.glob("new/*"))
        found["remote"] = sum(subject in text for text in self.sink.messages())
        return {name: count for name, count in found.items() if count}

    def check(self, what: str, recipients: tuple[str, ...], wanted: dict[str, int]) -> bytes:
        subject = self.send(*recipients)
        self._suite.wait_until_empty()
        found = self.copies(subject)
        self.expect(what, found == wanted, (found, self._suite.log_tail()))
        return subject

    def check_waits(self, what: str, user: str, reason: str) -> None:
        """Mail for the user waits, that for others does not; and it comes when the fault is mended."""
        subject = self.send(f"{user}@local.test", "dave@local.test")
        wait_for(f"{what}: dave has his", lambda: self.copies(subject) == {"dave": 1})
        wait_for(f"{what}: deferred", lambda: any(reason in str(entry) for entry in self._suite.queue()))
        for path in self.home(user).glob(".forward*"):
            path.rmdir() if path.is_dir() and not path.is_symlink() else path.unlink()
        self.home(user).chmod(0o700)
        self._suite.command("queue", "flush", "--all")
        self._suite.wait_until_empty()
        self.expect(what, self.copies(subject) == {"dave": 1, user: 1}, self.copies(subject))

    # Scenarios

    def instead_of_user(self) -> None:
        self.clear()
        self.forward("bob", "carol@local.test\n")
        self.check("T27: the file replaces $user", ("bob@local.test",), {"carol": 1, "remote": 1})

    def kinds(self) -> None:
        self.clear()
        home = self.home("alice")
        program = self._suite.folder / "recorder"
        program.write_text("#!/bin/sh\ncat >\"$HOME/seen\"; id -u >\"$HOME/uid\"; echo \"$EXTENSION\" >>\"$HOME/uid\"\n")
        program.chmod(0o755)
        self.forward("alice", f"\\alice, \"|{program} a\"\n{home}/box\nCarol@local.test, bob@remote.test\n")
        subject = self.check("own mailbox, program, file, local and remote addresses", ("alice+x@local.test",),
                             {"alice": 1, "carol": 1, "remote": 1})
        self.expect("the program ran as its user", (home / "uid").read_text() == f"{FIRST_USER_UID}\nx\n", (home / "uid").read_text())
        self.expect("the program has the message", subject in (home / "seen").read_bytes())
        self.expect("the file has it", subject in (home / "box").read_bytes())
        self.expect("who forwarded is said to others", any(subject in text and b"Delivered-To: alice+x@local.test" in text
                                                          for text in self.sink.messages()))

    def which_file(self) -> None:
        self.clear()
        fwd = self.home("alice") / "Maildir.fwd"
        fwd.write_text("dave@local.test\n")
        os.chown(fwd, FIRST_USER_UID, -1)
        self.forward("alice", "carol@local.test\n")
        self.check("T28 row 1: only ~/.forward", ("alice@local.test",), {"carol": 1})
        fwd.chmod(0)
        self.check("T28 row 1: .fwd is not opened", ("alice@local.test",), {"carol": 1})
        self.forward("alice", "bob@remote.test\n", ".forward+lists")
        self.check("the detail has a file of its own", ("alice+lists@local.test",), {"remote": 1})
        fwd.unlink()
        virtual = self._suite.folder / "virtual"
        for user in ("erin", "frank", "grace"):
            path = virtual / f"{user}.fwd"
            path.write_text("carol@local.test\n")
            os.chown(path, 64399, 64399)
        self.check("T28 row 3: .fwd of a virtual user", ("erin@v.test",), {"carol": 1})
        self.check("T28 row 4: .fwd replaces his own copy alone", ("frank@v.test",), {"carol": 1, "dave": 1})
        (virtual / "grace.fwd").chmod(0)
        self.check("T28 row 5: none is opened", ("grace@v.test",), {"dave": 1})

    def none_in_homes(self) -> None:
        """T28 row 2, under a configuration of its own."""
        self.clear()
        fwd = self.home("alice") / "Maildir.fwd"
        fwd.write_text("dave@local.test\n")
        os.chown(fwd, FIRST_USER_UID, -1)
        self.forward("alice", "carol@local.test\n", mode=0)
        self.check("T28 row 2: only .fwd, beside the mailbox", ("alice@local.test",), {"dave": 1})
        fwd.unlink()
        self.check("T28 row 2: ~/.forward is not opened", ("alice@local.test",), {"alice": 1})

    def loops(self) -> None:
        self.clear()
        self.forward("alice", "carol@local.test\n")
        self.forward("carol", "alice@local.test, dave@local.test\n")
        self.check("a circle with a way out", ("alice@local.test",), {"dave": 1})
        self.forward("carol", "alice@local.test\n")
        subject = self.send("alice@local.test")
        self._suite.wait_until_empty()
        reports = [text for text in self.sink.messages() if subject in text]
        self.expect("a circle without: one report 5.4.6", len(reports) == 1 and b"5.4.6" in reports[0], reports)
        self.expect("and no copy", set(self.copies(subject)) == {"remote"}, self.copies(subject))
        subject = self.send("both@local.test")
        self._suite.wait_until_empty()
        reports = [text for text in self.sink.messages() if subject in text]
        self.expect("an alias for all who are in a circle: the sender hears of it",
                    reports and all(b"5.4.6" in text for text in reports), self._suite.log_tail())
        self.expect("and nobody gets it", set(self.copies(subject)) == {"remote"}, self.copies(subject))
        # R sends back to alice what alice forwards to bob@remote.test.
        self.forward("alice", "bob@remote.test\n")
        subject = self.check("what goes to another host", ("alice@local.test",), {"remote": 1})
        forwarded = next(text for text in self.sink.messages() if subject in text)
        content = b"".join(line for line in forwarded.splitlines(keepends=True) if not line.startswith(b"X-"))
        session = self._suite.session("IN")
        session.reply()
        session.command("EHLO remote.test", 250)
        self.expect("T35: it comes back", send_message(session, SENDER, ["alice@local.test"], content.replace(b"\n", b"\r\n")).code == 250)
        session.close()
        self._suite.wait_until_empty()
        reports = [text for text in self.sink.messages() if subject in text and text != forwarded]
        self.expect("T35: what came back from another host ends", len(reports) == 1 and b"5.4.6" in reports[0], reports)

    def hostile(self) -> None:
        self.clear()
        path = self.forward("alice", "x@remote.test", mode=0o622)
        self.check_waits("writable by others", "alice", "written by others")
        os.mkfifo(path)
        os.chown(path, FIRST_USER_UID, -1)
        self.check_waits("a FIFO", "alice", "not a regular file")
        path.mkdir()
        self.check_waits("a directory", "alice", "not a regular file")
        self.forward("alice", b"a" * 5000)
        self.check_waits("too large", "alice", "too large")
        self.forward("alice", os.urandom(500) + b"\"")
        self.check_waits("garbage", "alice", ".forward:")
        path.symlink_to("/etc/shadow")
        self.check_waits("a link to /etc/shadow", "alice", "/etc/shadow")
        victim = self._suite.folder / "secret"
        victim.write_text("x@remote.test\n")
        os.link(victim, path)
        self.check_waits("a hard link", "alice", "more than one name")
        self.home("alice").chmod(0o1700)
        self.check_waits("a sticky home", "alice", "being edited")

    def killed(self) -> None:
        """The router away while a file is expanded, then the queue-manager killed: nothing is lost."""
        self.clear()
        self.forward("alice", "carol@local.test, dave@local.test\n")
        for daemon in ("queue-manager", "local-delivery", "router"):
            subject = self.send("alice@local.test")
            self._suite.signal_daemon(daemon, signal.SIGKILL)
            time.sleep(1)
            self._suite.command("queue", "flush", "--all", check=False)
            wait_for(f"{daemon} killed: both have it", lambda: {"carol", "dave"} <= set(self.copies(subject)), 60)
            self._suite.wait_until_empty(60)
            self.expect(f"{daemon} killed: nobody else", set(self.copies(subject)) == {"carol", "dave"})


def main() -> int:
    with Program(__doc__) as program:
        if os.geteuid() != 0:
            print("needs root: users of the system")
            return 77
        folder, stage = program.scratch("forward"), program.stage()
        nsd = Nsd(folder / "nsd", stage)
        suite = Suite(program.binaries, folder / "suite", stage, CONFIG, FILES)
        sink = Sink("R", folder / "sink", stage)
        nsd.start()
        sink.start()
        try:
            suite.start()
            tests = ForwardFiles(program, suite, sink)
            for part in (tests.instead_of_user, tests.kinds, tests.which_file, tests.loops, tests.hostile, tests.killed):
                part()
            suite.stop()
            suite = Suite(program.binaries, folder / "off", stage, CONFIG + "forward_file off\n", FILES)
            suite.start()
            ForwardFiles(program, suite, sink).none_in_homes()
            suite.stop()
        finally:
            suite.abandon()
            sink.stop()
            nsd.stop()
    return program.exit_code


if __name__ == "__main__":
    sys.exit(main())
