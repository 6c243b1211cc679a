#!/usr/bin/python3
"""T66: for each row of the scenarios about policy, `postrider explain` says what a live dialogue then meets: the same
stage, the same reply, the same line. And it talks to nobody but the DNS."""

from __future__ import annotations

import dataclasses
import re
import sys
from collections.abc import Iterator

from nsd import Nsd
from process import Skip, wait_for
from program import Program
from smtp import Reply, Session
from stage import Stage
from suite import Suite

OUT, LIAR, IN = "203.0.113.9", "203.0.113.8", "10.0.0.5"
QUICK = "dns_timeout 1s\ndns_chain_timeout 3s\ndnsbl_timeout 2s\nerror_delay 0\n"
# The stages of a dialogue, and what `explain` may call them; what it says of one ends with the line that decided.
STAGES = {"client": ("client", "connect", "helo"), "sender": ("sender", "mail"), "recipient": ("recipient", "rcpt")}
VERDICT = re.compile(r"^(?P<stage>client|connect|helo|sender|mail|recipient|rcpt)\b.*?: "
                     r"(?P<reply>accepted|[245]\d\d .*?) \((?P<rule>[^()\s]+)\)", re.MULTILINE)


@dataclasses.dataclass(frozen=True)
class Row:
    client: str = OUT
    sender: str = "a@out.example"
    recipient: str = "alice@local.test"
    helo: str = "out.example"


def senders(*addresses: str, clients: tuple[str, ...] = (OUT, IN)) -> list[Row]:
    return [Row(client=client, sender=address) for client in clients for address in addresses]


def recipients(*addresses: str, clients: tuple[str, ...] = (OUT, IN), sender: str = "a@out.example") -> list[Row]:
    return [Row(client=client, recipient=address, sender=sender) for client in clients for address in addresses]


# What a configuration adds, and what is asked under it.
SCENARIOS: dict[str, tuple[str, list[Row]]] = {
    "T54 networks": (f'net {OUT} reject "We reject %i"\nnet {LIAR} defer\n', [Row(), Row(client=LIAR), Row(client=IN)]),
    "T54 names": ('rdns out.example relay\nrdns liar.example reject "no mail from %i"\n',
                  [Row(recipient="u@far.test"), Row(client=LIAR), Row(recipient="nosuchuser@local.test")]),
    "T56 senders": ('sender nobody.test reject\nsender .nobody.test reject "550 5.7.1 %s is not liked"\n'
                    "sender friend@ quarantine\nsender good@nobody.test accept\n",
                    senders("x@nobody.test", "x@a.nobody.test", "friend@any.test", "good@nobody.test", "")),
    "T57 quarantine": (f"net {OUT} quarantine\nrcpt spamtrap@ quarantine\n",
                       recipients("alice@local.test", "spamtrap@local.test", "u@remote.test")),
    "T58 senders in the DNS": ("default sender senddns=require\nsender hostonly.test senddns=soft\n",
                               senders("x@nx.test", "x@servfail.test", "x@slow.test", "x@nomx.test", "x@lo.test", "x@nullmx.test",
                                       "x@hostonly.test", "", "x@[203.0.113.9]")),
    "T59 a list at the connection": ("default net dnsbl=rbl.test at=connect\n", [Row(), Row(client=IN), Row(client=LIAR)]),
    "T59 a list at the recipient": ("default net dnsbl=rbl.test at=rcpt\nrcpt nofilter.test local dnsbl=ignore\nrcpt bob@local.test dnsbl=ignore\n",
                                    recipients("alice@local.test", "bob@local.test", "postmaster@local.test", "u@remote.test")),
    "T60 recipients": ('relay_domain relayed.test\nnet 0.0.0.0/0 maxsize=10M\ndefault rcpt reject "550 5.7.1 %r is not ours"\n'
                       'rcpt bad.test reject "550 5.7.1 nothing for %r from %i"\nrcpt bob@local.test defer\nrcpt u@passed.test relay\n',
                       recipients("x@bad.test", "x@remote.test", "Bob+list@local.test", "u@passed.test", "v@passed.test",
                                  "x@relayed.test", "alice@local.test", "nosuchuser@local.test")),
    "T61 trust": (f"net {OUT} trust=rcpt\nnet {LIAR} trust=all\nsender nobody.test reject\nrcpt bad.test reject\n",
                  recipients("u@bad.test", clients=(OUT, LIAR, IN)) + senders("x@nobody.test", clients=(OUT, LIAR, IN))),
    "T62 postmaster": (f'net {OUT} reject "We reject %i"\nsender hostonly.test reject\nsender late.test defer\nrcpt postmaster@ accept\nrcpt abuse@ accept\n',
                       [row for sender in ("x@hostonly.test", "x@late.test", "x@remote.test") for row in
                        recipients("postmaster", "postmaster@local.test", "abuse@local.test", "postmaster@foreign.test",
                                   "alice@local.test", sender=sender)]),
    "T64 greetings": ('helo friend reject "go away"\nhelo *.dyn.test strict\nhelo localhost reject\n',
                      [Row(helo=name) for name in ("friend", "FRIEND", "localhost", "a.dyn.test", "[203.0.113.9]")]),
    "T12 backups by the DNS": ("default rcpt mx=backup\n",
                               recipients("u@primary.test", "u@remote.test", "u@bestus.test", "u@servfail.test", "u@nx.test",
                                          "u@nullmx.test", "u@lo.test", clients=(OUT,))),
}


