"""Raw octets that servers may read differently: where does the message end, and what follows it?

Every sequence carries commands within what is meant as content. Who sees an end of the message in front of
them obeys them, and takes a second message that another server takes for a part of the first (SMTP smuggling).
The sequences are products of the few things that matter, always the same and each of them different.
"""

from __future__ import annotations

import dataclasses
import itertools
import re
from collections import Counter
from collections.abc import Iterator

DOMAIN = "ends.test"
OUTER, INNER = "outer@sender.test", "inner@smuggled.test"
END = b"\r\n.\r\n"
BARE = re.compile(rb"\r(?!\n)|(?<!\r)\n|\0")
SPELLINGS = {b"": "nothing", b"\t": "TAB", b"\r": "CR", b"\n": "LF", b"\0": "NUL", b" ": "SP"}

LINE_ENDS = (b"\r\n", b"\n", b"\r", b"\r\r\n", b"\n\r", b"\r\n\r", b"\r\0\n", b"")
FEW_LINE_ENDS = (b"\r\n", b"\n", b"\r", b"\r\r\n")
OTHER_DOTS = (b"..", b". ", b".\0", b" .", b".\t")
BORDERS = (1024, 4096, 8192, 16384, 65536)


@dataclasses.dataclass(frozen=True)
class Sequence:
    """What a client sends behind MAIL and RCPT (and DATA with its 354, if `by_data`), in one or more pieces."""

    name: str
    by_data: bool
    pieces: tuple[bytes, ...]
    dirty: bool = False          # the first message has a CR, an LF or a NUL that stands by itself
    messages: int | None = None  # how many each server has to take, where nothing is doubtful
    astray: str = ""             # a server that the standard proves wrong here, and that is not asked


def spelt(octets: bytes) -> str:
    return "".join(SPELLINGS.get(bytes([octet]), chr(octet)) for octet in octets) or "nothing"


def name_of(number: int) -> bytes:
    """What marks the addresses and texts of a sequence; as long for one number as for another."""
    return b"s%03d" % number


def address(number: int, part: str) -> str:
    """The recipient of a message of that sequence: `a` the first, `b` the smuggled one, `c` one within chunks."""
    return f"{name_of(number).decode()}{part}@{DOMAIN}"


def transaction(part: str) -> bytes:
    """A whole transaction as it can be smuggled, up to the text of its message; of number 0 for now."""
    return (f"RSET\r\nMAIL FROM:<{INNER}>\r\nRCPT TO:<{address(0, part)}>\r\nDATA\r\n"
            f"Subject: message {part}\r\n\r\nText {part}.").encode("ascii")


def draft(name: str, before: bytes, contested: bytes, by_data: bool = True, cut: int | None = None,
          dirty: bool | None = None, messages: int | None = None, astray: str = "") -> Sequence:
    """The sequence of `before` and `contested`, and a smuggled transaction behind them. With `cut` it is sent in two
    pieces, the second from that octet of `contested` on."""
    octets = before + contested + transaction("b") + END + b"QUIT\r\n"
    where = len(octets) if cut is None else len(before) + cut
    if dirty is None:
        first = (b"\r\n" + octets).split(END, maxsplit=1)[0]
        dirty = bool(BARE.search(first))
    pieces = tuple(piece for piece in (octets[:where], octets[where:]) if piece)
    return Sequence(name, by_data, pieces, dirty, messages, astray)


HEADER = b"Subject: first\r\n"
BODY = HEADER + b"\r\nA line"
# For chunks, as a server that takes them for commands would hang up at a header field.
PLAIN = b"A line\r\n"


