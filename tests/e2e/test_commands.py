#!/usr/bin/python3
"""The commands an administrator and every Unix program use: postrider, sendmail, mailq, newaliases."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

from nsd import Nsd
from process import TestFailure, wait_for
from program import Program
from smtp import send_message
from suite import Suite

CONFIG = """\
alias_file local.test aliases
retry 2h
destination_dead_time 2h
destination_dead_time_max 2h
sender odd.test quarantine "looks odd"
default rcpt reject
"""


class Commands:
    """Runs the commands of one suite and judges what they say."""

    def __init__(self, program: Program, suite: Suite) -> None:
        self._program = program
        self._suite = suite

    def sendmail(self, name: str, *words: str, text: str = "") -> subprocess.CompletedProcess[str]:
        """The program by one of its names; which one decides what it does."""
        return subprocess.run([name, "-C", str(self._suite.config_file), *words], input=text, text=True, capture_output=True,
                              timeout=60, executable=str(self._suite.binaries / "sendmail"))

    def expect(self, what: str, good: object, note: object = "") -> None:
        self._program.judge(what, bool(good), "" if good else str(note)[:1500])

    def submission(self) -> None:
        sent = self.sendmail("sendmail", "-f", "me@local.test", "alice@local.test", "bob@local.test", text="Subject: one\n\nHello.\n.\nmore\n")
        self.expect("sendmail takes a message", sent.returncode == 0, sent)
        wait_for("both to have it", lambda: self._suite.mailbox("alice") and self._suite.mailbox("bob"))
        text = self._suite.mailbox("alice")[0]
        self.expect("-f is the envelope sender", b"Return-Path: <me@local.test>" in text, text)
        self.expect("without -i a lone dot ends it", b"more" not in text, text)
        sent = self.sendmail("sendmail", "-i", "-t", text="To: carol@local.test\nBcc: dave@local.test\nSubject: two\n\nHello.\n.\nmore\n")
        self.expect("sendmail -t takes the recipients from the header", sent.returncode == 0, sent)
        wait_for("both to have it", lambda: self._suite.mailbox("carol") and self._suite.mailbox("dave"))
        text = self._suite.mailbox("carol")[0]
        self.expect("with -i the dot is text", b"more" in text, text)
        self.expect("Bcc is not shown", b"\nbcc:" not in text.lower() and b"dave" not in text, text)
        talked = self.sendmail("sendmail", "-bs", text="EHLO here\r\nNOOP\r\nQUIT\r\n")
        self.expect("sendmail -bs speaks SMTP", talked.stdout.startswith("220 ") and "\n221 " in talked.stdout, talked)
        none = self.sendmail("sendmail", text="Subject: x\n\n")
        self.expect("no recipient is a usage error", none.returncode != 0, none)

    def waiting_message(self) -> dict[str, Any]:
        """Puts one message into the queue for a server that is down."""
        session = self._suite.session("IN")
        session.reply()
        session.command("EHLO inside.test", 250)
        reply = send_message(session, "me@inside.test", ["fred@remote.test"], b"Subject: waits\r\n\r\nHello.\r\n")
        if reply.code != 250:
            raise TestFailure(str(reply))
        session.command("QUIT")
        wait_for("the first attempt to have failed",
                 lambda: [one for one in self._suite.queue() if one["recipients"][0].get("last_reply")])
        return dict(self._suite.queue()[0])

    def queue(self) -> None:
        message = self.waiting_message()
        name = message["id"]
        self.expect("queue list --json tells all", message["sender"] == "me@inside.test"
                    and message["recipients"][0]["address"] == "fred@remote.test", message)
        listed = self._suite.command("queue", "list").stdout
        self.expect("queue list shows it", name in listed and "fred@remote.test" in listed, listed)
        shown = self._suite.command("queue", "show", name).stdout
        self.expect("queue show ID", "me@inside.test" in shown and "fred@remote.test" in shown, shown)
        content = self._suite.command("queue", "cat", name).stdout
        self.expect("queue cat ID", "Subject: waits" in content and "Received:" in content, content)
        flushed = self._suite.command("queue", "flush", "--id", name).stdout
        self.expect("queue flush says how many", "1" in flushed, flushed)
        unknown = self._suite.command("queue", "show", "0000000000000000", check=False)
        self.expect("an unknown id is an error", unknown.returncode != 0, unknown)
        for words in (("mailq",), ("sendmail", "-bp")):
            shown = self.sendmail(*words).stdout
            self.expect(f"{' '.join(words)} shows it", name in shown and "fred@remote.test" in shown, shown)
        self.expect("newaliases does nothing, well", self.sendmail("newaliases").returncode == 0)

    def quarantine(self) -> None:
        before = len(self._suite.mailbox("alice"))
        for subject in ("one", "two"):
            session = self._suite.session("IN")
            session.reply()
            session.command("EHLO inside.test", 250)
            reply = send_message(session, "x@odd.test", ["alice@local.test"], f"Subject: {subject}\r\n\r\nHello.\r\n".encode())
            self.expect("what is kept back looks accepted", reply.code == 250, reply)
            session.command("QUIT")
        listed = json.loads(self._suite.command("quarantine", "list", "--json").stdout)
        self.expect("quarantine list --json tells reason and line", len(listed) == 2 and all(
            one["state"] == "quarantined" and one["reason"] == "looks odd" and "postrider.conf:" in one["rule"] for one in listed), listed)
        first, second = (one["id"] for one in listed)
        shown = self._suite.command("quarantine", "show", first).stdout
        self.expect("quarantine show ID", "x@odd.test" in shown and "looks odd" in shown, shown)
        vague = self._suite.command("quarantine", "release", check=False)
        self.expect("a release of nothing in particular is a usage error", vague.returncode == 64, vague)
        dry = self._suite.command("quarantine", "release", "--from", "x@odd.test", "--dry-run").stdout
        self.expect("--dry-run counts", "2 messages would be released" in dry, dry)
        self.expect("and changes nothing", len(json.loads(self._suite.command("quarantine", "list", "--json").stdout)) == 2)
        released = self._suite.command("quarantine", "release", first).stdout
        self.expect("release says how many", "1 message released" in released, released)
        wait_for("the released message", lambda: len(self._suite.mailbox("alice")) > before)
        deleted = self._suite.command("quarantine", "delete", "--to", "alice@local.test").stdout
        self.expect("delete says how many", "1 message deleted" in deleted, deleted)
        self.expect("nothing is left", "Nothing is in quarantine" in self._suite.command("quarantine", "list").stdout)
        self.expect("it was delivered once", len(self._suite.mailbox("alice")) == before + 1)
        self.expect("the log names both, and who did it", all(
            f"id={name} by_uid=" in self._suite.log() for name in (first, second)))

    def others(self) -> None:
        status = json.loads(self._suite.command("status", "--json").stdout)
        names = {daemon["name"]: daemon["pid"] for daemon in status["daemons"]}
        self.expect("status --json lists the processes", set(self._suite.daemons().values()) <= set(names.values()), status)
        self.expect("status", "router" in self._suite.command("status").stdout)
        explained = self._suite.command("explain", "sales@local.test").stdout
        self.expect("explain names the line", "aliases:1" in explained and "alice" in explained, explained)
        self._exchangers()
        config = self._suite.command("config", "hostname").stdout
        self.expect("config NAME", "mx2.test" in config and "postrider.conf:1" in config, config)
        self.expect("config", "max_message_size" in self._suite.command("config").stdout)
        checked = self._suite.command("check", check=False)
        self.expect("check of a good configuration", checked.returncode == 0, checked)
        wrong = self._suite.command("frobnicate", check=False)
        self.expect("an unknown verb is a usage error", wrong.returncode == 64, wrong)

    def _exchangers(self) -> None:
        relayed = self._suite.command("mx-check", "primary.test", check=False)
        if self._suite.stage.has_mx:
            self.expect("mx-check of a backup", "20 us.hosts.test 192.0.2.10 = this host" in relayed.stdout and
                        "passed on to p.hosts.test" in relayed.stdout, relayed.stdout)
        self.expect("mx-check of a domain that is not accepted", relayed.returncode == 1, relayed)
        silent = self._suite.command("mx-check", "servfail.test", check=False)
        self.expect("mx-check without an answer of the DNS", silent.returncode == 75, silent)
        self.expect("mx-check of no domain", self._suite.command("mx-check", "a..b", check=False).returncode == 69)
        local = self._suite.command("mx-check", "local.test", check=False)
        self.expect("mx-check of a local domain", local.returncode == 0, local)
        explained = self._suite.command("explain", "u@twobk.test", "client=203.0.113.9", check=False)
        self.expect("explain finds the client's name", "(out.example)" in explained.stdout, explained.stdout)
        if self._suite.stage.has_mx:
            self.expect("explain shows the exchangers",
                        "10 p.hosts.test 192.0.2.20" in explained.stdout and "= this host" in explained.stdout,
                        explained.stdout)


def main() -> int:
    with Program(__doc__) as program:
        folder, stage = program.scratch("commands"), program.stage()
        nsd = Nsd(folder / "nsd", stage)
        suite = Suite(program.binaries, folder / "suite", stage, CONFIG, {"aliases": "sales: alice, fred@remote.test\npostmaster: ops@remote.test\nroot: postmaster\n"})
        nsd.start()
        try:
            suite.start()
            commands = Commands(program, suite)
            commands.submission()
            commands.queue()
            commands.quarantine()
            commands.others()
            suite.stop()
        finally:
            suite.abandon()
            nsd.stop()
    return program.exit_code


if __name__ == "__main__":
    sys.exit(main())
