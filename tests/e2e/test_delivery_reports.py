#!/usr/bin/python3
"""Every kind of report about delivery, as it arrives at the sender's host and in his mailbox, and as programs of others
read it: for each NOTIFY, to addresses in ASCII and in UTF-8, with as much of the message as RET and the configuration
say; and what becomes of reports that cannot be delivered."""

from __future__ import annotations

import sys
from collections.abc import Callable

from exim import EximPeer
from nsd import Nsd
from process import wait_for
from program import Program
from reports import Report, is_report, read_report
from smtp import Session, stuffed
from suite import Suite

LOCAL = "alice@local.test"
REMOTE = "s@remote.test"
DAY = 86400
ALIASES = ("team: bob, dave\nrob: bob\nlost: gone@primary.test\njörg: bob\nä: alice\nlist: dave, gone@primary.test\n")
FIRST = "alias_file local.test aliases\nretry 2h\nlifetime 5d\ndsn_aggregate 2s\ndouble_bounce_to carol@local.test\n"
SECOND = ("alias_file local.test aliases\nretry 2h\ndsn_return full\ndsn_max_body 1k\ndsn_only_to local\n"
          "dsn_templates dsn\ndouble_bounce_to gone@primary.test\n")
TEMPLATE = "Subject: Unzustellbar: ${sender} bei ${hostname}\n\nIhre Nachricht ${queue_id} kam nicht an. Grüße, ${postmaster}\n"

# What is told of gone@ (refused), slow@ (put off until its time is over), ok@ (taken by a host that knows no DSN) and
# bob@ (a mailbox here), for each NOTIFY.
GONE, SLOW = ("failed", "gone@primary.test"), ("failed", "slow@primary.test")
DELAYED = ("delayed", "slow@primary.test")
SUCCESS = [("relayed", "ok@primary.test"), ("delivered", "bob@local.test")]
MATRIX: dict[str, list[tuple[str, str]]] = {
    "": [GONE, DELAYED, SLOW],
    "NEVER": [],
    "FAILURE": [GONE, SLOW],
    "SUCCESS": SUCCESS,
    "DELAY": [DELAYED],
    "FAILURE,DELAY": [GONE, DELAYED, SLOW],
    "SUCCESS,FAILURE,DELAY": [GONE, DELAYED, SLOW, *SUCCESS],
    "success,failure": [GONE, SLOW, *SUCCESS],
}


