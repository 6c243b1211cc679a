#!/usr/bin/python3
"""What a server sees of the scheduling: transactions and connections (T83), the limits of its route, turns of senders,
and when a message is tried again that it refuses at any stage (T79)."""

from __future__ import annotations

import contextlib
import sys
import time

from counting_server import CountingServer
from nsd import Nsd
from process import wait_for
from program import Program
from smtp import send_message
from suite import Suite

CONFIG = """\
include routes
retry 5m,5m,15m,1h
retry_jitter 10%
max_connections_per_client 1000
session_messages 10000
trusted_session_messages 10000
"""
CONTENT = b"Subject: scheduled\r\n\r\nHello.\r\n"
INTERVALS = (300, 300, 900, 3600)


class Scheduling:
    def __init__(self, program: Program, suite: Suite, server: CountingServer) -> None:
        self._program = program
        self._suite = suite
        self._server = server
        self._ahead = 0.0

    def expect(self, what: str, good: object, note: object = "") -> None:
        self._program.judge(what, bool(good), "" if good else str(note)[:2000])

    def route(self, options: str) -> None:
        """Changes the route and begins a new record."""
        self._server.refuses_at, self._server.most_recipients, self._server.seconds = "", 1000, 0.0
        self._suite.write_file("routes", f"route remote.test via ${{R}} {options}\n")
        time.sleep(2)  # the router looks at its files every second
        self._server.forget()

    def send(self, count: int, sender: str = "bob@local.test", recipients: int = 1) -> None:
        with contextlib.closing(self._suite.session("IN")) as session:
            session.reply()
            session.command("EHLO inside.test", 250)
            for number in range(count):
                to = [f"u{number}x{other}@remote.test" for other in range(recipients)]
                assert send_message(session, sender, to, CONTENT).code == 250

    def flush(self) -> None:
        self._suite.command("queue", "flush", "--domain", "remote.test")

    def pass_time(self, seconds: float) -> None:
        self._ahead += seconds
        self._suite.move_clock(seconds)

    def sizes(self) -> list[list[int]]:
        return [connection.sizes() for connection in self._server.connections]

    # What the tests are.

    def transactions(self) -> None:
        self.route("")
        self.send(1, recipients=120)
        self._server.wait_for(3)
        self._suite.wait_until_empty()
        sizes = sorted(size for connection in self.sizes() for size in connection)
        self.expect("T83: 120 recipients are 50, 50 and 20", sizes == [20, 50, 50], sizes)
        self.route("rcpts=7 maxconn=1")
        self.send(1, recipients=20)
        self._server.wait_for(3)
        self._suite.wait_until_empty()
        self.expect("rcpts=7: 20 recipients are 7, 7 and 6", self.sizes() == [[7, 7, 6]], self.sizes())

    def too_many_recipients(self) -> None:
        self.route("")
        self._server.most_recipients = 10
        self.send(1, recipients=25)
        self._server.wait_for(3)
        self._suite.wait_until_empty()
        self.expect("T83: after 452 at the eleventh recipient the rest goes at once, in the same connection",
                    self.sizes() == [[10, 10, 5]], self.sizes())

    def connections(self) -> None:
        for options, count, expected in (("maxconn=1", 250, [100, 100, 50]), ("maxconn=1 msgs=20", 50, [20, 20, 10])):
            self.route(f"{options} schedule=manual")
            self.send(count)
            self.flush()
            self._server.wait_for(count, 180)
            self._suite.wait_until_empty(60)
            found = [len(connection) for connection in self.sizes()]
            self.expect(f"T83: {count} messages with {options} come in connections of {expected}", found == expected,
                        found)
            self.expect("and never two connections at once", self._server.most_open == 1, self._server.most_open)

    def senders(self) -> None:
        self.route("maxconn=1 schedule=manual")
        self._server.seconds = 0.02
        self.send(300, "many@local.test")
        self.send(1, "one@local.test")
        self.flush()
        self._server.wait_for(301, 180)
        self._suite.wait_until_empty(60)
        place = [transaction.sender for transaction in self._server.order].index("one@local.test")
        self.expect("the one message of a sender does not wait for the 300 of another", place < 150, place)

    def rate(self) -> None:
        self.route("rate=3/1h")
        self.send(7)
        for expected in (3, 6, 7):
            self._server.wait_for(expected)
            time.sleep(1)
            self.expect(f"rate=3/1h: {expected} messages so far", self._server.complete() == expected,
                        self._server.complete())
            self.pass_time(64 * 60)
        self._suite.wait_until_empty()

    def attempts(self, place: str) -> None:
        self.route("")
        self._server.refuses_at = place
        self.send(1)
        for number, interval in enumerate(INTERVALS, 1):
            def deferred() -> float | None:
                queue = self._suite.queue()
                waits = len(queue) == 1 and queue[0]["attempts"] == number and queue[0]["state"] == "waiting"
                return float(queue[0]["next_attempt"]) / 1000 if waits else None
            due = wait_for(f"attempt {number}", deferred)
            assert due is not None
            wait = due - time.time() - self._ahead
            self.expect(f"T79: refused at {place}, attempt {number} is followed after {interval} s",
                        interval * 0.9 - 20 <= wait <= interval * 1.1 + 1, wait)
            if number == len(INTERVALS):
                self._server.refuses_at = ""
            self.pass_time(wait + 1)
        self._server.wait_for(1)
        self._suite.wait_until_empty()


def main() -> int:
    with Program(__doc__) as program:
        folder, stage = program.scratch("scheduling"), program.stage()
        suite, nsd = Suite(program.binaries, folder / "suite", stage, CONFIG), Nsd(folder / "nsd", stage)
        server = CountingServer("R", stage)
        try:
            suite.write_file("routes", "route remote.test via ${R}\n")
            nsd.start()
            suite.start()
            scheduling = Scheduling(program, suite, server)
            scheduling.transactions()
            scheduling.too_many_recipients()
            scheduling.connections()
            scheduling.senders()
            for place in ("CONNECT", "MAIL", "RCPT", "DATA", "END"):
                scheduling.attempts(place)
            scheduling.rate()
            suite.stop()
        finally:
            suite.abandon()
            server.close()
            nsd.stop()
    return program.exit_code


if __name__ == "__main__":
    sys.exit(main())
