#!/usr/bin/python3
"""Kills every daemon at random moments while mail pours in: a promise given with 250 is kept all the same.

Fifty sessions send messages, half of them for local mailboxes and half for a remote server (smtp-sink),
while daemons are killed with SIGKILL and started again by postriderd. In the end every message answered
with 250 has arrived at least once, and at most 0.5 % of them twice. A short run has too few messages between
two kills for that share to say anything; there only what can have been in flight may arrive twice.
"""

from __future__ import annotations

import os
import random
import signal
import sys
import threading
import time
from collections import Counter

from load import Load, test_ids
from nsd import Nsd
from program import Program
from sink import Sink
from suite import DAEMONS, Suite, is_of

CONFIG = """\
max_connections_per_client 1000
session_messages 100000
trusted_session_messages 100000
non_mail_commands 100000
error_delay 0
errors_before_drop 100000
respawn_delay 1s
respawn_delay_max 1s
retry 1s
destination_dead_time 1s
destination_dead_time_max 1s
"""
MOST_DUPLICATES = 0.005
IN_FLIGHT = 20  # destination_concurrency, for each of two destinations
USERS = ("alice", "bob", "carol", "dave")


class Killer(threading.Thread):
    """Kills one daemon each time a further share of the messages was acknowledged, each kind in its turn."""

    def __init__(self, suite: Suite, load: Load, count: int, kills: int, seed: int) -> None:
        super().__init__(daemon=True)
        self._suite = suite
        self._load = load
        self._random = random.Random(seed)
        self._thresholds = sorted(self._random.randrange(count // 50, count) for _ in range(kills))
        self.killed: Counter[str] = Counter()
        self.ended = threading.Event()

    def run(self) -> None:
        kinds = list(DAEMONS) * len(self._thresholds)
        for number, threshold in enumerate(self._thresholds):
            while len(self._load.acknowledged) < threshold:
                if self.ended.wait(0.005):
                    return
            self._kill(kinds[number])

    def _kill(self, kind: str) -> None:
        candidates = [(name, pid) for name, pid in self._suite.daemons().items() if is_of(name, kind)]
        if not candidates:
            return  # on its way back from the last time
        name, pid = self._random.choice(candidates)
        if kill_if(pid, kind):
            self.killed[name] += 1


def kill_if(pid: int, kind: str) -> bool:
    """Kills the process if it still is what the list said: the number may have been reused."""
    try:
        handle = os.pidfd_open(pid)
    except OSError:
        return False
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as command:
            if kind.encode() not in command.read():
                return False
        signal.pidfd_send_signal(handle, signal.SIGKILL)
        return True
    except OSError:
        return False
    finally:
        os.close(handle)


def drain(suite: Suite, seconds: float) -> None:
    end = time.monotonic() + seconds
    while not suite.queue_is_empty():
        if time.monotonic() > end:
            suite.wait_until_empty(1)
        suite.command("queue", "flush", "--all", check=False)
        time.sleep(1)


def judge(program: Program, load: Load, arrived: Counter[str], allowed: int) -> None:
    lost = [name for name in load.acknowledged if not arrived[name]]
    twice = [name for name in load.acknowledged if arrived[name] > 1]
    unasked = sum(1 for name in arrived if name not in load.acknowledged)
    print(f"{len(load.acknowledged)} acknowledged, {len(lost)} lost, {len(twice)} more than once, {unasked} arrived "
          f"whose 250 did not reach the client; refusals {dict(load.refusals)}, broken sessions {load.broken_sessions}")
    program.judge("no message is lost", not lost, f"lost: {lost[:10]}" if lost else "")
    local = sum(load.acknowledged[name].endswith("@local.test") for name in twice)
    program.judge(f"at most {allowed} arrive twice", len(twice) <= allowed,
                  f"{local} local, {len(twice) - local} remote")


def main() -> int:
    extra: dict[str, dict[str, object]] = {
        "--count": {"type": int, "default": 2000, "help": "messages to be acknowledged"},
        "--kills": {"type": int, "default": 15},
        "--sessions": {"type": int, "default": 50},
        "--seed": {"type": int, "default": int(time.time()), "help": "repeats the choice of an earlier run"},
        "--full": {"action": "store_true", "help": "10,000 messages"},
    }
    with Program(__doc__, extra=extra) as program:
        options = program.options
        count, kills = (10000 if options.full else options.count), options.kills
        folder, stage = program.scratch("crash"), program.stage()
        suite, nsd, sink = Suite(program.binaries, folder / "suite", stage, CONFIG), Nsd(folder / "nsd", stage), \
            Sink("R", folder / "sink", stage)
        recipients = [f"{user}@local.test" if local else f"{user}@remote.test" for user in USERS for local in (0, 1)]
        print(f"seed {options.seed}")
        try:
            nsd.start()
            sink.start()
            suite.start()
            load = Load(lambda: suite.session("IN"), recipients, count, options.sessions)
            killer = Killer(suite, load, count, kills, options.seed)
            killer.start()
            begun = time.monotonic()
            load.run(900 if options.full else 400)
            killer.ended.set()
            killer.join()
            killed = killer.killed
            print(f"sent in {time.monotonic() - begun:.1f} s; killed {dict(killed)}")
            drain(suite, 120)
            local = [message for user in USERS for message in suite.mailbox(user)]
            delivering = sum(number for name, number in killed.items() if not is_of(name, "smtpd") and name != "router")
            allowed = int(MOST_DUPLICATES * count) if options.full else 2 * IN_FLIGHT * delivering
            judge(program, load, test_ids([*local, *sink.messages()]), allowed)
            program.judge("every kind of daemon was killed",
                          all(any(is_of(name, kind) for name in killed) for kind in DAEMONS))
            suite.stop()
        finally:
            suite.abandon()
            sink.stop()
            nsd.stop()
    return program.exit_code


if __name__ == "__main__":
    sys.exit(main())
