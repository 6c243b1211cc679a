#!/usr/bin/python3
"""T30, T31, T32: programs, files and nobody's mailbox as destinations of redirects and aliases, between real
daemons and with the rights that they have as root."""

from __future__ import annotations

import mailbox
import os
import sys
import threading
from pathlib import Path

from nsd import Nsd
from process import wait_for
from program import Program
from smtp import send_message
from suite import Suite

NOBODY = 65534
FAILING = {1: "5.3.0", 65: "5.6.0", 67: "5.1.1", 69: "5.3.0", 77: "5.7.0"}
PARALLEL = 50

CONFIG = """include redirects
alias_file local.test aliases
pipe_timeout 2s
retry 2h
"""
REDIRECTS = """redirect bot@local.test "|${dir}/robots/rec arg1 'arg two'"
redirect missing@local.test |${dir}/robots/there-is-none
redirect later@local.test "|${dir}/robots/later 75"
redirect lazy@local.test |${dir}/robots/lazy
redirect hanging@local.test |${dir}/robots/hanging
redirect killed@local.test |${dir}/robots/killed
redirect bin@local.test /dev/null
redirect mbox@local.test ${dir}/boxes/mbox
redirect folder@local.test ${dir}/boxes/folder
redirect link@local.test ${dir}/boxes/link
redirect twice@local.test ${dir}/boxes/twice
""" + "".join(f'redirect exit{status}@local.test "|${{dir}}/robots/fails {status}"\n' for status in FAILING)
ALIASES = "gone: discard\nnil: null\n"

ROBOTS = {
    "rec": """echo run >>"$OUT/runs"; printf '%s|' "$@" >"$OUT/args"; cat >"$OUT/input"; env >"$OUT/environment"
        id -u >"$OUT/ids"; id -g >>"$OUT/ids"; id -G >>"$OUT/ids"
        ls -l /proc/self/fd >"$OUT/descriptors"; cat /proc/self/status >"$OUT/status"; pwd >"$OUT/folder" """,
    "fails": 'cat >/dev/null; echo "the robot says no"; echo "and why"; exit "$1"',
    "later": 'cat >/dev/null; echo run >>"$OUT/later"; exit "$1"',
    "lazy": "exit 0",
    "hanging": 'echo run >>"$OUT/hanging"; (sleep 30; echo late >>"$OUT/hanging") & sleep 600',
    "killed": "kill -SEGV $$",
}