def filled(size: int) -> bytes:
    """Header and body of exactly that many octets, not ended by a line end."""
    line = b"0123456789abcdef" * 4 + b"\r\n"
    text = BODY + b"\r\n" + line * (size // len(line))
    return text[:size - 4].rstrip(b"\r\n").ljust(size, b"x")


def ends_in_body() -> Iterator[Sequence]:
    for before, after in itertools.product(LINE_ENDS, LINE_ENDS):
        legal = 2 if before == after == b"\r\n" else None
        yield draft(f"body, {spelt(before)} . {spelt(after)}", BODY, before + b"." + after, messages=legal)
    for before, dots, after in itertools.product(FEW_LINE_ENDS, OTHER_DOTS, FEW_LINE_ENDS):
        yield draft(f"body, {spelt(before)} {spelt(dots)} {spelt(after)}", BODY, before + dots + after)


def ends_elsewhere() -> Iterator[Sequence]:
    for dots, after in itertools.product((b".", b"..", b". ", b".\0"), LINE_ENDS):
        yield draft(f"at the beginning, {spelt(dots)} {spelt(after)}", b"", dots + after)
    for before, after in itertools.product(LINE_ENDS, FEW_LINE_ENDS):
        yield draft(f"in the header, {spelt(before)} . {spelt(after)}", HEADER.rstrip(), before + b"." + after)
    for newline, before, after in itertools.product((b"\n", b"\r"), FEW_LINE_ENDS, FEW_LINE_ENDS):
        yield draft(f"all lines in {spelt(newline)}, {spelt(before)} . {spelt(after)}",
                    BODY.replace(b"\r\n", newline), before + b"." + after)


def ends_at_borders() -> Iterator[Sequence]:
    """The end where the input buffers of servers end, or where one packet ends and the next has not come."""
    endings = [before + b"." + after for before, after in itertools.product((b"\r\n", b"\n", b"\r"), repeat=2)]
    for size, ending, back in itertools.product(BORDERS, endings, (1, 3)):
        if len(ending) > back:
            yield draft(f"{back} octets before {size}, {spelt(ending)}", filled(size - back), ending,
                        messages=2 if ending == END else None)
    for ending in endings:
        for cut in range(1, len(ending)):
            yield draft(f"cut behind {cut}, {spelt(ending)}", BODY, ending, cut=cut, messages=2 if ending == END else None)


def harmless() -> Iterator[Sequence]:
    """What every server has to take, and take whole."""
    texts = {"no body": HEADER, "stuffed dots": BODY + b"\r\n..\r\n...\r\n..a", "a dot within a line": BODY + b" . ",
             "a dot at the end of a line": BODY + b".", "empty lines": BODY + b"\r\n\r\n\r\n",
             "a stuffed last line": BODY + b"\r\n..", "a dot and a space": BODY + b"\r\n.. ", "20 kB": filled(20000), "100 kB": filled(100000)}
    for name, text in texts.items():
        yield draft(f"harmless: {name}", text, END, messages=2)


def chunk(content: bytes, size: bytes | None = None, behind: bytes = b" LAST\r\n") -> bytes:
    return b"BDAT " + (b"%d" % len(content) if size is None else size) + behind + content


def chunk_sizes(inside: bytes) -> Iterator[Sequence]:
    """Sizes that may be read as the right one, as another, or not at all; `inside` is the content."""
    right = b"%d" % len(inside)
    spellings = [b"0" + right, b"0" * 30 + right, b"+" + right, b"-" + right, b"-1", b"0x%x" % len(inside), right + b".0",
                 right + b"e0", b" " + right, b"\t" + right, b"%d" % (2**32 + len(inside)), b"%d" % (2**63 + len(inside)),
                 b"%d" % (2**64 + len(inside)), b"9" * 40, b"", b"LAST", right[:1] + b" " + right[1:], right + b"\0",
                 right + b"k", b"'%s'" % right, b"%s,0" % right, b"\xd9\xa1" + right, b"00", b"-0", b"0x0"]
    for size in spellings:
        yield draft(f"BDAT size {size!r}", b"", chunk(inside, size), by_data=False, dirty=False)
    for behind in (b" last", b" Last", b"  LAST", b"\tLAST", b" LAST ", b" LASTX", b" LAST LAST", b" LAST 0", b"LAST",
                   b",LAST", b" LAS", b" FIRST", b" \0LAST", b" LAST\t", b" LAST" + b" " * 500, b" LAST" + b" " * 3000):
        name = behind.decode().strip(" ") and f"{behind[:12]!r}, {len(behind)} octets"
        yield draft(f"BDAT ending {name}", b"", chunk(inside, behind=behind + b"\r\n"), by_data=False, dirty=False)
    for newline in (b"\n", b"\r", b"\r\r\n", b"\n\r", b"\r\n\n"):
        yield draft(f"BDAT line in {spelt(newline)}", b"", chunk(inside, behind=b" LAST" + newline), by_data=False,
                    dirty=False)


def chunk_lengths(inside: bytes) -> Iterator[Sequence]:
    """Chunks that hold less or more than was meant; with an end of DATA where a size may point to."""
    text = PLAIN + b"Another line\r\n"
    for off in (-len(text), -5, -2, -1, 1, 2, 5, 40, 100):
        yield draft(f"BDAT {off:+} octets", b"", chunk(text, b"%d" % (len(text) + off)), by_data=False, dirty=False)
    for ending in (END, b"\n.\n", b"\r.\r", b"\r\n.", b"\n.\r\n", b"\r\n.\n", b"\r", b"\n", b"\r\r\n", b"\0"):
        yield draft(f"BDAT with {spelt(ending)}", b"", chunk(text + ending), by_data=False, dirty=bool(BARE.search(ending)))
        yield draft(f"BDAT with {spelt(ending)} and commands", b"", chunk(text + ending + inside), by_data=False,
                    dirty=bool(BARE.search(ending)))


def chunks_mixed(inside: bytes) -> Iterator[Sequence]:
    text = PLAIN
    cases = {
        "last": chunk(text), "with commands": chunk(text + inside),
        "two": chunk(text, behind=b"\r\n") + chunk(inside),
        "and an empty last": chunk(text + inside, behind=b"\r\n") + chunk(b""),
        "cut within CRLF": chunk(text[:-1], behind=b"\r\n") + chunk(text[-1:] + inside),
        "cut before a dot": chunk(text, behind=b"\r\n") + chunk(END[2:] + inside),
        "nothing but an empty last": chunk(b""),
        "never last": chunk(text, behind=b"\r\n"),
        "never last, commands": chunk(text + inside, behind=b"\r\n"),
        "DATA behind a chunk": chunk(text, behind=b"\r\n") + b"DATA\r\n" + inside,
        "MAIL behind a chunk": chunk(text, behind=b"\r\n") + b"MAIL FROM:<inner@smuggled.test>\r\n",
        "RCPT behind a chunk": chunk(text, behind=b"\r\n") + b"RCPT TO:<s000c@ends.test>\r\n" + chunk(inside),
        "MAIL and RCPT behind a chunk": chunk(text, behind=b"\r\n") + b"MAIL FROM:<inner@smuggled.test>\r\n"
        b"RCPT TO:<s000c@ends.test>\r\n" + chunk(inside),
        "RSET behind a chunk": chunk(text, behind=b"\r\n") + b"RSET\r\n" + chunk(inside),
        "NOOP between chunks": chunk(text, behind=b"\r\n") + b"NOOP\r\n" + chunk(inside),
        "a bad size behind a chunk": chunk(text, behind=b"\r\n") + chunk(inside, b"+%d" % len(inside)),
        "a bad line behind a chunk": chunk(text, behind=b"\r\n") + chunk(inside, behind=b" LAST\n"),
        "twice last": chunk(text) + chunk(inside),
        "without a sender": b"RSET\r\n" + chunk(inside),
    }
    legal = {"last": 2, "with commands": 2, "two": 2, "and an empty last": 2, "cut within CRLF": 2, "cut before a dot": 2}
    # Between these and the next transaction stands RSET, which ends a transaction in chunks like any other (RFC 3030,
    # 2). Exim 4.96 reads what follows as content of the chunks.
    unfinished = ("never last", "MAIL behind a chunk", "MAIL and RCPT behind a chunk")
    for name, octets in cases.items():
        yield draft(f"BDAT {name}", b"", octets, by_data=False, dirty=False, messages=legal.get(name),
                    astray="Exim" if name in unfinished else "")


def data_lines(inside: bytes) -> Iterator[Sequence]:
    """DATA itself in other spellings: what follows is content for one server, and commands for another."""
    for line in (b"DATA\n", b"DATA\r\r\n", b"DATA\r", b"DATA \r\n", b"DATA\0\r\n", b" DATA\r\n", b"DATA x\r\n", b"DATA\t\r\n",
                 b"DATA" + b" " * 600 + b"\r\n", b"\nDATA\r\n", b"data\r\n", b"DATA\r\n"):
        what = f"the command {line[:7]!r}, {len(line)} octets"
        yield draft(what, b"", line + PLAIN + inside, by_data=False, dirty=False)
        yield draft(f"{what}, the rest later", b"", line + PLAIN + inside, by_data=False, dirty=False, cut=len(line))


def sequences() -> list[Sequence]:
    """All of them, in their order; the number of a sequence is its place."""
    inside = transaction("c") + END
    drafts = [*ends_in_body(), *ends_elsewhere(), *ends_at_borders(), *harmless(), *chunk_sizes(PLAIN + inside),
              *chunk_lengths(inside), *chunks_mixed(inside), *data_lines(inside)]
    assert len(drafts) < 1000, "a number has three digits"
    different = {(one.by_data, one.pieces) for one in drafts}
    assert len(different) == len(drafts), "two of the sequences are the same"
    return [dataclasses.replace(one, pieces=tuple(piece.replace(name_of(0), name_of(number)) for piece in one.pieces))
            for number, one in enumerate(drafts)]


@dataclasses.dataclass(frozen=True)
class Message:
    """A message that a server took; `content` in a form in which only its extent makes a difference."""

    sender: str
    recipient: str
    content: bytes


ADDED = re.compile(rb"(Return-Path|X-Original-To|Delivered-To|Received):[^\n]*\n(\t[^\n]*\n)*", re.IGNORECASE)


def extent(content: bytes) -> bytes:
    """Without the fields that a server put in front, and with every run of line ends alike."""
    text = re.sub(rb"\r*\n", b"\n", content)
    while added := ADDED.match(text):
        text = text[added.end():]
    return re.sub(rb"[\r\n\0]+", b"\n", text).strip(b"\n")


Taken = Counter[Message]


def contested(ours: Taken, others: list[Taken]) -> Taken:
    """What we took and not each of the others took, with the same sender, recipient and extent."""
    found: Taken = Counter()
    for other in others:
        found |= ours - other
    return found
