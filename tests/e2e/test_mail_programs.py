#!/usr/bin/python3
"""Real mail programs send through the suite in every way they know: swaks, nodemailer and msmtp log in with each
mechanism that they have, by STARTTLS and from the first octet, with passwords that a file, PAM and a real Dovecot
know; Exim hands its mail on in chunks; and what is asked for with DSN and SMTPUTF8 comes true. With `--full`,
testssl.sh also looks at how the suite encrypts."""

from __future__ import annotations

import dataclasses
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import mail_programs
from dovecot import DovecotPeer
from exim import EximPeer
from mail_programs import Order, Sent
from nsd import Nsd
from process import Skip, TestFailure, wait_for
from program import Program
from suite import Suite

CONFIG = """\
listen ${us:submission} submission
listen ${us:submissions} submission tls=implicit
tls_certificate ${dir}/us.pem ${dir}/us.key
auth passwd_file ${dir}/logins
auth pam
auth dovecot ${dir}/dovecot/base/auth-postrider
auth_failures_per_client 1000/1h
auth_failures_per_account 1000/1h
error_delay 0s
error_delay_max 0s
relay_domain remote.test
alias_file local.test aliases
"""
ALIASES = "j\u00f6rg: carol\npostmaster: bob\n"
PAM_SERVICE = "auth required pam_unix.so nodelay\naccount required pam_unix.so\n"
LISTENERS = {"submission": False, "submissions": True}

# Nobody on this host.
ERIN = "erin@local.test"
# Who knows the password "secret" of whom. The users of Dovecot and PAM are in no file of ours.
KEPT_BY = {"alice": "a file, hashed", "bob": "a file, for SCRAM", "dave": "PAM", ERIN: "Dovecot"}
WAYS: list[tuple[Callable[[list[str], Order], Sent], str, tuple[str, ...]]] = [
    (mail_programs.swaks, "PLAIN", ("alice", "bob", "dave", ERIN)),
    (mail_programs.swaks, "LOGIN", ("alice", "dave", ERIN)),
    (mail_programs.nodemailer, "PLAIN", ("alice", "dave", ERIN)),
    (mail_programs.nodemailer, "LOGIN", ("alice", "dave", ERIN)),
    (mail_programs.msmtp, "PLAIN", ("alice", "dave", ERIN)),
    (mail_programs.msmtp, "LOGIN", ("alice",)),
    (mail_programs.msmtp, "SCRAM-SHA-256", ("bob",)),
]
# What GNU SASL's own client can do, which logs in and sends nothing; with "-PLUS" it binds the login to the encryption.
MECHANISMS = {"PLAIN": "alice", "LOGIN": "alice", "SCRAM-SHA-256": "bob", "SCRAM-SHA-256-PLUS": "bob"}
BAD = {"MEDIUM", "HIGH", "CRITICAL", "FATAL"}


def hashed(password: str) -> str:
    done = subprocess.run(["openssl", "passwd", "-6", "-stdin"], input=password, text=True, capture_output=True, check=True)
    return done.stdout.strip()


