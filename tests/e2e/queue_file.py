"""Reads queue files and the intake journal as postrider-queue-file(5) describes them, without the suite: what is there,
and what it says of whom."""

from __future__ import annotations

import contextlib
import struct
from collections.abc import Iterator
from pathlib import Path

HEADER = 128
SEGMENT_HEADER, ENTRY_PREFIX = 20, 28
MESSAGE, RECORD, ENDED = 1, 2, 3
RESOLVED, ATTEMPT = 1, 2
DONE = {1, 2}  # DELIVERED and RELAYED


def fields(message: bytes) -> Iterator[tuple[int, int | bytes]]:
    """The fields of a protobuf message: numbers, or bytes of strings and messages."""
    at = 0

    def varint() -> int:
        nonlocal at
        value, shift = 0, 0
        while True:
            byte = message[at]
            at += 1
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return value

    while at < len(message):
        key = varint()
        number, kind = key >> 3, key & 7
        if kind == 0:
            yield number, varint()
        elif kind == 2:
            length = varint()
            yield number, message[at:at + length]
            at += length
        else:
            at += {1: 8, 5: 4}[kind]


def journal(file: Path) -> list[tuple[int, bytes]]:
    """The records up to the first that is cut short, each as its kind and its bytes; tags are not checked."""
    data = file.read_bytes()
    if len(data) < HEADER or data[:8] != b"PRQUEUE\n" or data[12] != 2:
        return []
    at = struct.unpack_from("<Q", data, 64)[0]
    records = []
    while at + 12 <= len(data):
        length = struct.unpack_from("<I", data, at)[0]
        if length == 0 or at + 12 + length > len(data):
            break
        for number, body in fields(data[at + 12:at + 12 + length]):
            if isinstance(body, bytes):
                records.append((number, body))
        at += 12 + length
    return records


def intake_journal(folder: Path) -> dict[tuple[int, int], list[tuple[int, bytes]]]:
    """The messages that have not ended in the segments of the intake journal, each with its records. Tags are not
    checked: a segment that is used for the second time is not understood."""
    left: dict[tuple[int, int], list[tuple[int, bytes]]] = {}
    segments = []
    for path in folder.glob("*"):
        with contextlib.suppress(FileNotFoundError), open(path, "rb") as file:
            header = file.read(SEGMENT_HEADER)
            if len(header) == SEGMENT_HEADER and header[:4] == b"PRJ1":
                segments.append((struct.unpack_from("<Q", header, 4)[0], path))
    for _, path in sorted(segments):
        with contextlib.suppress(FileNotFoundError), open(path, "rb") as file:
            file.seek(SEGMENT_HEADER)
            while len(prefix := file.read(ENTRY_PREFIX)) == ENTRY_PREFIX:
                length, kind, *name = struct.unpack_from("<IIQI", prefix)
                payload = file.read(length)
                if kind not in (MESSAGE, RECORD, ENDED) or len(payload) < length:
                    break
                message = (name[0], name[1])
                if kind == MESSAGE:
                    left[message] = []
                elif kind == ENDED:
                    left.pop(message, None)
                elif message in left:
                    left[message] += [(number, body) for number, body in fields(payload) if isinstance(body, bytes)]
    return left


def done_recipients(records: list[tuple[int, bytes]]) -> set[str]:
    """The addresses that the records of a journal have as delivered or relayed."""
    addresses: dict[int, str] = {}
    done: set[int] = set()
    for kind, record in records:
        for number, value in fields(record):
            if number != 2 or not isinstance(value, bytes):
                continue
            entry = dict(fields(value))
            if kind == RESOLVED:
                address = entry.get(2, b"")
                assert isinstance(address, bytes)
                addresses[int(entry.get(1, 0))] = address.decode()  # type: ignore[arg-type]
            elif kind == ATTEMPT and entry.get(2, 0) in DONE:
                done.add(int(entry.get(1, 0)))  # type: ignore[arg-type]
    return {addresses[number] for number in done if number in addresses}
