"""Holds what a session is answered against what `postrider explain` says of the same case.

`Observed` stands in front of a client's session. It asks for an explanation of each connection, greeting, login,
MAIL and RCPT before the command is sent, and compares it with the reply: code, enhanced code and text. Where they
may differ, because the reply depends on what happened earlier and not on the case, says `EXCEPTIONS`, each with a
proof that it does.
"""

from __future__ import annotations

import dataclasses
import json
import re
from collections import Counter, deque
from collections.abc import Callable
from typing import Any

from smtp import Reply, Session
from suite import Suite

Document = dict[str, Any]

# With angle brackets, or, as some clients do, without.
PATH = re.compile(r"(?:MAIL\s+FROM|RCPT\s+TO)\s*:\s*(?:<(.*)>|([^\s<][^<>]*?))((?:\s+[A-Z0-9-]+=\S+|\s+SMTPUTF8)*)\s*",
                  re.IGNORECASE | re.DOTALL)
SIZE = re.compile(r"\s+SIZE=(\d{1,15})", re.IGNORECASE)
STAGES = {"EHLO": "helo", "HELO": "helo", "MAIL": "mail", "RCPT": "rcpt"}
LOGIN = re.compile(r" login session=\S+ client=\S+ mechanism=\S+ login=(\S+)")


@dataclasses.dataclass
class Command:
    """A command that waits for its reply. `path` and `size` are what explain is told of it."""

    verb: str
    line: str
    path: str | None = None
    size: str | None = None
    plain: bool = True  # explain is told all that the command says
    early: bool = False  # sent before the reply to an earlier one
    stage: Document | None = None  # what explain says of it
    limits: dict[str, str] = dataclasses.field(default_factory=dict)

    @staticmethod
    def of(line: str) -> Command:
        verb = (line.split(maxsplit=1) or [""])[0].upper()[:8]
        command = Command(verb, line)
        if verb in ("MAIL", "RCPT"):
            found = PATH.fullmatch(line)
            command.plain = found is not None
            if found:
                command.path = found[1] if found[1] is not None else found[2]
                size = SIZE.fullmatch(found[3]) if verb == "MAIL" else None
                command.size = size[1] if size else None
                exact = re.match(r"(MAIL FROM|RCPT TO):<", line, re.IGNORECASE) is not None
                command.plain = exact and (not found[3] or size is not None)
        elif verb in ("EHLO", "HELO"):
            words = line.split()
            command.plain = len(words) == 2
            command.path = words[1] if len(words) > 1 else None
        return command


class Comparison:
    """What was compared in one run of the test, over all its scripts."""

    def __init__(self) -> None:
        self.compared: Counter[str] = Counter()
        self.excepted: Counter[str] = Counter()
        self.differences: list[str] = []
        self.lost = 0  # sessions whose replies could not be told apart any more


class Asker:
    """Asks one suite for explanations. What was asked before is known until something happens around it."""

    def __init__(self, suite: Suite) -> None:
        self._suite = suite
        self._known: dict[tuple[str, ...], Document | None] = {}

    def forget(self) -> None:
        self._known.clear()

    def ask(self, recipient: str, words: tuple[str, ...]) -> Document | None:
        """The document, or nothing if the router does not answer."""
        key = (recipient, *words)
        if key not in self._known:
            done = self._suite.command("--json", "explain", "--", recipient, *words, check=False)
            self._known[key] = json.loads(done.stdout) if done.stdout.startswith("{") else None
            document = self._known[key]
            # What is used of a rate changes with every command.
            if document is None or document["rates"]:
                del self._known[key]
            return document
        return self._known[key]


