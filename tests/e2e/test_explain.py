#!/usr/bin/python3
"""What `postrider explain` says is what the suite answers: every connection, greeting, MAIL and RCPT of the dialogues in
tests/dialogues/, all of them or those named, is held against an explanation of the same case.

Only the conversation of a script is played, and what changes it; where mail arrives is not looked at. At the end no
counter of the router may have moved by explanations alone.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import script
from dialogue import Player
from explained import EXCEPTIONS, Asker, Comparison, Observed
from nsd import Nsd
from process import Skip, TestFailure
from program import Program
from script import Script, ScriptError, Statement
from smtp import Session
from stage import Stage
from suite import Suite

DIALOGUES = Path(__file__).resolve().parents[1] / "dialogues"

# Scripts about octets, whose commands cannot be told from their content.
NOT_OF_COMMANDS = ("smuggling",)

# Scripts whose replies depend on mail that has arrived before.
AFTER_ARRIVALS = ("T91_etrn_flush",)

# Statements that look at what has come of a message, or need it to come.
SKIPPED = ("arrived", "nothing", "header", "body", "content", "envelope", "queue", "sink", "log", "dns", "same", "peer",
           "flush")
AROUND = ("stop", "start", "kill", "file", "certificate", "restart", "postrider", "pause")


class ExplainingPlayer(Player):
    """Plays the conversation of one script and has each command explained."""

    def __init__(self, played: Script, binaries: Path, folder: Path, stage: Stage, comparison: Comparison) -> None:
        super().__init__(played, binaries, folder, stage)
        self._comparison = comparison
        self._asker: Asker | None = None
        self._line = 0
        self._all: list[Observed] = []

    def _verbs(self) -> dict[str, Callable[[Statement, str], None]]:
        verbs = super()._verbs()
        verbs.update({name: self._skip for name in SKIPPED})
        for name in AROUND:
            verbs[name] = self._then_forget(verbs[name])
        return verbs

    def _skip(self, _: Statement, __: str) -> None:
        pass

    def _then_forget(self, action: Callable[[Statement, str], None]) -> Callable[[Statement, str], None]:
        def act(statement: Statement, text: str) -> None:
            if statement.words()[0] != "postrider" or "mxbackup" in statement.words():
                action(statement, text)
            if self._asker:
                self._asker.forget()
        return act

    def _one(self, statement: Statement) -> None:
        self._line = statement.line
        for session in self._all:
            session.where = f"{self._script.path.name}:{statement.line}"
        super()._one(statement)

    def _open(self, client: str, listener: str, over_tls: bool) -> Session:
        suite = self._running()
        self._asker = self._asker or Asker(suite)
        observed = Observed(f"{self._script.path.name}:{self._line}", suite, self._asker, self._comparison,
                            self._stage.client(client), self._stage.us(listener)[1],
                            lambda: suite.session(client, listener), lambda: self._all, over_tls)
        self._all.append(observed)
        return observed  # type: ignore[return-value]


def check_counters(program: Program) -> None:
    """Explanations count for no rate, and for nothing else."""
    folder, stage = program.scratch("counters"), program.stage()
    suite = Suite(program.binaries, folder / "suite", stage, "client_message_rate 3/1h\nclient_recipient_rate 3/1h\n"
                  "client_connection_rate 3/1h\n")
    nsd = Nsd(folder / "nsd", stage)
    nsd.start()
    try:
        suite.start()
        asker = Asker(suite)
        words = (f"client={stage.client('OUT')}", "helo=out.example", "from=a@out.example")
        documents = [asker.ask("alice@local.test", words) for _ in range(10)]
        used = [rate["used"] for document in documents for rate in (document or {"rates": [{"used": -1}]})["rates"]]
        program.judge("ten explanations use up no rate", len(used) == 30 and not any(used), str(used))
        with_session = suite.session("OUT")
        codes = [with_session.reply().code] + [with_session.command(text).code for text in (
            "EHLO out.example", "MAIL FROM:<a@out.example>", "RCPT TO:<alice@local.test>")]
        with_session.close()
        program.judge("and the client is served", codes == [220, 250, 250, 250], str(codes))
        document = asker.ask("alice@local.test", words)
        used = [rate["used"] for rate in document["rates"]] if document else []
        program.judge("what it uses is seen", used == [1, 1, 1], str(used))
        suite.stop()
    finally:
        suite.abandon()
        nsd.stop()


def main() -> int:
    comparison = Comparison()
    with Program(__doc__, positional="script") as program:
        named = [Path(name) for name in program.options.script]
        paths = named or [path for path in sorted(DIALOGUES.glob("*.dialogue")) if path.stem not in NOT_OF_COMMANDS + AFTER_ARRIVALS]
        for path in paths:
            before = sum(comparison.compared.values()), len(comparison.differences)
            try:
                player = ExplainingPlayer(script.read(path), program.binaries, program.scratch(path.stem),
                                          program.stage(), comparison)
                failures = player.play()
            except Skip as skip:
                print(f"skip   {skip}")
                continue
            except (ScriptError, TestFailure) as error:
                failures = [str(error)]
            failures += comparison.differences[before[1]:]
            for failure in failures:
                print(failure)
            program.judge(path.stem, not failures, f"{sum(comparison.compared.values()) - before[0]} compared")
        print(f"compared: {dict(comparison.compared)}; excepted: {dict(comparison.excepted)}; "
              f"{comparison.lost} sessions were not followed to their end")
        if not named:
            check_counters(program)
            unused = [reason for reason, _, _ in EXCEPTIONS if not comparison.excepted[reason]]
            program.judge("every exception is needed", not unused, str(unused))
            program.judge("there are far more comparisons than exceptions",
                          sum(comparison.compared.values()) > 5 * sum(comparison.excepted.values()))
    return program.exit_code


if __name__ == "__main__":
    sys.exit(main())
