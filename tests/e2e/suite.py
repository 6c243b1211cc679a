"""The suite under test: started from a scratch folder, asked through its own interfaces, ended with care.

As root it runs with everything that needs root: an account for each daemon (numeric, so that no account
must exist), chroots, and local users with homes. The local users exist only in the suite's own view: it
gets a mount namespace in which /etc/passwd and /etc/group have them too. As an ordinary user the same
names are users of a virtual domain.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path
from typing import Any

from certificate import make_certificate
from process import TestFailure, end_session, wait_for
from smtp import Session
from stage import MX_DOMAINS, SERVERS, Stage

DAEMONS = ("smtpd", "router", "queue-manager", "local-delivery", "remote-delivery")
DAEMON_UIDS = {"smtpd": 64201, "router": 64203, "queue-manager": 64204, "remote-delivery": 64205,
               "authd": 64206}
FIRST_USER_UID = 64301
USERS = ("alice", "bob", "carol", "dave")
SANITIZER = re.compile(r"ERROR: (Address|Leak)Sanitizer|runtime error:|SUMMARY: \w*Sanitizer|LeakSanitizer has")

# Pairs of a file and what it stands for here, then "--" and the command.
IN_OWN_MOUNTS = 'while [ "$1" != -- ]; do mount --bind "$1" "$2" || exit; shift 2; done; shift; exec "$@"'


def is_of(process: str, daemon: str) -> bool:
    """Whether a process name of the supervisor's list, such as `smtpd-worker-0`, belongs to that daemon."""
    return process == daemon or (process.startswith(f"{daemon}-") and process not in DAEMONS) or \
        process.startswith(f"{daemon}.")


def binaries_of(folder: Path, source: Path) -> Path:
    """A folder with the programs under their names, so that a test can take one away."""
    own = folder / "bin"
    own.mkdir()
    for program in source.iterdir():
        if program.is_symlink() or not program.is_file() or not os.access(program, os.X_OK):
            continue
        try:
            os.link(program, own / program.name)
        except OSError:  # another file system, or not the owner
            shutil.copy2(program, own / program.name)
    return own

ABSENT_LIMITS = ("min_free_space 0", "min_free_inodes 0", "greet_wait 0s", "client_connection_rate off", "client_message_rate off", "client_recipient_rate off")


