#!/usr/bin/python3
"""A queue full of waiting messages is the same after a restart: recipients, order and times of the next attempt.

Each message was refused for now by its server, and waits for a time of its own. The restart is an orderly one
first, then one by SIGKILL of every process; in the end the server takes mail and all of them arrive.
"""

from __future__ import annotations

import sys
import time
from typing import Any

from load import Load, test_ids
from nsd import Nsd
from process import TestFailure, wait_for
from program import Program
from sink import Sink
from suite import Suite

CONFIG = """\
max_connections_per_client 1000
session_messages 100000
trusted_session_messages 100000
retry 2h
"""


def picture(queue: list[dict[str, Any]]) -> list[tuple[object, ...]]:
    """What must survive, in the order listed."""
    return [(message["id"], message["sender"], message["size"], message["arrival"], message["next_attempt"],
             tuple((recipient["address"], recipient["state"]) for recipient in message["recipients"]))
            for message in queue]


def settled(suite: Suite, count: int) -> list[tuple[object, ...]]:
    """The queue once nothing is being attempted any more: twice the same, with a time in the future each."""
    def look() -> list[tuple[object, ...]] | None:
        first = suite.queue()
        now = time.time() * 1000
        if len(first) != count or any(message["next_attempt"] <= now for message in first):
            return None
        time.sleep(0.5)
        second = picture(suite.queue())
        return second if second == picture(first) else None
    found = wait_for(f"{count} messages that wait", look, 180)
    assert found
    return found


def file_times(suite: Suite) -> dict[str, int]:
    """The modification times of the queue files, which are the times of the next attempt (design of the queue)."""
    return {file.name: file.stat().st_mtime_ns for file in suite.spool_files()}


def compare(program: Program, what: str, before: list[tuple[object, ...]], after: list[tuple[object, ...]]) -> None:
    differences = [(one, other) for one, other in zip(before, after) if one != other]
    good = len(before) == len(after) and not differences
    program.judge(f"{what}: {len(after)} messages, all as before", good)
    if not good:
        raise TestFailure(f"{len(before)} before, {len(after)} after, {len(differences)} differ, first {differences[:1]}")


def main() -> int:
    extra: dict[str, dict[str, object]] = {
        "--count": {"type": int, "default": 2000, "help": "messages in the queue"},
        "--full": {"action": "store_true", "help": "10,000 messages"},
    }
    with Program(__doc__, extra=extra) as program:
        count = 10000 if program.options.full else program.options.count
        folder, stage = program.scratch("restart"), program.stage()
        suite, nsd = Suite(program.binaries, folder / "suite", stage, CONFIG), Nsd(folder / "nsd", stage)
        sink = Sink("R", folder / "sink", stage)
        try:
            nsd.start()
            sink.start(refuse="RCPT")
            suite.start()
            load = Load(lambda: suite.session("IN"), [f"user{n}@remote.test" for n in range(17)], count)
            load.run(300)
            before, times = settled(suite, count), file_times(suite)
            suite.stop()
            begun = time.monotonic()
            suite.start()
            print(f"the suite greeted {time.monotonic() - begun:.1f} s after its start with {count} messages")
            compare(program, "after an orderly restart", before, settled(suite, count))
            program.judge("the files say the same", file_times(suite) == times)
            suite.abandon()
            suite.start()
            compare(program, "after SIGKILL of everything", before, settled(suite, count))
            program.judge("the files say the same", file_times(suite) == times)
            sink.stop()
            sink.start()
            suite.command("queue", "flush", "--all")
            suite.wait_until_empty(180)
            arrived = test_ids(sink.messages())
            program.judge("all arrived, each once", set(arrived) == set(load.acknowledged)
                          and all(number == 1 for number in arrived.values()))
            suite.stop()
        finally:
            suite.abandon()
            sink.stop()
            nsd.stop()
    return program.exit_code


if __name__ == "__main__":
    sys.exit(main())