@dataclasses.dataclass(frozen=True)
class Verdict:
    stage: str
    reply: str  # empty if it is accepted
    rule: str  # file:line, or a word; of a reject

    def __str__(self) -> str:
        return f"{self.stage}: {self.reply or 'accepted'}{f' ({self.rule})' if self.reply else ''}"


class Comparison:
    def __init__(self, program: Program, suite: Suite, stage: Stage) -> None:
        self._program = program
        self._suite = suite
        self._stage = stage

    def live(self, row: Row) -> list[Verdict]:
        """What a dialogue meets, up to the first refusal."""
        before = len(self._suite.log())
        session = self._suite.session(row.client)
        verdicts = []
        for stage, reply in self._replies(session, row):
            if reply.code < 400:
                verdicts.append(Verdict(stage, "", ""))
                continue
            rules = wait_for("the log line of the refusal",
                             lambda: re.findall(r" reject .* rule=(\S+)", self._suite.log()[before:]), 10)
            verdicts.append(Verdict(stage, str(reply), rules[-1]))
            break
        session.close()
        return verdicts

    @staticmethod
    def _replies(session: Session, row: Row) -> Iterator[tuple[str, Reply]]:
        greeting = session.reply()
        yield "client", greeting if greeting.code >= 400 else session.command(f"EHLO {row.helo}")
        yield "sender", session.command(f"MAIL FROM:<{row.sender}>")
        yield "recipient", session.command(f"RCPT TO:<{row.recipient}>")

    def explained(self, row: Row, client: str) -> list[Verdict]:
        said = self._suite.command("explain", row.recipient, f"client={client}", f"helo={row.helo}",
                                   f"from={row.sender or '<>'}", check=False).stdout
        verdicts: dict[str, Verdict] = {}
        for found in VERDICT.finditer(said):
            stage = next(stage for stage, names in STAGES.items() if found["stage"] in names)
            refused = not found["reply"].startswith(("accepted", "2"))
            verdict = Verdict(stage, found["reply"] if refused else "", found["rule"] if refused else "")
            verdicts[stage] = verdict  # a client is looked at before its greeting and after it
            if refused:
                break
        return list(verdicts.values())

    def compare(self, scenario: str, row: Row) -> None:
        opened = self._connections()
        explained = self.explained(row, f"[{row.client}]")
        bare = self.explained(row, row.client)
        opened = self._connections() - opened
        live = self.live(row)
        note = "" if explained == live == bare and not opened else \
            f"{row}\n  explain: {'; '.join(map(str, explained))}\n  bare:    {'; '.join(map(str, bare))}\n" \
            f"  live:    {'; '.join(map(str, live))}\n  connections opened: {opened}"
        self._program.judge(f"{scenario}: {row.client} {row.helo} <{row.sender}> <{row.recipient}>: {live[-1]}", not note, note)

    def _connections(self) -> int:
        """TCP connections that the host of the suite has opened to others so far."""
        with self._stage.inside("us"), open("/proc/thread-self/net/snmp", encoding="ascii") as counters:
            names, values = (line.split() for line in counters if line.startswith("Tcp:"))
        return int(values[names.index("ActiveOpens")])


def main() -> int:
    with Program(__doc__) as program:
        stage = program.stage()
        if not stage.has_mx:
            raise Skip("clients with addresses of their own take root")
        nsd = Nsd(program.scratch("nsd"), stage)
        nsd.start()
        try:
            for number, (scenario, (lines, rows)) in enumerate(SCENARIOS.items()):
                suite = Suite(program.binaries, program.scratch(str(number)), stage, QUICK + lines)
                try:
                    suite.start()
                    comparison = Comparison(program, suite, stage)
                    for row in rows:
                        comparison.compare(scenario, row)
                    suite.stop()
                finally:
                    suite.abandon()
        finally:
            nsd.stop()
    return program.exit_code


if __name__ == "__main__":
    sys.exit(main())