class Robots:
    """One suite, the programs it runs, and the folder in which they leave their traces."""

    def __init__(self, program: Program, suite: Suite) -> None:
        self._program = program
        self._suite = suite
        self._number = 0
        self._lock = threading.Lock()
        self.out = suite.folder / "out"
        self.boxes = suite.folder / "boxes"

    def prepare(self) -> None:
        for folder in (self.out, self.boxes, self._suite.folder / "robots"):
            folder.mkdir()
        for folder in (self.out, self.boxes):
            os.chown(folder, NOBODY, NOBODY)
        for name, script in ROBOTS.items():
            robot = self._suite.folder / "robots" / name
            robot.write_text(f"#!/bin/sh\nOUT={self.out}\n{script}\n", encoding="utf-8")
            robot.chmod(0o755)

    def expect(self, what: str, good: object, note: object = "") -> None:
        self._program.judge(what, bool(good), "" if good else str(note)[:2000])

    def send(self, user: str, body: bytes = b"Hello.\r\n") -> bytes:
        """A message from alice; returns its subject."""
        with self._lock:
            self._number += 1
            subject = f"number {self._number}.".encode()
        session = self._suite.session("IN")
        session.reply()
        session.command("EHLO inside.test", 250)
        reply = send_message(session, "alice@local.test", [f"{user}@local.test"],
                             b"Subject: " + subject + b"\r\n\r\n" + body)
        session.close()
        if reply.code != 250:
            self.expect(f"mail for {user} is taken", False, reply)
        return subject

    def text(self, name: str) -> str:
        path = self.out / name
        return path.read_text(encoding="utf-8") if path.exists() else ""

    def report_about(self, what: str, subject: bytes, status: str) -> bytes:
        """The one report that alice has got about a message, whose status is that."""
        self._suite.wait_until_empty()
        reports = [text for text in self._suite.mailbox("alice") if subject in text]
        good = len(reports) == 1 and f"\nStatus: {status}\n".encode() in reports[0].replace(b"\r\n", b"\n")
        self.expect(f"{what}: one report, {status}", good, (reports, self._suite.log_tail()))
        return reports[0] if reports else b""

    def waits(self, user: str, attempts: int) -> bool:
        return any(f"{user}@local.test" in str(entry) and "4.3.0" in str(entry) and entry["attempts"] == attempts
                   for entry in self._suite.queue())

    # Scenarios

    def with_arguments(self) -> None:
        subject = self.send("bot", b"Hello, robot.\r\n.dots\r\n")
        self._suite.wait_until_empty()
        self.expect("T30: it is run once", self.text("runs") == "run\n", self.text("runs"))
        self.expect("T30: with its arguments", self.text("args") == "arg1|arg two|", self.text("args"))
        lines = self.text("input").splitlines()
        self.expect("T30: the whole message is on standard input", lines[0] == "Return-Path: <alice@local.test>"
                    and "Delivered-To: bot@local.test" in lines and f"Subject: {subject.decode()}" in lines
                    and lines[-3:] == ["", "Hello, robot.", ".dots"], lines)
        self.expect("T30: as nobody, in no other group", self.text("ids") == f"{NOBODY}\n{NOBODY}\n{NOBODY}\n", self.text("ids"))
        status = dict(line.split(":\t", 1) for line in self.text("status").splitlines() if ":\t" in line)
        rights = {name: int(status[name], 16) for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")}
        self.expect("T30: without any capability", not any(rights[name] for name in ("CapInh", "CapPrm", "CapEff", "CapAmb")), rights)
        self.expect("T30: and it cannot gain rights", status["NoNewPrivs"] == "1", status["NoNewPrivs"])
        held = [line.split(" -> ")[1] for line in self.text("descriptors").splitlines() if " -> " in line]
        self.expect("T30: no socket among its descriptors", len(held) <= 4 and not any("socket:" in what for what in held), held)
        environment = dict(line.split("=", 1) for line in self.text("environment").splitlines())
        known = {"PATH", "HOME", "SHELL", "USER", "LOGNAME", "SENDER", "RECIPIENT", "ORIGINAL_RECIPIENT", "LOCAL",
                 "DOMAIN", "EXTENSION", "MESSAGE_ID", "QUEUE_ID", "PWD", "OLDPWD", "_", "SHLVL"}
        self.expect("T30: a small environment", environment.keys() <= known
                    and environment["SENDER"] == "alice@local.test" and environment["RECIPIENT"] == "bot@local.test", environment)

    def failures(self) -> None:
        self.report_about("T31, a program that is missing", self.send("missing"), "5.3.0")
        for code, status in FAILING.items():
            report = self.report_about(f"T31, exit {code}", self.send(f"exit{code}"), status)
            self.expect(f"T31, exit {code}: with what it said", b"the robot says no" in report and b"and why" in report, report)
        subject = self.send("lazy", b"x" * 70 + b"\r\n" + (b"y" * 70 + b"\r\n") * 20_000)
        self._suite.wait_until_empty()
        self.expect("T31: one that reads nothing and exits 0 has it", not [text for text in self._suite.mailbox("alice") if subject in text])

    def trouble(self) -> None:
        for user in ("later", "killed", "hanging"):
            subject = self.send(user)
            wait_for(f"{user} to be deferred", lambda: self.waits(user, 1))
            self.expect(f"T31, {user}: deferred, and nobody is told", not [text for text in self._suite.mailbox("alice") if subject in text])
        self.expect("T31, later: run once so far", self.text("later") == "run\n", self.text("later"))
        self._suite.command("queue", "flush", "--all")
        wait_for("it to be tried again", lambda: self.text("later") == "run\nrun\n")
        wait_for("the hanging one to be tried again", lambda: self.text("hanging") == "run\nrun\n")
        for user in ("later", "killed", "hanging"):
            wait_for(f"{user} to wait again", lambda: self.waits(user, 2))
        self.expect("T31, hanging: what it had started is gone, too", not self._processes("hanging"), self._processes("hanging"))
        # They are mended, and what waited arrives.
        for user in ("later", "killed", "hanging"):
            robot = self._suite.folder / "robots" / user
            robot.write_text(f"#!/bin/sh\ncat >{self.out}/{user}.mended\n", encoding="utf-8")
        self._suite.command("queue", "flush", "--all")
        self._suite.wait_until_empty()
        for user in ("later", "killed", "hanging"):
            self.expect(f"T31, {user}: mended, it gets what waited", f"Delivered-To: {user}@local.test" in self.text(f"{user}.mended"))

    def _processes(self, robot: str) -> list[str]:
        found = []
        for entry in Path("/proc").glob("[0-9]*/cmdline"):
            try:
                command = entry.read_bytes()
            except OSError:
                continue
            if f"{self._suite.folder}/robots/{robot}".encode() in command:
                found.append(command.decode())
        return found

    def files(self) -> None:
        for user in ("bin", "gone", "nil"):
            subject = self.send(user)
            self._suite.wait_until_empty()
            self.expect(f"T32: mail for {user} is gone, and nobody is told",
                        not [text for text in self._suite.mailbox("alice") if subject in text])
        self.expect("T32: the log knows it", "to=<bin@local.test>" in self._suite.log(), self._suite.log_tail())
        self._parallel()
        victim = self.boxes / "victim"
        victim.write_bytes(b"untouched")
        (self.boxes / "folder").mkdir()
        (self.boxes / "link").symlink_to(victim)
        os.link(victim, self.boxes / "twice")
        for path in (victim, self.boxes / "folder"):
            os.chown(path, NOBODY, NOBODY)
        for user in ("folder", "link", "twice"):
            self.report_about(f"T32: a {user}", self.send(user), "5.2.0")
        self.expect("T32: and nothing was written", victim.read_bytes() == b"untouched" and not list((self.boxes / "folder").iterdir()))

    def _parallel(self) -> None:
        sent: list[bytes] = []
        def send(count: int) -> None:
            for _ in range(count):
                sent.append(self.send("mbox", b"From here\r\n>From there\r\nFrom: not this\r\n\r\nlast\r\n"))
        threads = [threading.Thread(target=send, args=(PARALLEL // 10,)) for _ in range(10)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self._suite.wait_until_empty()
        box = mailbox.mbox(str(self.boxes / "mbox"), create=False)
        subjects = sorted(str(message["Subject"]).encode() for message in box)
        self.expect(f"T32: {PARALLEL} messages at once are {PARALLEL} messages in the file", subjects == sorted(sent), subjects)
        bodies = {str(message.get_payload()) for message in box}
        self.expect("T32: and their From lines are quoted", bodies == {">From here\n>>From there\nFrom: not this\n\nlast\n"}, bodies)
        left = [path.name for path in self.boxes.iterdir()]
        self.expect("T32: no lock is left", left == ["mbox"], left)
        box.close()


def main() -> int:
    with Program(__doc__) as program:
        if os.geteuid() != 0:
            print("needs root: programs run as nobody")
            return 77
        folder, stage = program.scratch("robots"), program.stage()
        nsd = Nsd(folder / "nsd", stage)
        suite = Suite(program.binaries, folder / "suite", stage, CONFIG, {"redirects": REDIRECTS, "aliases": ALIASES})
        nsd.start()
        try:
            robots = Robots(program, suite)
            robots.prepare()
            suite.start()
            for part in (robots.with_arguments, robots.failures, robots.trouble, robots.files):
                part()
            suite.stop()
        finally:
            suite.abandon()
            nsd.stop()
    return program.exit_code


if __name__ == "__main__":
    sys.exit(main())
