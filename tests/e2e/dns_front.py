"""A DNS server that stands in front of NSD and misbehaves for some names, as no name server could be told to.

Questions about `slow.test` and names below it get no answer, those about `garbage.test` octets that are no
answer; all others are passed on. Datagrams only: no answer of the zones is longer.
"""

from __future__ import annotations

import os
import socket
import threading

from stage import Stage

LONGEST = 4096


def name_of(question: bytes) -> str:
    """The name that a query asks for, or an empty one."""
    labels, at = [], 12
    while at < len(question) and question[at]:
        labels.append(question[at + 1:at + 1 + question[at]].decode("latin-1").lower())
        at += 1 + question[at]
    return ".".join(labels)


def is_within(name: str, domain: str) -> bool:
    return name == domain or name.endswith("." + domain)


class DnsFront:
    """Owns the socket at the address of the resolver and two threads, one for each direction."""

    def __init__(self, stage: Stage, behind: tuple[str, int]) -> None:
        self._askers: dict[bytes, list[tuple[str, int]]] = {}  # by the name and id of the question
        with stage.inside("world"):
            self._front = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            self._front.bind(stage.resolver())
            self._back = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            self._back.connect(behind)
        for work in (self._pass_on, self._return):
            threading.Thread(target=work, daemon=True).start()

    @staticmethod
    def _key(packet: bytes) -> bytes:
        return packet[:2] + name_of(packet).encode("latin-1")

    def _pass_on(self) -> None:
        while True:
            try:
                question, asker = self._front.recvfrom(LONGEST)
            except OSError:
                return
            if asker is None:  # closed
                return
            name = name_of(question)
            if is_within(name, "slow.test"):
                continue
            if is_within(name, "garbage.test"):
                self._front.sendto(question[:2] + b"\x81\x80" + os.urandom(40), asker)
                continue
            self._askers.setdefault(self._key(question), []).append(asker)
            try:
                self._back.send(question)
            except OSError:
                continue

    def _return(self) -> None:
        while True:
            try:
                answer = self._back.recv(LONGEST)
            except ConnectionRefusedError:  # NSD is not there yet, or not any more
                continue
            except OSError:
                return
            try:
                for asker in self._askers.pop(self._key(answer), []):
                    self._front.sendto(answer, asker)
            except OSError:
                return

    def close(self) -> None:
        for one in (self._front, self._back):
            try:
                one.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            one.close()
