#!/usr/bin/python3
"""The parts of the harness that judge others are themselves judged here."""

from __future__ import annotations

import sys
import tempfile
import unittest
from pathlib import Path

import message_ends
import script
from expectation import added_fields, header_fields, parse_replies, same_fields
from smtp import Reply, stuffed


class Octets(unittest.TestCase):
    def test_escapes_and_repetition(self) -> None:
        for text, expected in ((r'"a\r\n"', b"a\r\n"), (r'"\0\x00\xff\\\""', b'\0\0\xff\\"'), ('"ab"*3 "c"', b"abababc"),
                               ('""', b""), ("", b"")):
            self.assertEqual(script.octets(text), expected, text)

    def test_errors(self) -> None:
        for text in ("a", '"a', r'"\q"', '"a"*x'):
            with self.assertRaises(ValueError, msg=text):
                script.octets(text)


class Replies(unittest.TestCase):
    def matches(self, pattern: str, code: int, *lines: str) -> bool:
        return any(one.matches(Reply(code, list(lines))) for one in parse_replies(pattern))

    def test_patterns(self) -> None:
        cases = [
            ("250", True), ("251", False), ("25x", True), ("2xx", True), ("250 2.1.5", True), ("250 2.1.0", False),
            ("250 2.x.x", True), ("250 2.1.5 ok$", True), ("250 ok", True), ("250 nok", False),
            ("550 | 250", True), ("550 5.1.1 | 551", False),
        ]
        for pattern, expected in cases:
            self.assertEqual(self.matches(pattern, 250, "2.1.5 ok"), expected, pattern)

    def test_lines_are_matched_whole(self) -> None:
        self.assertTrue(self.matches("250 ^PIPELINING$", 250, "mx2.test", "PIPELINING", "SIZE 100"))
        self.assertFalse(self.matches("250 ^PIPE$", 250, "mx2.test", "PIPELINING"))

    def test_not_a_reply(self) -> None:
        for text in ("", "25", "ok 250", "650"):
            with self.assertRaises(ValueError, msg=text):
                parse_replies(text)


class Content(unittest.TestCase):
    def test_added_fields(self) -> None:
        sent = b"Subject: x\r\n\r\nbody\r\n"
        self.assertEqual(added_fields(b"Received: a\n\tb\nReturn-Path: <c>\nSubject: x\n\nbody\n", sent),
                         ["Received", "Return-Path"])
        self.assertEqual(added_fields(b"Subject: x\n\nbody\n", sent), [])
        self.assertIsNone(added_fields(b"Subject: x\n\nbodY\n", sent))
        self.assertTrue(same_fields(["received", "Return-Path"], ["Return-Path", "Received"]))
        self.assertFalse(same_fields(["Received", "Received"], ["Received"]))

    def test_header_fields(self) -> None:
        self.assertEqual(header_fields(b"A: 1\nB: 2\n 3\n"), [("A", "1"), ("B", "2 3")])

    def test_stuffing(self) -> None:
        self.assertEqual(stuffed(b".a\r\nb.\r\n..\r\n"), b"..a\r\nb.\r\n...\r\n.\r\n")


class MessageEnds(unittest.TestCase):
    def test_extent(self) -> None:
        for kept, sent in ((b"Return-Path: <a>\nReceived: x\n\tby y\nA: b\n\nc\n", b"A: b\r\n\r\nc"), (b"A: b\n\nc", b"A: b\rc\n\n")):
            self.assertEqual(message_ends.extent(kept), message_ends.extent(sent))
        for one, other in ((b"a\n.\nb", b"a\nb"), (b"a\n..b", b"a\n.b"), (b"a\nRSET", b"a"), (b" a", b"a")):
            self.assertNotEqual(message_ends.extent(one), message_ends.extent(other))

    def test_contested(self) -> None:
        first, long, second = (message_ends.Message("a", "b", content) for content in (b"1", b"1\n2", b"2"))
        def taken(*messages: message_ends.Message) -> message_ends.Taken:
            return message_ends.Counter(messages)
        for ours, others, good in (([], [[long], [first, second]], True), ([first], [[first], [first, second]], True),
                                   ([first], [[long], [first]], False), ([first, second], [[first], [first, second]], False),
                                   ([first, first], [[first]], False), ([first], [[]], False)):
            found = message_ends.contested(taken(*ours), [taken(*other) for other in others])
            self.assertEqual(not found, good, (ours, others))


class Scripts(unittest.TestCase):
    def read(self, text: str) -> script.Script:
        with tempfile.NamedTemporaryFile("w", suffix=".dialogue") as file:
            file.write(text)
            file.flush()
            return script.read(Path(file.name))

    def test_blocks_and_loops(self) -> None:
        read = self.read("# c\nconfig:\n    a b\n\n    c\n\nfor each X:\n  1\n  2\nC: ${X}\nend\nS: 250\n").statements
        self.assertEqual([(one.line, one.text) for one in read], [(2, "config:"), (7, "for each X:"), (12, "S: 250")])
        self.assertEqual(read[0].block, "a b\n\nc\n")
        self.assertEqual(read[1].body[0].with_value("X", "2").text, "C: 2")

    def test_errors_name_the_line(self) -> None:
        for text, line in (("S: 250\n  stray\n", 2), ("end\n", 1), ("for each X:\n  1\nC: a\n", 3)):
            with self.assertRaisesRegex(script.ScriptError, rf":{line}: "):
                self.read(text)


if __name__ == "__main__":
    unittest.main(argv=[argument for argument in sys.argv if argument != "--bin" and "/bin" not in argument])
