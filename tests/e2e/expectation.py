"""What a dialogue says about a reply (`S: 550 5.1.1 unknown | 553`) and about a message that arrived."""

from __future__ import annotations

import dataclasses
import re
from collections import Counter

from smtp import Reply

FORM = re.compile(r"([2-5x][0-9x][0-9x])(?:\s+([2-5x]\.[0-9x]+\.[0-9x]+)(?=\s|$))?(?:\s+(.*))?$")


@dataclasses.dataclass(frozen=True)
class ReplyPattern:
    """One alternative: a code and an enhanced code, in which x is any digit, and a regex for the text."""

    code: str
    enhanced: str | None
    text: str | None

    def matches(self, reply: Reply) -> bool:
        def like(pattern: str, value: str) -> bool:
            return re.fullmatch(pattern.replace(".", r"\.").replace("x", r"\d+" if "." in pattern else r"\d"), value) is not None
        return (like(self.code, str(reply.code)) and (self.enhanced is None or like(self.enhanced, reply.enhanced))
                and (self.text is None or re.search(self.text, reply.text, re.MULTILINE) is not None))


def parse_replies(text: str) -> list[ReplyPattern]:
    """The alternatives of an `S:` line; ValueError when it is none."""
    patterns = []
    for alternative in re.split(r"\s+\|\s+(?=[2-5x][0-9x][0-9x])", text.strip()):
        found = FORM.match(alternative)
        if not found:
            raise ValueError(f"not a reply: {alternative!r} (expected CODE [ENHANCED] [REGEX])")
        re.compile(found[3] or "")
        patterns.append(ReplyPattern(found[1], found[2], found[3]))
    return patterns


@dataclasses.dataclass(frozen=True)
class Message:
    """A message that arrived somewhere. Line ends are LF here, as in a Maildir."""

    content: bytes
    sender: str | None = None  # the envelope, where the place preserves it
    transaction: str = ""

    @staticmethod
    def of(content: bytes, sender: str | None = None, transaction: str = "") -> Message:
        return Message(content.replace(b"\r\n", b"\n"), sender, transaction)

    def fields(self) -> list[tuple[str, str]]:
        """The header fields in their order, unfolded."""
        return header_fields(self.content.partition(b"\n\n")[0] + b"\n")

    def body(self) -> bytes:
        return self.content.partition(b"\n\n")[2]


def header_fields(header: bytes) -> list[tuple[str, str]]:
    unfolded = re.sub(rb"\n(?=[ \t])", b"", header)
    pairs = [line.partition(b":") for line in unfolded.split(b"\n") if line]
    return [(name.decode("utf-8", "replace").strip(), value.decode("utf-8", "replace").strip()) for name, _, value in pairs]


def added_fields(arrived: bytes, sent: bytes) -> list[str] | None:
    """The names of the fields that stand before the sent content; None when that did not survive intact."""
    sent = sent.replace(b"\r\n", b"\n")
    if not arrived.endswith(sent):
        return None
    return [name for name, _ in header_fields(arrived[:len(arrived) - len(sent)])]


def same_fields(found: list[str], expected: list[str]) -> bool:
    return Counter(map(str.lower, found)) == Counter(map(str.lower, expected))
