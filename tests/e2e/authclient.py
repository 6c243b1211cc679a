"""A session worker's side of auth.sock, for tests that ask authd without smtpd: frames by hand, one at a time.

The fields are those of libcommon/ipc/auth.proto; only what these tests need is here.
"""

from __future__ import annotations

import socket
from pathlib import Path

from process import TestFailure

ROLE_SMTPD = 1
RESULTS = ("unavailable", "accepted", "rejected", "malformed", "locked")

# Numbers of fields.
REQUEST_ID, REQUEST_HELLO, REQUEST_BEGIN = 1, 2, 3
REPLY_ID, REPLY_CHALLENGE, REPLY_OUTCOME = 1, 4, 5


def _varint(number: int) -> bytes:
    octets = bytearray()
    while number > 0x7f:
        octets.append(number & 0x7f | 0x80)
        number >>= 7
    return bytes([*octets, number])


def _number(field: int, value: int) -> bytes:
    return _varint(field << 3) + _varint(value)


def _octets(field: int, value: bytes) -> bytes:
    return _varint(field << 3 | 2) + _varint(len(value)) + value


def _fields(message: bytes) -> dict[int, int | bytes]:
    """The last value of each field; numbers and octets are all there is in these frames."""
    found: dict[int, int | bytes] = {}
    at = 0

    def varint() -> int:
        nonlocal at
        number, shift = 0, 0
        while True:
            octet = message[at]
            at += 1
            number |= (octet & 0x7f) << shift
            shift += 7
            if octet < 0x80:
                return number

    while at < len(message):
        key = varint()
        if key & 7 == 0:
            found[key >> 3] = varint()
        elif key & 7 == 2:
            size = varint()
            found[key >> 3] = message[at:at + size]
            at += size
        else:
            raise TestFailure(f"authd sent a field of kind {key & 7}")
    return found


class AuthClient:
    """One connection to authd."""

    def __init__(self, path: Path) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._socket.settimeout(60)
        self._socket.connect(str(path))
        self._number = 0
        self._socket.send(_octets(REQUEST_HELLO, _number(1, ROLE_SMTPD)))

    def close(self) -> None:
        self._socket.close()

    def plain(self, login: str, password: str, client: str = "192.0.2.1") -> str:
        """Logs in by PLAIN: "accepted LOGIN", or another result."""
        self._number += 1
        data = b"\0" + login.encode() + b"\0" + password.encode()
        begin = (_number(1, self._number) + _octets(2, b"PLAIN") + _octets(3, data) + _number(4, 1)
                 + _octets(5, client.encode()))
        self._socket.send(_number(REQUEST_ID, self._number) + _octets(REQUEST_BEGIN, begin))
        while True:
            packet = self._socket.recv(65536)
            if not packet:
                raise TestFailure("authd closed the connection")
            reply = _fields(packet)
            if reply.get(REPLY_ID, 0) == self._number:
                break
        outcome = reply.get(REPLY_OUTCOME)
        if not isinstance(outcome, bytes):
            raise TestFailure(f"authd answered {reply}")
        fields = _fields(outcome)
        result = RESULTS[int(fields.get(1, 0))]
        name = fields.get(2, b"")
        assert isinstance(name, bytes)
        return f"{result} {name.decode()}".strip()