class Suite:
    """Owns one running suite and its scratch folder. `start` and `stop` may be repeated."""

    def __init__(self, binaries: Path, folder: Path, stage: Stage, config: str = "",
                 files: dict[str, str] | None = None, users: tuple[str, ...] = USERS,
                 spool: Path | None = None) -> None:
        self.folder = folder
        self.stage = stage
        self.users = users
        self.as_root = os.geteuid() == 0
        # A program built with sanitizers looks into itself at its end, and so must allow that.
        self.is_sanitized = b"AddressSanitizer" in (binaries / "postriderd").read_bytes()
        self.spool = spool or folder / "spool"
        self.log_file = folder / "log"
        self.config_file = folder / "postrider.conf"
        folder.mkdir(parents=True, exist_ok=True)
        folder.chmod(0o755)
        self.binaries = binaries_of(folder, binaries)
        self.prefix: list[str] = []  # a command in front of postriderd's, such as one that gives it priority
        self._process: subprocess.Popen[bytes] | None = None
        self._ahead_ms = 0  # of the system's clock: what the queue's clock was moved by
        self._log_before = 0  # characters of the log when the suite was last started
        self._make_users()
        # What the suite sees in place of the system's files, when it runs as root.
        self.own_files = {Path("/etc/passwd"): folder / "passwd", Path("/etc/group"): folder / "group"}
        for name, text in (files or {}).items():
            self.write_file(name, text)
        self.config_file.write_text(self._base_config(config) + self.expand(config), encoding="utf-8")

    # Configuration

    def _base_config(self, config: str) -> str:
        address, port = self.stage.us()
        resolver, resolver_port = self.stage.resolver()
        lines = ["hostname mx2.test", f"listen {address}:{port} smtp", "run_dir run", "state_dir state",
                 f"spool_dir {self.spool}", f"resolver {resolver}:{resolver_port}",
                 f"net {self.stage.client('IN')}/32 relay"]
        # Clients of tests come often, and nobody knows them yet.
        lines += [line for line in ABSENT_LIMITS if line.split()[0] not in config]
        if self.as_root:
            lines += [f"user {daemon} {uid}" for daemon, uid in DAEMON_UIDS.items()]
            lines += ["local_domain local.test", "mailbox local.test maildir:~/Maildir"]
        else:
            lines += [f"virtual_domain local.test maildir:{self.folder}/home/%u/Maildir users=users "
                      f"owner={os.geteuid()}"]
        if not self.stage.has_mx:
            lines += [f"route {domain} via [{self.stage.server(name)[0]}]:{self.stage.server(name)[1]}"
                      for name, domains in MX_DOMAINS.items() for domain in domains]
        return "\n".join(lines) + "\n"

    def expand(self, text: str) -> str:
        """Puts the stage's addresses for ${us}, ${us:LISTENER}, ${P} … ${SH}, ${IN}, ${OUT}, ${port:LISTENER} and ${dir}."""
        def value(match: re.Match[str]) -> str:
            name, _, listener = match[1].partition(":")
            if name == "us":
                return "{}:{}".format(*self.stage.us(listener or "smtp"))
            if name == "port":
                return str(self.stage.us(listener or "smtp")[1])
            if name in SERVERS:
                return "[{}]:{}".format(*self.stage.server(name))
            if name in ("IN", "OUT"):
                return self.stage.client(name)
            if name == "dir":
                return str(self.folder)
            return match[0]
        return re.sub(r"\$\{([a-zA-Z0-9:]+)\}", value, text)

    def write_file(self, name: str, text: str) -> None:
        """Writes a file of the configuration as an editor does: beside it, then renamed over it."""
        path = self.folder / name
        staging = path.with_name(path.name + ".editing")
        staging.write_text(self.expand(text), encoding="utf-8")
        staging.chmod(0o644)
        staging.rename(path)

    def make_certificate(self, file: str, *names: str) -> None:
        """Puts FILE.pem and FILE.key into the folder: a certificate for these names, signed by itself."""
        make_certificate(self.folder / f"{file}.pem", self.folder / f"{file}.key", *names)

    def _make_users(self) -> None:
        passwd, group = ("", "")
        if self.as_root:
            passwd, group = (Path(f"/etc/{name}").read_text(encoding="utf-8") for name in ("passwd", "group"))
        for number, name in enumerate(self.users):
            home = self.folder / "home" / name
            home.mkdir(parents=True, exist_ok=True)
            home.chmod(0o700)
            if self.as_root:
                uid = FIRST_USER_UID + number
                os.chown(home, uid, uid)
                passwd += f"{name}:x:{uid}:{uid}::{home}:/bin/sh\n"
                group += f"{name}:x:{uid}:\n"
        (self.folder / "passwd").write_text(passwd, encoding="utf-8")
        (self.folder / "group").write_text(group, encoding="utf-8")
        (self.folder / "users").write_text("".join(f"{name}\n" for name in self.users), encoding="utf-8")

    def view(self) -> list[str]:
        """What to put in front of a command, as root, so that it sees the users of the suite."""
        files = [str(path) for place, file in self.own_files.items() for path in (file, place)]
        return ["unshare", "--mount", "--propagation", "private", "--", "sh", "-c", IN_OWN_MOUNTS, "sh", *files, "--"]

    # Life

    def launch(self) -> subprocess.Popen[bytes]:
        """Starts postriderd without waiting for anything."""
        command = [str(self.binaries / "postriderd"), "--config", str(self.config_file)]
        if self.as_root:
            command = [*self.view(), *command]
        command = [*self.prefix, *command]
        environment = {**os.environ, "ASAN_OPTIONS": "detect_leaks=1:exitcode=99",
                       "UBSAN_OPTIONS": "print_stacktrace=1", "LSAN_OPTIONS": "exitcode=99",
                       "POSTRIDER_TEST_CLOCK": str(self.folder / "clock")}
        with open(self.log_file, "ab") as log:
            return subprocess.Popen([*self.stage.command("us"), *command], stdin=subprocess.DEVNULL, stdout=log,
                                    stderr=log, env=environment, start_new_session=True)

    def start(self, seconds: float = 30.0) -> None:
        self._log_before = len(self.log()) if self.log_file.exists() else 0
        self._process = self.launch()
        try:
            wait_for("the suite to take mail", self._is_ready, seconds)
        except TestFailure as failure:
            raise TestFailure(f"{failure}; its log ends:\n{self.log_tail()}") from failure
        if self._ahead_ms:
            self._tell_clock(self._ahead_ms)

    def move_clock(self, seconds: float) -> None:
        """Lets that much time pass for the queue; it stays ahead by it across restarts."""
        self._ahead_ms += round(seconds * 1000)
        self._tell_clock(round(seconds * 1000))

    def restore_clock(self) -> None:
        """Tells a queue-manager that was started again how far its clock is ahead."""
        self._tell_clock(self._ahead_ms)

    def _tell_clock(self, milliseconds: int) -> None:
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as clock:
            clock.settimeout(10)
            try:
                clock.connect(str(self.folder / "clock"))
                clock.send(str(milliseconds).encode("ascii"))
                answer = clock.recv(100)
            except OSError as error:
                raise TestFailure(f"the queue's clock cannot be moved: {error}") from error
        if not answer:
            raise TestFailure("the queue's clock gave no answer")

    def _is_ready(self) -> bool:
        """Whether all the daemons that intake needs have found each other: DATA is answered with 354."""
        assert self._process
        if self._process.poll() is not None:
            raise TestFailure(f"postriderd ended with {self._process.returncode}")
        if not self._workers_have_all():
            return False
        return self._takes_mail_from("IN")

    def _takes_mail_from(self, client: str) -> bool:
        try:
            session = self.session(client, timeout=10)
        except OSError:
            return False
        with contextlib.closing(session):  # in the middle of a message, which is thereby forgotten
            try:
                if session.reply().code != 220:
                    return False
                return all(session.command(command).code < 400 for command in
                           ("EHLO ready.test", "MAIL FROM:<>", f"RCPT TO:<{self.users[0]}@local.test>", "DATA"))
            except TestFailure:
                return False

    def _workers_have_all(self) -> bool:
        """Whether each session worker has heard from the daemons that need not always be there."""
        daemons = self.daemons()
        workers = sum(name.startswith("smtpd-worker-") for name in daemons)
        if not {"router", "queue-manager", "smtpd"} <= daemons.keys() or not workers:
            return False
        said = self.log()[self._log_before:]
        signs = {"keyd": " keys_in_force ", "authd": " logins_offered "}
        return all(said.count(sign) >= workers for daemon, sign in signs.items() if daemon in daemons)

    def stop(self) -> None:
        """Ends the suite and fails if it did not end well: exit 0, in time, nothing left, no report."""
        if not self._process:
            return
        process, self._process = self._process, None
        process.send_signal(signal.SIGTERM)
        try:
            code = process.wait(45)
        except subprocess.TimeoutExpired:
            end_session(process)
            raise TestFailure(f"postriderd did not end within 45 s of SIGTERM:\n{self.log_tail()}") from None
        left = end_session(process)
        if code != 0:
            raise TestFailure(f"postriderd ended with {code}:\n{self.log_tail()}")
        if left:
            raise TestFailure(f"these outlived postriderd: {left}")
        self.assert_no_sanitizer_report()

    def abandon(self) -> None:
        """Ends whatever still runs, at once and without judging it: after a failure, or as a power cut would."""
        if self._process:
            end_session(self._process)
            self._process = None

    def assert_no_sanitizer_report(self) -> None:
        found = SANITIZER.search(self.log())
        if found:
            raise TestFailure(f"a sanitizer reported:\n{self.log()[found.start():found.start() + 6000]}")

    # Daemons

    def daemons(self) -> dict[str, int]:
        """Process ids by name, as the supervisor writes them; several of one name as NAME, NAME.2 …"""
        try:
            lines = (self.folder / "run" / "daemons").read_text(encoding="ascii").splitlines()
        except FileNotFoundError:
            return {}
        found: dict[str, int] = {}
        for line in lines:
            name, pid = line.split()[:2]
            key, number = name, 1
            while key in found:
                number += 1
                key = f"{name}.{number}"
            if int(pid) > 0:
                found[key] = int(pid)
        return found

    def signal_daemon(self, name: str, number: signal.Signals) -> None:
        """Sends a signal to every process of that daemon."""
        pids = [pid for key, pid in self.daemons().items() if is_of(key, name)]
        if not pids:
            raise TestFailure(f"no daemon {name!r} in {self.folder}/run/daemons: {self.daemons()}")
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)

    def take_away(self, name: str) -> None:
        """Kills the daemon and keeps the supervisor from starting it again, until `give_back`."""
        (self.binaries / name).rename(self.binaries / f"{name}.away")
        self.signal_daemon(name, signal.SIGKILL)

    def give_back(self, name: str) -> None:
        (self.binaries / f"{name}.away").rename(self.binaries / name)

    # Observation

    def session(self, client: str = "OUT", listener: str = "smtp", timeout: float = 40.0) -> Session:
        with self.stage.inside("world"):
            return Session(self.stage.us(listener), self.stage.client(client), timeout)

    def log(self) -> str:
        try:
            return self.log_file.read_text(encoding="utf-8", errors="replace")
        except FileNotFoundError:
            return ""

    def log_tail(self) -> str:
        return self.log()[-3000:]

    def command(self, *words: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Runs `postrider --config … WORDS` on the suite's host, with its users."""
        view = self.view() if self.as_root else []
        done = subprocess.run([*view, str(self.binaries / "postrider"), "--config", str(self.config_file), *words],
                              text=True, capture_output=True, timeout=120, stdin=subprocess.DEVNULL)
        if check and done.returncode != 0:
            raise TestFailure(f"postrider {' '.join(words)} exited {done.returncode}: {done.stderr or done.stdout}")
        return done

    def counters(self) -> dict[str, int]:
        """What the queue-manager has counted since its start."""
        counters = json.loads(self.command("status", "--json").stdout)["counters"]
        return {name: int(value) for name, value in counters.items()}

    def queue(self) -> list[dict[str, Any]]:
        listed = json.loads(self.command("queue", "list", "--json").stdout)
        assert isinstance(listed, list)
        return listed

    def spool_files(self) -> list[Path]:
        """Every message file, whatever its state."""
        folders = ("tmp", "new", "cur", "hold", "failed", "corrupt")
        return [file for name in folders for file in (self.spool / name).rglob("*") if file.is_file()]

    def queue_is_empty(self) -> bool:
        return not self.spool_files() and not self.queue()

    def wait_until_empty(self, seconds: float = 30.0) -> None:
        end = time.monotonic() + seconds
        while not self.queue_is_empty():
            if time.monotonic() > end:
                raise TestFailure(f"the queue is not empty after {seconds:g} s: {self.queue()} "
                                  f"{[str(file) for file in self.spool_files()]}")
            time.sleep(0.1)

    def mailbox(self, user: str) -> list[bytes]:
        """The messages in a user's Maildir, in the order of arrival."""
        folder = self.folder / "home" / user / "Maildir"
        files = [file for part in ("new", "cur") for file in (folder / part).glob("*")]
        return [file.read_bytes() for file in sorted(files, key=lambda file: file.stat().st_mtime_ns)]
