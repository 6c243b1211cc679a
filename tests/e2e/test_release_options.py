#!/usr/bin/python3
"""A release has nothing of what only tests may use: the clock that can be moved is compiled out of it."""

from __future__ import annotations

import subprocess
import sys

from process import TestFailure
from program import ROOT, Program

OPTION = "POSTRIDER_TEST_CLOCK"


def main() -> int:
    with Program(__doc__) as program:
        for preset in ("release", "debug"):
            folder = program.scratch(preset)
            done = subprocess.run(["cmake", "--preset", preset, "-B", str(folder)], cwd=ROOT, text=True,
                                  capture_output=True, timeout=300)
            if done.returncode != 0:
                raise TestFailure(f"cmake --preset {preset}: {done.stderr}")
            rules = (folder / "build.ninja").read_text(encoding="utf-8")
            program.judge(f"the preset {preset} compiles no test clock", f"-D{OPTION}" not in rules)
        binary = (program.binaries / "queue-manager").read_bytes()
        program.judge("the program under test has one, so that its absence can be seen", OPTION.encode() in binary)
        release = ROOT / "build/release/bin/queue-manager"
        if release.exists():
            program.judge("the release that was built has none", OPTION.encode() not in release.read_bytes())
    return program.exit_code


if __name__ == "__main__":
    sys.exit(main())