class Reports:
    def __init__(self, program: Program, suite: Suite, remote: EximPeer, primary: EximPeer) -> None:
        self._program = program
        self._suite = suite
        self._remote = remote
        self._primary = primary
        self._number = 0

    def expect(self, what: str, good: object, note: object = "") -> None:
        self._program.judge(what, bool(good), "" if good else str(note)[:3000])

    # Sending and receiving

    def send(self, sender: str, recipients: list[str], mail: str = "", content: bytes = b"body\r\n", client: str = "IN",
             header: str = "", chunk: bool = False) -> str:
        """Sends a message; each recipient may have parameters behind his address. Returns a text that stands in it and
        in every report about it."""
        self._number += 1
        name = f"number-{self._suite.folder.name}-{self._number}."
        whole = f"Subject: {name}\r\n{header}".encode() + (b"" if header.endswith("\r\n\r\n") else b"\r\n") + content
        session = self._suite.session(client)
        session.reply()
        session.command("EHLO test", 250)
        session.command(f"MAIL FROM:<{sender}> {mail}".strip(), 250)
        for recipient in recipients:
            address, _, parameters = recipient.partition(" ")
            session.command(f"RCPT TO:<{address}> {parameters}".strip(), 250)
        self.finish(session, whole, chunk)
        return name

    def finish(self, session: Session, whole: bytes, chunk: bool) -> None:
        if chunk:
            session.send(f"BDAT {len(whole)} LAST\r\n".encode() + whole)
        else:
            session.command("DATA", 354)
            session.send(stuffed(whole))
        taken = session.reply()
        session.close()
        if taken.code != 250:
            self.expect("the message is taken", False, taken)

    def mailbox(self, user: str, about: str) -> list[Report]:
        return [read_report(text) for text in self._suite.mailbox(user) if is_report(text) and about.encode() in text]

    def arrived(self, about: str, sender: str = REMOTE) -> list[Report]:
        """The reports of ours that came to the sender, at his host or in a mailbox here."""
        if sender.endswith("@local.test"):
            return self.mailbox("alice", about)
        # Exim writes a local part in quotes that is not ASCII.
        return [read_report(one.content) for one in self._remote.arrivals()
                if one.recipient.replace('"', "") == sender and one.sender == "" and about.encode() in one.content and b"MAILER-DAEMON@mx2.test" in one.content]

    def sound(self, what: str, reports: list[Report], addresses: bool = True) -> None:
        """Whether others can read the reports, and see the same in them. flufl.bounce knows no UTF-8."""
        for report in reports:
            told = report.told()
            self.expect(f"{what}: {'/'.join(sorted({action for action, _ in told}))} is well formed", not report.problems,
                        (report.problems, report.raw.decode("utf-8", "replace")))
            if addresses:
                known = [one.get("Original-Recipient", one["Final-Recipient"]).split(";", 1)[1].strip() for one in report.recipients]
                wanted = ({known[i] for i, (action, _) in enumerate(told) if action == "delayed"},
                          {known[i] for i, (action, _) in enumerate(told) if action == "failed"})
                self.expect(f"{what}: flufl.bounce sees the same", report.failures() == wanted, (report.failures(), wanted))

    def one(self, what: str, about: str, sender: str = REMOTE, told: list[tuple[str, str]] | None = None) -> Report:
        """The only report about a message."""
        self.wait(f"a report: {what}", lambda: self.arrived(about, sender))
        found = self.arrived(about, sender)
        self.expect(f"{what}: one report", len(found) == 1, [report.told() for report in found])
        self.sound(what, found, addresses=found[0].raw.isascii() and b"utf-8;" not in found[0].raw)
        if told is not None:
            self.expect(f"{what}: of whom", sorted(found[0].told()) == sorted(told), found[0].told())
        return found[0]

    def wait(self, what: str, condition: Callable[[], object]) -> None:
        wait_for(what, lambda: bool(condition()))

    # The cases

    def matrix(self) -> None:
        self._primary.reject("gone", "550 5.1.1 no such user")
        self._primary.reject("slow", "450 4.2.1 not now")
        sent: dict[str, tuple[str, str]] = {}
        for number, notify in enumerate(MATRIX):
            parameter = f" NOTIFY={notify}" if notify else ""
            sender = LOCAL if number % 2 else REMOTE
            recipients = [f"{name}{parameter}" for name in
                          ("gone@primary.test", "slow@primary.test", "ok@primary.test", "bob@local.test")]
            sent[notify] = (self.send(sender, recipients), sender)
        self.compare(sent, "at first", lambda told: told not in (DELAYED, SLOW))
        self._suite.move_clock(5 * 3600)
        self.compare(sent, "after five hours", lambda told: told != SLOW)
        self._suite.stop()
        self._suite.start()
        self._suite.move_clock(20 * 3600)
        wait_for("all to have been tried again", lambda: all(entry["state"] == "waiting" for entry in self._suite.queue()))
        self.compare(sent, "after a restart and a day", lambda told: told != SLOW)
        self._suite.move_clock(5 * DAY)
        self.compare(sent, "after the lifetime", lambda told: True)
        self._suite.wait_until_empty()
        for notify, (about, sender) in sent.items():
            reports = self.arrived(about, sender)
            self.sound(f"NOTIFY={notify}", reports)
            for report in reports:
                body = b"\nbody" in report.raw or report.original.get_content_type() != "text/rfc822-headers"
                self.expect(f"NOTIFY={notify}: {report.told()[0][0]} returns headers only", not body)
            late = [one["Status"] for report in reports for one in report.recipients
                    if (one["Action"], "slow" in one["Final-Recipient"]) == ("failed", True)]
            self.expect(f"NOTIFY={notify}: the time is over", late in ([], ["5.4.7"]), late)

    def compare(self, sent: dict[str, tuple[str, str]], when: str, counts: Callable[[tuple[str, str]], bool]) -> None:
        """Whether exactly what counts by now was told of each message."""
        def told(notify: str) -> list[tuple[str, str]]:
            return sorted(one for report in self.arrived(*sent[notify]) for one in report.told())

        def wanted(notify: str) -> list[tuple[str, str]]:
            return sorted(filter(counts, MATRIX[notify]))

        def settled() -> bool:
            return all(len(told(notify)) >= len(wanted(notify)) for notify in MATRIX)
        try:
            self.wait(f"the reports {when}", settled)
        except Exception as problem:  # which of them is said below
            print(problem)
        for notify in MATRIX:
            self.expect(f"NOTIFY={notify or 'absent'} {when}", told(notify) == wanted(notify), (told(notify), wanted(notify)))

    def refused_later(self) -> None:
        """T71: P refuses what we took."""
        for sender in (REMOTE, LOCAL):
            report = self.one(f"T71 to {sender}", self.send(sender, ["gone@primary.test"]), sender, [GONE])
            found = report.recipients[0]
            good = (found["Status"] == "5.1.1" and found["Final-Recipient"] == "rfc822; gone@primary.test" and
                    found["Diagnostic-Code"].startswith("smtp; 550 ") and found["Remote-MTA"].startswith("dns; ") and
                    report.of_message["Reporting-MTA"] == "dns; mx2.test")
            self.expect(f"T71 to {sender}: its fields", good, (report.of_message, report.recipients))

    def together(self) -> None:
        """Failures of several hosts within the window are in one report; who stands for others is told of alone."""
        about = self.send(LOCAL, ["gone@primary.test", "none@nx.test", "lost@local.test"])
        self.one("three failures", about, LOCAL, [GONE, GONE, ("failed", "none@nx.test")])
        about = self.send(LOCAL, ["team@local.test NOTIFY=SUCCESS"])
        self.one("an alias of two", about, LOCAL, [("expanded", "team@local.test")])

    def passed_on(self) -> None:
        """T75: ENVID, ORCPT and RET, to a host that knows DSN and in our own reports."""
        mail, rcpt = "RET=HDRS ENVID=QQ+3D1", "NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;Bob+40x.test"
        about = self.send(REMOTE, [f"rob@remote.test {rcpt}"], mail)
        def told_by_exim() -> list[bytes]:
            return [one.content for one in self._remote.arrivals(REMOTE) if about.encode() in one.content]
        self.wait("the next host to tell", told_by_exim)
        theirs = told_by_exim()[0].lower().replace(b"+3d", b"=").replace(b"+40", b"@")
        self.expect("T75: the next host knows ENVID and ORCPT", b"bob@x.test" in theirs and b"qq=1" in theirs, theirs)
        self.expect("T75: it tells, we do not", not self.arrived(about), self.arrived(about))
        report = self.one("T75 refused", self.send(REMOTE, [f"gone@primary.test {rcpt}"], mail), told=[GONE])
        self.expect("T75 refused: ENVID", report.of_message.get("Original-Envelope-Id") == "QQ=1", report.of_message)
        self.expect("T75 refused: ORCPT", report.recipients[0].get("Original-Recipient") == "rfc822;Bob@x.test", report.recipients)
        self.expect("T75 refused: RET", report.original.get_content_type() == "text/rfc822-headers")

    def returned(self) -> None:
        """T75: a message of 200 kB with RET=FULL; T76 is in the second suite."""
        line = b"a line of fifty octets, which are not all the same\r\n"
        head = 'MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary="cut here"\r\n\r\n'
        parts = b"--cut here\r\n\r\nfirst part\r\n--cut here\r\n\r\n" + line * 4000 + b"--cut here--\r\n"
        for what, header, content, marks in (("plain", "", line * 4000, line.strip()), ("of several parts", head, parts, b"first part")):
            report = self.one(f"200 kB, {what}", self.send(REMOTE, ["gone@primary.test"], "RET=FULL", content, header=header))
            self.expect(f"200 kB, {what}: less than 60 kB", len(report.raw) < 60_000, len(report.raw))
            self.expect(f"200 kB, {what}: its beginning", report.original.get_content_type() == "message/rfc822" and
                        marks in report.raw, report.original.get_content_type())
        report = self.one("RET=HDRS", self.send(REMOTE, ["gone@primary.test"], "RET=HDRS", b"secret\r\n"))
        self.expect("RET=HDRS: no body", b"secret" not in report.raw)
        report = self.one("8BITMIME", self.send(REMOTE, ["gone@primary.test"], "RET=FULL BODY=8BITMIME", b"gr\xfc\xdfe\r\n"))
        self.expect("8BITMIME: as it was", b"\ngr\xfc\xdfe\n" in report.raw)
        report = self.one("BINARYMIME", self.send(REMOTE, ["gone@primary.test"], "RET=FULL BODY=BINARYMIME", b"a\0b\nc\r\r\n",
                                                  chunk=True), told=[GONE])
        self.expect("BINARYMIME: headers only", report.original.get_content_type() == "text/rfc822-headers")

    def international(self) -> None:
        """RFC 6533: only who needs SMTPUTF8 himself gets UTF-8. P does not know it, R does."""
        name, encoded = "jörg@primary.test", r"j\x{F6}rg@primary.test"
        header = "X-Name: Jörg\r\n"
        about = self.send(REMOTE, [name + " ORCPT=utf-8;" + encoded], "SMTPUTF8", header=header)
        report = self.one("UTF-8 to an address of ASCII", about, told=[("failed", encoded)])
        self.expect("UTF-8 to an address of ASCII: all of it is ASCII", report.raw.isascii() and
                    report.status_type == "message/delivery-status", report.raw)
        self.expect("UTF-8 to an address of ASCII: ORCPT", report.recipients[0].get("Original-Recipient") == "utf-8;" + encoded)
        self.expect("UTF-8 to an address of ASCII: people read UTF-8", f"<{name}>" in report.text, report.text)
        self.expect("UTF-8 to an address of ASCII: the header", "X-Name: Jörg" in str(report.original.get_content()))
        for sender in ("ä@remote.test", "ä@local.test"):
            about = self.send(sender, [name + " ORCPT=utf-8;" + encoded, "gone@primary.test"], "SMTPUTF8", header=header)
            report = self.one(f"UTF-8 to {sender}", about, sender, [("failed", name), GONE])
            self.expect(f"UTF-8 to {sender}: types", (report.status_type, report.original.get_content_type()) ==
                        ("message/global-delivery-status", "message/global-headers"), report.raw)
            originals = [one.get("Original-Recipient") for one in report.recipients]
            self.expect(f"UTF-8 to {sender}: ORCPT", "utf-8;" + name in originals, originals)
        self._remote.reject("slow", "450 4.2.1 not now")
        about = self.send("ä@local.test", ["jörg@local.test NOTIFY=SUCCESS", "slow@remote.test"], "SMTPUTF8")
        report = self.one("success in UTF-8", about, LOCAL, [("delivered", "bob@local.test")])
        self.expect("success in UTF-8: not where the mailbox is", b"Maildir" not in report.raw, report.raw)
        self._suite.move_clock(5 * 3600)
        self.wait("a delay in UTF-8", lambda: len(self.arrived(about, LOCAL)) == 2)
        self.sound("a delay in UTF-8", self.arrived(about, LOCAL), addresses=False)
        self._remote.accept_everything()
        self.double_bounce("UTF-8", lambda: self.send("", [name], "SMTPUTF8", header=header), encoded)

    def double_bounce(self, what: str, send: Callable[[], object], failed: str) -> None:
        """Whether the postmaster gets one notice of what is sent. It need not return what names the message: that may
        be a report in which it stands."""
        before = len(self._suite.mailbox("carol"))
        send()
        self.wait(f"the postmaster to hear: {what}", lambda: len(self._suite.mailbox("carol")) > before)
        wait_for("nothing to be on its way", lambda: all(entry["state"] == "waiting" for entry in self._suite.queue()))
        found = [read_report(text) for text in self._suite.mailbox("carol")[before:]]
        self.expect(f"double bounce, {what}: one", [report.told() for report in found] == [[("failed", failed)]],
                    [report.told() for report in found])
        self.sound(f"double bounce, {what}", found, addresses="\\" not in failed)

    def nobody(self) -> None:
        """T77: the null sender, and a sender who cannot be reached."""
        before = (len(self._suite.mailbox("alice")), self._remote.count())
        self.double_bounce("the null sender", lambda: self.send("", ["gone@primary.test"]), "gone@primary.test")
        self.double_bounce("a sender who is gone", lambda: self.send("gone@primary.test", ["none@nx.test"]),
                           "gone@primary.test")
        self.expect("T77: nobody else hears of it", (len(self._suite.mailbox("alice")), self._remote.count()) == before)

    def one_copy(self) -> None:
        """B36: two recipients that come to the same mailbox."""
        before = len(self._suite.mailbox("bob"))
        about = self.send(LOCAL, ["bob@local.test NOTIFY=SUCCESS ORCPT=rfc822;bob@x.test", "rob@local.test NOTIFY=NEVER",
                                  "jörg@local.test NOTIFY=SUCCESS ORCPT=rfc822;joe@x.test"], "SMTPUTF8")
        report = self.one("two ways to a mailbox", about, LOCAL)
        self.expect("two ways to a mailbox: both are told of", sorted(one["Original-Recipient"] for one in report.recipients) ==
                    ["rfc822;bob@x.test", "rfc822;joe@x.test"], report.recipients)
        self.expect("two ways to a mailbox: one copy", len(self._suite.mailbox("bob")) == before + 1)

    def run_first(self) -> None:
        self.matrix()
        self.refused_later()
        self.together()
        self.passed_on()
        self.returned()
        self.nobody()
        self.one_copy()
        self.international()

    def run_second(self) -> None:
        """T76, texts of the administrator, strangers, and an address for double bounces that fails itself."""
        about = self.send(REMOTE, ["gone@primary.test"], content=b"a line of 32 octets to be cut..\r\n" * 100)
        report = self.one("T76", about, told=[GONE])
        body = report.raw.rsplit(b"\n\n--", 1)[0].rsplit(b"\n\n", 1)[1]
        self.expect("T76: at most 1 kB of body", report.original.get_content_type() == "message/rfc822" and 500 < len(body) <= 1024, body)
        self.expect("a text of the administrator", "kam nicht an. Grüße, postmaster@" in report.text, report.text)
        self.expect("his subject", str(report.message["Subject"]) == f"Unzustellbar: <{REMOTE}> bei mx2.test", report.message["Subject"])
        self.expect("RET=HDRS: less than the configuration says", b"cut.." not in self.one(
            "RET=HDRS", self.send(REMOTE, ["gone@primary.test"], "RET=HDRS", b"cut..\r\n")).raw)
        self.strangers()
        self.send("", ["gone@primary.test"])
        wait_for("a message in failed/", lambda: len(list((self._suite.spool / "failed").iterdir())) == 1)
        kept = next((self._suite.spool / "failed").iterdir()).read_bytes()
        self.expect("T77: what is kept is the notice", b"Postmaster notice" in kept)
        wait_for("nothing else to be left", lambda: not self._suite.queue())
        self.check_finds_mistakes()

    def strangers(self) -> None:
        about = self.send("alice@local.test", ["lost@local.test"], client="OUT")
        self.one("dsn_only_to local: one of ours", about, LOCAL, [GONE])
        before = self._remote.count()
        self.send(REMOTE, ["lost@local.test"], client="OUT")
        wait_for("a report to be withheld", lambda: "report_withheld" in self._suite.log())
        wait_for("the queue to be empty", lambda: not self._suite.queue())
        self.expect("dsn_only_to local: nothing to a stranger", self._remote.count() == before)
        self.expect("dsn_only_to local: he is named", f"to=<{REMOTE}>" in self._suite.log().split("report_withheld", 1)[1].split("\n")[0])
        counters = self._suite.command("status").stdout
        self.expect("dsn_only_to local: counted", "reports_withheld_total" in counters, counters)

    def check_finds_mistakes(self) -> None:
        self._suite.write_file("dsn/relayed.txt", "Subject: x\n\nOn ${hostnam}.\n")
        done = self._suite.command("check", check=False)
        said = done.stdout + done.stderr
        self.expect("postrider check finds a mistake in a text", done.returncode != 0 and "dsn/relayed.txt:3:4:" in said and
                    'did you mean "hostname"' in said, said)


def main() -> int:
    with Program(__doc__) as program:
        folder, stage = program.scratch("reports"), program.stage()
        nsd = Nsd(folder / "nsd", stage)
        remote, primary = EximPeer("R", folder / "R", stage), EximPeer("P", folder / "P", stage, plain=True)
        nsd.start()
        remote.start()
        primary.start()
        try:
            for name, config in (("first", FIRST), ("second", SECOND)):
                (folder / name / "dsn").mkdir(parents=True)
                suite = Suite(program.binaries, folder / name, stage, config, {"aliases": ALIASES, "dsn/failed.txt": TEMPLATE})
                suite.start()
                try:
                    reports = Reports(program, suite, remote, primary)
                    reports.run_first() if name == "first" else reports.run_second()
                    suite.stop()
                finally:
                    suite.abandon()
        finally:
            primary.stop()
            remote.stop()
            nsd.stop()
    return program.exit_code


if __name__ == "__main__":
    sys.exit(main())
