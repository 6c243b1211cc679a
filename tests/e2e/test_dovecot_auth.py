#!/usr/bin/python3
"""authd asks a real Dovecot who may log in, also while that is restarted."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

from authclient import AuthClient
from dovecot import DovecotPeer
from process import TestFailure, wait_for
from program import Program

AUTHD_UID = 64206


class Authd:
    """The program under test, alone in a folder."""

    def __init__(self, binary: Path, folder: Path, dovecot: Path) -> None:
        self._log_file = folder / "log"
        (folder / "run").mkdir()
        me = os.geteuid()
        config = (f"hostname mx2.test\nrun_dir run\nstate_dir state\nspool_dir spool\nuser smtpd {me}\n"
                  f"user queue-manager {me}\nuser remote-delivery {me}\nuser authd {AUTHD_UID}\n"
                  f"auth dovecot {dovecot}\nauth_timeout 10s\nauth_failures_per_client 1000/1h\n")
        (folder / "postrider.conf").write_text(config, encoding="utf-8")
        self.socket = folder / "run/auth.sock"
        with open(self._log_file, "wb") as log:
            self._process = subprocess.Popen([str(binary), "--config", str(folder / "postrider.conf")], stderr=log)

    def log(self) -> str:
        return self._log_file.read_text(encoding="utf-8", errors="replace")

    def wait_connected(self, times: int) -> None:
        wait_for("authd to reach Dovecot", lambda: self.log().count(" dovecot_connected ") >= times)

    def stop(self) -> int:
        self._process.send_signal(signal.SIGTERM)
        return self._process.wait(20)


def judge_logins(program: Program, client: AuthClient) -> None:
    for login, password, expected in (("joe", "secret", "accepted joe"), ("joe", "wrong", "rejected"),
                                      ("nobody", "secret", "rejected"), ("j\u00f6rg", "p\u00e4ss \u20ac", "accepted j\u00f6rg"),
                                      ("JOE", "secret", "accepted joe")):
        got = client.plain(login, password)
        program.judge(f"{login} with {password!r}: {expected}", got == expected, got)


def main() -> int:
    with Program(__doc__) as program:
        dovecot = DovecotPeer(program.scratch("dovecot"), {"joe": "secret", "j\u00f6rg": "p\u00e4ss \u20ac"})
        authd = Authd(program.binaries / "authd", program.scratch("authd"), dovecot.socket)
        try:
            wait_for("auth.sock", authd.socket.is_socket)
            client = AuthClient(authd.socket)
            got = client.plain("joe", "secret")
            program.judge("without Dovecot: unavailable", got == "unavailable", got)
            dovecot.start()
            authd.wait_connected(1)
            judge_logins(program, client)
            dovecot.stop()
            got = client.plain("joe", "secret")
            program.judge("Dovecot stopped: unavailable", got == "unavailable", got)
            dovecot.start()
            authd.wait_connected(2)
            judge_logins(program, client)
            client.close()
        except TestFailure as failure:
            raise TestFailure(f"{failure}; authd's log ends:\n{authd.log()[-2000:]}\nDovecot's:\n{dovecot.log()[-2000:]}"
                              ) from failure
        finally:
            dovecot.stop()
            code = authd.stop()
        program.judge("authd ended well", code == 0 and "Sanitizer" not in authd.log(), f"exit {code}")
        program.judge("no password in the log", "secret" not in authd.log() and "wrong pass" not in dovecot.log())
    return program.exit_code


if __name__ == "__main__":
    sys.exit(main())
