#!/usr/bin/python3
"""T86: mailboxes that are full by their quota, or because their disk is: what becomes of the mail, what RCPT says, and
whether a real Dovecot counts what is in them as we do."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from pathlib import Path

import peers
from nsd import Nsd
from process import Skip, wait_for
from program import Program
from smtp import Reply, Session, send_message
from stage import Stage
from suite import FIRST_USER_UID, Suite

QUOTA, LARGER_QUOTA = 6000, 20000
KNOWN_SECONDS = 8.0
BODY = b"x" * 72 + b"\r\n"
MESSAGE = b"Subject: %s\r\n\r\n" + BODY * 33  # two of them fit, a third does not
CONFIG = """\
virtual_domain shop.test maildir:${dir}/home/alice/shop/%%u owner=%(owner)s users=shop.users quota=1M
retry 1h
over_quota %(over)s
full_mailbox_time %(time)s
"""
USERS = f"small quota={QUOTA}\nroomy\n"

DOVECOT = """\
base_dir = {folder}/base
log_path = {folder}/log
ssl = no
protocols =
first_valid_uid = 1
mail_uid = {uid}
mail_gid = {uid}
mail_location = maildir:{mailbox}
mail_plugins = quota
plugin {{
  quota = maildir:User quota
  quota_rule = *:bytes={quota}
}}
"""


class Doveadm:
    """Dovecot's own look at a mailbox, from its unpacked package laid over /usr."""

    def __init__(self, folder: Path, mailbox: Path) -> None:
        folder.mkdir()
        os.chown(folder, FIRST_USER_UID, -1)
        (folder / "dovecot.conf").write_text(
            DOVECOT.format(folder=folder, uid=FIRST_USER_UID, mailbox=mailbox, quota=QUOTA), encoding="utf-8")
        self._folder = folder
        self._usr = peers.root_of("dovecot-core") / "usr"

    def run(self, *words: str) -> str:
        script = 'mount -t overlay overlay -o "lowerdir=$1:/usr" /usr && shift && exec "$@"'
        done = subprocess.run(
            ["unshare", "--mount", "--propagation", "private", "--", "sh", "-c", script, "sh", str(self._usr), "doveadm", "-c",
             str(self._folder / "dovecot.conf"), *words], text=True, capture_output=True, timeout=60,
            env={**os.environ, "USER": "alice", "HOME": str(self._folder)})
        return done.stdout + done.stderr

    def messages(self) -> int:
        said = self.run("-f", "tab", "quota", "get")
        found = re.search(r"MESSAGE\t(\d+)", said)
        return int(found[1]) if found else -1


def usage(mailbox: Path) -> tuple[str, int, int]:
    """The quota in a maildirsize, and what its lines add up to."""
    first, *lines = (mailbox / "maildirsize").read_text(encoding="ascii").splitlines()
    numbers = [[int(word) for word in line.split()] for line in lines]
    return first, sum(octets for octets, _ in numbers), sum(count for _, count in numbers)


def really(mailbox: Path) -> tuple[str, int, int]:
    files = [file for part in ("new", "cur") for file in (mailbox / part).iterdir()]
    return f"{QUOTA}S", sum(file.stat().st_size for file in files), len(files)


