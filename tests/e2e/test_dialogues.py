#!/usr/bin/python3
"""Plays the dialogue scripts of tests/dialogues/, all of them or those named."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import script
from dialogue import Player
from program import Program
from script import ScriptError

DIALOGUES = Path(__file__).resolve().parents[1] / "dialogues"


def main() -> int:
    with Program(__doc__, positional="script") as program:
        paths = [Path(name) for name in program.options.script] or sorted(DIALOGUES.glob("*.dialogue"))
        for path in paths:
            begun = time.monotonic()
            folder = program.scratch(path.stem)
            try:
                player = Player(script.read(path), program.binaries, folder, program.stage())
                failures = player.play()
            except ScriptError as error:
                failures = [str(error)]
            for failure in failures:
                print(failure)
            program.judge(path.stem, not failures, f"{time.monotonic() - begun:.1f} s, files in {folder}")
    return program.exit_code


if __name__ == "__main__":
    sys.exit(main())
