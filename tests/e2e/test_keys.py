#!/usr/bin/python3
"""keyd in the running suite: it is there when a certificate is configured, reads a new one, keeps the old one when
the new one is broken, and comes back when it dies; mistakes are found before anything is started."""

from __future__ import annotations

import contextlib
import os
import signal
import ssl
import subprocess
import sys
from pathlib import Path

from certificate import make_certificate
from nsd import Nsd
from process import wait_for
from program import Program
from smtp import any_certificate
from suite import Suite


def count(suite: Suite, text: str) -> int:
    return suite.log_file.read_text(encoding="utf-8").count(text)


def workers_with_keys(suite: Suite, since: int = 0) -> set[str]:
    """The names and pids of the workers that took keys into force behind that many characters of the log."""
    log = suite.log_file.read_text(encoding="utf-8")[since:]
    return {line.split(" ")[1] for line in log.splitlines() if " keys_in_force " in line}


def check_mistakes(program: Program, suite: Suite, folder: Path) -> None:
    """A key that is not the certificate's is found by every check, with the place of the configuration."""
    good = suite.config_file.read_text(encoding="utf-8")
    line = good.splitlines().index(f"tls_certificate {folder}/tls.pem {folder}/tls.key") + 1
    make_certificate(folder / "other.pem", folder / "other.key", "other.test")
    suite.config_file.write_text(good.replace(f"{folder}/tls.key", f"{folder}/other.key"), encoding="utf-8")
    expected = f"{suite.config_file}:{line}:{len(f'tls_certificate {folder}/tls.pem ') + 1}: "
    for command in (["keyd", "--check"], ["postriderd", "--check"], ["postriderd"]):
        done = subprocess.run([str(suite.binaries / command[0]), "--config", str(suite.config_file), *command[1:]],
                              capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=60)
        program.judge(f"{' '.join(command)} ends with 78", done.returncode == 78, str(done.returncode))
        program.judge(f"{' '.join(command)} says where", expected in done.stderr, done.stderr.strip()[:200])
    suite.config_file.write_text(good, encoding="utf-8")


def check_changes(program: Program, suite: Suite, folder: Path) -> None:
    loaded = count(suite, "keys_loaded")
    make_certificate(folder / "tls.pem", folder / "tls.key", "new.test")
    wait_for("the new certificate", lambda: count(suite, "keys_loaded") > loaded, 30)
    refused, loaded = count(suite, "keys_not_loaded"), count(suite, "keys_loaded")
    (folder / "tls.key").write_text("this is no key\n", encoding="utf-8")
    wait_for("the broken key to be noticed", lambda: count(suite, "keys_not_loaded") > refused, 30)
    program.judge("a broken key changes nothing", count(suite, "keys_loaded") == loaded)
    make_certificate(folder / "tls.pem", folder / "tls.key", "newest.test")
    wait_for("the newest certificate", lambda: count(suite, "keys_loaded") > loaded, 30)


def check_restart(program: Program, suite: Suite) -> None:
    before, workers = suite.daemons()["keyd"], workers_with_keys(suite)
    log_before = len(suite.log_file.read_text(encoding="utf-8"))
    os.kill(before, signal.SIGKILL)
    wait_for("keyd to come back", lambda: suite.daemons().get("keyd", before) != before, 30)
    # A worker that has not the new secret of the tickets yet takes those of no other.
    wait_for("all workers to have its keys", lambda: workers_with_keys(suite, log_before) >= workers, 30)
    program.judge("keyd comes back", len(workers) > 0, f"{len(workers)} workers have its keys")


def check_tickets(program: Program, suite: Suite) -> None:
    """A TLS session is gone on with where it began, and nowhere else."""
    for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
        context = any_certificate()
        context.minimum_version = context.maximum_version = version
        earlier: ssl.SSLSession | None = None
        for listener, expected in (("submission", False), ("submission", True), ("smtp", False)):
            with contextlib.closing(suite.session("IN", listener)) as session:
                session.reply()
                session.command("EHLO inside.test", 250)
                session.command("STARTTLS", 220)
                session.start_tls("mx2.test", context, earlier)
                session.command("EHLO inside.test", 250)  # a ticket of TLS 1.3 comes with the first answer
                resumed = bool(session.tls.session_reused)
                program.judge(f"{version.name}: {'resumed' if expected else 'begun anew'} on {listener}", resumed == expected)
                earlier = earlier or session.tls.session


def main() -> int:
    with Program(__doc__) as program:
        folder, stage = program.scratch("keys"), program.stage()
        make_certificate(folder / "tls.pem", folder / "tls.key", "mx2.test")
        nsd, suite = Nsd(folder / "nsd", stage), Suite(program.binaries, folder / "suite", stage,
                                                       f"tls_certificate {folder}/tls.pem {folder}/tls.key\n"
                                                       "listen ${us:submission} submission\n")
        check_mistakes(program, suite, folder)
        nsd.start()
        try:
            suite.start()
            program.judge("keyd is there", "keyd" in suite.daemons())
            check_changes(program, suite, folder)
            check_restart(program, suite)
            check_tickets(program, suite)
            suite.stop()
        finally:
            suite.abandon()
            nsd.stop()
    return program.exit_code


if __name__ == "__main__":
    sys.exit(main())
