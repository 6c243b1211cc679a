#!/usr/bin/python3
"""Programs of the host send through `sendmail`: mailx, PHP, cron, git, an SMTP client by -bs; its options; and what
becomes of a message when the suite is down or goes away in the middle."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import peers
from caller import Caller, broke, host_config, parts, values
from nsd import Nsd
from process import wait_for
from program import Program
from small_server import SmallServer
from suite import Suite

CONFIG = "alias_file local.test aliases\nretry 2h\nshutdown_grace 3s\n"
BODY = "Grüße aus Köln – 你好\n.\n..\n. lone\n\nlast line\n".encode()
DATE_ZONE = {"TZ": "UTC", "LC_ALL": "C.UTF-8"}
LARGE = 6_000_000


class LocalSubmission:
    """One suite and a user of its host."""

    def __init__(self, program: Program, suite: Suite) -> None:
        self._program = program
        self._suite = suite
        self._alice = Caller(suite, "alice")

    def expect(self, what: str, good: object, note: object = "") -> None:
        self._program.judge(what, bool(good), "" if good else str(note)[:1500])

    def arrived(self, user: str, subject: bytes) -> bytes:
        """The one message with that subject, which must come to the user."""
        def with_subject() -> list[bytes]:
            return [text for text in self._suite.mailbox(user) if subject in b"".join(values(text, b"Subject"))]
        wait_for(f"{user} to have {subject!r}", with_subject)
        self._suite.wait_until_empty()
        found = with_subject()
        self.expect(f"{user} has {subject.decode()} once", len(found) == 1, len(found))
        return found[0]

    def expect_whole(self, what: str, message: bytes, sender: str, header: bytes, body: bytes) -> None:
        """Envelope sender, the header's own fields octet for octet in their order, what must stand once, and the
        body."""
        fields, found = parts(message)
        self.expect(f"{what}: envelope sender", values(message, b"Return-Path") == [f"<{sender}>".encode()], message)
        given = parts(header + b"\n\n")[0]
        self.expect(f"{what}: the header is what was given", b"\n".join(given) in b"\n".join(fields), (given, fields))
        counts = {name: len(values(message, name)) for name in (b"From", b"Date", b"Message-ID")}
        self.expect(f"{what}: one From, Date and Message-ID", set(counts.values()) == {1}, (counts, fields))
        self.expect(f"{what}: the body is intact", found == body, (found, body))

    # Callers

    def mailx(self) -> None:
        rc = self._suite.folder / "mailrc"
        rc.write_text(f"set sendmail={self._alice.sendmail_script}\n")
        program = peers.program("bsd-mailx", "usr/bin/bsd-mailx")
        environment = {**peers.environment("bsd-mailx"), **DATE_ZONE, "MAILRC": str(rc)}
        body = BODY.replace(b".\n..\n", b"..\n")
        sent = self._alice.run(str(program), "-n", "-s", "mailx wrote", "-a", "X-Kept: a  b", "-a",
                               "Content-Type: text/plain; charset=UTF-8", "-c", "carol@local.test", "-b", "dave@local.test",
                               "bob@local.test", text=body, env=environment)
        self.expect("mailx sends", sent.returncode == 0 and not broke(sent), sent)
        for user in ("bob", "carol", "dave"):
            text = self.arrived(user, b"mailx wrote")
            self.expect(f"mailx: {user} sees no Bcc", not values(text, b"Bcc") and b"dave@" not in parts(text)[1], text)
            self.expect_whole(f"mailx to {user}", text, self._own_address(), b"X-Kept: a  b", body)
            self.expect("mailx: To and Cc", values(text, b"To") == [b"bob@local.test"]
                        and values(text, b"Cc") == [b"carol@local.test"], text)

    def _own_address(self) -> str:
        named = self._alice.run("id", "-un")
        name = named.stdout.decode().strip() if named.returncode == 0 else f"uid-{self._alice.uid}"
        return f"{name}@mx2.test"

    def php(self) -> None:
        header = ("To: Bob <bob@local.test>,\n carol@local.test\nSubject: {}\nFrom: \"Shop, Köln\" <shop@local.test>\n"
                  "X-Mailer: PHP/8.2\n\tfolded\nReply-To: x@local.test")
        for number, (line_end, body_end) in enumerate(((b"\n", b"\n"), (b"\r\n", b"\r\n"), (b"\r\n", b"\n"))):
            subject = f"php form {number}"
            given = header.format(subject).encode()
            text = given.replace(b"\n", line_end) + line_end * 2 + BODY.replace(b"\n", body_end)
            sent = self._alice.sendmail("-t", "-i", "-fwww@local.test", text=text)
            self.expect(f"{subject} is sent", sent.returncode == 0 and not broke(sent), sent)
            for user in ("bob", "carol"):
                self.expect_whole(subject, self.arrived(user, subject.encode()), "www@local.test", given, BODY)

    def cron(self) -> None:
        header = (b"From: root (Cron Daemon)\nTo: alice\nSubject: Cron <root@mx2> test -x /x\nMIME-Version: 1.0\n"
                  b"Content-Type: text/plain; charset=UTF-8\nContent-Transfer-Encoding: 8bit\nX-Cron-Env: <SHELL=/bin/sh>")
        sent = self._alice.sendmail("-FCronDaemon", "-i", "-B8BITMIME", "-oem", "alice", text=header + b"\n\n" + BODY)
        self.expect("cron's report is sent", sent.returncode == 0 and not broke(sent), sent)
        self.expect_whole("cron", self.arrived("alice", b"Cron <root@mx2>"), self._own_address(), header, BODY)
        sent = self._alice.sendmail("-F", "Jürgen \"J\"", "-i", "alice@local.test", text=b"Subject: named\n\nx\n")
        said = values(self.arrived("alice", b"named"), b"From")
        self.expect("a name beyond ASCII is encoded", said == [f"=?utf-8?B?SsO8cmdlbiAiSiI=?= <{self._own_address()}>".encode()],
                    (sent, said))

    def git(self) -> None:
        scratch = self._suite.folder / "repository"
        scratch.mkdir()
        if self._suite.as_root:
            os.chown(scratch, self._alice.uid, self._alice.uid)
        root = peers.root_of("git-email")
        environment = {**os.environ, **DATE_ZONE, "HOME": str(scratch), "PERL5LIB": str(root / "usr/share/perl5"),
                       "GIT_CONFIG_NOSYSTEM": "1"}
        script = ("git init -q . && git config user.name 'Jürgen Müller' && git config user.email alice@local.test && "
                  "printf 'über\\n.\\n' >file && git add file && git commit -q -m 'Grüße: erste Datei' && "
                  "git format-patch -q -1 --to=bob@local.test --cc='Käthe <carol@local.test>' && "
                  f"perl {root}/usr/lib/git-core/git-send-email --quiet --confirm=never --envelope-sender=alice@local.test --8bit-encoding=UTF-8 "
                  f"--smtp-server={self._alice.sendmail_script} *.patch && cp *.patch sent && git rev-parse HEAD")
        sent = self._alice.run("sh", "-c", script, env=environment, cwd=scratch)
        self.expect("git send-email sends", sent.returncode == 0 and not broke(sent), (sent.stderr, sent.stdout))
        patch = (scratch / "sent").read_bytes()
        for user in ("bob", "carol"):
            text = self.arrived(user, b"[PATCH]")
            self.expect_whole(f"git to {user}", text, "alice@local.test", b"\n".join(
                field for field in parts(patch)[0] if field.startswith(b"Subject:")), parts(patch)[1])
        applied = self._alice.run("sh", "-c", "git checkout -q --orphan other && git rm -qf file && git am -q && cat file",
                                  text=text, env=environment, cwd=scratch)
        self.expect("git applies what arrived", applied.stdout == "über\n.\n".encode(), applied)

    def smtp_client(self) -> None:
        header = b"From: alice@local.test\nTo: bob@local.test\nSubject: by -bs\nDate: Sun, 22 Nov 2026 10:00:00 +0000\n" \
                 b"Message-ID: <bs@local.test>"
        content = (header + b"\n\n" + BODY).replace(b"\n.", b"\n..").replace(b"\n", b"\r\n")
        commands = b"EHLO x\r\nMAIL FROM:<alice@local.test> BODY=8BITMIME\r\nRCPT TO:<bob@local.test>\r\nDATA\r\n"
        talked = self._alice.sendmail("-bs", text=commands + content + b".\r\nQUIT\r\n")
        self.expect("-bs takes a message", talked.returncode == 0 and b"\n250 2.0.0 queued" in talked.stdout, talked)
        self.expect_whole("-bs", self.arrived("bob", b"by -bs"), "alice@local.test", header, BODY)
        many = self._alice.sendmail("-bs", text=b"EHLO x\r\n" + b"NOOP\r\n" * 60 + b"QUIT\r\n")
        self.expect("-bs takes many commands at once", many.returncode == 0 and many.stdout.count(b"\r\n250 2.0.0") == 60, many)
        cut = self._alice.sendmail("-bs", text=b"EHLO x\r\nMAIL FROM:<a@local.test>\r\n")
        self.expect("-bs without QUIT is no success", cut.returncode == 75, cut)

    # Options

    def notifications(self) -> None:
        words = ("-N", "success,failure", "-R", "hdrs", "-V", "id 1+1", "-f", "alice@local.test")
        sent = self._alice.sendmail(*words, "bob@local.test", text=b"Subject: wants to know\n\nx\n")
        self.expect("a report of success is asked for", sent.returncode == 0, sent)
        self.arrived("bob", b"wants to know")
        reports = wait_for("the report", lambda: [text for text in self._suite.mailbox("alice")
                                                  if b"Original-Envelope-Id: id 1+1" in text])
        self.expect("and comes once", len(reports) == 1 and b"Action: delivered" in reports[0], reports)
        with self._small("DSN", "8BITMIME", "SMTPUTF8") as server:
            self._small_sendmail(*words, "bob@local.test", "jürgen@local.test", text="Subject: ü\n\nx\n".encode())
        self.expect("what sendmail says", server.commands[1:4] == [
            "MAIL FROM:<alice@local.test> BODY=8BITMIME SMTPUTF8 RET=HDRS ENVID=id+201+2B1",
            "RCPT TO:<bob@local.test> NOTIFY=SUCCESS,FAILURE", "RCPT TO:<jürgen@local.test> NOTIFY=SUCCESS,FAILURE"],
            server.commands)
        with self._small() as server:
            self._small_sendmail(*words, "bob@local.test", text=b"Subject: x\n\nx\n")
        self.expect("nothing of it is said to a server without DSN", server.commands[1:3] == [
            "MAIL FROM:<alice@local.test>", "RCPT TO:<bob@local.test>"], server.commands)
        for recipient, text, missing in (("jürgen@local.test", "x\n", b"SMTPUTF8"), ("bob@local.test", "ü\n", b"8BITMIME")):
            with self._small():
                sent = self._small_sendmail(recipient, text=text.encode())
            self.expect(f"a server without {missing.decode()} is not given what takes it",
                        sent.returncode == 69 and missing in sent.stderr, sent)
        sent = self._alice.sendmail("-f", "alice@local.test", "bob@local.test", "jürgen@local.test", text=b"Subject: one of two\n\nx\n")
        self.expect("an unknown UTF-8 address is refused by the real server, the other gets it",
                    sent.returncode == 69 and "jürgen@local.test".encode() in sent.stderr, sent)
        self.arrived("bob", b"one of two")

    def administration(self) -> None:
        suite = self._suite
        root = Caller(suite, "alice")
        root.command = lambda *words: [*words]  # type: ignore[method-assign]
        shown = root.sendmail("-bv", "sales@local.test", "bob@local.test")
        self.expect("-bv shows the way of each", shown.returncode == 0 and b"aliases:1" in shown.stdout
                    and b"rcpt <bob@local.test>: 250" in shown.stdout, shown)
        shown = root.sendmail("-bv", "bob@local.test", "nosuch@local.test")
        self.expect("-bv of an unknown user is no success", shown.returncode == 69, shown)
        shown = root.sendmail("-bv", "-odd@local.test")
        self.expect("-bv of an option is a usage error", shown.returncode == 64, shown)
        shown = root.sendmail("-bv", "--", "-odd@local.test")
        self.expect("-bv of what looks like an option", b"<-odd@local.test>" in shown.stdout, shown)
        for option in ("-q", "-qRremote.test", "-qR@remote.test", "-qSalice@local.test"):
            flushed = root.sendmail(option)
            said = b"attempted now" in flushed.stdout or b"No message matches" in flushed.stdout
            self.expect(f"{option} flushes", flushed.returncode == 0 and said, flushed)
        for words in (("-qI",), ("-qRfred@remote.test",), ("-q30m",), ("-bd",), ("-N", "never,delay", "a"), ("-R", "x", "a"),
                      ("-V", "", "a")):
            wrong = self._alice.sendmail(*words)
            self.expect(f"{' '.join(words)} is a usage error", wrong.returncode == 64 and wrong.stderr, wrong)

    # A suite that is down, or goes

    def _small(self, *offers: str, leaves_at: str = "") -> SmallServer:
        return SmallServer(self._suite.folder / "small.sock", offers, leaves_at)

    def _small_sendmail(self, *words: str, text: bytes) -> subprocess.CompletedProcess[bytes]:
        config = self._suite.folder / "small.conf"
        config.write_text(f"hostname mx2.test\nlisten {self._suite.folder}/small.sock local\n")
        return self._alice.sendmail(*words, text=text, config=config)

    def server_leaves(self) -> None:
        for leaves_at in ("CONNECT", "EHLO", "MAIL", "RCPT", "DATA", "MIDDLE", "CONTENT"):
            with self._small(leaves_at=leaves_at):
                sent = self._small_sendmail("bob@local.test", text=b"Subject: x\n\n" + b"x" * 70 * 1000 + b"\n")
            self.expect(f"a server that leaves at {leaves_at}: 75", sent.returncode == 75 and not broke(sent), sent)
        with self._small(leaves_at="QUIT"):
            sent = self._small_sendmail("bob@local.test", text=b"Subject: x\n\nx\n")
        self.expect("a server that leaves after 250: 0", sent.returncode == 0, sent)

    def killed_server(self) -> None:
        talk = self._alice.start_sendmail("-bs")
        assert talk.stdin and talk.stdout
        talk.stdin.write(b"EHLO x\r\nMAIL FROM:<alice@local.test>\r\nRCPT TO:<bob@local.test>\r\nDATA\r\n")
        talk.stdin.flush()
        while not talk.stdout.readline().startswith(b"354"):
            pass
        talk.stdin.write(b"Subject: never\r\n\r\n")
        talk.stdin.flush()
        self._suite.signal_daemon("smtpd", signal.SIGKILL)
        said, errors = talk.communicate(timeout=30)
        self.expect("-bs when the server is killed: 75 and no 250", talk.returncode == 75 and b"250" not in said, (said, errors))

    def terminated(self) -> None:
        """SIGTERM to the suite or to sendmail, at some moment of a submission: taken once, or not taken."""
        for number, (whom, moment) in enumerate((("suite", 0.0), ("sendmail", 0.05), ("suite", 0.15), ("suite", 0.3),
                                                 ("sendmail", 0.3), ("suite", 0.6))):
            subject = f"terminated {number}"
            large = self._alice.start_sendmail("-i", "bob@local.test")
            talk = self._alice.start_sendmail("-bs")
            assert large.stdin and talk.stdin
            talk.stdin.write(b"EHLO x\r\nMAIL FROM:<alice@local.test>\r\nRCPT TO:<carol@local.test>\r\nDATA\r\nSubject: slow\r\n")
            talk.stdin.flush()
            large.stdin.write(f"Subject: {subject}\n\n".encode() + (b"x" * 69 + b"\n") * (LARGE // 70))
            large.stdin.close()
            large.stdin = None
            time.sleep(moment)
            if whom == "suite":
                self._suite.stop()  # judges exit code, what is left, and sanitizers
            else:
                large.terminate()
                talk.terminate()
            self._judge_terminated(f"{subject} ({whom} after {moment} s)", large, talk, subject.encode())

    def _judge_terminated(self, what: str, large: subprocess.Popen[bytes], talk: subprocess.Popen[bytes],
                          subject: bytes) -> None:
        said = [subprocess.CompletedProcess("", process.wait(60), *process.communicate()) for process in (large, talk)]
        clean = all(one.returncode in (0, 75, -signal.SIGTERM) and b"Sanitizer" not in one.stderr for one in said)
        self.expect(f"{what}: sendmail ends as it should", clean, said)
        self.expect(f"{what}: the slow message is not taken", said[1].returncode != 0, said[1])
        if not self._suite.daemons() or not self._running():
            self._suite.start()
        self._suite.wait_until_empty()
        copies = sum(values(text, b"Subject") == [subject] for text in self._suite.mailbox("bob"))
        good = copies == 1 if large.returncode == 0 else copies <= 1
        self.expect(f"{what}: {large.returncode}, {copies} in the mailbox", good)

    def _running(self) -> bool:
        return all(Path(f"/proc/{pid}").exists() for pid in self._suite.daemons().values())

    def down(self) -> None:
        self._suite.stop()
        for words in (("bob@local.test",), ("-t",), ("-bs",)):
            sent = self._alice.sendmail(*words, text=b"To: bob@local.test\nSubject: down\n\nx\n")
            self.expect(f"{words[0]} while the suite is down: 75", sent.returncode == 75 and sent.stderr, sent)
        self._suite.start()
        self._suite.wait_until_empty()
        self.expect("and nothing was sent", not any(values(text, b"Subject") == [b"down"] for text in self._suite.mailbox("bob")))


def main() -> int:
    with Program(__doc__) as program:
        folder, stage = program.scratch("local"), program.stage()
        nsd = Nsd(folder / "nsd", stage)
        suite = Suite(program.binaries, folder / "suite", stage, CONFIG + host_config(), {"aliases": "sales: alice, bob\n"})
        nsd.start()
        try:
            suite.start()
            local = LocalSubmission(program, suite)
            for part in (local.mailx, local.php, local.cron, local.git, local.smtp_client, local.notifications,
                         local.administration, local.server_leaves, local.killed_server, local.down, local.terminated):
                part()
            suite.stop()
        finally:
            suite.abandon()
            nsd.stop()
    return program.exit_code


if __name__ == "__main__":
    sys.exit(main())
