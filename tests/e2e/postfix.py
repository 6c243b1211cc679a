"""A real Debian Postfix from its unpacked package: the server that others are compared with.

It runs from a folder of its own, with Postfix's defaults but for what the work needs. Its two accounts have to
exist in its view only. Its master runs as root or not at all.
"""

from __future__ import annotations

import dataclasses
import os
import re
import subprocess
from pathlib import Path

import peers
from process import Skip, accepts_connections, end_session, wait_for
from stage import Stage

UID, DROP_GID = 64220, 64221
MAIL_UID = 64222
ACCOUNTS = f"postfix:x:{UID}:{UID}::/nonexistent:/usr/sbin/nologin\n"
GROUPS = f"postfix:x:{UID}:\npostdrop:x:{DROP_GID}:\n"

MAIN = """\
compatibility_level = 3.7
mydestination =
inet_protocols = ipv4
queue_directory = {base}/queue
data_directory = {base}/data
command_directory = {tree}/usr/sbin
daemon_directory = {tree}/usr/lib/postfix/sbin
shlib_directory = {tree}/usr/lib/postfix
meta_directory = {tree}/etc/postfix
mail_owner = postfix
setgid_group = postdrop
default_privs = nobody
import_environment = MAIL_CONFIG MAIL_LOGTAG TZ LANG=C POSTLOG_SERVICE POSTLOG_HOSTNAME LD_LIBRARY_PATH LD_PRELOAD
    NSS_WRAPPER_PASSWD NSS_WRAPPER_GROUP
maillog_file = {base}/log/mail.log
maillog_file_prefixes = {base}/log
alias_maps =
alias_database =
smtpd_peername_lookup = no
smtp_dns_support_level = disabled
smtp_host_lookup = native
smtp_tls_security_level = none
smtpd_tls_security_level = none
in_flow_delay = 0s
"""

SERVICES = """\
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


def lay_out(base: Path, tree: Path, settings: str, listeners: str) -> None:
    """Makes the folders and the configuration of a Postfix that lives in `base` and comes from `tree`.

    `settings` is for main.cf, `listeners` are the lines of smtpd in master.cf. `in_flow_delay = 0` is there
    because Postfix's brake on intake would only slow down what is measured or tested.
    """
    for name in ("queue", "queue/pid", "etc", "data", "log"):
        (base / name).mkdir(parents=True, exist_ok=True)
    for name in ("active", "bounce", "corrupt", "defer", "deferred", "flush", "hold", "incoming", "maildrop",
                 "private", "public", "saved", "trace"):
        (base / "queue" / name).mkdir(exist_ok=True)
        os.chown(base / "queue" / name, UID, DROP_GID if name in ("maildrop", "public") else 0)
    os.chown(base / "data", UID, 0)
    (base / "etc/main.cf").write_text(MAIN.format(base=base, tree=tree) + settings, encoding="ascii")
    (base / "etc/master.cf").write_text(listeners + SERVICES, encoding="ascii")
    (base / "etc/dynamicmaps.cf").write_text("", encoding="ascii")


def master(base: Path, tree: Path) -> list[str]:
    """The command that runs such a Postfix, without going into the background."""
    return [str(tree / "usr/lib/postfix/sbin/master"), "-c", str(base / "etc"), "-d"]


def environment(tree: Path) -> dict[str, str]:
    return {**os.environ, "LD_LIBRARY_PATH": str(tree / "usr/lib/postfix")}


def queue_is_empty(base: Path) -> bool:
    return not any(files for name in ("maildrop", "incoming", "active", "deferred")
                   for _, _, files in os.walk(base / "queue" / name))


def version(base: Path, tree: Path) -> str:
    done = subprocess.run([str(tree / "usr/sbin/postconf"), "-c", str(base / "etc"), "-h", "mail_version"], text=True,
                          capture_output=True, env=environment(tree))
    return f"Postfix {re.sub(r'[^0-9.]', '', done.stdout) or '(unknown version)'}"


# What the peer of a test needs beyond MAIN: it takes mail for any user of one domain, and keeps it.
PEER_SETTINGS = """\
myhostname = postfix.{domain}
inet_interfaces = {address}
mynetworks = 127.0.0.0/8
smtpd_recipient_restrictions = reject_unauth_destination
message_size_limit = 200000000
mailbox_size_limit = 0
virtual_mailbox_limit = 0
virtual_mailbox_domains = {domain}
virtual_mailbox_base = {base}/mail
virtual_mailbox_maps = texthash:{base}/etc/users
virtual_uid_maps = static:{mail_uid}
virtual_gid_maps = static:{mail_uid}
"""


@dataclasses.dataclass(frozen=True)
class Delivered:
    """One delivery as Postfix's virtual(8) wrote it: its own fields are still in front of the content."""

    user: str
    content: bytes


class PostfixPeer:
    """Owns one running Postfix and the folder it works in. It takes mail for `users` of `domain`."""

    def __init__(self, folder: Path, stage: Stage, name: str, domain: str, users: list[str], settings: str = "") -> None:
        if os.geteuid() != 0:
            raise Skip("Postfix's master runs as root only")
        self.address = stage.server(name)
        self._folder = folder
        self._stage = stage
        self._process: subprocess.Popen[bytes] | None = None
        self._tree = peers.root_of("postfix")
        self._prepare(domain, users, settings)

    def _prepare(self, domain: str, users: list[str], settings: str) -> None:
        host, port = self.address
        own = PEER_SETTINGS.format(domain=domain, base=self._folder, mail_uid=MAIL_UID, address=host)
        lay_out(self._folder, self._tree, own + settings, f"{host}:{port} inet n - n - - smtpd\n")
        mail = self._folder / "mail"
        mail.mkdir()
        os.chown(mail, MAIL_UID, MAIL_UID)
        (self._folder / "etc/users").write_text("".join(f"{user}@{domain} {user}/\n" for user in users), encoding="ascii")
        for name, more in (("passwd", ACCOUNTS), ("group", GROUPS)):
            known = Path(f"/etc/{name}").read_text(encoding="utf-8")
            (self._folder / name).write_text(known + more, encoding="utf-8")

    def _environment(self) -> dict[str, str]:
        wrapper = next(peers.root_of("libnss-wrapper").glob("usr/lib/*/libnss_wrapper.so"))
        return {**environment(self._tree), "LD_PRELOAD": str(wrapper),
                "NSS_WRAPPER_PASSWD": str(self._folder / "passwd"), "NSS_WRAPPER_GROUP": str(self._folder / "group")}

    def start(self) -> None:
        with open(self._folder / "stderr", "ab") as errors:
            self._process = subprocess.Popen(
                [*self._stage.command("world"), *master(self._folder, self._tree)], stdin=subprocess.DEVNULL,
                stdout=errors, stderr=errors, env=self._environment(), start_new_session=True)
        with self._stage.inside("world"):
            wait_for(f"Postfix to listen on {self.address} (see {self._folder}/log and stderr)",
                     lambda: accepts_connections(self.address))

    def stop(self) -> None:
        if self._process:
            end_session(self._process)
            self._process = None

    def queue_is_empty(self) -> bool:
        return queue_is_empty(self._folder)

    def version(self) -> str:
        return version(self._folder, self._tree)

    def deliveries(self) -> list[Delivered]:
        """What has been delivered so far, in no particular order."""
        return [Delivered(file.parent.parent.name, file.read_bytes()) for file in self._folder.glob("mail/*/new/*")]