class Quota:
    """One suite and the mailboxes of its virtual domain."""

    def __init__(self, program: Program, suite: Suite) -> None:
        self._program = program
        self._suite = suite
        self._number = 0
        self.boxes = suite.folder / "home/alice/shop"

    def expect(self, what: str, good: object, note: object = "") -> None:
        self._program.judge(f"T86: {what}", bool(good), "" if good else f"{note} {self._suite.log_tail()}"[:3000])

    def session(self) -> Session:
        session = self._suite.session("IN")
        session.reply()
        session.command("EHLO inside.test", 250)
        return session

    def send(self, *users: str, content: bytes = b"") -> bytes:
        self._number += 1
        subject = b"number %d." % self._number
        session = self.session()
        reply = send_message(session, "bob@local.test", [f"{user}@shop.test" for user in users], content or MESSAGE % subject)
        session.close()
        self.expect(f"mail for {' '.join(users)} is taken", reply.code == 250, reply)
        return subject

    def at_rcpt(self, user: str) -> Reply:
        session = self.session()
        session.command("MAIL FROM:<bob@local.test>", 250)
        reply = session.command(f"RCPT TO:<{user}@shop.test>")
        session.close()
        return reply

    def count(self, user: str) -> int:
        folder = self.boxes / user / "new"
        return len(list(folder.iterdir())) if folder.exists() else 0

    def fill(self) -> None:
        for _ in range(2):
            self.send("small")
        self._suite.wait_until_empty()
        self.expect("a mailbox takes what it has room for", self.count("small") == 2, self.count("small"))
        self.expect("its maildirsize is right", usage(self.boxes / "small") == really(self.boxes / "small"),
                    (usage(self.boxes / "small"), really(self.boxes / "small")))

    def deferred(self) -> None:
        """over_quota defer: it waits, and comes when there is room."""
        self.fill()
        before = self.at_rcpt("small")
        self.expect("as long as nobody knows, RCPT takes it", before.code == 250, before)
        self.send("small", "roomy")
        wait_for("the other recipient to have it", lambda: self.count("roomy") == 1)
        wait_for("the message to wait", lambda: any("4.2.2" in str(entry) for entry in self._suite.queue()))
        known = self.at_rcpt("small")
        self.expect("once it is known, RCPT says 452 4.2.2", (known.code, known.enhanced) == (452, "4.2.2"), known)
        other = self.at_rcpt("roomy")
        self.expect("and nothing else to others", other.code == 250, other)
        self._suite.move_clock(2 * 3600)
        wait_for("another attempt", lambda: any(entry["attempts"] == 2 for entry in self._suite.queue()))
        self.expect("that finds no room either", self.count("small") == 2)
        next((self.boxes / "small/new").iterdir()).unlink()
        self._suite.move_clock(2 * 3600)
        self._suite.wait_until_empty()
        self.expect("it is delivered when there is room", self.count("small") == 2, self.count("small"))
        again = self.at_rcpt("small")
        self.expect("and RCPT takes mail again", again.code == 250, again)
        self.expect("its maildirsize is right", usage(self.boxes / "small") == really(self.boxes / "small"),
                    (usage(self.boxes / "small"), really(self.boxes / "small")))

    def as_dovecot_sees_it(self, folder: Path) -> None:
        mailbox = self.boxes / "small"
        dovecot = Doveadm(folder, mailbox)
        before = (mailbox / "maildirsize").read_text(encoding="ascii")
        self.expect("Dovecot reads our maildirsize", dovecot.messages() == 2, dovecot.run("-f", "tab", "quota", "get"))
        self.expect("and finds nothing to change in it", (mailbox / "maildirsize").read_text(encoding="ascii") == before)
        dovecot.run("quota", "recalc")
        self.expect("Dovecot counts the same", usage(mailbox) == really(mailbox), (usage(mailbox), really(mailbox)))
        dovecot.run("expunge", "mailbox", "INBOX", "all")
        self.expect("it takes out what it deletes", usage(mailbox)[1:] == (0, 0), (mailbox / "maildirsize").read_text(encoding="ascii"))
        self.send("small")
        self._suite.wait_until_empty()
        self.expect("and we go on with its file", usage(mailbox) == really(mailbox) and dovecot.messages() == 1,
                    (usage(mailbox), really(mailbox)))

    def reports(self, subject: bytes) -> list[bytes]:
        return [text for text in self._suite.mailbox("bob") if subject in text]

    def bounced(self) -> None:
        """over_quota bounce: one attempt, and a report."""
        self.fill()
        subject = self.send("small", "roomy")
        wait_for("the failure", lambda: "status=5.2.2" in self._suite.log())
        known = self.at_rcpt("small")
        self.expect("once it is known, RCPT says 552 5.2.2", (known.code, known.enhanced) == (552, "5.2.2"), known)
        self._suite.wait_until_empty()
        reports = self.reports(subject)
        self.expect("it is returned with 5.2.2", len(reports) == 1 and b"\nStatus: 5.2.2" in reports[0], reports)
        self.expect("the report is about nobody else", b"roomy" not in b"".join(reports) and self.count("roomy") == 1, reports)
        self.expect("after one attempt", len(re.findall(r"to=<?small@shop\.test.*status=5\.2\.2", self._suite.log())) == 1)
        time.sleep(KNOWN_SECONDS + 1)
        later = self.at_rcpt("small")
        self.expect("for a time", later.code == 250, later)
        subject = self.send("small", content=MESSAGE % b"large" + BODY * 100)
        self._suite.wait_until_empty()
        reports = self.reports(b"large")
        self.expect("what never fits is returned with 5.2.3", len(reports) == 1 and b"\nStatus: 5.2.3" in reports[0], reports)
        self._suite.write_file("shop.users", f"small quota={LARGER_QUOTA}\nroomy\n")
        time.sleep(2)
        self.send("small")
        self._suite.wait_until_empty()
        self.expect("a larger quota counts at once", self.count("small") == 3, self.count("small"))

    def on_full_disk(self, home: Path) -> None:
        """The disk of a user of the system is full, which is 4.2.2 whatever over_quota says."""
        filler = home / "filler"
        filler.write_bytes(b"x" * 200_000)
        session = self.session()
        reply = send_message(session, "bob@local.test", ["carol@local.test"], MESSAGE % b"disk" + BODY * 1000)
        session.close()
        self.expect("mail for a full disk is taken", reply.code == 250, reply)
        wait_for("it to wait", lambda: any("4.2.2" in str(entry) for entry in self._suite.queue()))
        filler.unlink()
        self._suite.move_clock(2 * 3600)
        self._suite.wait_until_empty()
        self.expect("it is delivered when the disk has room", len(self._suite.mailbox("carol")) == 1, self._suite.mailbox("carol"))


