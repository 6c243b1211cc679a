#!/usr/bin/python3
"""Reads from /proc what each process of the running suite is allowed, and tries what must not be possible.

As root every daemon has a user of its own and no capability; as an ordinary user all that does not need root
holds just the same: no new privileges, a system-call filter, no core dumps.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import proc
from certificate import make_certificate
from nsd import Nsd
from proc import Process
from process import TestFailure, wait_for
from program import Program
from smtp import send_message
from suite import DAEMON_UIDS, FIRST_USER_UID, Suite, is_of

SECCOMP_FILTER = 2
# What the parent of the mailbox processes needs in order to become their users, and nothing beyond.
CAPABILITIES = {name: 1 << bit for name, bit in
                {"CHOWN": 0, "DAC_OVERRIDE": 1, "DAC_READ_SEARCH": 2, "FOWNER": 3, "KILL": 5, "SETGID": 6, "SETUID": 7}.items()}
LOCAL_DELIVERY_MAY_HAVE = sum(CAPABILITIES.values())
# PAM modules read /etc/shadow, keep counts of their own, become users, and tell the audit log.
AUDIT_WRITE = 1 << 29
AUTH_HELPERS_MAY_HAVE = LOCAL_DELIVERY_MAY_HAVE | AUDIT_WRITE

CONFIG = "auth pam\nauth passwd_file passwords\n"
FILES = {"passwords": "nobody:!\n"}


class Judge:
    """Collects what is wrong with one process after the other."""

    def __init__(self, program: Program, suite: Suite) -> None:
        self._program = program
        self._suite = suite

    def process(self, name: str, process: Process) -> None:
        wrong = self._common(process)
        if self._suite.as_root:
            wrong += self._as_root(name, process)
        elif set(process.uids) != {os.geteuid()}:
            wrong.append(f"uids {process.uids}")
        if is_of(name, "smtpd"):
            wrong += self._intake(name, process)
        self._program.judge(f"{name} (pid {process.pid})", not wrong, "; ".join(wrong))

    def _common(self, process: Process) -> list[str]:
        wrong = []
        if process.no_new_privs != 1:
            wrong.append("may gain privileges")
        if process.seccomp != SECCOMP_FILTER:
            wrong.append(f"seccomp mode {process.seccomp}")
        if process.limits["Max core file size"] != ("0", "0"):
            wrong.append(f"core dumps {process.limits['Max core file size']}")
        if process.limits["Max open files"][1] == "unlimited":
            wrong.append("any number of open files")
        if process.dumpable and not self._suite.is_sanitized:
            wrong.append("its memory may be read by its own user")
        return wrong

    def _as_root(self, name: str, process: Process) -> list[str]:
        wrong = []
        uid = next((uid for daemon, uid in DAEMON_UIDS.items() if is_of(name, daemon)), None)
        if name.startswith("local-delivery of "):
            uid = int(name.split()[-1])
        expected = 0 if uid is None else uid
        if set(process.uids) != {expected} or set(process.gids) != {expected}:
            wrong.append(f"uids {process.uids}, gids {process.gids} instead of {expected}")
        if [group for group in process.groups if group != expected]:
            wrong.append(f"supplementary groups {process.groups}")
        is_mailbox_process = name.startswith("local-delivery")
        for kind, mask in process.capabilities.items():
            # A mailbox process inherits its parent's bound and has no right to lower it. The bound gives nothing:
            # without new privileges, nothing that is executed could fill it.
            allowed = LOCAL_DELIVERY_MAY_HAVE if uid is None or (is_mailbox_process and kind == "Bnd") else 0
            if name.startswith("auth-helper"):
                allowed = AUTH_HELPERS_MAY_HAVE
            if mask & ~allowed:
                wrong.append(f"capabilities {kind} {mask & ~allowed:#x}")
        return wrong

    def _intake(self, name: str, process: Process) -> list[str]:
        """The processes that talk to the internet hold no file but the log, and see no file system."""
        wrong = []
        files = [file for file in proc.files_of(process) if not file.endswith(str(self._suite.log_file))]
        if files:
            wrong.append(f"open files {files}")
        if self._suite.as_root:
            if process.root == Path("/"):
                wrong.append("not chrooted")
            elif "worker" in name and list(Path(f"/proc/{process.pid}/root").iterdir()):
                wrong.append(f"its root {process.root} is not empty")
        return wrong


def deliver_one(suite: Suite) -> None:
    session = suite.session("OUT")
    session.reply()
    session.command("EHLO out.example", 250)
    reply = send_message(session, "sender@out.example", ["alice@local.test"], b"Subject: x\r\n\r\nHello.\r\n")
    if reply.code != 250:
        raise TestFailure(str(reply))
    session.command("QUIT", 221)
    session.close()
    wait_for("the message in alice's mailbox", lambda: suite.mailbox("alice"))


def cannot(program: Program, uid: int, what: str, *command: str) -> None:
    """The command must fail for a process with that user and no other right."""
    done = subprocess.run(["setpriv", f"--reuid={uid}", f"--regid={uid}", "--clear-groups", "--bounding-set=-all", "--",
                           *command], capture_output=True, text=True, stdin=subprocess.DEVNULL)
    program.judge(f"uid {uid} cannot {what}", done.returncode not in (0, 127), done.stderr.strip()[:100])


def try_to_break_out(program: Program, suite: Suite) -> None:
    """What a daemon's user could do with the daemon's rights, were the daemon taken over."""
    queue_manager = DAEMON_UIDS["queue-manager"]
    for daemon, uid in DAEMON_UIDS.items():
        if uid != queue_manager:
            cannot(program, uid, f"read the spool ({daemon})", "ls", str(suite.spool / "new"))
        cannot(program, uid, f"read a mailbox ({daemon})", "ls", str(suite.folder / "home/alice/Maildir"))
        cannot(program, uid, f"change the configuration ({daemon})", "touch", str(suite.config_file))
        for name, pid in suite.daemons().items():
            if not is_of(name, daemon):
                cannot(program, uid, f"signal {name} ({daemon})", "kill", "-0", str(pid))
    cannot(program, FIRST_USER_UID, "read the spool (alice)", "ls", str(suite.spool / "new"))
    cannot(program, FIRST_USER_UID, "signal a daemon (alice)", "kill", "-0", str(suite.daemons()["router"]))


def main() -> int:
    with Program(__doc__) as program:
        folder, stage = program.scratch("separation"), program.stage()
        make_certificate(folder / "tls.pem", folder / "tls.key", "mx2.test")
        config = CONFIG + f"tls_certificate {folder}/tls.pem {folder}/tls.key\n"
        nsd, suite = Nsd(folder / "nsd", stage), Suite(program.binaries, folder / "suite", stage, config, FILES)
        nsd.start()
        try:
            suite.start()
            deliver_one(suite)
            judge = Judge(program, suite)
            daemons = suite.daemons()
            print(f"daemons: {daemons}")
            # One that has just been started has not come to its filter yet, which is the last thing it puts on.
            wait_for("every process to have a filter",
                     lambda: all(Process.read(pid).seccomp == SECCOMP_FILTER for pid in daemons.values()), 10)
            for kind in ("smtpd", "router", "queue-manager", "local-delivery", "remote-delivery", "keyd", "authd"):
                program.judge(f"there is a {kind}", any(is_of(name, kind) for name in daemons))
            for name, pid in daemons.items():
                judge.process(name, Process.read(pid))
            spawners = proc.children_of(daemons["authd"])
            # They start one after the other.
            wait_for("the helpers of authd", lambda: sum(len(proc.children_of(one)) for one in spawners) == 8, 10)
            helpers = [helper for spawner in spawners for helper in proc.children_of(spawner)]
            program.judge("authd has a spawner and helpers for PAM", len(spawners) == 1 and len(helpers) == 8)
            for helper in spawners + helpers:
                judge.process(f"auth-helper {helper}", Process.read(helper))
            children = proc.children_of(daemons["local-delivery"])
            program.judge("a mailbox process is kept for alice", bool(children))
            for child in children:
                uid = FIRST_USER_UID if suite.as_root else os.geteuid()
                judge.process(f"local-delivery of {uid}", Process.read(child))
            if suite.as_root:
                try_to_break_out(program, suite)
            suite.stop()
        finally:
            suite.abandon()
            nsd.stop()
    return program.exit_code


if __name__ == "__main__":
    sys.exit(main())
