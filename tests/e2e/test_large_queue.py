#!/usr/bin/python3
"""A large queue for many destinations that are dead: the suite is there at once, finds what it is asked for
without reading everything, and gives the living their mail.
"""

from __future__ import annotations

import os
import sys
import time

from large_queue import LargeQueue, OpenedFiles
from load import Load, test_ids
from process import Skip, TestFailure
from program import Program
from sink import Sink

ASKED = "d7.dead.test"
LIVE = 20


def ask(program: Program, queue: LargeQueue, count: int, domains: int) -> None:
    """Finds the messages of one domain, before and after all have been read, and flushes them."""
    share = count // domains
    with OpenedFiles(queue.folders) as opened:
        ids, seconds = queue.listed(ASKED)
        # Others are read in the background, in the order of their ids; these are among the rest, too.
        before = opened.names()
        program.judge("a domain is listed right after the start", len(ids) == share and ids <= before,
                      f"{len(ids)} of {share} messages, {seconds:.1f} s")
        program.judge("within two seconds", seconds < 2, f"{seconds:.1f} s")
        print(f"all messages were read {queue.wait_until_known(120):.1f} s later")
        again, seconds = queue.listed(ASKED)
        program.judge("and the same when all have been read", again == ids, f"{seconds:.1f} s")
        opened.names()
        times = queue.change_times()
        flushed = queue.suite.command("queue", "flush", "--domain", ASKED).stdout
        queue.wait_until_parked(count, 60)
        touched = opened.names()
        changed = {name for name, when in queue.change_times().items() if times[name] != when}
        program.judge(f"a flush says how many ({flushed.strip()})", str(share) in flushed)
        program.judge("it opens no file of another domain", touched == ids, f"{len(touched - ids)} others")
        # Those that were not attempted, because the destination is down by then, stay as they are.
        program.judge("and changes none", changed and changed <= ids, f"{len(changed)} of {share}, {len(changed - ids)} others")


def storm(program: Program, queue: LargeQueue, sink: Sink, count: int, domains: int, log_before: int) -> None:
    """Everything is due at once; the living get new mail meanwhile, and then all is calm."""
    begun, live = time.monotonic(), 400
    load = Load(lambda: queue.suite.session("IN"), [f"user@d{n}.live.test" for n in range(LIVE)], live, sessions=20)
    load.run(120)
    arrived = 0
    while arrived < live and time.monotonic() - begun < 180:
        arrived = len(test_ids(sink.messages()))
        time.sleep(0.2)
    program.judge("the living got their mail", arrived >= live,
                  f"{arrived} messages in {time.monotonic() - begun:.1f} s")
    print(f"all others wait again {queue.wait_until_parked(count, 300):.1f} s later")
    log = queue.suite.log()[log_before:].splitlines()
    down = sum("destination_is_down" in line for line in log)
    waits = sum("the destination is down; waiting for it" in line for line in log)
    program.judge("each dead destination is logged as down once", down == domains, f"{down} lines")
    program.judge("and not each message", waits == 0, f"{waits} lines")
    used = queue.cpu_seconds("queue-manager")
    time.sleep(5)
    used = queue.cpu_seconds("queue-manager") - used
    program.judge("then the queue-manager rests", used < 0.5, f"{used:.2f} s of 5 s")


def main() -> int:
    extra: dict[str, dict[str, object]] = {
        "--count": {"type": int, "default": 20000, "help": "messages in the queue"},
        "--domains": {"type": int, "default": 200, "help": "destinations they are for"},
        "--full": {"action": "store_true", "help": "200,000 messages, 2,000 destinations; see also bench/queue"},
    }
    with Program(__doc__, extra=extra) as program:
        if os.geteuid() != 0 or program.options.stage != "netns":
            raise Skip("needs root: destinations without routes are looked up in the DNS")
        count, domains = program.options.count, program.options.domains
        if program.options.full:
            count, domains = 200_000, 2000
        folder, stage = program.scratch("large"), program.stage()
        queue, sink = LargeQueue(program.binaries, folder, stage), Sink("R", folder / "sink", stage)
        try:
            queue.nsd.start()
            sink.start()
            queue.fill(count, domains, "dead.test", "--due", "7200", "--spread", "3600")
            seconds = queue.start(60)
            program.judge("it takes mail soon after its start", seconds < 20, f"{seconds:.1f} s with {count} messages")
            counters = queue.suite.counters()
            if counters["messages_waiting"] != count or counters["messages_unread"] == 0:
                raise TestFailure(f"after the start: {counters}")
            ask(program, queue, count, domains)
            queue.suite.stop()
            queue.make_due()
            log_before = len(queue.suite.log())
            queue.start(60)
            storm(program, queue, sink, count, domains, log_before)
            queue.suite.stop()
        finally:
            queue.close()
            sink.stop()
    return program.exit_code


if __name__ == "__main__":
    sys.exit(main())
