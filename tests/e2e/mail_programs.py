"""Mail programs that people use, each with one way to send one message: swaks, nodemailer, msmtp and Exim as a client.

All take the same Order, as far as they can do what it asks for; what they cannot is an error here, not ignored.
"""

from __future__ import annotations

import dataclasses
import json
import shutil
import subprocess
from pathlib import Path

import peers
from process import Skip

SECONDS = 60


@dataclasses.dataclass(frozen=True)
class Order:
    """What is to be sent, and how."""

    address: tuple[str, int]
    implicit_tls: bool = False
    mechanism: str = ""
    login: str = ""
    password: str = "secret"
    sender: str = "alice@local.test"
    recipient: str = "bob@local.test"
    subject: str = "sent by a program"
    notify: str = ""  # a DSN keyword; with it RET=HDRS, and where the program can ENVID=QQ=1 and an original recipient


@dataclasses.dataclass(frozen=True)
class Sent:
    taken: bool
    said: str


def _run(command: list[str], text: str = "", **options: object) -> Sent:
    done = subprocess.run(command, input=text, text=True, capture_output=True, timeout=SECONDS, **options)  # type: ignore
    return Sent(done.returncode == 0, f"exit {done.returncode}: {(done.stdout + done.stderr).strip()[-600:]}")


def swaks(prefix: list[str], order: Order) -> Sent:
    if not shutil.which("swaks"):
        raise Skip("swaks is missing: apt-get install swaks")
    assert not order.notify
    host, port = order.address
    command = [*prefix, "swaks", "--server", f"{host}:{port}", "--ehlo", "out.example", "--from", order.sender, "--to",
               order.recipient, "--timeout", "20", "--header", f"Subject: {order.subject}",
               "--tls-on-connect" if order.implicit_tls else "--tls"]
    if order.mechanism:
        command += ["--auth", order.mechanism, "--auth-user", order.login, "--auth-password", order.password]
    return _run(command)


def nodemailer(prefix: list[str], order: Order) -> Sent:
    if not shutil.which("node"):
        raise Skip("node is missing: apt-get install nodejs npm")
    host, port = order.address
    transport: dict[str, object] = {
        "host": host, "port": port, "secure": order.implicit_tls, "requireTLS": not order.implicit_tls, "name": "out.example",
        "tls": {"rejectUnauthorized": False, "servername": "mx2.test"}}
    if order.mechanism:
        transport |= {"authMethod": order.mechanism, "auth": {"user": order.login, "pass": order.password}}
    message: dict[str, object] = {"from": order.sender, "to": order.recipient, "subject": order.subject, "text": "Hello.\n"}
    if order.notify:
        message["dsn"] = {"id": "QQ=1", "return": "headers", "notify": [order.notify], "recipient": "Bob@x.test"}
    script = Path(__file__).with_name("nodemailer_send.js")
    return _run([*prefix, "node", str(script), str(peers.npm_root_of("nodemailer"))],
                json.dumps({"transport": transport, "message": message}))


def msmtp(prefix: list[str], order: Order) -> Sent:
    host, port = order.address
    command = [*prefix, str(peers.program("msmtp", "usr/bin/msmtp")), "--file=/dev/null", f"--host={host}", f"--port={port}",
               "--domain=out.example", "--tls=on", f"--tls-starttls={'off' if order.implicit_tls else 'on'}",
               "--tls-certcheck=off", f"--from={order.sender}", "--timeout=20"]
    if order.mechanism:
        command += [f"--auth={order.mechanism.lower()}", f"--user={order.login}", f"--passwordeval=echo {order.password}"]
    if order.notify:
        command += [f"--dsn-notify={order.notify}", "--dsn-return=headers"]
    text = f"From: {order.sender}\nTo: {order.recipient}\nSubject: {order.subject}\n\nHello.\n"
    return _run([*command, "--", order.recipient], text, env=peers.environment("msmtp"))


def gsasl(prefix: list[str], order: Order) -> Sent:
    """Only logs in."""
    host, port = order.address
    command = [*prefix, str(peers.program("gsasl", "usr/bin/gsasl")), "--smtp", f"--connect={host}:{port}", "--starttls",
               "--x509-ca-file=", f"--mechanism={order.mechanism}", f"--authentication-id={order.login}",
               f"--password={order.password}", "--authorization-id=", "--quiet"]
    if not order.mechanism.endswith("-PLUS"):
        command.append("--no-cb")
    return _run(command, env=peers.environment("gsasl"))


def scram_verifier(password: str) -> str:
    """As a line of a password file has it, for SCRAM-SHA-256."""
    done = subprocess.run([str(peers.program("gsasl", "usr/bin/gsasl")), "--mkpasswd", "--mechanism=SCRAM-SHA-256",
                           "--iteration-count=4096", f"--password={password}"], text=True, capture_output=True, check=True,
                          env=peers.environment("gsasl"))
    return done.stdout.strip()