class Observed:
    """A session, as its scripts use it, and what becomes of it."""

    def __init__(self, where: str, suite: Suite, asker: Asker, comparison: Comparison, client: str, port: int,
                 connect: Callable[[], Session], neighbours: Callable[[], list[Observed]], implicit_tls: bool) -> None:
        self.where = where
        self.client = client
        self._suite, self._asker, self._comparison = suite, asker, comparison
        self._port, self.neighbours = port, neighbours
        self.tls, self.helo, self.login = implicit_tls, "", ""
        self.refused = self.greeted = self.closed = self.lost = False
        self.sender: str | None = None
        self.recipients = 0
        self._unfinished = b""
        self._content: str | int = ""  # "data", or the octets of a chunk that are to come
        self._in_auth = False
        self._pending: deque[Command] = deque()
        self._expect(Command("connect", "connect"))
        self.session = connect()
        if implicit_tls:
            self.session.start_tls()

    # What Session offers to scripts.

    def send(self, octets: bytes) -> None:
        self._note_sent(octets)
        self.session.send(octets)

    def reply(self) -> Reply:
        reply = self.session.reply()
        self._note_reply(reply)
        return reply

    def command(self, text: str, *codes: int) -> Reply:
        self.send(text.encode("utf-8") + b"\r\n")
        reply = self.reply()
        assert not codes or reply.code in codes, f"{text!r}: expected {codes}, got {reply}"
        return reply

    def start_tls(self, name: str = "") -> None:
        self.session.start_tls(name)
        self.tls, self.helo, self.greeted, self.sender = True, "", False, None
        self._pending.clear()

    def silent_for(self, seconds: float) -> None:
        self.session.silent_for(seconds)

    def expect_closed(self) -> None:
        self.session.expect_closed()
        self.closed = True

    def close(self) -> None:
        self.session.close()
        self.closed = True

    # What is sent

    def _note_sent(self, octets: bytes) -> None:
        self._unfinished += octets
        while not self.lost and self._take_content() and b"\r\n" in self._unfinished:
            line, _, self._unfinished = self._unfinished.partition(b"\r\n")
            self._note_line(line.decode("utf-8", "surrogateescape"))

    def _take_content(self) -> bool:
        """Takes what belongs to a message; whether a command may follow."""
        if self._content == "data":
            head, end, rest = (b"\r\n" + self._unfinished).partition(b"\r\n.\r\n")
            if not end:
                return False
            self._unfinished, self._content = rest, ""
            self._pending.append(Command("end", head[:20].decode("ascii", "replace")))
        elif isinstance(self._content, int):
            taken = min(self._content, len(self._unfinished))
            self._unfinished, self._content = self._unfinished[taken:], self._content - taken
            if self._content:
                return False
            self._content = ""
        return True

    def _note_line(self, line: str) -> None:
        if self._in_auth:
            self._pending.append(Command("AUTH", "AUTH"))
            self._in_auth = False
            return
        command = Command.of(line)
        self._expect(command)
        if command.verb == "DATA" and self._unfinished:
            self._lose()  # content, or commands, as the reply will say
        if command.verb == "BDAT":
            size = re.fullmatch(r"BDAT (\d+)( LAST)?", line, re.IGNORECASE)
            self._content = int(size[1]) if size else ""
            if not size:
                self._lose()

    def _lose(self) -> None:
        self.lost = True
        self._comparison.lost += 1

    def _expect(self, command: Command) -> None:
        command.early = bool(self._pending)
        self._pending.append(command)
        if not command.early:
            self._explain(command)

    def _explain(self, command: Command) -> None:
        """Asks why, as the session stands now."""
        words = [f"client={self.client}", f"port={self._port}", f"tls={'yes' if self.tls else 'no'}"]
        helo = command.path if command.verb in ("EHLO", "HELO") else self.helo
        words += [f"helo={helo}"] if helo else []
        words += [f"login={self.login}"] if self.login else []
        recipient = ""
        if command.verb == "MAIL" and command.path is not None:
            words += [f"from={command.path or '<>'}"] + ([f"size={command.size}"] if command.size else [])
        elif command.verb == "RCPT" and command.path is not None and self.sender is not None:
            words += [f"from={self.sender or '<>'}"]
            recipient = command.path
        elif command.verb not in ("connect", "EHLO", "HELO", "login"):
            return
        document = self._asker.ask(recipient, tuple(words))
        if document is None:
            return
        wanted = STAGES.get(command.verb, command.verb)
        command.stage = next((stage for stage in document["stages"] if stage["stage"] == wanted), None)
        command.limits = {limit["name"]: str(limit["value"]) for limit in document["limits"]}

    # What is answered

    def _note_reply(self, reply: Reply) -> None:
        if not self.lost and not self._pending:
            self._lose()
        if self.lost:
            return
        command = self._pending.popleft()
        if command.early:
            self._explain(command)
        if command.verb in ("connect", *STAGES):
            self._compare(command, reply)
        self._follow(command, reply)

    def _compare(self, command: Command, reply: Reply) -> None:
        where = f"{self.where}: {command.line!r}"
        stage = command.stage
        if stage is not None and not self._is_out_of_order(command) and is_told(stage, reply):
            self._comparison.compared[stage["stage"]] += 1
            return
        for reason, pattern, proof in EXCEPTIONS:
            if re.match(pattern, str(reply)) and proof(self, command, reply):
                self._comparison.excepted[reason] += 1
                return
        said = f"{stage['code']} {stage['enhanced']} {stage['text']} ({stage['rule']})" if stage else "nothing"
        self._comparison.differences.append(f"{where}\n    got: {reply}\n    explain says: {said}")

    def _is_out_of_order(self, command: Command) -> bool:
        if self.refused:
            return command.verb != "connect"
        if command.verb == "MAIL":
            sloppy = "sloppy" in command.limits.get("quirks", "")
            return not (self.greeted or sloppy) or self.sender is not None
        return command.verb == "RCPT" and self.sender is None

    def _follow(self, command: Command, reply: Reply) -> None:
        good = reply.code < 400
        self.closed = self.closed or reply.code == 421 or command.verb == "QUIT"
        if command.verb == "connect":
            self.refused = not good
        elif command.verb in ("EHLO", "HELO"):
            self._follow_greeting(command, reply)
        elif command.verb == "MAIL" and good:
            self.sender, self.recipients = command.path or "", 0
        elif command.verb == "RCPT" and good:
            self.recipients += 1
        elif command.verb == "DATA" and reply.code == 354:
            self._content = "data"
        elif command.verb in ("RSET", "end") or (command.verb == "BDAT" and "LAST" in command.line.upper()):
            self.sender = None
        elif command.verb == "AUTH":
            self._follow_login(reply)

    def _follow_greeting(self, command: Command, reply: Reply) -> None:
        if reply.code < 400:
            self.helo, self.greeted, self.sender = command.path or "", True, None
        elif command.stage is not None and reply.code != 501 and reply.code != 502:
            self.greeted, self.sender = False, None

    def _follow_login(self, reply: Reply) -> None:
        """The log says whom the client is, and explain what a password that is right comes to."""
        self._in_auth = reply.code == 334
        logins = LOGIN.findall(self._suite.log())
        if reply.code not in (235, 535, 454) or not logins:
            return
        before, self.login = self.login, logins[-1]
        command = Command("login", "AUTH")
        if reply.code == 235:
            self._explain(command)
            self._compare(command, reply)
        else:
            self.login = before


