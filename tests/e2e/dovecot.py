"""A real Dovecot, of which only the authentication service runs: it answers on a socket, from a passwd-file.

It runs from its unpacked package with a configuration in the scratch folder; as root it uses two of the accounts
that every Debian has, otherwise the caller's own.
"""

from __future__ import annotations

import os
import pwd
import subprocess
from pathlib import Path

import peers
from process import end_group, wait_for

CONFIG = """\
base_dir = {folder}/base
state_dir = {folder}/base
instance_name = postrider-test
libexec_dir = {root}/usr/lib/dovecot
log_path = {folder}/log
auth_verbose = yes
auth_failure_delay = 1 secs
# Any character, also those outside of ASCII.
auth_username_chars =
protocols =
ssl = no
default_internal_user = {user}
default_internal_group = {user}
default_login_user = {login_user}
disable_plaintext_auth = no
auth_mechanisms = plain login
import_environment = LD_LIBRARY_PATH
first_valid_uid = 1
passdb {{
  driver = passwd-file
  args = scheme=plain username_format=%u {folder}/users
}}
userdb {{
  driver = static
  args = uid={uid} gid={uid} home={folder}
}}
service auth {{
  chroot =
  user = {user}
  unix_listener auth-postrider {{
    mode = 0666
  }}
}}
service anvil {{
  chroot =
}}
service stats {{
  chroot =
}}
"""


class DovecotPeer:
    """Owns one running Dovecot and the folder it works in."""

    def __init__(self, folder: Path, users: dict[str, str]) -> None:
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None
        own = pwd.getpwuid(os.geteuid()).pw_name
        user, login_user = ("daemon", "nobody") if os.geteuid() == 0 else (own, own)
        uid = pwd.getpwnam(user).pw_uid
        self._root = peers.root_of("dovecot-core")
        (folder / "base").mkdir()
        os.chown(folder, uid, -1)
        os.chown(folder / "base", uid, -1)
        (folder / "users").write_text("".join(f"{name}:{{PLAIN}}{password}\n" for name, password in users.items()),
                                      encoding="utf-8")
        (folder / "dovecot.conf").write_text(
            CONFIG.format(folder=folder, root=self._root, user=user, login_user=login_user, uid=uid), encoding="utf-8")

    @property
    def socket(self) -> Path:
        return self._folder / "base/auth-postrider"

    def log(self) -> str:
        log = self._folder / "log"
        return log.read_text(encoding="utf-8", errors="replace") if log.exists() else ""

    def _environment(self) -> dict[str, str]:
        environment = peers.environment("dovecot-core")
        own = [self._root / "usr/lib/dovecot", self._root / "usr/lib/dovecot/modules/old-stats"]
        libraries = ":".join([*map(str, own), environment["LD_LIBRARY_PATH"]])
        return {**environment, "LD_LIBRARY_PATH": libraries}

    def start(self) -> None:
        config = str(self._folder / "dovecot.conf")
        # Dovecot has its configuration read by doveconf, under a path that only an installed one has; so the
        # two are started the other way round.
        command = [str(self._root / "usr/bin/doveconf"), "-c", config, "-p", "-e",
                   str(self._root / "usr/sbin/dovecot"), "-F", "-c", config]
        with open(self._folder / "stderr", "ab") as errors:
            self._process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=errors, stderr=errors, env=self._environment(),
                start_new_session=True)
        wait_for(f"Dovecot to make {self.socket} (see {self._folder}/log and stderr)", self.socket.is_socket)

    def stop(self) -> None:
        if self._process:
            end_group(self._process)
            self._process = None
