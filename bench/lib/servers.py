"""The two servers that are compared, each with the same three pieces of work.

relay:   from smtp-source on the loopback to smtp-sink on the loopback
discard: accepted, made durable, then thrown away
local:   into the Maildirs of 100 users
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path

USERS = 100
MAIL_UID = 64301
DAEMON_UIDS = {"smtpd": 64201, "router": 64203, "queue-manager": 64204, "remote-delivery": 64205}
POSTFIX_UID, POSTDROP_GID = 64220, 64221


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


POSTFIX_MAIN = """\
compatibility_level = 3.7
myhostname = bench.test
mydestination =
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
mynetworks = 127.0.0.0/8
queue_directory = {disk}/postfix/queue
data_directory = {disk}/postfix/data
command_directory = {tree}/usr/sbin
daemon_directory = {tree}/usr/lib/postfix/sbin
shlib_directory = {tree}/usr/lib/postfix
meta_directory = {tree}/etc/postfix
mail_owner = postfix
setgid_group = postdrop
default_privs = nobody
import_environment = MAIL_CONFIG MAIL_LOGTAG TZ LANG=C POSTLOG_SERVICE POSTLOG_HOSTNAME LD_LIBRARY_PATH
maillog_file = {disk}/postfix/log/mail.log
maillog_file_prefixes = {disk}/postfix/log
alias_maps =
alias_database =
smtpd_recipient_restrictions = permit_mynetworks, reject
smtpd_peername_lookup = no
smtp_dns_support_level = disabled
smtp_host_lookup = native
smtp_tls_security_level = none
smtpd_tls_security_level = none
in_flow_delay = 0s
virtual_mailbox_domains = local.test
virtual_mailbox_base = {disk}/mail
virtual_mailbox_maps = texthash:{disk}/postfix/etc/users
virtual_uid_maps = static:{mail_uid}
virtual_gid_maps = static:{mail_uid}
relayhost = [127.0.0.1]:{sink_port}
"""

POSTFIX_MASTER = """\
127.0.0.1:{port} inet n - n - - smtpd
pickup    unix n - n 60    1 pickup
cleanup   unix n - n -     0 cleanup
qmgr      unix n - n 300   1 qmgr
rewrite   unix - - n -     - trivial-rewrite
bounce    unix - - n -     0 bounce
defer     unix - - n -     0 bounce
trace     unix - - n -     0 bounce
verify    unix - - n -     1 verify
flush     unix n - n 1000? 0 flush
proxymap  unix - - n -     - proxymap
smtp      unix - - n -     - smtp
error     unix - - n -     - error
retry     unix - - n -     - error
discard   unix - - n -     - discard
virtual   unix - n n -     - virtual
anvil     unix - - n -     1 anvil
scache    unix - - n -     1 scache
postlog   unix-dgram n - n - 1 postlogd
"""


class Postfix(Server):
    """Debian's Postfix from its unpacked package, with its defaults but for what the work needs.

    `in_flow_delay = 0` lifts its brake on intake, which would only slow it down here.
    """

    name = "postfix"

    def __init__(self, disk: Path, port: int, sink_port: int, tree: Path) -> None:
        super().__init__(disk, port, sink_port)
        self._tree = tree

    def _environment(self) -> dict[str, str]:
        return {**os.environ, "LD_LIBRARY_PATH": str(self._tree / "usr/lib/postfix")}

    def configure(self, work: str) -> tuple[list[str], dict[str, str]]:
        base = self.disk / "postfix"
        for name in ("queue", "queue/pid", "etc", "data", "log"):
            (base / name).mkdir(parents=True, exist_ok=True)
        for name in ("active", "bounce", "corrupt", "defer", "deferred", "flush", "hold", "incoming", "maildrop",
                     "private", "public", "saved", "trace"):
            (base / "queue" / name).mkdir(exist_ok=True)
            os.chown(base / "queue" / name, POSTFIX_UID, POSTDROP_GID if name in ("maildrop", "public") else 0)
        os.chown(base / "data", POSTFIX_UID, 0)
        main = POSTFIX_MAIN.format(disk=self.disk, tree=self._tree, mail_uid=MAIL_UID, sink_port=self.sink_port)
        if work == "discard":
            main += "default_transport = discard:\n"
        (base / "etc/main.cf").write_text(main, encoding="ascii")
        (base / "etc/master.cf").write_text(POSTFIX_MASTER.format(port=self.port), encoding="ascii")
        (base / "etc/dynamicmaps.cf").write_text("", encoding="ascii")
        (base / "etc/users").write_text("".join(f"user{n}@local.test user{n}/\n" for n in range(USERS)), encoding="ascii")
        return [str(self._tree / "usr/lib/postfix/sbin/master"), "-c", str(base / "etc"), "-d"], self._environment()

    def queue_is_empty(self) -> bool:
        queue = self.disk / "postfix/queue"
        return not any(files for name in ("maildrop", "incoming", "active", "deferred")
                       for _, _, files in os.walk(queue / name))

    def description(self) -> str:
        done = subprocess.run([str(self._tree / "usr/sbin/postconf"), "-c", str(self.disk / "postfix/etc"), "-h",
                               "mail_version"], text=True, capture_output=True, env=self._environment())
        return f"Postfix {re.sub(r'[^0-9.]', '', done.stdout) or '(unknown version)'}"
