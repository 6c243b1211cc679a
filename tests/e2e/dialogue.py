"""Runs one dialogue script against a suite of its own, with real servers as its peers.

Each verb of the language is one method of `Player`. A line that fails is reported as `file:line` with
what was expected and what came; the script goes on where that still makes sense.
"""

from __future__ import annotations

import re
import shlex
import signal
import time
from collections.abc import Callable
from pathlib import Path

import expectation
import script
from capture import DnsCapture
from exim import EximPeer
from expectation import Message
from nsd import Nsd
from process import Skip, TestFailure, wait_for
from script import Script, ScriptError, Statement
from smtp import Closed, Reply, Session
from stage import SERVERS, Stage
from suite import Suite, is_of

HEADER_VERBS = ("config:", "file", "peer", "users", "certificate", "needs")
UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
ARRIVAL_SECONDS = 30.0
SETTLE_SECONDS = 0.3


class Player:
    """Plays one script. Owns the suite, the name server, the peers and the client sessions of it."""

    def __init__(self, played: Script, binaries: Path, folder: Path, stage: Stage) -> None:
        self._script = played
        self._binaries = binaries
        self._folder = folder
        self._stage = stage
        self._peers: dict[str, EximPeer] = {}
        self._sessions: dict[str, Session] = {}
        self._current = "main"
        self._suite: Suite | None = None
        self._nsd: Nsd | None = None
        self._in_data = False
        self._sent = b""
        self._message: Message | None = None
        self._first_daemons: dict[str, int] = {}
        self._capture: DnsCapture | None = None
        self.failures: list[str] = []

    # The run

    def play(self) -> list[str]:
        """Returns the failures; an empty list is success."""
        statements = list(self._script.statements)
        header: list[Statement] = []
        while statements and statements[0].words()[0] in HEADER_VERBS:
            header.append(statements.pop(0))
        try:
            self._begin(header)
            self._perform(statements)
            for session in self._sessions.values():
                session.close()
            assert self._suite
            self._suite.stop()
        except (TestFailure, ScriptError) as failure:
            self.failures.append(str(failure))
        finally:
            self._end()
        return self.failures

    def _begin(self, header: list[Statement]) -> None:
        config, files, users = "", {}, ("alice", "bob", "carol", "dave")
        for statement in header:
            verb, *rest = statement.words()
            if verb == "config:":
                config += statement.block
            elif verb == "file":
                files[rest[0].rstrip(":")] = statement.block
            elif verb == "users":
                users = tuple(rest)
            elif verb == "needs":
                self._need_hosts(rest)
        self._suite = Suite(self._binaries, self._folder / "suite", self._stage, config, files, users)
        for statement in header:
            if statement.words()[0] == "certificate":
                self._suite.make_certificate(*statement.words()[1:])
        self._nsd = Nsd(self._folder / "nsd", self._stage)
        self._nsd.start()
        for statement in header:
            if statement.words()[0] == "peer":
                self._one(statement)
        self._suite.start()
        self._first_daemons = self._suite.daemons()

    def _need_hosts(self, words: list[str]) -> None:
        if words != ["hosts"]:
            raise ScriptError(f"{self._script.path}: expected `needs hosts`")
        if not self._stage.has_mx:
            raise Skip(f"{self._script.path.name} plays between hosts in network namespaces, which takes root")
        self._capture = DnsCapture(self._stage)

    def _end(self) -> None:
        if self._capture:
            self._capture.close()
        for session in self._sessions.values():
            session.close()
        if self._suite:
            self._suite.abandon()
        for peer in self._peers.values():
            peer.stop()
        if self._nsd:
            self._nsd.stop()

    def _perform(self, statements: list[Statement]) -> None:
        for statement in statements:
            if statement.text.startswith("for each "):
                name = statement.words()[2].rstrip(":")
                for value in statement.block.splitlines():
                    self._perform([inner.with_value(name, value) for inner in statement.body])
            else:
                self._one(statement)

    def _one(self, statement: Statement) -> None:
        where = f"{self._script.path}:{statement.line}"
        verb = re.match(r"S:|C:|C<<|[a-z]+", statement.text)
        action = self._verbs().get(verb.group() if verb else "")
        if not action or not verb:
            raise ScriptError(f"{where}: unknown statement {statement.text!r}")
        try:
            action(statement, statement.text[verb.end():].strip(" "))
        except Closed as failure:
            raise Closed(f"{where}: {statement.text}\n    got: {failure}{self._log_note()}") from failure
        except TestFailure as failure:
            self.failures.append(f"{where}: {statement.text}\n    got: {failure}")
            # Without a reply, or without leave to send the content, all that follows would be out of step.
            if "no reply within" in str(failure) or statement.text.startswith("S: 354"):
                raise TestFailure(f"{where}: the rest of the script was left out{self._log_note()}") from failure
        except (ValueError, IndexError) as error:
            raise ScriptError(f"{where}: {statement.text}: {error}") from error

    def _log_note(self) -> str:
        return f"\n    the suite's log ends:\n{self._suite.log_tail()}" if self._suite else ""

    def _verbs(self) -> dict[str, Callable[[Statement, str], None]]:
        return {
            "C:": self._client_says, "C<<": self._client_sends, "S:": self._server_says,
            "server": self._server_does, "connect": self._connect, "use": self._use,
            "disconnect": self._disconnect, "pause": self._pause, "stop": self._stop, "start": self._start,
            "kill": self._kill, "peer": self._peer, "file": self._file, "flush": self._flush,
            "arrived": self._arrived, "nothing": self._nothing, "header": self._header, "body": self._body,
            "content": self._content, "envelope": self._envelope, "queue": self._queue, "sink": self._sink,
            "log": self._log, "until": self._until, "same": self._same, "starttls": self._start_tls,
            "certificate": self._certificate, "clock": self._clock, "restart": self._restart,
            "postrider": self._postrider, "dns": self._dns,
        }

    # The conversation

    def _session(self) -> Session:
        if self._current not in self._sessions:
            raise ValueError("no connection is open; `connect` comes first")
        return self._sessions[self._current]

    def _running(self) -> Suite:
        assert self._suite
        return self._suite

    def _connect(self, _: Statement, text: str) -> None:
        options = dict(re.findall(r"(from|to|as|over) (\S+)", text))
        self._current = options.get("as", "main")
        if self._current in self._sessions:
            self._sessions.pop(self._current).close()
        self._in_data = False
        try:
            self._sessions[self._current] = self._open(options.get("from", "OUT"), options.get("to", "smtp"), "over" in options)
        except OSError as error:
            raise TestFailure(f"no connection: {error}") from error

    def _open(self, client: str, listener: str, over_tls: bool) -> Session:
        session = self._running().session(client, listener)
        if over_tls:
            session.start_tls()
        return session

    def _start_tls(self, _: Statement, text: str) -> None:
        self._session().start_tls(text.removeprefix("name").strip())

    def _certificate(self, _: Statement, text: str) -> None:
        self._running().make_certificate(*text.split())

    def _use(self, _: Statement, text: str) -> None:
        self._current = text
        self._session()

    def _disconnect(self, _: Statement, __: str) -> None:
        self._sessions.pop(self._current).close()

    def _client_says(self, statement: Statement, _: str) -> None:
        # Everything behind "C: " counts, blanks too.
        text = statement.text[3:] if len(statement.text) > 2 else ""
        self._transmit(text.encode("utf-8", "surrogateescape") + b"\r\n")

    def _client_sends(self, _: Statement, text: str) -> None:
        self._transmit(script.octets(text))

    def _transmit(self, octets: bytes) -> None:
        self._session().send(octets)
        if self._in_data:
            self._sent += octets
            if self._sent.endswith(b"\r\n.\r\n") or self._sent == b".\r\n":
                self._in_data = False
                self._sent = re.sub(rb"(?m)^\.(?=.)", b"", self._sent[:-3])

    def _server_says(self, _: Statement, text: str) -> None:
        patterns = expectation.parse_replies(text)
        reply = self._session().reply()
        if reply.code == 354:
            self._in_data, self._sent = True, b""
        if not any(pattern.matches(reply) for pattern in patterns):
            raise TestFailure(str(reply))

    def _server_does(self, _: Statement, text: str) -> None:
        if text == "closes":
            self._session().expect_closed()
        elif found := re.fullmatch(r"silent for (\d+(?:\.\d+)?)s", text):
            self._session().silent_for(float(found[1]))
        else:
            raise ValueError("expected `server closes` or `server silent for Ns`")

    def _until(self, _: Statement, text: str) -> None:
        """Repeats a command, or a whole message, as long as the reply is a temporary refusal."""
        message = re.fullmatch(r"message to (\S+) is accepted", text)
        command = re.fullmatch(r"(.+): ([2-5x][0-9x][0-9x].*)", text)
        if not message and not command:
            raise ValueError("expected `until COMMAND: REPLY` or `until message to ADDRESS is accepted`")
        end = time.monotonic() + ARRIVAL_SECONDS
        while True:
            if message:
                reply, patterns = self._try_message(message[1]), expectation.parse_replies("250")
            elif command:
                reply, patterns = self._session().command(command[1]), expectation.parse_replies(command[2])
            if any(pattern.matches(reply) for pattern in patterns):
                return
            if reply.code // 100 != 4 or time.monotonic() > end:
                raise TestFailure(str(reply))
            time.sleep(0.5)

    def _try_message(self, recipient: str) -> Reply:
        """One transaction; returns the reply that ended it, and leaves none open."""
        session = self._session()
        for command in ("MAIL FROM:<sender@out.example>", f"RCPT TO:<{recipient}>", "DATA"):
            reply = session.command(command)
            if reply.code >= 400:
                session.command("RSET", 250)
                return reply
        session.send(b"Subject: accepted\r\n\r\nHello.\r\n.\r\n")
        return session.reply()

    # What happens around it

    def _pause(self, _: Statement, text: str) -> None:
        time.sleep(float(text.removesuffix("s")))

    def _stop(self, _: Statement, text: str) -> None:
        self._running().take_away(text)

    def _start(self, _: Statement, text: str) -> None:
        self._running().give_back(text)

    def _kill(self, _: Statement, text: str) -> None:
        self._running().signal_daemon(text, signal.SIGKILL)

    def _flush(self, _: Statement, text: str) -> None:
        selection = ("--domain", text.strip()) if text.strip() else ("--all",)
        self._running().command("queue", "flush", *selection)

    def _clock(self, _: Statement, text: str) -> None:
        found = re.fullmatch(r"\+(\d+)([smhd])", text)
        if not found:
            raise ValueError("expected `clock +N` and s, m, h or d")
        self._running().move_clock(int(found[1]) * UNITS[found[2]])

    def _restart(self, _: Statement, __: str) -> None:
        self._running().stop()
        self._running().start()

    def _postrider(self, _: Statement, text: str) -> None:
        command, arrow, expected = text.partition(" => ")
        code, _blank, pattern = expected.partition(" ")
        if not arrow or not code.isdigit():
            raise ValueError("expected `postrider WORDS => EXIT [REGEX]`")
        done = self._running().command(*shlex.split(command), check=False)
        said = done.stdout + done.stderr
        if done.returncode != int(code) or not re.search(pattern, said, re.MULTILINE):
            raise TestFailure(f"exit {done.returncode}: {said}")

    def _dns(self, _: Statement, text: str) -> None:
        found = re.fullmatch(r"(never )?asked about (\S+)", text)
        if not found or not self._capture:
            raise ValueError("expected `dns [never] asked about REGEX`, in a script that needs hosts")
        names = [name for name in self._capture.names() if re.fullmatch(found[2], name)]
        if bool(names) == bool(found[1]):
            raise TestFailure(f"{names or self._capture.names()}")

    def _file(self, statement: Statement, text: str) -> None:
        self._running().write_file(text.rstrip(":"), statement.block)

    def _peer(self, _: Statement, text: str) -> None:
        name, *rest = text.split(maxsplit=1)
        if name not in SERVERS:
            raise ValueError(f"no server {name!r}; there are {', '.join(SERVERS)}")
        order = rest[0] if rest else "up"
        if name not in self._peers:
            smarthost = self._stage.us() if order == "relays to us" else None
            self._peers[name] = EximPeer(name, self._folder / name, self._stage, smarthost)
        peer = self._peers[name]
        if order in ("up", "relays to us"):
            peer.start()
        elif order == "down":
            peer.stop()
        elif order == "accepts everything":
            peer.accept_everything()
        elif found := re.fullmatch(r"rejects (\S+) (after data )?([45]\d\d .*)", order):
            peer.reject(found[1], found[3], after_data=bool(found[2]))
        else:
            raise ValueError("expected up, down, relays to us, accepts everything, or rejects NAME [after data] REPLY")

    # What came of it

    def _found(self, place: str, address: str) -> list[Message]:
        if place == "mailbox":
            return [Message.of(raw) for raw in self._running().mailbox(address)]
        arrivals = self._peers[place].arrivals(address)
        return [Message.of(arrival.content, arrival.sender, arrival.transaction) for arrival in arrivals]

    def _arrived(self, _: Statement, text: str) -> None:
        found = re.fullmatch(r"(\S+) (?:to )?(\S+)(?: count (\d+))?", text)
        if not found:
            raise ValueError("expected `arrived PEER to ADDRESS [count N]` or `arrived mailbox USER [count N]`")
        place, address, count = found[1], found[2], int(found[3] or 1)
        end = time.monotonic() + ARRIVAL_SECONDS
        while len(self._found(place, address)) < count and time.monotonic() < end:
            time.sleep(0.1)
        time.sleep(SETTLE_SECONDS)  # one too many would come now
        messages = self._found(place, address)
        if len(messages) != count:
            raise TestFailure(f"{len(messages)} messages{self._log_note()}")
        self._message = messages[-1] if messages else None

    def _nothing(self, _: Statement, text: str) -> None:
        found = re.fullmatch(r"arrived (\S+) (?:to )?(\S+)", text)
        if not found:
            raise ValueError("expected `nothing arrived PEER to ADDRESS` or `nothing arrived mailbox USER`")
        time.sleep(SETTLE_SECONDS)
        messages = self._found(found[1], found[2])
        if messages:
            raise TestFailure(f"{len(messages)} messages, the last one:\n{messages[-1].content[:2000]!r}")

    def _last(self) -> Message:
        if not self._message:
            raise TestFailure("no message arrived that could be looked at")
        return self._message

    def _header(self, _: Statement, text: str) -> None:
        fields = self._last().fields()
        if found := re.fullmatch(r"(\S+) count (\d+)", text):
            values = [value for name, value in fields if name.lower() == found[1].lower()]
            if len(values) != int(found[2]):
                raise TestFailure(f"{len(values)}: {values}")
        elif found := re.fullmatch(r"([^:\s]+): ?(.*)", text):
            values = [value for name, value in fields if name.lower() == found[1].lower()]
            if not any(re.search(found[2], value) for value in values):
                raise TestFailure(f"{values}")
        else:
            raise ValueError("expected `header NAME count N` or `header NAME: REGEX`")

    def _body(self, statement: Statement, text: str) -> None:
        body = self._last().body().decode("utf-8", "surrogateescape")
        if text == "exactly:":
            if body != statement.block:
                raise TestFailure(f"{body!r}, expected {statement.block!r}")
        elif text.startswith("matches "):
            if not re.search(text.removeprefix("matches "), body, re.MULTILINE):
                raise TestFailure(f"{body[:2000]!r}")
        else:
            raise ValueError("expected `body exactly:` or `body matches REGEX`")

    def _content(self, _: Statement, text: str) -> None:
        found = re.fullmatch(r"as sent(?: plus (.+))?", text)
        if not found:
            raise ValueError("expected `content as sent [plus FIELD, FIELD …]`")
        expected = re.split(r",\s*", found[1]) if found[1] else []
        message = self._last()
        added = expectation.added_fields(message.content, self._sent)
        if added is None:
            raise TestFailure(f"{message.content!r}, which does not end with what was sent, {self._sent!r}")
        if not expectation.same_fields(added, expected):
            raise TestFailure(f"these fields were added: {added}")

    def _envelope(self, _: Statement, text: str) -> None:
        if self._last().sender != text.removeprefix("sender").strip().strip("<>"):
            raise TestFailure(f"<{self._last().sender}>")

    def _queue(self, _: Statement, text: str) -> None:
        if text == "empty":
            self._running().wait_until_empty()
        elif found := re.fullmatch(r"count (\d+)", text):
            wanted = int(found[1])
            wait_for(f"{wanted} messages in the queue", lambda: len(self._running().queue()) == wanted, 10)
        else:
            raise ValueError("expected `queue empty` or `queue count N`")

    def _sink(self, _: Statement, text: str) -> None:
        name, _, state = text.partition(" ")
        count = self._peers[name].connections(self._stage_address())
        if (state == "not contacted") == (count > 0) or state not in ("contacted", "not contacted"):
            raise TestFailure(f"{count} connections")

    def _stage_address(self) -> str:
        return self._stage.us()[0]

    def _same(self, _: Statement, text: str) -> None:
        name = text.removeprefix("process").strip()
        def pids(daemons: dict[str, int]) -> list[int]:
            return sorted(pid for key, pid in daemons.items() if is_of(key, name))
        before, now = pids(self._first_daemons), pids(self._running().daemons())
        if before != now or not now:
            raise TestFailure(f"processes {now}, at the start {before}")

    def _log(self, _: Statement, text: str) -> None:
        verb, _, pattern = text.partition(" ")
        if verb == "matches":
            wait_for(f"a log line that matches {pattern}{self._log_note()}",
                     lambda: re.search(pattern, self._running().log(), re.MULTILINE), 10)
        elif verb == "never":
            if found := re.search(pattern, self._running().log(), re.MULTILINE):
                raise TestFailure(found.group())
        else:
            raise ValueError("expected `log matches REGEX` or `log never REGEX`")
