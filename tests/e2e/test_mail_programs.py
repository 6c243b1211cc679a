#!/usr/bin/python3
"""A real mail program sends through the suite in every way it knows: swaks with each mechanism, by STARTTLS and from
the first octet. With `--full`, testssl.sh also looks at how the suite encrypts."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

from nsd import Nsd
from process import Skip, TestFailure
from program import Program
from suite import Suite

# The password is "secret".
LOGIN = "alice:{CRYPT}$6$abcdefgh$ltjgWl6579NluT/Vi1nwEvcil.G5Nbc4NiXZaNGStk8PSwGfQv72N2CKPPrVACtLtip/cZ/1GM/O6IND4WQhG.\n"
CONFIG = """\
listen ${us:submission} submission
listen ${us:submissions} submission tls=implicit
tls_certificate ${dir}/us.pem ${dir}/us.key
auth passwd_file ${dir}/logins
auth_failures_per_client 1000/1h
auth_failures_per_account 1000/1h
"""
WAYS = {"submission": ["--tls"], "submissions": ["--tls-on-connect"]}
BAD = {"MEDIUM", "HIGH", "CRITICAL", "FATAL"}


def swaks(suite: Suite, listener: str, *options: str) -> int:
    address, port = suite.stage.us(listener)
    command = [*suite.stage.command("world"), "swaks", "--server", f"{address}:{port}", "--ehlo", "out.example",
               "--from", "alice@local.test", "--to", "bob@local.test", "--timeout", "20", *options]
    done = subprocess.run(command, text=True, capture_output=True, stdin=subprocess.DEVNULL, timeout=60)
    return done.returncode


def send(program: Program, suite: Suite) -> None:
    sent = 0
    for listener, tls in WAYS.items():
        for mechanism in ("PLAIN", "LOGIN"):
            login = ["--auth", mechanism, "--auth-user", "alice"]
            code = swaks(suite, listener, *tls, *login, "--auth-password", "secret")
            program.judge(f"{listener}, {mechanism}", code == 0, f"swaks ends with {code}")
            sent += code == 0
            code = swaks(suite, listener, *tls, *login, "--auth-password", "wrong")
            program.judge(f"{listener}, {mechanism}, wrong password", code == 28, f"swaks ends with {code}")
    suite.wait_until_empty()
    program.judge("each message arrived", len(suite.mailbox("bob")) == sent)
    program.judge("no password in the log", "secret" not in suite.log() and "c2VjcmV0" not in suite.log())


def look_at_encryption(program: Program, suite: Suite, folder: Path) -> None:
    if not shutil.which("testssl"):
        raise Skip("testssl is missing: apt-get install testssl.sh")
    address, port = suite.stage.us("submission")
    report = folder / "testssl.json"
    subprocess.run([*suite.stage.command("world"), "testssl", "--quiet", "--warnings", "off", "--starttls", "smtp",
                    "--jsonfile", str(report), f"{address}:{port}"], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                   stderr=subprocess.DEVNULL, timeout=900)
    findings = json.loads(report.read_text(encoding="utf-8"))
    if len(findings) < 30:
        raise TestFailure(f"testssl did not look: {findings}")
    # Who signed the certificate of a test is not what is looked at.
    bad = [(one["id"], one["severity"], one["finding"]) for one in findings
           if one["severity"] in BAD and not one["id"].startswith("cert")]
    program.judge("testssl finds nothing above low", not bad, f"{len(findings)} findings, {bad}")


def main() -> int:
    with Program(__doc__, extra={"--full": {"action": "store_true"}}) as program:
        if not shutil.which("swaks"):
            raise Skip("swaks is missing: apt-get install swaks")
        folder, stage = program.scratch("programs"), program.stage()
        nsd, suite = Nsd(folder / "nsd", stage), Suite(program.binaries, folder / "suite", stage, CONFIG, {"logins": LOGIN})
        suite.make_certificate("us", "mx2.test")
        nsd.start()
        try:
            suite.start()
            send(program, suite)
            if program.options.full:
                look_at_encryption(program, suite, folder)
            suite.stop()
        finally:
            suite.abandon()
            nsd.stop()
    return program.exit_code


if __name__ == "__main__":
    sys.exit(main())