def is_told(stage: Document, reply: Reply) -> bool:
    """Whether the reply is what explain said. Further lines, such as a footer, are not its business."""
    text = reply.lines[0].removeprefix(reply.enhanced).removeprefix(" ") if reply.enhanced else reply.lines[0]
    ascii_only = re.sub(r"[^\x20-\x7e]", "?", stage["text"])
    return (stage["code"], stage["enhanced"], ascii_only) == (reply.code, reply.enhanced, text)


# The proofs: whether the reply really depends on what is not part of the case.


def _sequence(session: Observed, command: Command, _: Reply) -> bool:
    return session._is_out_of_order(command)


def _untold(session: Observed, command: Command, reply: Reply) -> bool:
    if "Line too long" in reply.text:
        return len(command.line) > int(_limit(session, "command_line"))
    return not command.plain or command.path is None


def _hidden(_: Observed, command: Command, __: Reply) -> bool:
    return command.verb == "EHLO" and "noehlo" in command.limits.get("quirks", "")


def _recipients(session: Observed, command: Command, reply: Reply) -> bool:
    if "behind these addresses" in reply.text:
        return session.recipients > 0
    null = "notification" in reply.text
    limit = command.limits["max_null_recipients" if null else "max_recipients"]
    return session.recipients >= int(limit) and (session.sender == "") >= null


def _connections(session: Observed, command: Command, _: Reply) -> bool:
    """There are as many connections as the policy, or the configuration, allows from one client, or in all."""
    others = [one for one in session.neighbours() if one is not session and not one.closed]
    own = sum(one.client == session.client for one in others)
    full = own >= int(_limit(session, "max_connections_per_client")) or len(others) >= int(_limit(session, "max_connections"))
    return command.verb == "connect" and full


def _limit(session: Observed, name: str) -> str:
    document = session._asker.ask("", (f"client={session.client}", f"port={session._port}", "tls=no"))
    limits = {limit["name"]: limit["value"] for limit in document["limits"]} if document else {}
    value = limits.get(name) or session._suite.command("config", name).stdout.split()[1]
    factors = {"k": 1024, "M": 1024 ** 2, "G": 1024 ** 3}
    return str(int(value[:-1]) * factors[value[-1]]) if value[-1:] in factors else value


def _early(_: Observed, command: Command, __: Reply) -> bool:
    return command.early or command.verb == "connect"


def _away(session: Observed, _: Command, __: Reply) -> bool:
    running = session._suite.daemons()
    return not {"router", "queue-manager"} <= running.keys()


Proof = Callable[[Observed, Command, Reply], bool]

# Replies that are not what explain says: why, which they are, and the proof.
EXCEPTIONS: list[tuple[str, str, Proof]] = [
    ("a command out of order", r"503 5\.5\.1 ", _sequence),
    ("a command with more than an address", r"(500|501|555) 5\.|553 5\.6\.7 |552 5\.3\.4 ", _untold),
    ("a hidden EHLO", r"502 5\.5\.1 ", _hidden),
    ("recipients of one message", r"452 4\.5\.3 Too many recipients", _recipients),
    ("connections at the same time", r"421 4\.(7\.0 Too many connections from your|3\.2 Too many) ", _connections),
    ("who does not wait", r"(554|503) 5\.5\.1 Wait for the ", _early),
    ("a daemon that is away", r"4\d\d 4\.3\.[0-2] ", _away),
]
