#!/usr/bin/python3
"""Hundreds of raw octet sequences, each sent to the suite, to Exim and to Postfix (as Debian sets it up, and once more
with its protection against bare line feeds): they must not be made to see different messages in the same octets.

What is judged, for each sequence: every message that the suite takes, each of the other servers takes as well, with
the same sender, the same recipient and the same extent. So wherever any two of the servers disagree on where a message
ends, the suite has refused that message. Its extent is its content, the dots included, where runs of line ends and NUL
count as one line end. Refusing what others take is allowed, but not where the octets are beyond doubt; and a message
with a bare CR, a bare LF or a NUL is refused whatever the others do. In a few sequences one server is not asked, as it
plainly breaks the standard there; message_ends.py says which and why.
"""

from __future__ import annotations

import contextlib
import os
import re
import sys
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import message_ends
from exim import EximPeer
from message_ends import DOMAIN, OUTER, Message, Sequence, Taken, address, contested, extent
from postfix import PostfixPeer
from process import wait_for
from program import Program
from smtp import Closed, Session
from suite import FIRST_USER_UID, Suite

CONFIG = f"""\
virtual_domain {DOMAIN} maildir:${{dir}}/mail/%u owner={FIRST_USER_UID} users=recipients
max_connections_per_client 100
trusted_session_messages 10000
"""
OURS, EXIM = "the suite", "Exim"
# Each with its place on the stage and what it is told beyond Debian's defaults.
POSTFIXES = {"Postfix": ("P", ""), "guarded Postfix": ("M3", "smtpd_forbid_bare_newline = yes\n")}
SENDERS = 8          # sessions at once, of each server
QUIET_SECONDS = 4.0  # a server that has said nothing for so long waits for octets that will not come
PIECE_SECONDS = 0.05


def send(session: Session, number: int, sequence: Sequence) -> None:
    """Sends the sequence to a server, and reads what it says until it closes."""
    session.reply()
    session.command("EHLO client.test", 250)
    session.command(f"MAIL FROM:<{OUTER}>", 250)
    session.command(f"RCPT TO:<{address(number, 'a')}>", 250)
    if sequence.by_data:
        session.command("DATA", 354)
    with contextlib.suppress(Closed):  # a server may have had enough before it has seen all
        for index, piece in enumerate(sequence.pieces):
            if index:
                time.sleep(PIECE_SECONDS)
            session.send(piece)
    session.read_to_end(QUIET_SECONDS)


class Servers:
    """All the servers, and what each of them took."""

    def __init__(self, program: Program, recipients: list[str]) -> None:
        self._stage = program.stage()
        folder = program.scratch("ends")
        # First, as it may not be able to run here.
        self._postfixes = {name: PostfixPeer(folder / server, self._stage, server, DOMAIN, recipients, settings)
                           for name, (server, settings) in POSTFIXES.items()}
        self._exim = EximPeer("R", folder / "exim", self._stage)
        self.suite = Suite(program.binaries, folder / "suite", self._stage, CONFIG,
                           {"recipients": "".join(f"{name}\n" for name in recipients)})
        self._mail = self.suite.folder / "mail"
        self._mail.mkdir()
        os.chown(self._mail, FIRST_USER_UID, FIRST_USER_UID)

    def start(self) -> None:
        self.suite.start()
        self._exim.start()
        for peer in self._postfixes.values():
            peer.start()

    def stop(self) -> None:
        for peer in (self._exim, *self._postfixes.values()):
            peer.stop()
        self.suite.abandon()

    def _session(self, name: str) -> Session:
        if name == OURS:
            return self.suite.session("IN")
        with self._stage.inside("world"):
            return Session(self._exim.address if name == EXIM else self._postfixes[name].address,
                           self._stage.client("OUT"))

    def send(self, sequences: list[Sequence]) -> None:
        """Sends every sequence to every server, several at a time, and waits until nothing is on its way."""
        def one(name: str, number: int) -> None:
            with contextlib.closing(self._session(name)) as session:
                send(session, number, sequences[number])

        with contextlib.ExitStack() as stack:
            pools = {name: stack.enter_context(ThreadPoolExecutor(SENDERS)) for name in (OURS, EXIM, *POSTFIXES)}
            done = [pools[name].submit(one, name, number) for number in range(len(sequences)) for name in pools]
        for future in done:
            future.result()
        self.suite.wait_until_empty()
        for peer in (self._exim, *self._postfixes.values()):
            wait_for("the other servers to deliver what they took", peer.queue_is_empty)

    def taken(self) -> dict[str, list[Message]]:
        """By server, every message that it took."""
        found = {name: [Message(sender_in(one.content), f"{one.user}@{DOMAIN}", extent(one.content))
                        for one in peer.deliveries()] for name, peer in self._postfixes.items()}
        found[EXIM] = [Message(one.sender, one.recipient, extent(one.content)) for one in self._exim.arrivals()]
        found[OURS] = [Message(sender_in(content), f"{file.parent.parent.name}@{DOMAIN}", extent(content))
                       for file in self._mail.glob("*/new/*") for content in [file.read_bytes()]]
        return found


