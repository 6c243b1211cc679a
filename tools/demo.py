#!/usr/bin/python3
"""The demonstration behind ./quickstart: runs the built suite from demo/ and shows two messages arriving.

Everything lies in demo/: configuration, spool, sockets, the user's Maildir, and the second mail server,
Debian's smtp-sink from the unpacked postfix package, with what it received.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import re
import shutil
import signal
import smtplib
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests/e2e"))
import peers  # noqa: E402  (found beside the tests, which use the same packages)

DEMO = ROOT / "demo"
BINARIES = ROOT / "build/release/bin"
ADDRESS = ("127.0.0.1", 2525)
LOCAL, REMOTE = "you@demo.test", "friend@elsewhere.test"
USER_UID = 64301
DAEMON_UIDS = {"smtpd": 64201, "router": 64203, "queue-manager": 64204, "remote-delivery": 64205}

CONFIG = """\
# Made by ./quickstart, which writes it anew at each start.
hostname        mail.demo.test
listen          {address}:{port}   smtp
spool_dir       spool
run_dir         run
state_dir       state
min_free_space  0
min_free_inodes 0
{users}
virtual_domain  demo.test  maildir:{demo}/mail/%u  owner={owner} users=users
net             127.0.0.0/8  relay
route           *  via [127.0.0.1]:{sink_port}
"""


class DemoError(RuntimeError):
    """Why the demonstration cannot go on, in words for whoever started it."""


def is_free(address: tuple[str, int]) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(address)
        except OSError:
            return False
    return True


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def everybody_may_enter(folder: Path) -> bool:
    return all(parent.stat().st_mode & 0o001 for parent in [folder, *folder.parents])


class Demo:
    """Owns the two servers and their folder."""

    def __init__(self) -> None:
        self._as_root = os.geteuid() == 0
        self._sink_port = free_port()
        self._servers: list[subprocess.Popen[str]] = []
        # Where daemons without root's rights see the demo's folder. Below a private folder such as /root they
        # could not reach it, so there they get a name for it that only their own view of the file system has.
        self._hidden = self._as_root and not everybody_may_enter(ROOT)
        self._seen_at = Path("/mnt/demo") if self._hidden else DEMO

    def prepare(self) -> None:
        if not is_free(ADDRESS):
            raise DemoError("something else already listens on {}:{}".format(*ADDRESS))
        for name in ("mail", "second-server", "spool", "run", "state"):
            shutil.rmtree(DEMO / name, ignore_errors=True)
        for name in ("mail", "second-server"):
            (DEMO / name).mkdir(parents=True)
        DEMO.chmod(0o755)
        owner = os.geteuid()
        users = "# started by an ordinary user: every daemon keeps that user"
        if self._as_root:
            owner = USER_UID
            users = "\n".join(f"user            {daemon} {uid}" for daemon, uid in DAEMON_UIDS.items())
            os.chown(DEMO / "mail", owner, owner)
            shutil.chown(DEMO / "second-server", "nobody")
        (DEMO / "users").write_text("you\n", encoding="ascii")
        (DEMO / "postrider.conf").write_text(
            CONFIG.format(address=ADDRESS[0], port=ADDRESS[1], users=users, owner=owner, demo=self._seen_at,
                          sink_port=self._sink_port), encoding="utf-8")

    def start(self) -> None:
        sink = str(peers.program("postfix", "usr/sbin/smtp-sink"))
        confine = ["-u", "nobody", "-R", str(DEMO / "second-server")] if self._as_root else []
        self._spawn([sink, *confine, "-d", "message.", f"127.0.0.1:{self._sink_port}", "100"],
                    cwd=DEMO / "second-server", environment=peers.environment("postfix"), label="second server")
        self._wait_for("the second server", ("127.0.0.1", self._sink_port))
        command = [str(BINARIES / "postriderd"), "--config", str(self._seen_at / "postrider.conf")]
        if self._hidden:
            mount = 'mount -t tmpfs none /mnt && mkdir /mnt/demo && mount --bind "$1" /mnt/demo && shift && exec "$@"'
            command = ["unshare", "--mount", "--propagation", "private", "--", "sh", "-c", mount, "sh",
                       str(DEMO), *command]
        self._spawn(command, cwd=ROOT, environment=dict(os.environ), label="")
        self._wait_for("postriderd", ADDRESS)

    def _spawn(self, command: list[str], cwd: Path, environment: dict[str, str], label: str) -> None:
        server = subprocess.Popen(command, cwd=cwd, env=environment, stdin=subprocess.DEVNULL, text=True,
                                  stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True)
        self._servers.append(server)
        threading.Thread(target=self._show, args=(server, label), daemon=True).start()

    @staticmethod
    def _show(server: subprocess.Popen[str], label: str) -> None:
        assert server.stdout
        for line in server.stdout:
            print(f"  | {label + ': ' if label else ''}{line}", end="", flush=True)

    def _wait_for(self, what: str, address: tuple[str, int]) -> None:
        for _ in range(200):
            if self._servers[-1].poll() is not None:
                raise DemoError(f"{what} ended with exit code {self._servers[-1].returncode}")
            with contextlib.suppress(OSError), socket.create_connection(address, timeout=5):
                return
            time.sleep(0.1)
        raise DemoError(f"{what} does not answer on {address[0]}:{address[1]}")

    def send(self, recipient: str) -> None:
        with smtplib.SMTP(*ADDRESS, timeout=60) as client:
            client.ehlo("laptop.demo.test")
            client.sendmail("me@demo.test", [recipient],
                            f"From: <me@demo.test>\r\nTo: <{recipient}>\r\nSubject: Hello {recipient}\r\n\r\n"
                            "This message went through every process of the suite.\r\n")

    def arrived(self, recipient: str) -> Path | None:
        folder = DEMO / ("mail/you/new" if recipient == LOCAL else "second-server")
        needle = f"Subject: Hello {recipient}".encode()
        for file in folder.glob("*"):
            if needle in file.read_bytes():
                return file
        return None

    def stop(self) -> bool:
        """Ends both servers; whether the suite ended well."""
        good = True
        for server in reversed(self._servers):
            if server.poll() is None:
                server.send_signal(signal.SIGTERM)
                try:
                    code = server.wait(45)
                except subprocess.TimeoutExpired:
                    server.kill()
                    code = server.wait()
                good = good and (code == 0 or server is self._servers[0])
        return good


def show(demo: Demo, recipient: str) -> bool:
    """Sends one message and waits until it has arrived; prints the file."""
    print(f"\n-- sending a message to {recipient}", flush=True)
    demo.send(recipient)
    for _ in range(300):
        if file := demo.arrived(recipient):
            time.sleep(0.3)  # let the log line of the delivery come first
            print(f"-- it arrived, as {file.relative_to(ROOT)}:")
            text = file.read_text(encoding="utf-8", errors="replace").replace("\r\n", "\n")
            print(re.sub(r"(?m)^", "     ", text.rstrip()), flush=True)
            return True
        time.sleep(0.1)
    print(f"-- the message to {recipient} did not arrive within 30 seconds", flush=True)
    return False


def serve() -> None:
    print(f"""
-- Both messages arrived. The suite goes on serving on {ADDRESS[0]}:{ADDRESS[1]}; stop it with Ctrl-C. Try

     {BINARIES.relative_to(ROOT)}/postrider --config demo/postrider.conf queue list
     {BINARIES.relative_to(ROOT)}/postrider --config demo/postrider.conf status
     swaks --server {ADDRESS[0]}:{ADDRESS[1]} --from me@demo.test --to {LOCAL}
""", flush=True)
    signal.pause()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--once", action="store_true", help="stop after the two messages")
    once = parser.parse_args().once
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    demo = Demo()
    good = False
    try:
        demo.prepare()
        demo.start()
        good = all([show(demo, LOCAL), show(demo, REMOTE)])
        if good and not once:
            serve()
    except (DemoError, peers.PeerError, OSError, smtplib.SMTPException) as error:
        print(f"quickstart: {error}", file=sys.stderr)
        good = False
    except KeyboardInterrupt:
        print("\n-- stopping", flush=True)
    finally:
        stopped_well = demo.stop()
    if once and good:
        print("-- both messages arrived")
    return 0 if good and stopped_well else 1


if __name__ == "__main__":
    sys.exit(main())