def play(program: Program, stage: Stage, over: str, keeps: str) -> None:
    folder = program.scratch(over)
    owner = "alice" if os.geteuid() == 0 else str(os.geteuid())
    suite = Suite(program.binaries, folder / "suite", stage, CONFIG % {"owner": owner, "over": over, "time": keeps},
                  {"shop.users": USERS})
    disk = suite.folder / "home/carol"
    mounted = False
    nsd = Nsd(folder / "nsd", stage)
    nsd.start()
    try:
        if suite.as_root and over == "bounce":
            ids = f"uid={FIRST_USER_UID + 2},gid={FIRST_USER_UID + 2}"
            subprocess.run(["mount", "-t", "tmpfs", "-o", f"size=256k,mode=700,{ids}", "tmpfs", str(disk)], check=True)
            mounted = True
        suite.start()
        quota = Quota(program, suite)
        if over == "defer":
            quota.deferred()
            try:
                if suite.as_root:
                    quota.as_dovecot_sees_it(folder / "dovecot")
            except Skip as skip:
                print(f"Dovecot is not asked: {skip}")
        else:
            quota.bounced()
        if mounted:
            quota.on_full_disk(disk)
        suite.stop()
    finally:
        suite.abandon()
        nsd.stop()
        if mounted:
            subprocess.run(["umount", str(disk)], check=True)


def main() -> int:
    with Program(__doc__) as program:
        stage = program.stage()
        play(program, stage, "defer", "1h")
        play(program, stage, "bounce", f"{KNOWN_SECONDS:.0f}s")
    return program.exit_code


if __name__ == "__main__":
    sys.exit(main())
