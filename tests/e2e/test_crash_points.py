#!/usr/bin/python3
"""The queue-manager is killed at each of its file-system calls in turn, and each of them is made to fail.

Each kind of life (lives.py) is played with a kill at the first call that the queue-manager makes in the spool, then
at the second, and so on until a life ends before it comes to so many. The other daemons go on all the time; the
supervisor starts the queue-manager again. After each life: what was acknowledged has arrived, what was not is absent
or complete, no recipient that the journal had as done at the kill got another copy, at most one copy or report too
many, nothing left in the queue. Then the same with calls that fail instead: nothing arrives twice, and the suite
goes on by itself. `--full` plays every life with every error; else only a part, for time. The syncs that the
queue-manager counts are compared with those that were seen.

Every kind is played with and without the intake journal.

Each kind is played by a program of its own with a suite of its own, some at a time, because most of the time is
spent waiting for the supervisor.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

from kill_at import NEVER, KillAt
from lives import CONFIG, KINDS, Kind, LaterSink, Life, Stable, wait_for_end
from nsd import Nsd
from process import Skip, TestFailure, wait_for
from program import Program
from suite import Suite

AT_A_TIME = 3
FAULTS = ("EIO", "ENOSPC", "EROFS")


def play_killed(stable: Stable, kind: Kind, at: int) -> tuple[KillAt, Life, int]:
    """One life with a kill at that call. Returns also how many copies were too many."""
    life = stable.begin(kind)
    watch = KillAt(stable.suite.binaries, stable.pid, stable.suite.spool, at)
    try:
        stable.send(life)
        done: set[str] = set()
        before: Counter[str] = Counter()

        def has_ended() -> bool:
            nonlocal done, before
            if watch.has_ended():
                done, before = stable.done_by_journal(), stable.places(life)
                return True
            return False

        killed = has_ended()
        if not killed:
            killed = wait_while_alive(stable, life, has_ended)
    finally:
        watch.finish()
    if watch.killed:
        wait_for("the queue-manager to be back", stable.restarted)
    wait_for_end(stable, life)
    again = [address for address in done if stable.places(life)[place_of(address)] > before[place_of(address)]]
    if again:
        raise TestFailure(f"{life.name}: {again} were done, and got another copy")
    return watch, life, stable.judge(life, 2)


def place_of(address: str) -> str:
    local, _, domain = address.partition("@")
    return local if domain == "local.test" else address


def wait_while_alive(stable: Stable, life: Life, has_ended: object) -> bool:
    """Until the life is over, or the queue-manager is."""
    end = time.monotonic() + 120
    next_nudge = time.monotonic() + 0.25
    while time.monotonic() < end:
        if has_ended():  # type: ignore[operator]
            return True
        if stable.nothing_left():
            return False
        if stable.in_hold():
            stable.release()
        if time.monotonic() > next_nudge:
            stable.nudge()
            next_nudge = time.monotonic() + 0.25
        time.sleep(0.01)
    raise TestFailure(f"{life.name} does not end:\n{stable.suite.log_tail()}")


def kill_everywhere(program: Program, stable: Stable, kind: Kind) -> None:
    begun, at, too_many, unanswered = time.monotonic(), 1, 0, 0
    calls: Counter[str] = Counter()
    while True:
        try:
            watch, life, doubled = play_killed(stable, kind, at)
        except TestFailure as failure:
            raise TestFailure(f"{kind.name}, killed at call {at}: {failure}") from failure
        stable.clear()
        if not watch.killed:
            break
        calls[watch.reached.split(" ")[0]] += 1
        too_many += doubled
        unanswered += not life.acknowledged
        at += 1
    seconds = time.monotonic() - begun
    program.judge(f"{kind.name}: killed at each of {at - 1} calls", at > 5,
                  f"{dict(calls)}; {unanswered} not acknowledged, {too_many} copies too many; {seconds:.0f} s")


def play_failing(stable: Stable, kind: Kind, at: int, error: str) -> tuple[KillAt, Life]:
    """One life in which that call fails with that error. It is sent again until it is taken."""
    life = stable.begin_anew(kind)
    watch = KillAt(stable.suite.binaries, stable.pid, stable.suite.spool, at, error, reads=True)
    try:
        end = time.monotonic() + 120
        while not life.acknowledged and time.monotonic() < end:
            stable.send(life)
            if not life.acknowledged:
                time.sleep(0.2)
        wait_for_end(stable, life)
    finally:
        watch.finish()
    if not life.acknowledged:
        raise TestFailure(f"{life.name} is not taken, {life.refused_with}\n{stable.suite.log_tail()}")
    if not life.refused_with <= {451, 452}:
        raise TestFailure(f"{life.name} was refused with {life.refused_with}")
    return watch, life


def fail_everywhere(program: Program, stable: Stable, kind: Kind, error: str) -> None:
    begun, at, refused = time.monotonic(), 1, 0
    while True:
        try:
            watch, life = play_failing(stable, kind, at, error)
            stable.judge(life, 1)
        except TestFailure as failure:
            raise TestFailure(f"{kind.name}, {error} at call {at}: {failure}") from failure
        stable.clear()
        if not watch.reached:
            break
        refused += bool(life.refused_with)
        at += 1
    program.judge(f"{kind.name}: {error} at each of {at - 1} calls", at > 5,
                  f"{refused} refused at first; {time.monotonic() - begun:.0f} s")


def syncs_counted(suite: Suite) -> int:
    counters = suite.counters()
    if counters["syncs_within_2000ms_total"] > counters["syncs_total"] or counters["sync_errors_total"]:
        raise TestFailure(f"the counters of syncs contradict one another: {counters}")
    return int(counters["syncs_total"])


def compare_counters(program: Program, stable: Stable, kind: Kind) -> None:
    """A life without a kill, in which the syncs are counted from both sides."""
    before = syncs_counted(stable.suite)
    watch, life, _ = play_killed(stable, kind, NEVER)
    stable.clear()
    seen = sum(call.split(" ")[1] in ("fsync", "fdatasync") for call in watch.calls)
    counted = syncs_counted(stable.suite) - before
    program.judge(f"{kind.name}: {seen} syncs, and {counted} counted", seen == counted and life.acknowledged)


def play(program: Program, kind: Kind) -> None:
    options, folder, stage = program.options, program.scratch("points"), program.stage()
    config = CONFIG + ("queue_directory_sync yes\n" if options.sync_directory else "")
    config += "intake_journal_max 0\n" if options.no_journal else ""
    suite, nsd = Suite(program.binaries, folder / "suite", stage, config), Nsd(folder / "nsd", stage)
    sink = LaterSink("R", stage)
    stable = Stable(suite, sink, intake_journal=not options.no_journal)
    try:
        nsd.start()
        sink.start()
        suite.start()
        stable.prepare()
        kill_everywhere(program, stable, kind)
        compare_counters(program, stable, kind)
        if options.full or kind == KINDS[0]:
            for error in FAULTS if options.full else FAULTS[:1]:
                fail_everywhere(program, stable, kind, error)
        suite.stop()
    finally:
        suite.abandon()
        sink.stop()
        nsd.stop()


def play_all(program: Program) -> None:
    """Every kind in a program of its own, and in a full run once more where folders are synced, too."""
    variants: list[list[str]] = [["--kind", kind.name, *journal] for kind in KINDS for journal in ([], ["--no-journal"])]
    if program.options.full:
        variants += [["--kind", kind.name, "--no-journal", "--sync-directory"] for kind in KINDS]

    def run(variant: list[str]) -> tuple[list[str], subprocess.CompletedProcess[str]]:
        command = [sys.executable, __file__, *sys.argv[1:], *variant]
        return variant, subprocess.run(command, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)

    with ThreadPoolExecutor(AT_A_TIME) as pool:
        for variant, done in pool.map(run, variants):
            print(done.stdout, end="")
            program.judge(" ".join(variant), done.returncode == 0)


def main() -> int:
    extra: dict[str, dict[str, object]] = {
        "--full": {"action": "store_true", "help": "every error at every call of every life"},
        "--kind": {"choices": [kind.name for kind in KINDS], "help": "only lives of this kind"},
        "--no-journal": {"action": "store_true", "help": "with intake_journal_max 0"},
        "--sync-directory": {"action": "store_true", "help": "with queue_directory_sync yes"},
    }
    with Program(__doc__, extra=extra) as program:
        if os.geteuid() != 0:
            raise Skip("only root can trace the daemons")
        chosen = [kind for kind in KINDS if kind.name == program.options.kind]
        if chosen:
            play(program, chosen[0])
        else:
            play_all(program)
    return program.exit_code


if __name__ == "__main__":
    sys.exit(main())
