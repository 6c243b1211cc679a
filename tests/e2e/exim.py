"""A real Exim as the remote server of a test: it accepts mail for any domain and keeps it as files.

Each delivery becomes one file that begins with the envelope as Exim saw it, then an empty line, then the
message octet for octet as received (Exim is told to add no Received field of its own). Exim runs from its
unpacked package with a configuration in the scratch folder, with accounts of its own that exist only in
its view (nss_wrapper), as root or as an ordinary user.
"""

from __future__ import annotations

import dataclasses
import os
import re
import subprocess
from pathlib import Path

import peers
from process import accepts_connections, end_group, wait_for
from stage import Stage

UID = 64210

CONFIG = """\
primary_hostname = {hostname}
exim_path = {binary}
exim_user = {uid}
exim_group = {gid}
never_users =
keep_environment = LD_LIBRARY_PATH : LD_PRELOAD : NSS_WRAPPER_PASSWD : NSS_WRAPPER_GROUP
local_interfaces = {address}
daemon_smtp_ports = {port}
pid_file_path = {folder}/exim.pid
spool_directory = {folder}/spool
log_file_path = {folder}/log/%slog
log_selector = +smtp_connection +received_recipients
write_rejectlog = false
host_lookup =
rfc1413_query_timeout = 0s
smtp_enforce_sync = false
smtp_accept_max = 200
smtp_accept_max_per_host = 0
smtp_accept_queue_per_connection = 0
smtp_accept_max_per_connection = 0
tls_advertise_hosts =
dsn_advertise_hosts = {offered_to}
smtputf8_advertise_hosts = {offered_to}
chunking_advertise_hosts = *
received_header_text =
received_headers_max = 200
local_from_check = false
strip_excess_angle_brackets = false
return_path_remove = false
envelope_to_remove = false
delivery_date_remove = false
acl_smtp_rcpt = check_rcpt
acl_smtp_data = check_data
{settings}message_size_limit = 200M
check_spool_space = 0
check_spool_inodes = 0

begin acl
check_rcpt:
  deny    condition = ${{lookup{{$local_part}}lsearch{{{folder}/reject_rcpt}}{{${{if match{{$value}}{{^5}}}}}}{{no}}}}
          message   = ${{lookup{{$local_part}}lsearch{{{folder}/reject_rcpt}}}}
  defer   condition = ${{lookup{{$local_part}}lsearch{{{folder}/reject_rcpt}}{{yes}}{{no}}}}
          message   = ${{lookup{{$local_part}}lsearch{{{folder}/reject_rcpt}}}}
  accept
check_data:
  deny    condition = ${{lookup{{*}}lsearch{{{folder}/reject_data}}{{${{if match{{$value}}{{^5}}}}}}{{no}}}}
          message   = ${{lookup{{*}}lsearch{{{folder}/reject_data}}}}
  defer   condition = ${{lookup{{*}}lsearch{{{folder}/reject_data}}{{yes}}{{no}}}}
          message   = ${{lookup{{*}}lsearch{{{folder}/reject_data}}}}
  accept

begin routers
{smarthost_router}keep:
  driver = accept
  caseful_local_part = true
  transport = keep

begin transports
{smarthost_transport}keep:
  driver = appendfile
  directory = {folder}/mail
  directory_mode = 0755
  mode = 0644
  maildir_format
  create_file = anywhere
  user = {uid}
  group = {gid}
  initgroups = false
  use_crlf = true
  return_path_add = false
  message_prefix = "TRANSACTION:$message_exim_id\\nHELO:$sender_helo_name\\nMAIL FROM:<$sender_address>\\n\\
                    RCPT TO:<${{quote_local_part:$local_part}}@$domain>\\n\\n"

begin retry
* * F,1h,1s
"""


SMARTHOST_ROUTER = """\
smarthost:
  driver = manualroute
  route_list = * {address}
  self = send
  transport = smarthost

"""
SMARTHOST_TRANSPORT = """\
smarthost:
  driver = smtp
  port = {port}

"""


@dataclasses.dataclass(frozen=True)
class Arrival:
    """One delivery at a peer: envelope and content exactly as received (CRLF line ends)."""

    transaction: str
    helo: str
    sender: str
    recipient: str
    content: bytes

    @staticmethod
    def parse(raw: bytes) -> Arrival:
        envelope, _, content = raw.partition(b"\n\n")
        fields = dict(line.split(":", 1) for line in envelope.decode("utf-8", "replace").split("\n"))
        return Arrival(fields["TRANSACTION"], fields["HELO"], fields["MAIL FROM"].strip("<>"),
                       fields["RCPT TO"].strip("<>"), content)