class Programs:
    """Sends with all of them to one suite, and judges what arrives."""

    def __init__(self, program: Program, suite: Suite, has_pam: bool) -> None:
        self._program = program
        self._suite = suite
        self._prefix = suite.stage.command("world")
        self._logins = [name for name in KEPT_BY if name != "dave" or has_pam]
        self._sent = 0

    def order(self, listener: str = "submission", **more: str) -> Order:
        return Order(self._suite.stage.us(listener), LISTENERS[listener], **more)

    def log_in(self) -> None:
        for listener in LISTENERS:
            for send, mechanism, logins in WAYS:
                for login in (name for name in logins if name in self._logins):
                    what = f"{send.__name__}, {listener}, {mechanism}, password in {KEPT_BY[login]}"
                    order = self.order(listener, mechanism=mechanism, login=login,
                                       sender=login if login == ERIN else f"{login}@local.test")
                    sent = send(self._prefix, order)
                    self._program.judge(what, sent.taken, sent.said)
                    self._sent += sent.taken
                    wrong = send(self._prefix, dataclasses.replace(order, password="wrong"))
                    self._program.judge(f"{what}: not with another one", not wrong.taken and "535" in wrong.said, wrong.said)
        wait_for("each message to arrive", lambda: len(self._suite.mailbox("bob")) == self._sent)
        self._program.judge("no password in the log", "secret" not in self._suite.log() and "c2VjcmV0" not in self._suite.log())

    def log_in_only(self) -> None:
        for mechanism, login in MECHANISMS.items():
            for password in ("secret", "wrong"):
                got = mail_programs.gsasl(self._prefix, self.order(mechanism=mechanism, login=login, password=password))
                self._program.judge(f"gsasl, {mechanism}, {password}", got.taken == (password == "secret"), got.said)
        bound = re.findall(r"result=accepted login=bob .*mechanism=SCRAM-SHA-256-PLUS", self._suite.log())
        self._program.judge("one login was bound to its channel", len(bound) == 1, f"{bound}")

    def not_as_others(self) -> None:
        for send in (mail_programs.swaks, mail_programs.nodemailer, mail_programs.msmtp):
            sent = send(self._prefix, self.order(mechanism="PLAIN", login="alice", sender="bob@local.test"))
            self._program.judge(f"{send.__name__}: alice is not bob", not sent.taken and "553" in sent.said, sent.said)

    def internationalized(self) -> None:
        order = self.order(mechanism="PLAIN", login="alice", recipient="j\u00f6rg@local.test", subject="an J\u00f6rg")
        sent = mail_programs.nodemailer(self._prefix, order)
        self._program.judge("nodemailer: SMTPUTF8", sent.taken, sent.said)
        wait_for("it to arrive", lambda: self._suite.mailbox("carol"))

    def notifications(self) -> None:
        """R refuses the recipient; whether and what the sender is told is what the program asked for."""
        for send, extra in ((mail_programs.nodemailer, [b"Original-Envelope-Id: QQ=1", b"Original-Recipient: rfc822;Bob@x.test"]),
                            (mail_programs.msmtp, [])):
            for notify in ("failure", "never"):
                subject = f"{send.__name__} {notify}"
                sent = send(self._prefix, self.order(mechanism="PLAIN", login="alice", recipient="gone@remote.test",
                                                     subject=subject, notify=notify))
                self._program.judge(f"{send.__name__}: NOTIFY={notify.upper()}", sent.taken, sent.said)
                self._suite.wait_until_empty()
                reports = [report for report in self._suite.mailbox("alice") if subject.encode() in report]
                if notify == "never":
                    self._program.judge(f"{subject}: no report", not reports, f"{reports}")
                    continue
                wanted = [b"Status: 5.1.1", b"text/rfc822-headers", *extra]
                good = len(reports) == 1 and all(part in reports[0] for part in wanted) and b"Hello." not in reports[0]
                self._program.judge(f"{subject}: one report, without the text", good, f"{reports}"[:1500])

    def chunks(self, client: EximPeer) -> None:
        """Exim asks for a report by SMTP extension, and sends in chunks because the suite offers that."""
        for sender in ("alice@local.test", ""):
            said = client.submit(["EHLO here", f"MAIL FROM:<{sender}> RET=HDRS ENVID=QQ+3D2",
                                  "RCPT TO:<gone@remote.test> NOTIFY=FAILURE ORCPT=rfc822;Bob+2B+40x.test", "DATA",
                                  "Subject: by Exim", "", "..", "Hello.", "."])
            self._program.judge(f"Exim: BDAT from <{sender}>", " => " in said and " K " in said, said)
        self._suite.wait_until_empty()
        reports = [report for report in self._suite.mailbox("alice") if b"by Exim" in report]
        wanted = (b"Original-Envelope-Id: QQ=2", b"Original-Recipient: rfc822;Bob+@x.test")
        good = len(reports) == 1 and all(part in reports[0] for part in wanted)
        self._program.judge("Exim: DSN parameters come through", good, f"{reports}"[:1500])


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


def give_passwords(suite: Suite) -> bool:
    """To the system, as the suite sees it, for dave; whether that can be done."""
    if not suite.as_root:
        return False
    services = suite.folder / "pam.d"
    services.mkdir()
    (services / "postrider").write_text(PAM_SERVICE, encoding="ascii")
    (suite.folder / "shadow").write_text(f"dave:{hashed('secret')}:19000:0:99999:7:::\n", encoding="ascii")
    suite.own_files |= {Path("/etc/pam.d"): services, Path("/etc/shadow"): suite.folder / "shadow"}
    return True


def main() -> int:
    with Program(__doc__, extra={"--full": {"action": "store_true"}}) as program:
        folder, stage = program.scratch("programs"), program.stage()
        logins = f"alice:{hashed('secret')}\nbob:{mail_programs.scram_verifier('secret')}\n"
        suite = Suite(program.binaries, folder / "suite", stage, CONFIG, {"logins": logins, "aliases": ALIASES})
        suite.make_certificate("us", "mx2.test")
        has_pam = give_passwords(suite)
        (folder / "suite/dovecot").mkdir()
        nsd = Nsd(folder / "nsd", stage)
        dovecot = DovecotPeer(folder / "suite/dovecot", {ERIN: "secret"})
        remote = EximPeer("R", folder / "R", stage)
        client = EximPeer("SH", folder / "client", stage, smarthost=stage.us("smtp"))
        peers = (nsd, dovecot, remote)
        for peer in peers:
            peer.start()
        remote.reject("gone", "550 5.1.1 unknown")
        try:
            suite.start()
            programs = Programs(program, suite, has_pam)
            programs.log_in()
            programs.log_in_only()
            programs.not_as_others()
            programs.internationalized()
            programs.notifications()
            programs.chunks(client)
            if program.options.full:
                look_at_encryption(program, suite, folder)
            suite.stop()
        finally:
            suite.abandon()
            for peer in peers:
                peer.stop()
    return program.exit_code


if __name__ == "__main__":
    sys.exit(main())
