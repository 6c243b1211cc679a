"""Reads a dialogue script: lines in, statements with their line numbers out. Knows no verb's meaning.

The language is described in tests/dialogues/README.md.
"""

from __future__ import annotations

import dataclasses
import re
import textwrap
from pathlib import Path

BLOCK = re.compile(r"(config|file \S+|for each [A-Z_]+|body exactly):\s*$")
OCTETS = re.compile(r'\s*"((?:[^"\\]|\\.)*)"(?:\s*\*\s*(\d+))?')
ESCAPES = {"r": "\r", "n": "\n", "t": "\t", "0": "\0", "\\": "\\", '"': '"'}


class ScriptError(Exception):
    """The script itself is wrong; the text begins with file:line."""


@dataclasses.dataclass(frozen=True)
class Statement:
    """One line of a script, with the indented lines below it if it takes some."""

    line: int
    text: str
    block: str = ""
    body: tuple[Statement, ...] = ()  # of `for each`

    def words(self) -> list[str]:
        return self.text.split()

    def with_value(self, name: str, value: str) -> Statement:
        """The same statement with ${name} replaced."""
        def put(text: str) -> str:
            return text.replace("${" + name + "}", value)
        return Statement(self.line, put(self.text), put(self.block),
                         tuple(inner.with_value(name, value) for inner in self.body))


@dataclasses.dataclass(frozen=True)
class Script:
    path: Path
    statements: tuple[Statement, ...]


def octets(text: str) -> bytes:
    """The octets of `"text\\r\\n" "a"*500 …`; ValueError says what is wrong."""
    result, at = b"", 0
    text = text.strip()
    while at < len(text):
        found = OCTETS.match(text, at)
        if not found:
            raise ValueError(f'expected "text" or "text"*N at {text[at:]!r}')
        plain = re.sub(r"\\x([0-9a-fA-F]{2})|\\(.)", _unescape, found[1])
        result += plain.encode("utf-8", "surrogateescape") * int(found[2] or 1)
        at = found.end()
    return result


def _unescape(match: re.Match[str]) -> str:
    if match[1]:
        return bytes([int(match[1], 16)]).decode("utf-8", "surrogateescape")
    if match[2] not in ESCAPES:
        raise ValueError(f"unknown escape \\{match[2]}")
    return ESCAPES[match[2]]


class _Reader:
    def __init__(self, path: Path, text: str) -> None:
        self._path = path
        self._lines = text.splitlines()
        self._at = 0

    def statements(self, nested: bool = False) -> tuple[Statement, ...]:
        found: list[Statement] = []
        while self._at < len(self._lines):
            number, text = self._at + 1, self._lines[self._at]
            self._at += 1
            if not text.strip() or text.lstrip().startswith("#"):
                continue
            if text[0].isspace():
                raise ScriptError(f"{self._path}:{number}: an indented line that belongs to nothing")
            text = text.rstrip()
            if text == "end":
                if not nested:
                    raise ScriptError(f"{self._path}:{number}: `end` without `for each`")
                return tuple(found)
            block = self._block() if BLOCK.match(text) else ""
            body = self.statements(nested=True) if text.startswith("for each ") else ()
            found.append(Statement(number, text, block, body))
        if nested:
            raise ScriptError(f"{self._path}:{self._at}: `for each` without `end`")
        return tuple(found)

    def _block(self) -> str:
        start = self._at
        while self._at < len(self._lines) and (not self._lines[self._at].strip() or self._lines[self._at][0].isspace()):
            self._at += 1
        return textwrap.dedent("\n".join(self._lines[start:self._at])).strip("\n") + "\n"


def read(path: Path) -> Script:
    return Script(path, _Reader(path, path.read_text(encoding="utf-8")).statements())