class EximPeer:
    """Owns one running Exim and the folder it works in. With a smarthost it is a client: everything goes there.
    A `plain` one offers neither delivery status notifications nor SMTPUTF8."""

    def __init__(self, name: str, folder: Path, stage: Stage, smarthost: tuple[str, int] | None = None,
                 plain: bool = False, settings: str = "") -> None:
        self.name = name
        self._plain = plain
        self._settings = settings
        self._smarthost = smarthost
        self.address = stage.server(name)
        self._folder = folder
        self._stage = stage
        self._process: subprocess.Popen[bytes] | None = None
        self._uid, self._gid = (UID, UID) if os.geteuid() == 0 else (os.geteuid(), os.getegid())
        self._prepare()

    def _prepare(self) -> None:
        for part in ("", "spool", "log", "mail", "mail/tmp", "mail/new", "mail/cur"):
            path = self._folder / part
            path.mkdir(parents=True, exist_ok=True)
            os.chown(path, self._uid, self._gid)
        for table in ("reject_rcpt", "reject_data"):
            (self._folder / table).write_text("", encoding="utf-8")
        address, port = self.address
        self._binary = peers.program("exim4-daemon-light", "usr/sbin/exim4")
        router, transport = "", ""
        if self._smarthost:
            router = SMARTHOST_ROUTER.format(address=self._smarthost[0])
            transport = SMARTHOST_TRANSPORT.format(port=self._smarthost[1])
        (self._folder / "exim.conf").write_text(
            CONFIG.format(settings=self._settings, smarthost_router=router, smarthost_transport=transport,
                          hostname=f"{self.name.lower()}.peer.test", uid=self._uid, gid=self._gid, address=address,
                          port=port, folder=self._folder, binary=self._binary, offered_to="" if self._plain else "*"), encoding="utf-8")
        (self._folder / "passwd").write_text(
            f"root:x:0:0::/root:/bin/sh\nDebian-exim:x:{self._uid}:{self._gid}::/:/usr/sbin/nologin\n", encoding="utf-8")
        (self._folder / "group").write_text(f"root:x:0:\nDebian-exim:x:{self._gid}:\n", encoding="utf-8")

    def _environment(self) -> dict[str, str]:
        wrapper = next(peers.root_of("libnss-wrapper").glob("usr/lib/*/libnss_wrapper.so"))
        return {**peers.environment("exim4-daemon-light"), "LD_PRELOAD": str(wrapper),
                "NSS_WRAPPER_PASSWD": str(self._folder / "passwd"), "NSS_WRAPPER_GROUP": str(self._folder / "group")}

    def start(self) -> None:
        with open(self._folder / "stderr", "ab") as errors:
            self._process = subprocess.Popen(
                [*self._stage.command("world"), str(self._binary), "-C", str(self._folder / "exim.conf"), "-bdf", "-q10s"],
                stdin=subprocess.DEVNULL, stdout=errors, stderr=errors, env=self._environment(),
                start_new_session=True)
        with self._stage.inside("world"):
            wait_for(f"Exim {self.name} to listen on {self.address} (see {self._folder}/log)",
                     lambda: accepts_connections(self.address))

    def submit(self, dialogue: list[str]) -> str:
        """Speaks SMTP with an Exim on standard input, which delivers at once; what it wrote into its log about that."""
        before = self._log_size()
        subprocess.run([*self._stage.command("world"), str(self._binary), "-C", str(self._folder / "exim.conf"), "-odf", "-bs"],
                       input="\r\n".join([*dialogue, "QUIT", ""]).encode(), check=True, capture_output=True, timeout=60,
                       env=self._environment())
        return (self._folder / "log/mainlog").read_text(encoding="utf-8", errors="replace")[before:]

    def _log_size(self) -> int:
        log = self._folder / "log/mainlog"
        return len(log.read_text(encoding="utf-8", errors="replace")) if log.exists() else 0

    def stop(self) -> None:
        if self._process:
            end_group(self._process)
            self._process = None

    def reject(self, local_part: str, reply: str, after_data: bool = False) -> None:
        """From now on answers `reply` to RCPT for that local part, or to the end of DATA ('*')."""
        table = self._folder / ("reject_data" if after_data else "reject_rcpt")
        with open(table, "a", encoding="utf-8") as lines:
            lines.write(f"{'*' if after_data else local_part}: {reply}\n")

    def accept_everything(self) -> None:
        for table in ("reject_rcpt", "reject_data"):
            (self._folder / table).write_text("", encoding="utf-8")

    def arrivals(self, recipient: str | None = None) -> list[Arrival]:
        """What has been delivered so far, in the order of arrival."""
        files = sorted((self._folder / "mail/new").iterdir(), key=lambda file: file.stat().st_mtime_ns)
        found = [Arrival.parse(file.read_bytes()) for file in files]
        return [arrival for arrival in found if recipient in (None, arrival.recipient)]

    def count(self) -> int:
        return len(os.listdir(self._folder / "mail/new"))

    def queue_is_empty(self) -> bool:
        """Whether everything that Exim took has been delivered."""
        return not any((self._folder / "spool/input").glob("**/*-[HD]"))

    def connections(self, source: str) -> int:
        """How many connections from that address Exim has seen."""
        log = self._folder / "log/mainlog"
        if not log.exists():
            return 0
        text = log.read_text(encoding="utf-8", errors="replace")
        return len(re.findall(rf"SMTP connection from .*\[{re.escape(source)}\].*\(TCP/IP connection count", text))
