#!/usr/bin/python3
"""Users whom only a server on a local socket knows. Postfix asks the same server, so that it is known to speak the
protocol that administrators have servers for."""

from __future__ import annotations

import os
import subprocess
import sys

import peers
from postfix import environment
from process import wait_for
from program import Program
from smtp import send_message
from socketmap import SocketmapServer
from suite import Suite

CONFIG = """virtual_domain v.test maildir:${dir}/virtual/%u owner=64399 users=socket:${dir}/users
lookup_timeout 2s
lookup_cache_ttl 3s
lookup_negative_ttl 1s
retry 2s
"""
SENDER = "sender@remote.test"


class ExternalUsers:
    """One suite and one server."""

    def __init__(self, program: Program, suite: Suite) -> None:
        self._program = program
        self._suite = suite
        self.server = SocketmapServer(suite.folder / "users", {"users": {
            "ann@v.test": "home=/srv/ann", "away@v.test": "forward=dave@local.test", "unclear@v.test": None}})

    def ask_as_postfix(self) -> None:
        tree = peers.root_of("postfix")
        etc = self._program.scratch("postfix")
        # Accounts that there are everywhere, for those that there are only where Postfix is installed.
        (etc / "main.cf").write_text("compatibility_level = 3.7\nmail_owner = daemon\nsetgid_group = mail\n", encoding="ascii")
        (etc / "dynamicmaps.cf").write_text("", encoding="ascii")
        for key, value in (("ann@v.test", 0), ("away@v.test", 0), ("nobody@v.test", 1), ("unclear@v.test", 1)):
            done = subprocess.run([str(tree / "usr/sbin/postmap"), "-c", str(etc), "-q", key,
                                   f"socketmap:unix:{self.server.path}:users"], capture_output=True, text=True,
                                  env=environment(tree), check=False)
            wanted = self.server.maps["users"].get(key) or ""
            self._program.judge(f"Postfix hears of {key} what the server says",
                                done.returncode == value and done.stdout.strip() == wanted, f"{done.returncode} {done.stdout}{done.stderr}")

    def recipient(self, what: str, address: str, code: int, enhanced: str) -> None:
        session = self._suite.session("IN")
        session.reply()
        session.command("EHLO test", 250)
        session.command(f"MAIL FROM:<{SENDER}>", 250)
        reply = session.command(f"RCPT TO:<{address}>")
        session.close()
        self._program.judge(what, reply.code == code and enhanced in str(reply), reply)

    def send(self, address: str, subject: str) -> None:
        session = self._suite.session("IN")
        session.reply()
        session.command("EHLO test", 250)
        sent = send_message(session, SENDER, [address], f"Subject: {subject}\r\n\r\nbody\r\n".encode())
        session.close()
        self._program.judge(f"mail for {address} is taken", sent.code == 250, sent)

    def has(self, subject: str) -> bool:
        virtual = self._suite.folder / "virtual"
        files = [file.read_bytes() for file in virtual.glob("*/new/*")]
        return any(subject.encode() in text for text in files + self._suite.mailbox("dave"))

    def play(self) -> None:
        self.recipient("no server: temporary", "ann@v.test", 451, "4.3.0")
        self.server.start()
        self.ask_as_postfix()
        wait_for("the failure to be forgotten", lambda: self._knows("ann@v.test"))
        self.recipient("a user", "ann@v.test", 250, "2.1.5")
        self.recipient("his detail", "ann+x@v.test", 250, "2.1.5")
        self.recipient("nobody", "nobody@v.test", 550, "5.1.1")
        self.recipient("the server cannot tell", "unclear@v.test", 451, "4.3.0")
        self.recipient("no path", '"../ann"@v.test', 550, "5.1.1")
        self.send("ann@v.test", "for ann.")
        self.send("away@v.test", "for away.")
        wait_for("both to be delivered", lambda: self.has("for ann.") and self.has("for away."))

        self.server.maps["users"]["new@v.test"] = "forward=|/bin/true"
        self.recipient("a program needs lookup_may_pipe", "new@v.test", 451, "4.3.0")
        self.server.maps["users"]["new@v.test"] = ""
        wait_for("the new user", lambda: self._knows("new@v.test"))
        del self.server.maps["users"]["new@v.test"]
        wait_for("the new user to be gone", lambda: not self._knows("new@v.test"))

        self.send("ann@v.test", "while it is away.")
        self._suite.wait_until_empty()
        self.server.stop()
        self.recipient("away, but remembered", "ann@v.test", 250, "2.1.5")
        wait_for("him to be forgotten", lambda: not self._knows("ann@v.test"))
        self.recipient("away: temporary", "ann@v.test", 451, "4.3.0")
        self.server.start()
        wait_for("him to be known again", lambda: self._knows("ann@v.test"))

    def _knows(self, address: str) -> bool:
        session = self._suite.session("IN")
        session.reply()
        session.command("EHLO test", 250)
        session.command(f"MAIL FROM:<{SENDER}>", 250)
        code = session.command(f"RCPT TO:<{address}>").code
        session.close()
        return code == 250


def main() -> int:
    with Program(__doc__) as program:
        if os.geteuid() != 0:
            print("needs root: users of the system")
            return 77
        suite = Suite(program.binaries, program.scratch("external"), program.stage(), CONFIG)
        (suite.folder / "virtual").mkdir()
        os.chown(suite.folder / "virtual", 64399, 64399)
        tests = ExternalUsers(program, suite)
        try:
            suite.start()
            tests.play()
            suite.stop()
        finally:
            suite.abandon()
            tests.server.stop()
    return program.exit_code


if __name__ == "__main__":
    sys.exit(main())
