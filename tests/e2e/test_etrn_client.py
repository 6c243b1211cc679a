#!/usr/bin/python3
"""T97: `postrider etrn` asks the suite, a real Postfix and a real Exim for mail, which then comes; and it says what is
wrong with servers that do not serve it."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

from exim import EximPeer
from nsd import Nsd
from postfix import PostfixPeer
from process import wait_for
from program import ROOT, Program
from smtp import Session, send_message
from stage import Stage
from suite import Suite

CONFIG = """\
net 0.0.0.0/0 etrn
tls_certificate us.pem us.key
etrn_interval 10m
error_delay 0
"""
# Nothing but ETRN makes it try again in the time of a test.
POSTFIX = """\
relay_domains = local.test
transport_maps = inline:{{ local.test=smtp:[{host}]:{port} }}
minimal_backoff_time = 1h
queue_run_delay = 1h
"""
Done = subprocess.CompletedProcess[str]


class ScriptedServer:
    """Serves one session, with the reply to each verb that the script says; "" closes, "silent" says nothing."""

    def __init__(self, stage: Stage, address: tuple[str, int], replies: dict[str, str]) -> None:
        self.commands: list[str] = []
        self._replies = {"CONNECT": "220 scripted.test", "EHLO": "250-scripted.test\r\n250 etrn", "QUIT": "221 bye", **replies}
        with stage.inside("world"):
            self._listening = socket.create_server(address)
        self._listening.settimeout(30)
        self._thread = threading.Thread(target=self._serve)

    def __enter__(self) -> ScriptedServer:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._thread.join()
        self._listening.close()

    def _serve(self) -> None:
        client, _ = self._listening.accept()
        client.settimeout(30)
        with client, client.makefile("rb") as lines:
            if not self._say(client, "CONNECT"):
                return
            for line in lines:
                self.commands.append(line.decode().rstrip("\r\n"))
                if not self._say(client, self.commands[-1]):
                    return

    def _say(self, client: socket.socket, command: str) -> bool:
        reply = self._replies.get(command, self._replies.get(command.split(" ")[0], "500 what"))
        if reply == "silent":
            return True
        if reply:
            client.sendall(reply.encode() + b"\r\n")
        return bool(reply)


class Client:
    """`postrider etrn` on a host of the world, which knows some names."""

    def __init__(self, program: Program, folder: Path, stage: Stage, binaries: Path) -> None:
        self._program = program
        self._stage = stage
        self._hosts = folder / "hosts"
        self._hosts.write_text("127.0.0.1 localhost\n" + "".join(f"{stage.us()[0]} {name}\n" for name in ("mx2.test", "other.test")))
        self._binary = binaries / "postrider"

    def run(self, *words: str) -> Done:
        own_names = ["unshare", "--mount", "--propagation", "private", "--", "sh", "-c",
                     'mount --bind "$1" /etc/hosts && shift && exec "$@"', "sh", str(self._hosts)]
        return subprocess.run([*self._stage.command("world"), *own_names, str(self._binary), "etrn", "--helo", "out.example",
                               *words], text=True, capture_output=True, timeout=120, stdin=subprocess.DEVNULL)

    def expect(self, what: str, words: tuple[str, ...], status: int, out: str = "", err: str = "") -> Done:
        done = self.run(*words)
        good = done.returncode == status and out in done.stdout and err in done.stderr
        self._program.judge(f"T97: {what}: {status}", good, "" if good else str(done))
        return done


def ask_suite(client: Client, program: Program, suite: Suite, host: str, port: str) -> None:
    at = (host, "--port", port)
    client.expect("two domains without mail", (*at, "a.test", "B.test"), 0, "a.test: 251 2.0.0 No messages")
    client.expect("in brackets", (f"[{host}]", "--port", port, "@c.test"), 0, "@c.test: 251")
    client.expect("asked too soon", (*at, "a.test", "d.test"), 75, "a.test: 458 4.7.0")
    client.expect("a queue that has no name", (*at, "#q1"), 75, "#q1: 458")
    client.expect("no domain", (*at, "a..test"), 64, err="a..test")
    client.expect("a line end", (*at, "a.test\r\nVRFY alice"), 64)
    client.expect("no duration", (*at, "a.test", "--timeout", "soon"), 64)
    client.expect("no port", (host, "--port", "0", "a.test"), 64)
    client.expect("no word", (host,), 64)
    listed = json.loads(client.run(*at, "--json", "e.test").stdout)
    judge(program, "as JSON", listed["replies"] == [{"name": "e.test", "code": 251, "status": "2.0.0",
                                                     "text": "No messages wait for e.test"}] and listed["error"] == "", listed)
    trusted = str(suite.folder / "us.pem")
    client.expect("under TLS", ("mx2.test", "--port", port, "--ca", trusted, "f.test"), 0, "f.test: 251")
    client.expect("under TLS, of another name", ("other.test", "--port", port, "--ca", trusted, "g.test"), 75, err="certificate")
    client.expect("under TLS, of an unknown authority", ("mx2.test", "--port", port, "--tls", "g.test"), 75, err="certificate")


def ask_badly_served(client: Client, program: Program, stage: Stage) -> None:
    address = stage.server("SH")
    at = (address[0], "--port", str(address[1]), "--timeout", "2s")
    client.expect("nobody there", (*at, "a.test"), 75, err="a.test was not asked for")
    cases: list[tuple[str, dict[str, str], int, str, str]] = [
        ("no ETRN", {"EHLO": "250 plain.test"}, 69, "", "does not offer ETRN"),
        ("ETRN as the name of the host only", {"EHLO": "250 ETRN"}, 69, "", "does not offer ETRN"),
        ("ETRN offered and unknown", {"ETRN": "502 5.5.1 no"}, 69, "a.test: 502 5.5.1 no", ""),
        ("a bare 250", {"ETRN": "250 OK"}, 0, "a.test: 250 OK", ""),
        ("busy", {"CONNECT": "421 4.3.2 busy"}, 75, "", "421 4.3.2 busy"),
        ("not for us", {"CONNECT": "554 5.7.1 go away"}, 69, "", "554 5.7.1 go away"),
        ("no ESMTP", {"EHLO": "500 what"}, 69, "", "EHLO got 500"),
        ("gone in the middle", {"ETRN": ""}, 75, "", "b.test was not asked for"),
        ("closing in the middle", {"ETRN": "421 4.3.2 closing"}, 75, "", "421 4.3.2"),
        ("silent", {"ETRN": "silent"}, 75, "", "a.test was not asked for"),
        ("no SMTP", {"CONNECT": "hello"}, 75, "", "postrider: "),
        ("one of two", {"ETRN a.test": "253 2.0.0 3 pending", "ETRN b.test": "459 4.7.1 no"}, 75, "a.test: 253 2.0.0 3 pending", ""),
        ("escape sequences", {"ETRN": "250 \x1b[2J"}, 0, "a.test: 250 ", ""),
    ]
    for what, replies, status, out, err in cases:
        with ScriptedServer(stage, address, replies) as server:
            done = client.expect(what, (*at, "a.test", "b.test"), status, out, err)
        if "\x1b" in done.stdout + done.stderr:
            program.judge(f"T97: {what}: nothing but text is printed", False)
    judge(program, "the dialogue", server.commands == ["EHLO out.example", "ETRN a.test", "ETRN b.test", "QUIT"], server.commands)
    with ScriptedServer(stage, address, {}) as server:
        client.expect("TLS wanted, not offered", (*at, "--tls", "a.test"), 69, err="STARTTLS")
    judge(program, "then nothing is asked", server.commands == ["EHLO out.example", "QUIT"], server.commands)


def judge(program: Program, what: str, good: bool, found: object) -> None:
    program.judge(f"T97: {what}", good, "" if good else str(found))


def leave_mail(stage: Stage, server: tuple[str, int], recipient: str) -> None:
    with stage.inside("world"):
        session = Session(server, stage.client("OUT"), 150)
    session.reply()
    session.command("EHLO out.example", 250)
    assert send_message(session, "a@out.example", [recipient], b"Subject: kept\r\n\r\nHello.\r\n").code == 250
    session.close()


def has_mail(suite: Suite, user: str) -> bool:
    return len(suite.mailbox(user)) == 1


def ask_others(client: Client, program: Program, suite: Suite, postfix: PostfixPeer, exim: EximPeer) -> None:
    """Both were given mail while the suite was away."""
    time.sleep(2)
    program.judge("T97: Postfix waits to be asked", not suite.mailbox("alice"))
    host, port = postfix.address
    client.expect(f"{postfix.version()}", (host, "--port", str(port), "local.test"), 0, "local.test: 25")
    wait_for("Postfix to send what it kept", lambda: has_mail(suite, "alice"))
    client.expect("Postfix, a domain that it does not keep mail for", (host, "--port", str(port), "other.test"), 75, "other.test: 459")
    host, port = exim.address
    # Exim by itself knows only what it calls a queue, which are the addresses with that text in them.
    client.expect("Exim, a domain", (host, "--port", str(port), "local.test"), 69, "local.test: 501")
    client.expect("Exim", (host, "--port", str(port), "#local.test"), 0, "#local.test: 250")
    wait_for("Exim to send what it kept", lambda: has_mail(suite, "bob"))


def check_units(program: Program, folder: Path) -> None:
    """What systemd says of the units that run it."""
    if shutil.which("systemd-analyze") is None:
        print("systemd-analyze is not here: the units are not looked at")
        return
    units = []
    for unit in sorted((ROOT / "etc/systemd").glob("postrider-etrn@.*")):
        # The programs are not installed here.
        text = unit.read_text(encoding="utf-8").replace("/usr/lib/postrider/postrider", "/bin/true")
        (folder / unit.name.replace("@.", "@provider.")).write_text(text, encoding="utf-8")
        units.append(str(folder / unit.name.replace("@.", "@provider.")))
    done = subprocess.run(["systemd-analyze", "verify", "--man=no", *units], text=True, capture_output=True)
    judge(program, "systemd takes the units without a word",
          len(units) == 2 and done.returncode == 0 and not done.stdout + done.stderr, done)


def main() -> int:
    with Program(__doc__) as program:
        folder, stage = program.scratch("etrn"), program.stage()
        check_units(program, program.scratch("units"))
        host, port = stage.us()
        for name in ("nsd", "postfix", "exim"):
            (folder / name).mkdir(exist_ok=True)
        nsd = Nsd(folder / "nsd", stage)
        postfix = PostfixPeer(folder / "postfix", stage, "P", "kept.test", [], POSTFIX.format(host=host, port=port))
        exim = EximPeer("R", folder / "exim", stage, (host, port), settings="acl_smtp_etrn = accept\n")
        suite = Suite(program.binaries, folder / "suite", stage, CONFIG)
        suite.make_certificate("us", "mx2.test")
        client = Client(program, folder, stage, suite.binaries)
        nsd.start()
        postfix.start()
        exim.start()
        try:
            leave_mail(stage, postfix.address, "alice@local.test")
            leave_mail(stage, exim.address, "bob@local.test")
            ask_badly_served(client, program, stage)
            suite.start()
            ask_others(client, program, suite, postfix, exim)
            ask_suite(client, program, suite, host, str(port))
            suite.stop()
        finally:
            suite.abandon()
            postfix.stop()
            exim.stop()
            nsd.stop()
    return program.exit_code


if __name__ == "__main__":
    sys.exit(main())
