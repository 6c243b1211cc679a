#!/usr/bin/python3
"""A queue that can be steered: the verbs of `postrider queue`, `domain`, `destination`, `failed`, `corrupt` and `trace`
with real servers and across restarts (T90), and who may use them."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

from nsd import Nsd
from process import TestFailure, accepts_connections, wait_for
from program import Program
from sink import Sink
from smtp import send_message
from stage import SERVERS
from suite import Suite

READERS = 64777
CONFIG = f"""\
retry 2h
destination_dead_time 10m
queue_readers {READERS}
relay_domain moved.test
double_bounce_to ops@remote.test
include routes
"""
OLD_ROUTE = "route moved.test via ${R}\n"
NEW_ROUTE = "route moved.test via ${M4}\n"
BODY = b"Subject: steered\r\n\r\nHello.\r\n"


class Steering:
    """Changes the queue of one suite and looks at what that does."""

    def __init__(self, program: Program, suite: Suite, sinks: dict[str, Sink]) -> None:
        self._program = program
        self._suite = suite
        self._sinks = sinks

    # What all steps need

    def expect(self, what: str, good: object, note: object = "") -> None:
        self._program.judge(what, bool(good), "" if good else str(note)[:2500])

    def say(self, *words: str) -> str:
        return self._suite.command(*words).stdout

    def fails(self, code: int, *words: str) -> subprocess.CompletedProcess[str]:
        done = self._suite.command(*words, check=False)
        self.expect(f"postrider {' '.join(words)} exits {code}", done.returncode == code, done)
        return done

    def listing(self, *words: str) -> list[dict[str, Any]]:
        listed = json.loads(self.say("queue", "list", "--json", *words))
        assert isinstance(listed, list)
        return listed

    def submit(self, sender: str, *recipients: str) -> str:
        """Sends a message and returns its id."""
        session = self._suite.session("IN")
        session.reply()
        session.command("EHLO inside.test", 250)
        reply = send_message(session, sender, list(recipients), BODY)
        session.command("QUIT")
        session.close()
        if reply.code != 250:
            raise TestFailure(str(reply))
        return reply.text.rsplit("queued as ", 1)[1][:16]

    def entry(self, name: str) -> dict[str, Any] | None:
        return next((one for one in self.listing() if one["id"] == name), None)

    def waits(self, name: str, state: str = "waiting", reply: str = "") -> dict[str, Any]:
        """Waits until the message is in this state, with a reply of its server if one is given."""
        def look() -> dict[str, Any] | None:
            one = self.entry(name)
            replies = [recipient.get("last_reply", "") for recipient in one["recipients"]] if one else []
            good = one and one["state"] == state and (not reply or any(reply in text for text in replies))
            return one if good else None
        found = wait_for(f"{name} to be {state} {reply}", look)
        assert found
        return dict(found)

    def gone(self, name: str) -> None:
        wait_for(f"{name} to be gone", lambda: self.entry(name) is None)

    def arrived(self, sink: str = "R") -> int:
        return sum(b"Hello." in text for text in self._sinks[sink].messages())

    def folder(self, name: str) -> list[str]:
        return sorted(file.name for file in (self._suite.spool / name).rglob("*") if file.is_file())

    def restart(self) -> None:
        self._suite.stop()
        self._suite.start()

    def serve(self, how: dict[str, str]) -> None:
        self._sinks["R"].stop()
        self._sinks["R"].start(**how)

    def bounces(self, user: str) -> list[bytes]:
        return [text for text in self._suite.mailbox(user) if b"message/delivery-status" in text]

    # Steps

    def selection(self) -> None:
        first = self.submit("alice@local.test", "one@remote.test")
        second = self.submit("bob@local.test", "two@remote.test", "three@remote.test")
        for name in (first, second):
            self.waits(name, reply="Error")
        for words, wanted in ((("--from", "alice@local.test"), {first}), (("--from", "@local.test"), {first, second}),
                              (("--from", "<>"), set()), (("--to", "THREE@remote.test"), {second}),
                              (("--domain", "remote.test"), {first, second}), (("--domain", ".test"), {first, second}),
                              (("--domain", "test"), set()), (("--state", "waiting"), {first, second}),
                              (("--state", "held,active"), set()), (("--last-reply", "error"), {first, second}),
                              (("--last-reply", "no such text"), set()), (("--age", ">1d"), set()),
                              (("--age", "<1d"), {first, second}), ((first,), {first}),
                              (("--id", first, "--from", "bob@local.test"), set())):
            found = {one["id"] for one in self.listing(*words)}
            self.expect(f"queue list {' '.join(words)}", found == wanted, (found, wanted))
        shown = self.say("queue", "list")
        self.expect("mailq's list has ids, senders, recipients and what was said last", all(
            text in shown for text in (first, second, "<alice@local.test>", "<three@remote.test>", "Error")), shown)
        self.expect("nothing that matches is said", "No message matches" in self.say("queue", "list", "--from", "x@y.test"))
        for words in (("queue", "delete"), ("queue", "hold", "--all", "--from", "a@b.test"), ("queue", "list", "--age", "soon"),
                      ("queue", "list", "--state", "lost"), ("queue", "fail", "nonsense")):
            self.fails(64, *words)
        self.fails(69, "queue", "hold", "0000000000000001")
        for verb, would in (("hold", "would be held"), ("fail", "would fail"), ("delete", "would be deleted"),
                            ("reroute", "would be rerouted"), ("flush", "would be attempted now")):
            said = self.say("queue", verb, "--domain", "remote.test", "--dry-run")
            self.expect(f"queue {verb} --dry-run counts", f"2 messages {would}" in said, said)
        self.expect("and changes nothing", {one["id"] for one in self.listing("--state", "waiting")} == {first, second})
        said = self.say("queue", "delete", "--from", "@local.test")
        self.expect("queue delete says how many", "2 messages deleted" in said, said)
        self.expect("they are gone, without a report", not self._suite.spool_files() and not self.bounces("alice"))
        self.expect("the log names the caller and the selector", 'selector="--from @local.test"' in self._suite.log()
                    and "steered action=delete by_uid=" in self._suite.log())

    def hold(self) -> None:
        name = self.submit("alice@local.test", "one@remote.test")
        self.waits(name, reply="Error")
        self.expect("queue hold", "1 message held" in self.say("queue", "hold", name))
        self.expect("it lies in hold/", self.folder("hold") == [name])
        said = self.say("queue", "flush", name)
        self.expect("queue flush says that it is held", "1 message held" in said, said)
        self.say("queue", "flush", "--all")
        self.restart()
        one = self.waits(name, "held")
        self.expect("it is held after a restart, and the list says why", "administrator" in one["why"], one)
        self.serve({})
        before = self.arrived()
        self.say("queue", "flush", "--domain", "remote.test")
        time.sleep(1)
        self.expect("no attempt was made", self.arrived() == before)
        self.expect("queue release", "1 message released" in self.say("queue", "release", "--state", "held"))
        self.say("queue", "flush", name)
        self.gone(name)
        self.expect("then it is delivered", self.arrived() == before + 1)
        traced = json.loads(self.say("trace", name, "--json"))
        names = [event["event"] for event in traced["events"]]
        self.expect("trace of a message that is gone", names == ["received", "resolved", "deferred", "held", "released",
                                                                "relayed", "removed"], traced)
        times = [event["time"] for event in traced["events"]]
        self.expect("in the order of their times", times == sorted(times) and times[0] > 0, times)
        received = traced["events"][0]["fields"]
        self.expect("with client, helo, protocol and size", received["client"] == self._suite.stage.client("IN")
                    and received["helo"] == "inside.test" and received["protocol"] == "ESMTP" and int(received["size"]) > 0, received)
        self.fails(69, "trace", "0000000000000001")

    def fail(self) -> None:
        self.serve({"refuse": "RCPT"})
        before = len(self.bounces("alice"))
        told = self.submit("alice@local.test", "one@remote.test", "alice@local.test")
        self.waits(told, reply="Error")
        said = self.say("queue", "fail", told, "--text", "please use the new address")
        self.expect("queue fail", "1 message failed" in said, said)
        wait_for("the report", lambda: len(self.bounces("alice")) > before)
        report = self.bounces("alice")[-1]
        self.expect("the sender reads the administrator's words", b"please use the new address" in report and b"Status: 5.7.1" in report
                    and b"one@remote.test" in report, report)
        self.gone(told)
        silent = self.submit("alice@local.test", "one@remote.test")
        self.waits(silent, reply="Error")
        self.say("queue", "fail", silent, "--silent")
        self.gone(silent)
        self.expect("--silent tells nobody", len(self.bounces("alice")) == before + 1)

    def reroute(self) -> None:
        name = self.submit("alice@local.test", "x@moved.test", "bob@local.test")
        self.waits(name, reply="Error")
        had = len(self._suite.mailbox("bob"))
        self._suite.write_file("routes", NEW_ROUTE)
        address, port = self._suite.stage.server("M4")
        wait_for("the router to know the new route", lambda: f"[{address}]" in self.say("explain", "x@moved.test", "client=" + self._suite.stage.client("IN"))
                 and f"{port}" in self.say("explain", "x@moved.test", "client=" + self._suite.stage.client("IN")))
        self.expect("queue reroute", "1 message rerouted" in self.say("queue", "reroute", "--to", "x@moved.test"))
        self.gone(name)
        self.expect("it took the new way", self.arrived("M4") == 1)
        self.expect("and who had it did not get it again", len(self._suite.mailbox("bob")) == had)

    def failed(self) -> None:
        self.serve({"reject": "RCPT"})
        for _ in range(2):  # neither they nor what tells ops of them can be delivered
            self.submit("", "gone@remote.test")
        wait_for("both in failed/", lambda: len(self.folder("failed")) == 2)
        names = self.folder("failed")
        listed = json.loads(self.say("failed", "list", "--json"))
        self.expect("failed list", {one["id"] for one in listed} == set(names) and all(one["state"] == "failed" for one in listed), listed)
        self.expect("queue list --state failed shows the same", {one["id"] for one in self.listing("--state", "failed")} == set(names))
        self.expect("failed show", "ops@remote.test" in self.say("failed", "show", names[0]))
        self.restart()
        self.serve({})
        said = self.say("failed", "requeue", names[0])
        self.expect("failed requeue", "1 message requeued" in said, said)
        wait_for("it to arrive", lambda: any(b"<ops@remote.test>" in text for text in self._sinks["R"].messages()))
        self.expect("failed delete", "1 message deleted" in self.say("failed", "delete", "--from", "<>"))
        self.expect("failed/ is empty", not self.folder("failed"))
        self.expect("nothing matches now", "No message matches" in self.say("failed", "delete", "--all"))

    def corrupt(self) -> None:
        self.serve({"refuse": "RCPT"})
        name = self.submit("alice@local.test", "one@remote.test")
        self.waits(name, reply="Error")
        self._suite.stop()
        file = next(path for path in self._suite.spool_files() if path.name == name)
        damaged = b"\0" * 64 + file.read_bytes()[64:]
        with open(file, "r+b") as queue_file:
            queue_file.write(damaged[:64])  # and with that its time has come
        self._suite.start()
        wait_for("it in corrupt/", lambda: self.folder("corrupt") == [name])
        listed = json.loads(self.say("corrupt", "list", "--json"))
        self.expect("corrupt list says why", [one["id"] for one in listed] == [name] and listed[0]["why"], listed)
        self.expect("corrupt show", name in self.say("corrupt", "show", name))
        view = self._suite.view() if self._suite.as_root else []
        exported = subprocess.run([*view, str(self._suite.binaries / "postrider"), "--config", str(self._suite.config_file),
                                   "corrupt", "export", name], capture_output=True, timeout=60)
        self.expect("corrupt export gives it as it is", exported.stdout.startswith(damaged), exported.stderr)
        self.expect("corrupt delete", "1 message deleted" in self.say("corrupt", "delete", name) and not self.folder("corrupt"))

    def suspend(self) -> None:
        self.serve({})
        before = self.arrived()
        said = self.say("domain", "suspend", "Remote.test", "--dry-run")
        self.expect("domain suspend --dry-run", "remote.test would be suspended" in said and "No domain" in self.say("domain", "list"), said)
        said = self.say("domain", "suspend", "Remote.test")
        self.expect("domain suspend", "remote.test suspended" in said, said)
        name = self.submit("alice@local.test", "one@remote.test")
        self.waits(name, "suspended")
        said = self.say("queue", "flush", "--domain", "remote.test")
        self.expect("queue flush says so", "1 message for suspended domains" in said, said)
        self.restart()
        listed = json.loads(self.say("domain", "list", "--json"))
        self.expect("domain list after a restart", [one["domain"] for one in listed] == ["remote.test"], listed)
        self.waits(name, "suspended")
        self.expect("no attempt was made", self.arrived() == before)
        said = self.say("domain", "resume", "remote.test")
        self.expect("domain resume", "remote.test resumed" in said, said)
        self.gone(name)
        self.expect("it is delivered at once", self.arrived() == before + 1)
        self.say("domain", "suspend", "remote.test")
        had = len(self.bounces("alice"))
        name = self.submit("alice@local.test", "one@remote.test")
        self.waits(name, "suspended")
        self._suite.move_clock(6 * 86400)
        wait_for("the report", lambda: len(self.bounces("alice")) > had)
        self.expect("what is suspended expires like all else", b"5.4.7" in self.bounces("alice")[-1])
        self.say("domain", "resume", "remote.test")

    def destinations(self) -> None:
        self._sinks["R"].stop()
        names = [self.submit("alice@local.test", f"u{number}@remote.test") for number in range(12)]
        def down() -> list[dict[str, Any]]:
            listed = json.loads(self.say("destination", "list", "--json"))
            return [one for one in listed if one["transport"] == "smtp" and one["state"] == "down" and one["waiting"] == len(names)]
        state = wait_for("the destination to be down and all to wait for it", down)
        assert state
        hop = state[0]["next_hop"]
        self.expect("destination list says why, and when it is tried", state[0]["last_reply"] and state[0]["next_probe"] > state[0]["last_failure"], state)
        shown = self.say("destination", "show", hop)
        self.expect("destination show", "state         down" in shown and "next probe    in" in shown and "waiting       12" in shown, shown)
        self.fails(69, "destination", "show", "nowhere.test")
        shape = json.loads(self.say("queue", "shape", "--json"))
        self.expect("queue shape", sum(shape["total"]) == 12 and any(row["name"] == hop and sum(row["counts"]) == 12 for row in shape["rows"]), shape)
        table = self.say("queue", "shape", "--senders")
        self.expect("queue shape --senders", "local.test" in table and "#" not in table, table)
        self.serve({})
        self.say("queue", "flush", "--all")
        self._suite.wait_until_empty()

    def in_flight(self) -> None:
        """A server that takes its time over the end of the message."""
        address, port = self._suite.stage.server("P")
        slow = subprocess.Popen([*self._suite.stage.command("world"), sys.executable, "-c", SLOW_SERVER, address, str(port)],
                                stdin=subprocess.DEVNULL)
        try:
            with self._suite.stage.inside("world"):
                wait_for("the slow server", lambda: accepts_connections((address, port)))
            name = self.submit("alice@local.test", "x@primary.test")
            self.waits(name, "active")
            wait_for("the attempt to be under way", lambda: "1" in [line.split()[-1] for line in self.say("status").splitlines() if line.startswith("jobs_in_flight")])
            began = time.monotonic()
            said = self._suite.command("queue", "delete", name, check=False)
            self.expect("a change of what is in flight waits for the attempt", time.monotonic() - began > 2
                        and "1 message deleted" in said.stdout, said)
            self.expect("the results of the attempt are known", "451" in self._suite.log())
            self.expect("and it is gone", self.entry(name) is None and not self._suite.spool_files())
        finally:
            slow.kill()
            slow.wait()

    def readers(self) -> None:
        if not self._suite.as_root:
            return
        def as_user(groups: str, *words: str) -> subprocess.CompletedProcess[str]:
            command = [*self._suite.view(), "setpriv", "--reuid", "64390", "--regid", "64390", groups, "--",
                       str(self._suite.binaries / "postrider"), "--config", str(self._suite.config_file), *words]
            return subprocess.run(command, text=True, capture_output=True, timeout=60, stdin=subprocess.DEVNULL)
        inside, outside = f"--groups={READERS}", "--clear-groups"
        for words in (("queue", "list"), ("status",), ("destination", "list"), ("queue", "shape"), ("domain", "list")):
            good = as_user(inside, *words)
            self.expect(f"a reader may ask: {' '.join(words)}", good.returncode == 0, good)
            bad = as_user(outside, *words)
            self.expect(f"another user may not: {' '.join(words)}", bad.returncode == 75 and "queue_readers" in bad.stderr, bad)
        for words in (("queue", "flush", "--all"), ("queue", "delete", "--all"), ("domain", "suspend", "a.test"), ("queue", "cat", "0000000000000001")):
            bad = as_user(inside, *words)
            self.expect(f"a reader may not {' '.join(words)}", bad.returncode == 75, bad)
        self.expect("the log says who tried", "uid=64390" in self._suite.log())


SLOW_SERVER = """
import socket, sys, time
server = socket.create_server((sys.argv[1], int(sys.argv[2])))
def serve(client):
    lines = client.makefile("rb")
    client.sendall(b"220 slow\\r\\n")
    data = False
    for line in lines:
        if data and line != b".\\r\\n":
            continue
        if data:
            time.sleep(4)
            client.sendall(b"451 4.3.0 not now\\r\\n")
            data = False
        elif line.upper().startswith(b"DATA"):
            client.sendall(b"354 go on\\r\\n")
            data = True
        elif line.upper().startswith(b"EHLO"):
            client.sendall(b"250 slow\\r\\n")
        elif line.upper().startswith(b"QUIT"):
            client.sendall(b"221 bye\\r\\n")
            break
        else:
            client.sendall(b"250 2.0.0 ok\\r\\n")
while True:
    client, _ = server.accept()
    try:
        serve(client)
    except OSError:
        pass
    client.close()
"""


def main() -> int:
    with Program(__doc__) as program:
        folder, stage = program.scratch("verbs"), program.stage()
        nsd = Nsd(folder / "nsd", stage)
        suite = Suite(program.binaries, folder / "suite", stage, CONFIG, {"routes": OLD_ROUTE})
        sinks = {name: Sink(name, folder / name, stage) for name in ("R", "M4") if name in SERVERS}
        steering = Steering(program, suite, sinks)
        steps: tuple[Callable[[], None], ...] = (
            steering.selection, steering.hold, steering.fail, steering.reroute, steering.failed, steering.corrupt,
            steering.in_flight, steering.destinations, steering.readers, steering.suspend)
        nsd.start()
        try:
            sinks["R"].start(refuse="RCPT")
            sinks["M4"].start()
            suite.start()
            for step in steps:
                print(f"-- {step.__name__}")
                step()
            suite.stop()
        finally:
            suite.abandon()
            for sink in sinks.values():
                sink.stop()
            nsd.stop()
    return program.exit_code


if __name__ == "__main__":
    sys.exit(main())
