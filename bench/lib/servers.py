"""The two servers that are compared, each with the same three pieces of work.

relay:   from smtp-source on the loopback to smtp-sink on the loopback
discard: accepted, made durable, then thrown away
local:   into the Maildirs of 100 users
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path

import postfix

USERS = 100
MAIL_UID = 64301
DAEMON_UIDS = {"smtpd": 64201, "router": 64203, "queue-manager": 64204, "remote-delivery": 64205}


def wait_for_port(port: int, log: Path) -> None:
    for _ in range(300):
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=5) as probe:
                if probe.recv(3) == b"220":
                    return
        except OSError:
            pass
        time.sleep(0.05)
    raise RuntimeError(f"no greeting on port {port}; {log} ends:\n{log.read_text(errors='replace')[-2000:]}")


class Server:
    """One of them: started for one run, on a disk of its own."""

    name = ""

    def __init__(self, disk: Path, port: int, sink_port: int) -> None:
        self.disk = disk
        self.port = port
        self.sink_port = sink_port
        self.log = disk.parent / f"{self.name}.log"
        self.process: subprocess.Popen[bytes] | None = None

    def start(self, work: str) -> None:
        shutil.rmtree(self.disk / "mail", ignore_errors=True)
        mail = self.disk / "mail"
        mail.mkdir()
        os.chown(mail, MAIL_UID, MAIL_UID)
        command, environment = self.configure(work)
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                            env=environment, start_new_session=True)
        wait_for_port(self.port, self.log)

    def stop(self) -> None:
        if not self.process:
            return
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(45)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
        self.process = None

    def mailbox_count(self) -> int:
        return sum(len(files) for folder, _, files in os.walk(self.disk / "mail") if folder.endswith("/new"))

    def configure(self, work: str) -> tuple[list[str], dict[str, str]]:
        raise NotImplementedError

    def recipient(self, work: str, user: int) -> str:
        domain = {"relay": "elsewhere.test", "discard": "nowhere.test", "local": "local.test"}[work]
        return f"user{user}@{domain}"

    def queue_is_empty(self) -> bool:
        raise NotImplementedError

    def description(self) -> str:
        raise NotImplementedError


class Postrider(Server):
    name = "postrider"

    def __init__(self, disk: Path, port: int, sink_port: int, binaries: Path) -> None:
        super().__init__(disk, port, sink_port)
        self._binaries = binaries

    def configure(self, work: str) -> tuple[list[str], dict[str, str]]:
        folder = self.disk / "postrider"
        folder.mkdir(exist_ok=True)
        (folder / "users").write_text("".join(f"user{number}\n" for number in range(USERS)), encoding="ascii")
        # Throwing mail away is the alias /dev/null, as long as there is no `route … discard`.
        (folder / "aliases").write_text("".join(f"user{n}: /dev/null\n" for n in range(USERS)), encoding="ascii")
        lines = ["hostname bench.test", f"listen 127.0.0.1:{self.port} smtp", "spool_dir spool", "run_dir run",
                 "state_dir state", "min_free_space 0", "min_free_inodes 0", "net 127.0.0.0/8 relay",
                 "max_connections_per_client 1000", "trusted_session_messages 1000000",
                 f"virtual_domain local.test maildir:{self.disk}/mail/%u owner={MAIL_UID} users=users",
                 f"virtual_domain nowhere.test maildir:{self.disk}/mail/%u owner={MAIL_UID} users=users",
                 "alias_file nowhere.test aliases", f"route * via [127.0.0.1]:{self.sink_port}"]
        lines += [f"user {daemon} {uid}" for daemon, uid in DAEMON_UIDS.items()]
        (folder / "postrider.conf").write_text("\n".join(lines) + "\n", encoding="ascii")
        return [str(self._binaries / "postriderd"), "--config", str(folder / "postrider.conf")], dict(os.environ)

    def queue_is_empty(self) -> bool:
        spool = self.disk / "postrider/spool"
        return not any(files for name in ("tmp", "new", "cur") for _, _, files in os.walk(spool / name))

    def description(self) -> str:
        done = subprocess.run(["git", "-C", str(self._binaries), "rev-parse", "--short", "HEAD"], text=True,
                              capture_output=True)
        return f"postrider {done.stdout.strip() or '(not committed)'}"


POSTFIX_SETTINGS = """\
myhostname = bench.test
inet_interfaces = 127.0.0.1
mynetworks = 127.0.0.0/8
smtpd_recipient_restrictions = permit_mynetworks, reject
virtual_mailbox_domains = local.test
virtual_mailbox_base = {disk}/mail
virtual_mailbox_maps = texthash:{disk}/postfix/etc/users
virtual_uid_maps = static:{mail_uid}
virtual_gid_maps = static:{mail_uid}
relayhost = [127.0.0.1]:{sink_port}
"""


class Postfix(Server):
    """Debian's Postfix from its unpacked package, with its defaults but for what the work needs."""

    name = "postfix"

    def __init__(self, disk: Path, port: int, sink_port: int, tree: Path) -> None:
        super().__init__(disk, port, sink_port)
        self._tree = tree
        self._base = disk / "postfix"

    def configure(self, work: str) -> tuple[list[str], dict[str, str]]:
        settings = POSTFIX_SETTINGS.format(disk=self.disk, mail_uid=MAIL_UID, sink_port=self.sink_port)
        if work == "discard":
            settings += "default_transport = discard:\n"
        postfix.lay_out(self._base, self._tree, settings, f"127.0.0.1:{self.port} inet n - n - - smtpd\n")
        (self._base / "etc/users").write_text("".join(f"user{n}@local.test user{n}/\n" for n in range(USERS)),
                                              encoding="ascii")
        return postfix.master(self._base, self._tree), postfix.environment(self._tree)

    def queue_is_empty(self) -> bool:
        return postfix.queue_is_empty(self._base)

    def description(self) -> str:
        return postfix.version(self._base, self._tree)
