"""What every test program of this folder has in common: its options, its scratch folder, its verdict."""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
import traceback
from pathlib import Path
from types import TracebackType

from process import Skip, TestFailure
from stage import LoopbackStage, NetnsStage, Stage

SKIPPED = 77
ROOT = Path(__file__).resolve().parents[2]


class Program:
    """Used as `with Program(__doc__) as program:`. Turns failures into the exit code; removes the scratch
    folder when all went well and keeps it otherwise, so that the logs can be read."""

    def __init__(self, description: str | None, positional: str = "", extra: dict[str, dict[str, object]] | None = None,
                 ) -> None:
        parser = argparse.ArgumentParser(description=description)
        parser.add_argument("--bin", type=Path, default=ROOT / "build/asan/bin", help="where the programs are")
        parser.add_argument("--stage", choices=("netns", "loopback"),
                            default="netns" if os.geteuid() == 0 else "loopback",
                            help="hosts in network namespaces (root), or ports of the loopback")
        parser.add_argument("--keep", action="store_true", help="keep the scratch folder")
        for name, keywords in (extra or {}).items():
            parser.add_argument(name, **keywords)  # type: ignore[arg-type]
        if positional:
            parser.add_argument(positional, nargs="*")
        self.options = parser.parse_args()
        self.binaries: Path = self.options.bin.resolve()
        self.exit_code = 0
        self._stage: Stage | None = None
        self._folder = Path(tempfile.mkdtemp(prefix="postrider-test-"))
        self._folder.chmod(0o755)
        sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]

    def scratch(self, name: str) -> Path:
        folder = self._folder / name
        folder.mkdir()
        return folder

    def stage(self) -> Stage:
        """The stage of this run, made at first use. As loopback ports are handed out once, it is shared."""
        if not self._stage:
            self._stage = NetnsStage() if self.options.stage == "netns" else LoopbackStage()
        return self._stage

    def judge(self, what: str, good: bool, note: str = "") -> None:
        print(f"{'ok    ' if good else 'FAILED'} {what}{f' ({note})' if note else ''}")
        if not good:
            self.exit_code = 1

    def __enter__(self) -> Program:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> bool:
        handled = kind is None
        if isinstance(error, Skip):
            print(f"skipped: {error}")
            self.exit_code, handled = SKIPPED, True
        elif isinstance(error, TestFailure):
            print(f"FAILED: {error}")
            self.exit_code, handled = 1, True
        elif error:
            traceback.print_exception(error)
            self.exit_code = 1
        if self._stage:
            self._stage.close()
        if handled and self.exit_code in (0, SKIPPED) and not self.options.keep:
            shutil.rmtree(self._folder, ignore_errors=True)
        else:
            print(f"logs and spool are kept in {self._folder}")
        return handled