def sender_in(content: bytes) -> str:
    """The sender as local delivery wrote it in front of a message."""
    found = re.search(rb"^Return-Path: *<([^>]*)>", content, re.MULTILINE)
    return found[1].decode() if found else "(none)"


def by_sequence(messages: list[Message], count: int) -> list[Taken]:
    taken: list[Taken] = [Counter() for _ in range(count)]
    for message in messages:
        taken[int(message.recipient[1:4])][message] += 1
    return taken


def wrong(sequence: Sequence, number: int, ours: Taken, others: list[Taken]) -> str:
    """What the suite did wrong with that sequence; empty if nothing."""
    if extra := contested(ours, others):
        return f"took what others did not, or not so: {list(extra)}"
    if sequence.dirty and any(message.recipient == address(number, "a") for message in ours):
        return "took a message with a bare CR, a bare LF or a NUL"
    if sequence.messages is not None and ours.total() != sequence.messages:
        return f"took {ours.total()} of {sequence.messages} messages that are beyond doubt"
    return ""


def judge(program: Program, sequences: list[Sequence], taken: dict[str, list[Message]]) -> None:
    count = len(sequences)
    views = {name: by_sequence(messages, count) for name, messages in taken.items()}
    ours = views.pop(OURS)
    figures: Counter[str] = Counter()
    for number, sequence in enumerate(sequences):
        others = [view[number] for name, view in views.items() if name != sequence.astray]
        figures["without a server that breaks the standard"] += bool(sequence.astray)
        if error := wrong(sequence, number, ours[number], others):
            program.judge(f"{number}: {sequence.name}", False, error)
            print(*(f"       {name}: {list(view[number])}" for name, view in views.items()), sep="\n")
        agree = all(other == others[0] for other in others)
        figures["all agree" if agree and ours[number] == others[0] else
                "the others agree, we refused" if agree else "the others disagree"] += 1
        figures["nothing taken by us"] += not ours[number]
        figures["nothing taken by us where the others disagree"] += not agree and not ours[number]
    program.judge("every message the suite took, all the others took with the same extent", program.exit_code == 0,
                  f"{count} sequences; " + ", ".join(f"{what}: {n}" for what, n in figures.items()))
    program.judge("there are enough sequences, of every kind", count >= 200 and figures["all agree"] > 20 and
                  figures["the others disagree"] > 20)


def main() -> int:
    with Program(__doc__) as program:
        sequences = message_ends.sequences()
        servers = Servers(program, [address(number, part).split("@")[0] for number in range(len(sequences)) for part in "abc"])
        try:
            servers.start()
            servers.send(sequences)
            judge(program, sequences, servers.taken())
            servers.suite.stop()
        finally:
            servers.stop()
    return program.exit_code


if __name__ == "__main__":
    sys.exit(main())
